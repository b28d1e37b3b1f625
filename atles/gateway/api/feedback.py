"""What users say of answers: good, bad, or what would have been right."""

import json
from typing import Any

from atles.gateway.api import finding, schema
from atles.gateway.api.route import Asked, Needs, Parts, Route
from atles.gateway.conversation import Conversation
from atles.gateway.refusal import Refusal
from atles.pipeline import jobs, lanes
from atles.records import Feedback, Message, Rating

_LONGEST = 50_000  # characters of a better answer


async def _rate(parts: Parts, asked: Asked) -> Any:
    body, text = asked.body, asked.body.get("text", "").strip()
    rating = Rating(body["rating"])
    if (rating is Rating.EDIT) is not bool(text):
        raise Refusal(400, "invalid_parameter", '"text" is the better answer: it belongs to "edit", and only there')
    if ("id" in body) is ("session" in body) or ("session" in body) is not ("position" in body):
        raise Refusal(400, "invalid_parameter", 'name the answer: by its "id", or by "session" and "position"')
    answered = None
    if "id" in body:
        answered = parts.conversations.answered(body["id"])
        session_id, position = answered or await parts.aside(_stored_answer, parts, asked, body["id"])
        if not session_id:
            raise Refusal(409, "ambiguous", "several answers were given this id; name the session and the position")
    else:
        session_id, position = body["session"], body["position"]
    going_on = parts.conversations.open(session_id, asked.owner, asked.user)
    if not going_on and "id" in body and answered and not parts.conversations.open(session_id, asked.owner):
        await parts.aside(_check_stored, parts, session_id)
    return await parts.aside(_note, parts, asked, session_id, position, going_on, Feedback(rating, text))


def _stored_answer(parts: Parts, asked: Asked, answer_id: str) -> tuple[str, int]:
    """Where a stored answer stands, by the id that its client was given, or by its message's id."""
    found = parts.store.sessions.answered(answer_id) or parts.store.feedback.answer(answer_id)
    if found is None:
        raise finding.missing("answer", answer_id)
    return found


def _check_stored(parts: Parts, session_id: str) -> None:
    if not parts.store.sessions.holds(session_id):
        raise Refusal(409, "being_stored", "the conversation has just ended and is being stored; try again in a moment")


def _note(
    parts: Parts, asked: Asked, session_id: str, position: int, going_on: Conversation | None, feedback: Feedback
) -> dict[str, Any]:
    said = going_on.session.messages if going_on else []
    message = Message("", position, json.loads(said[position])) if position < len(said) else None
    if going_on:
        session_id = going_on.id
    else:
        stored = finding.session(parts, asked, session_id)
        message = stored.session.messages[position] if position < len(stored.session.messages) else None
    if message is None or message.role != "assistant" or message.is_forgotten:
        raise Refusal(404, "not_found", f"there is no answer at position {position} of session {session_id[:200]!r}")
    learned = jobs.rate(parts.store, parts.queue, session_id, position, feedback, parts.settings.scrub.level)
    parts.wake(lanes.LEARN)
    return {"session_id": session_id, "position": position, "rating": feedback.rating, "stored": learned}


_ID = schema.text("Of the answer: as its client was given it (chatcmpl-…), or its message's.", least=1, most=1000)

ROUTES = (
    Route(
        "POST", "/api/feedback", "Sessions",
        "Rate an answer: a bad one is neither learned nor recalled, a better one is learned in its place", _rate,
        schema.obj(
            {
                "session_id": schema.text(), "position": schema.whole(), "rating": schema.text(one_of=list(Rating)),
                "stored": schema.truth("False: the conversation goes on, and is learned from when it is handed over."),
            }
        ),
        Needs.ENTRY,
        body=schema.obj(
            {
                "id": _ID,
                "session": schema.text("Instead of the id, with the position.", least=1, most=1000),
                "position": schema.whole("Of the message in its session, from 0.", most=1_000_000),
                "rating": schema.text("up, down, or edit, with the better answer.", one_of=list(Rating)),
                "text": schema.text("The better answer of an edit.", most=_LONGEST),
                "user": schema.text("Whose conversation it is, where no key says it.", most=1000),
            },
            optional=("id", "session", "position", "text", "user"), closed=True,
        ),
        refused={
            404: "There is no such answer, or it is another user's.", 409: "Its session is just being stored."
        },
    ),
)  # fmt: skip
