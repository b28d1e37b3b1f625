"""Forgetting for good: sessions, messages and memories, in the database, files and adapters."""

from typing import Any

from atles.gateway.api import finding, schema
from atles.gateway.api.route import Asked, Parts, Route
from atles.gateway.refusal import Refusal
from atles.pipeline.erase import Marked, erase
from atles.pipeline.lanes import LEARN, TRAIN
from atles.pipeline.shelf import open_shelf

_MOST = 1000  # of a kind


def erase_now(parts: Parts, marked: Marked) -> dict[str, Any]:
    """Forget it everywhere, and let the workers know what is to be made again."""
    done = erase(open_shelf(parts.home, parts.settings), parts.store, parts.queue, marked)
    parts.wake(LEARN)
    parts.wake(TRAIN)
    return done


async def _forget(parts: Parts, asked: Asked) -> Any:
    if not any(asked.body.get(kind) for kind in _KINDS):
        raise Refusal(400, "invalid_parameter", f"say what to forget: {', '.join(_KINDS)}, each a list of ids")
    marked, not_stored = await parts.aside(_mark, parts, asked)
    going_on = {}
    for name in asked.body.get("sessions", ()):
        if found := parts.conversations.open(name, asked.owner, asked.user):
            going_on[found.id] = found
        elif name in not_stored:
            raise finding.missing("session", name)
    if busy := [name for name, it in going_on.items() if it.busy]:
        raise Refusal(409, "busy", f"an answer in {busy[0][:200]!r} is on its way; try again when it is there")
    for found in going_on.values():
        parts.conversations.forget(found)
    if going_on:  # what was taken in meanwhile is stored now
        marked, _ = await parts.aside(_mark, parts, asked)
    return {**await parts.aside(erase_now, parts, marked), "conversations": list(going_on)}


def _mark(parts: Parts, asked: Asked) -> tuple[Marked, list[str]]:
    """What of it is stored, and the sessions that are not."""
    sessions, messages, memories = (dict.fromkeys(asked.body.get(kind, ())) for kind in _KINDS)
    stored, not_stored = [], []
    for name in sessions:
        try:
            stored.append(finding.session(parts, asked, name).session.session_id)
        except Refusal:
            not_stored.append(name)
    return (
        Marked(
            stored,
            [finding.message(parts, asked, name) for name in messages],
            [finding.memory(parts, asked, name) for name in memories],
        ),
        not_stored,
    )


_KINDS = ("sessions", "messages", "memories")
_IDS = schema.array(schema.text(least=1, most=1000), most=_MOST)

FORGOTTEN = schema.obj(
    {
        "memories": schema.whole("How many."),
        "messages": schema.whole("How many have no words any more."),
        "sessions": schema.array(schema.text(), "In which these were."),
        "retired": schema.array(schema.text(), "Adapters that saw them: deleted."),
        "serves": schema.or_null(schema.text("The adapter that answers now; null: the base model.")),
        "set_aside": schema.array(schema.text(), "Files of these sessions in quarantine, as they came: not deleted."),
        "on_their_way": schema.array(schema.text(), "Files that lose it when they are taken in."),
        "copies": schema.array(schema.text(), "Older copies of the database that still hold it: not deleted."),
        "conversations": schema.array(schema.text(), "Conversations with the gateway that were dropped."),
        "not_deleted": schema.text("Why copies that machines share are not deleted yet; the daemons try it again."),
    },
    optional=("conversations", "not_deleted"),
)

ROUTES = (
    Route(
        "POST", "/api/forget", "Memory",
        "Forget for good: whole sessions, messages, memories and the messages that said them; all of these or none",
        _forget, FORGOTTEN, body=schema.obj(dict.fromkeys(_KINDS, _IDS), optional=_KINDS, closed=True),
        refused={
            404: "One of them does not exist, or is another user's.",
            409: "An answer in one of the sessions is on its way.",
        },
    ),
)  # fmt: skip
