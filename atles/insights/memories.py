"""What is remembered, and where it was said."""

from typing import Any

from atles.records import Memory, MemoryType
from atles.store import Store


def listed(store: Store, user: int | None, kind: MemoryType | None = None, *, ended: bool = False) -> dict[str, Any]:
    """A user's memories, newest first, and their topics; of nobody, none."""
    found = store.memories.of_user(user, kind, ended=ended) if user is not None else []
    return {
        "memories": [it.as_json() for it in found],
        "topics": list(store.memories.topics(user)) if user is not None and not kind else [],
        "refused": store.memories.refusals(),
    }


def shown(store: Store, memory: Memory) -> dict[str, Any]:
    """A memory, the messages that said it, and what took its place."""
    said = [
        {**dict(row), "text": store.sessions.get(row["session_id"]).session.messages[row["position"]].text}
        for row in store.memories.sources(memory)
    ]
    successor = store.memories.successor(memory)
    return {**memory.as_json(), "sources": said, "replaced_by_text": successor.text if successor else ""}
