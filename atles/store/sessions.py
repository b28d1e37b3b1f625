"""Sessions as they came, scrubbed, and how far each has grown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from atles.clock import now, timestamp
from atles.errors import AtlesError, SessionConflict
from atles.records import Arrival, Message, Session, Split, canonical_json, without_notes
from atles.store.database import Database, Row

# Of every n sessions the third is held out: early enough for a first judgement, never the very first.
_HELDOUT_AT = 3
_USER_BITS = 40  # of a rowid, for what belongs to one user: a million millions
_SKEW = timedelta(days=1)  # a clock that is further ahead than this is wrong


def user_of(rowid: int) -> int:
    """Whose message or memory that is."""
    return rowid >> _USER_BITS


def rowids(user: int) -> tuple[int, int]:
    """The first and the last rowid of a user's messages and memories."""
    return user << _USER_BITS, (user + 1 << _USER_BITS) - 1


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session and what is known about it. `waiting_for` is '' or 'training'."""

    session: Session
    revision: int
    split: Split
    received_at: str
    waiting_for: str
    number: int
    user: int


class Sessions:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, session: Session, heldout_every: int) -> tuple[Arrival, int]:
        """Store a session, or what it has grown by: what it brought, and its revision now.

        Messages are compared by id, so timestamps and metadata do not count. Raises SessionConflict
        when the messages differ from the stored ones.
        """
        with self._db.transaction():
            self._db.lock(f"session {session.session_id}")
            stored = self._db.row("sessions.get", session_id=session.session_id)
            revision, known, number, metadata = 1, [], 0, session.metadata
            if stored:
                known = [row["id"] for row in self._db.rows("sessions.message_ids", session=stored["number"])]
                ids = [message.id for message in session.messages]
                shorter = min(len(known), len(ids))
                if known[:shorter] != ids[:shorter]:
                    at = next(i for i in range(shorter) if known[i] != ids[i])
                    raise SessionConflict(
                        f"session {session.session_id!r} is stored already, with another messages[{at}]; "
                        "give this one an id of its own to have it learned too"
                    )
                if len(ids) <= len(known):
                    return Arrival.SAME, stored["revision"]
                revision = stored["revision"] + 1
                split, user = Split(stored["split"]), stored["user"]
                if self._db.row("sessions.forgotten_in", session=stored["number"]):
                    metadata = without_notes(metadata)  # its client has sent again what was forgotten since
            else:
                number = self._next_number()
                split = Split.HELDOUT if number % heldout_every == _HELDOUT_AT % heldout_every else Split.TRAIN
                user = self.user_to_write(session.user)
            self.lock(user)
            received_at = timestamp()
            (row,) = self._db.rows(
                "sessions.put",
                session_id=session.session_id,
                number=number,
                user=user,
                revision=revision,
                split=split,
                start_time=session.start_time,
                end_time=session.end_time,
                received_at=received_at,
                message_count=len(session.messages),
                metadata=canonical_json(metadata),
            )
            first, last = rowids(user)
            found = self._db.row("sessions.last_message", first=first, last=last)
            rowid = found["rowid"] if found and found["rowid"] else first
            self._db.run_many(
                "sessions.add_message",
                [
                    {"rowid": rowid + n, "id": message.id, "session": row["number"], "position": message.position}
                    | columns(message, session.start_time or received_at)
                    for n, message in enumerate(session.messages[len(known) :], 1)
                ],
            )
        return (Arrival.GROWN if revision > 1 else Arrival.NEW), revision

    def rewrite(self, session: Session, rowid_of: dict[str, int]) -> None:
        """Put other words in the place of stored messages (id -> rowid); ids and positions stay."""
        with self._db.transaction():
            changed = [message for message in session.messages if message.id in rowid_of]
            self._db.run_many(
                "sessions.rewrite_message",
                [
                    {"rowid": rowid_of[message.id]} | columns(message, session.start_time or timestamp())
                    for message in changed
                ],
            )
            self._put_metadata(session.session_id, session.metadata)

    def forget_messages(self, messages: Sequence[int], at: str) -> Sequence[str]:
        """Take the words of messages (rowids) away, for good, and what an application noted of their sessions; the ids
        of these."""
        self._db.run_many("sessions.forget_message", [{"rowid": rowid, "at": at} for rowid in messages])
        found = self._db.rows("sessions.of_messages", rowids=json.dumps(messages))
        touched = [row["session_id"] for row in found]
        for row in found:
            self._put_metadata(row["session_id"], without_notes(json.loads(row["metadata"])))
        self._db.lock("forgotten")  # who reads what came after a number must not miss one that is committed late
        self._db.run_many("sessions.note_forgotten", [{"session_id": name} for name in touched])
        return touched

    def forgotten_after(self, seq: int) -> Sequence[tuple[int, str]]:
        """The sessions of which something was forgotten since, each with its number in that list."""
        return [(row["seq"], row["session_id"]) for row in self._db.rows("sessions.forgotten_after", seq=seq)]

    def answers_to(self, messages: Sequence[int]) -> Sequence[Row]:
        """The assistant's messages right after these of the user's (rowids)."""
        return self._db.rows("sessions.answers_to", rowids=json.dumps(messages))

    def get(self, session_id: str) -> StoredSession:
        row = self._db.row("sessions.get", session_id=session_id)
        if row is None:
            raise AtlesError(f"there is no session {session_id!r}; `atles sessions` lists them")
        messages = tuple(_message(it) for it in self._db.rows("sessions.messages", session=row["number"]))
        session = Session(row["session_id"], row["start_time"], row["end_time"], messages, json.loads(row["metadata"]))
        return StoredSession(
            session, row["revision"], Split(row["split"]), row["received_at"], row["waiting_for"], row["number"],
            row["user"],
        )  # fmt: skip

    def number(self, session_id: str) -> int:
        """By which other tables name a stored session."""
        row = self._db.row("sessions.number", session_id=session_id)
        if row is None:
            raise AtlesError(f"there is no session {session_id!r}; `atles sessions` lists them")
        return row["number"]

    def message(self, message_id: str) -> Row:
        """A message's row, by its id or the beginning of it. Raises AtlesError."""
        found = self._db.rows("sessions.message", id=message_id, behind=f"{message_id}g")
        if not found:
            raise AtlesError(f"there is no message {message_id!r}; `atles sessions show ID` lists them")
        if len(found) > 1:
            raise AtlesError(f"{message_id!r} is the beginning of several messages' ids; give more of it")
        return found[0]

    def message_rows(self, number: int) -> Sequence[Row]:
        """The rows of a session's messages, in order."""
        return self._db.rows("sessions.messages", session=number)

    def list(self) -> Sequence[dict[str, Any]]:
        """All sessions, oldest first, without their messages."""
        return [dict(row) for row in self._db.rows("sessions.list")]

    def holds(self, session_id: str) -> bool:
        """Whether a session of that id is stored."""
        return self._db.row("sessions.number", session_id=session_id) is not None

    def ending_with(self, keys: Sequence[str]) -> tuple[str, str] | None:
        """The session whose last message has one of the gateway's keys, and that key; the earliest in `keys`."""
        row = self._db.row("sessions.ending_with", keys=json.dumps(list(keys)))
        return (row["session_id"], row["chain"]) if row else None

    def answered(self, answer_id: str) -> tuple[str, int] | None:
        """The session and position of an answer, by the id that its client was given; ("", 0) where servers gave it to
        several."""
        rows = self._db.rows("sessions.answered", id=answer_id)
        if len(rows) > 1:
            return "", 0
        return (rows[0]["session_id"], rows[0]["position"]) if rows else None

    def user(self, name: str | None = None) -> int | None:
        """The number of a user; None if nothing is stored of them.

        Without a name: the one that the application names no user for, or the only one there is. Raises AtlesError
        where there are several: nobody is to see what another said.
        """
        if name is None:
            names = [row["name"] for row in self._db.rows("sessions.user_names")]
            if len(names) > 1 and "" not in names:
                some = ", ".join(names[:5]) + " …" * (len(names) > 5)
                raise AtlesError(f"this store holds the memory of {len(names)} users: say of whom ({some})")
            name = "" if "" in names or not names else names[0]
        row = self._db.row("sessions.user", name=name)
        return row["id"] if row else None

    def users(self) -> Sequence[dict[str, Any]]:
        """Name and number of sessions of each user."""
        return [dict(row) for row in self._db.rows("sessions.users")]

    def user_to_write(self, name: str) -> int:
        """The number of a user, made if there is none yet."""
        row = self._db.row("sessions.user", name=name)
        return row["id"] if row else self._db.rows("sessions.add_user", name=name)[0]["id"]

    def _put_metadata(self, session_id: str, metadata: Mapping[str, Any]) -> None:
        self._db.run("sessions.rewrite_metadata", session_id=session_id, metadata=canonical_json(metadata))

    def wait_for_training(self, session_id: str, waiting: bool) -> None:
        self._db.run("sessions.wait_for", session_id=session_id, what="training" if waiting else "")

    def waiting_for_training(self) -> Sequence[str]:
        return [row["session_id"] for row in self._db.rows("sessions.waiting_for_training")]

    def lock(self, user: int) -> None:
        """Until the transaction ends, nobody else changes what is stored of this user."""
        self._db.lock(f"user {user}")

    def _next_number(self) -> int:
        (row,) = self._db.rows("sessions.next_number")
        return row["n"]


