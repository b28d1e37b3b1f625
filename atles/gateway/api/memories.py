"""Memories: what is remembered of a user, and what people do to it by hand; and what bears on a question."""

from dataclasses import asdict
from typing import Any

from atles.gateway.api import finding, schema
from atles.gateway.api.forgetting import FORGOTTEN, erase_now
from atles.gateway.api.route import Asked, Parts, Route
from atles.gateway.refusal import Refusal
from atles.insights import memories as insights
from atles.insights.why import why
from atles.pipeline import curate
from atles.pipeline.erase import Marked
from atles.records import Memory, MemoryType, Recalled

_TYPES = [kind.value for kind in MemoryType if kind not in (MemoryType.TOPIC, MemoryType.SUMMARY)]
_TEXT, _COUNT = schema.text(), schema.whole()
_LONGEST = 10_000  # characters; of what is scrubbed, `curate` takes less
_LONGEST_QUESTION = 2_000  # characters; all of the path has to fit into 32 KiB


def _list(parts: Parts, asked: Asked) -> Any:
    users = [it["name"] for it in parts.store.sessions.users() if asked.user in (None, it["name"])]
    kind = MemoryType(asked.query["type"]) if "type" in asked.query else None
    memories: list[dict[str, Any]] = []
    topics: list[dict[str, Any]] = []
    for user in users:
        found = insights.listed(parts.store, parts.store.sessions.user(user), kind, ended=asked.query.get("all", False))
        memories += [{**it, "user": user} for it in found["memories"]]
        topics += [{**it, "user": user} for it in found["topics"]]
    refused = parts.store.memories.refusals() if asked.user is None else {}  # counted over all users
    return {"memories": memories, "topics": topics, "refused": refused}


def _show(parts: Parts, asked: Asked) -> Any:
    return insights.shown(parts.store, finding.memory(parts, asked, asked.path["id"]))


def _add(parts: Parts, asked: Asked) -> Any:
    body = asked.body
    found, new = curate.add(
        parts.store, body["text"], level=parts.settings.scrub.level, kind=body.get("type", MemoryType.FACT),
        user=asked.user or "",
    )  # fmt: skip
    return {**found.as_json(), "new": new}


def _change(parts: Parts, asked: Asked) -> Any:
    if not asked.body:
        raise Refusal(400, "invalid_parameter", 'say what to change: "text", "pinned"')
    memory = finding.memory(parts, asked, asked.path["id"])
    with parts.store.transaction():
        if "text" in asked.body:
            curate.edit(parts.store, memory.id, asked.body["text"], parts.settings.scrub.level)
        if "pinned" in asked.body:
            parts.store.memories.pin(memory.id, asked.body["pinned"])
    return parts.store.memories.get(memory.id).as_json()


def _forget(parts: Parts, asked: Asked) -> Any:
    return erase_now(parts, Marked((), (), (finding.memory(parts, asked, asked.path["id"]),)))


def _recall(parts: Parts, asked: Asked) -> Any:
    query = asked.query
    found = parts.memory.recall(query["q"], query["k"], query.get("budget"), asked.user, query.get("at"))
    return {"recalled": [asdict(hit) for hit in found]}


def _why(parts: Parts, asked: Asked) -> Any:
    return why(parts.memory, asked.query["q"], asked.user)


_MEMORY = schema.of(Memory)
_WITH_USER = {**_MEMORY, "properties": {**_MEMORY["properties"], "user": _TEXT}}
_TOPIC = schema.obj({"text": _TEXT, "sessions": _COUNT, "last": _TEXT, "user": _TEXT})
_SOURCE = schema.obj({"session_id": _TEXT, "id": _TEXT, "rowid": _COUNT, "position": _COUNT, "text": _TEXT})
_LIST = schema.obj(
    {
        "memories": schema.array(_WITH_USER, "Of each user the newest first."),
        "topics": schema.array(_TOPIC),
        "refused": schema.OBJECT,
    }
)
_SHOWN = {
    **_MEMORY,
    "properties": {**_MEMORY["properties"], "sources": schema.array(_SOURCE), "replaced_by_text": _TEXT},
}
_ADDED = {**_MEMORY, "properties": {**_MEMORY["properties"], "new": schema.truth("False: it was known.")}}
_WHY = schema.obj(
    {
        "question": _TEXT, "model": schema.text("The adapter that serves, or base."),
        "memories": schema.array(schema.obj({"memory_id": _TEXT, "session_id": _TEXT, "message_id": _TEXT,
                                             "kind": _TEXT, "text": _TEXT, "why": schema.array(_TEXT)})),
        "examples": schema.array(schema.obj({"id": _TEXT, "session_id": _TEXT, "message_id": _TEXT, "ask": _TEXT,
                                             "answer": _TEXT})),
    }
)  # fmt: skip
_QUESTION = schema.text("The question.", least=1, most=_LONGEST_QUESTION)
_MISSING = {404: "There is no such memory, or it is another user's."}

ROUTES = (
    Route(
        "GET", "/api/memories", "Memory", "List what is remembered, and the topics", _list, _LIST,
        query={"type": schema.text("Only this type.", one_of=_TYPES), "all": schema.truth("Also what holds no more.")},
    ),
    Route(
        "POST", "/api/memories", "Memory", "Remember a text, without any chat", _add, _ADDED,
        body=schema.obj(
            {"text": schema.text(least=1, most=_LONGEST), "type": schema.text("fact, if not said.", one_of=_TYPES)},
            optional=("type",), closed=True,
        ),
    ),
    Route(
        "GET", "/api/memories/{id}", "Memory", "Show a memory and where it was said", _show, _SHOWN, refused=_MISSING
    ),
    Route(
        "PATCH", "/api/memories/{id}", "Memory", "Give a memory other words, pin it (it never fades) or unpin it",
        _change, _MEMORY,
        body=schema.obj(
            {"text": schema.text(least=1, most=_LONGEST), "pinned": schema.truth()}, optional=("text", "pinned"),
            closed=True,
        ),
        refused=_MISSING,
    ),
    Route(
        "DELETE", "/api/memories/{id}", "Memory", "Forget a memory, and the words of the messages that said it",
        _forget, FORGOTTEN, refused=_MISSING,
    ),
    Route(
        "GET", "/api/recall", "Memory", "Find what bears on a question in all that was said, and say why", _recall,
        schema.obj({"recalled": schema.array(schema.of(Recalled), "The best first.")}),
        query={
            "q": _QUESTION,
            "k": schema.whole("How many at most.", least=1, most=1000, default=5),
            "budget": schema.whole("How many tokens they may take together, by estimate.", least=1, most=1_000_000),
            "at": schema.text("As it was known then: 2026-05-31, or with a time.", most=64),
        },
        required=("q",),
    ),
    Route(
        "GET", "/api/why", "Memory", "Say what an answer to a question can come from", _why, _WHY,
        query={"q": _QUESTION}, required=("q",),
    ),
)  # fmt: skip
