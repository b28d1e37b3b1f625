"""Things by their ids, for those who may see them. Ids are given whole; what is another user's is not there."""

from atles.errors import AtlesError
from atles.gateway.api.route import Asked, Parts
from atles.gateway.refusal import Refusal
from atles.records import Memory
from atles.store.database import Row
from atles.store.sessions import StoredSession, rowids


def missing(what: str, name: str) -> Refusal:
    """Also for what is another user's: whether it exists is not for others to know."""
    return Refusal(404, "not_found", f"there is no {what} {name[:200]!r}")


def session(parts: Parts, asked: Asked, session_id: str) -> StoredSession:
    """A stored session. Raises Refusal."""
    store = parts.store
    if store.sessions.holds(session_id):
        stored = store.sessions.get(session_id)
        if asked.user is None or store.sessions.user(asked.user) == stored.user:
            return stored
    raise missing("session", session_id)


def message(parts: Parts, asked: Asked, message_id: str) -> Row:
    """A stored message's row. Raises Refusal."""
    try:
        found = parts.store.sessions.message(message_id)
    except AtlesError:
        raise missing("message", message_id) from None
    if found["id"] == message_id and _is_of(parts, asked, found["rowid"]):
        return found
    raise missing("message", message_id)


def _is_of(parts: Parts, asked: Asked, rowid: int) -> bool:
    if asked.user is None:
        return True
    number = parts.store.sessions.user(asked.user)
    first, last = rowids(number) if number is not None else (0, -1)
    return first <= rowid <= last


def memory(parts: Parts, asked: Asked, memory_id: str) -> Memory:
    """A memory. Raises Refusal."""
    store = parts.store
    try:
        found = store.memories.get(memory_id)
    except AtlesError:
        raise missing("memory", memory_id) from None
    if found.id == memory_id:
        if asked.user is None:
            return found
        number = store.sessions.user(asked.user)
        if number is not None and any(it.id == memory_id for it in store.memories.of_user(number, ended=True)):
            return found
    raise missing("memory", memory_id)