def columns(message: Message, otherwise: str) -> dict[str, Any]:
    """A message as columns. `otherwise` is its time where it has none that makes sense."""
    own = moment(message.timestamp)
    at = own or moment(otherwise) or now().isoformat(timespec="seconds")
    text = message.text
    plain = _plain(message.role, message.name, text, message.timestamp if own else None)
    said = dict(message.raw)
    return {
        "role": message.role,
        "name": message.name,
        "text": text,
        "timestamp": at,
        "timed": int(own is not None),
        "raw": None if plain == said else canonical_json(_beside(said, plain)),
    }


def _beside(said: dict[str, Any], plain: dict[str, str]) -> dict[str, Any]:
    """What a message is more than its columns say; the whole, where it is something else than they say."""
    if any(key not in said or said[key] != value for key, value in plain.items()):
        return said
    return {key: value for key, value in said.items() if key not in plain}


def moment(text: str | None) -> str | None:
    """A time as it is compared: UTC, to the second. None for what is no time, or lies in the future."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return None
    return at.isoformat(timespec="seconds") if at <= now() + _SKEW else None


def _message(row: Row) -> Message:
    raw = json.loads(row["raw"]) if row["raw"] is not None else {}
    if "role" not in raw:
        raw |= _plain(row["role"], row["name"], row["text"], row["timestamp"] if row["timed"] else None)
    return Message(row["id"], row["position"], raw)


def _plain(role: str, name: str, text: str, at: str | None) -> dict[str, str]:
    """What most messages are; only what is more than this is stored as it came."""
    return {"role": role} | ({"name": name} if name else {}) | {"content": text} | ({"timestamp": at} if at else {})
