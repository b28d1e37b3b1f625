"""Sessions: what came in and what became of it, another try for what failed, and the end of one that goes on."""

from typing import Any

from atles.errors import AtlesError
from atles.gateway.api import finding, schema
from atles.gateway.api.route import PAGE, Asked, Needs, Parts, Route
from atles.gateway.refusal import Refusal
from atles.insights import sessions as insights
from atles.pipeline import retry as again
from atles.pipeline.lanes import LEARN, TRAIN
from atles.records import Example, Split

_TEXT, _TEXT_OR_NULL, _COUNT = schema.text(), schema.or_null(schema.text()), schema.whole()


def _list(parts: Parts, asked: Asked) -> Any:
    rows = insights.listed(parts.store, asked.user)[::-1]
    own = {row["session_id"] for row in rows}
    begin = asked.query["offset"]
    return {
        "sessions": rows[begin : begin + asked.query["limit"]],
        "total": len(rows),
        "dead": [it for it in again.dead(parts.queue) if asked.user is None or it["session_id"] in own],
        # Nobody knows whose a file is that could not be read.
        "quarantine": again.quarantine(parts.home) if asked.user is None else [],
    }


def _show(parts: Parts, asked: Asked) -> Any:
    return insights.shown(parts.store, finding.session(parts, asked, asked.path["id"]).session.session_id)


async def _end(parts: Parts, asked: Asked) -> Any:
    found = parts.conversations.open(asked.path["id"], asked.owner, asked.user)
    if found is None or not parts.conversations.end(found.id):
        raise Refusal(
            404, "not_found", f"no conversation {asked.path['id'][:200]!r} is open; it may have ended already"
        )
    return {"session_id": found.id, "ended": True}


def _retry(parts: Parts, asked: Asked) -> Any:
    name, everything = asked.body.get("name"), asked.body.get("all", False)
    if (name is None) is not everything:
        raise Refusal(400, "invalid_parameter", 'give a "name": a session, a job or a file; or "all": true')
    if asked.user is not None:
        if everything:
            raise Refusal(403, "not_admin", "to try everything again takes an admin's key; name a session of yours")
        failed = [it for it in again.dead(parts.queue) if name in (it["job"], it["session_id"])]
        if not failed:
            raise finding.missing("failed session", str(name))
        for it in failed:
            finding.session(parts, asked, str(it["session_id"]))
    try:
        done = again.retry(parts.home, parts.queue, name)
    except AtlesError as error:
        raise Refusal(404, "not_found", str(error)) from error
    parts.wake(LEARN)
    parts.wake(TRAIN)
    return done


_ROW = schema.obj(
    {
        "session_id": _TEXT, "revision": _COUNT, "split": schema.text(one_of=list(Split)), "start_time": _TEXT_OR_NULL,
        "end_time": _TEXT_OR_NULL, "received_at": _TEXT, "message_count": _COUNT, "waiting_for": _TEXT, "user": _TEXT,
        "examples": _COUNT, "errors": _TEXT_OR_NULL, "logged": _COUNT,
        "state": schema.text("learned, held out (it checks adapters), training, at work, or failed"),
    }
)  # fmt: skip
_DEAD = schema.obj({"job": _TEXT, "session_id": _TEXT_OR_NULL, "error": _TEXT, "tries": _COUNT})
_LIST = schema.obj(
    {
        "sessions": schema.array(_ROW, "Newest first."),
        "total": schema.whole("How many there are, on all pages."),
        "dead": schema.array(_DEAD, "Jobs that failed; their errors say which are tried again by themselves."),
        "quarantine": schema.array(schema.obj({"file": _TEXT, "reason": _TEXT}), "Files set aside; for admins only."),
    }
)
_SHOWN = schema.obj(
    {
        "session_id": _TEXT, "start_time": _TEXT_OR_NULL, "end_time": _TEXT_OR_NULL,
        "messages": schema.array(schema.obj({"id": _TEXT}), "Each as it came, and its id."),
        "metadata": schema.OBJECT, "revision": _COUNT, "split": schema.text(one_of=list(Split)), "received_at": _TEXT,
        "waiting_for": _TEXT, "steps": schema.array(schema.OBJECT), "examples": schema.array(schema.of(Example)),
        "adapters": schema.array(_TEXT, "Names of the adapters that learned from it."),
        "log": schema.or_null(schema.OBJECT),
    }
)  # fmt: skip

ROUTES = (
    Route("GET", "/api/sessions", "Sessions", "List sessions, newest first", _list, _LIST, query=PAGE),
    Route(
        "GET", "/api/sessions/{id}", "Sessions", "Show a session", _show, _SHOWN,
        refused={404: "There is no such session, or it is another user's."},
    ),
    Route(
        "POST", "/api/sessions/{id}/end", "Sessions",
        "End a conversation with the gateway, by its X-Atles-Session or its client's own name: it is learned from now",
        _end, schema.obj({"session_id": _TEXT, "ended": schema.truth()}), Needs.ENTRY,
        body=schema.obj(
            {"user": schema.text("Whose conversation it is, where no key says it.", most=1000)},
            optional=("user",), closed=True,
        ),
        body_needed=False,
        refused={404: "No such conversation is open."},
    ),
    Route(
        "POST", "/api/retry", "Sessions", "Try again what failed for good, or a file in quarantine", _retry,
        schema.obj({"jobs": _COUNT, "files": schema.array(_TEXT)}),
        body=schema.obj(
            {
                "name": schema.text("A session's id, a job, or a file in quarantine.", least=1, most=1000),
                "all": schema.truth("Everything instead; for admins."),
            },
            optional=("name", "all"), closed=True,
        ),
        refused={404: "Nothing of that name failed."},
    ),
)  # fmt: skip
