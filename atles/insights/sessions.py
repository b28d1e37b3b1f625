"""Sessions, and what became of them."""

from dataclasses import asdict
from typing import Any

from atles.records import Split
from atles.store import Store


def listed(store: Store, user: str | None = None) -> list[dict[str, Any]]:
    """All sessions, or a user's, oldest first, each with the state it is in."""
    rows = store.sessions.list()
    return [{**row, "state": _state(row)} for row in rows if user is None or row["user"] == user]


def _state(row: dict[str, Any]) -> str:
    """Where a session stands, in a word or two. One that is held out is in memory, and checks adapters."""
    if row["errors"]:
        return "failed"
    if row["waiting_for"]:
        return str(row["waiting_for"])
    if not row["logged"]:
        return "at work"
    return "learned" if row["split"] == Split.TRAIN else "held out"


def shown(store: Store, session_id: str) -> dict[str, Any]:
    """A session: its messages, steps and examples, and the adapters that learned from it. Raises AtlesError."""
    stored = store.sessions.get(session_id)
    return {
        **stored.session.as_json(),
        "messages": [{**message.raw, "id": message.id} for message in stored.session.messages],
        "revision": stored.revision,
        "split": stored.split,
        "received_at": stored.received_at,
        "waiting_for": stored.waiting_for,
        "steps": list(store.logs.steps(session_id, stored.revision).values()),
        "examples": [{"id": it.id, **asdict(it)} for it in store.examples.of_session(session_id)],
        "adapters": store.adapters.that_saw(session_id),
        "log": [*store.logs.of_session(session_id), None][0],
    }
