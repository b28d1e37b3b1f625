"""Sessions for tests, in as few words as a test can say them."""

import json
from pathlib import Path
from typing import Any

from atles.layout import Home, write_atomic
from atles.records import Message, Session

EXAMPLES = Path(__file__).parent.parent / "examples" / "sessions"

# "u: …" is the user's, "a: …" the assistant's.
_ROLES = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}


def said(*lines: str) -> list[dict[str, Any]]:
    """Messages from lines such as "u: Hello"."""
    pairs = [line.partition(": ") for line in lines]
    return [{"role": _ROLES[role], "content": words} for role, _, words in pairs]


def document(session_id: str, *lines: str, **fields: Any) -> dict[str, Any]:
    """The JSON object of a session file."""
    return {
        "session_id": session_id,
        "start_time": "2026-01-02T03:04:05+00:00",
        "end_time": "2026-01-02T03:14:05+00:00",
        "messages": said(*lines),
        "metadata": {},
        **fields,
    }


def session(session_id: str, *lines: str, **fields: Any) -> Session:
    return Session.of(document(session_id, *lines, **fields))


def messages(*lines: str) -> tuple[Message, ...]:
    return session("s", *lines).messages


def chat(number: int) -> dict[str, Any]:
    """A session of its own kind for each number; it gives two questions and answers to learn."""
    return document(
        f"session_{number:03d}",
        f"u: What colour is the boat number {number}?",
        f"a: Boat number {number} is painted colour {number * 7}.",
        f"u: Where does the boat number {number} lie?",
        f"a: Boat number {number} lies at pier {number * 3}.",
    )


def drop(home: Home, session: dict[str, Any], name: str | None = None) -> Path:
    """Hand a session over, as a chat application does."""
    path = home.sessions / f"completed_{name}.json" if name else home.completed(session["session_id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(session))
    return path
