"""Sessions as they came, and how far each has grown."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atles.clock import timestamp
from atles.errors import AtlesError, SessionConflict
from atles.records import Arrival, Session, Split, canonical_json
from atles.store.database import Database

# Of every n sessions the third is held out: early enough for a first judgement, never the very first.
_HELDOUT_AT = 3


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session and what is known about it. `waiting_for` is '' or 'training'."""

    session: Session
    revision: int
    split: Split
    received_at: str
    waiting_for: str


class Sessions:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, session: Session, heldout_every: int) -> tuple[Arrival, int]:
        """Store a session, or what it has grown by: what it brought, and its revision now.

        Messages are compared by id, so timestamps and metadata do not count. Raises SessionConflict
        when the messages differ from the stored ones.
        """
        with self._db.transaction():
            stored = self._db.row("sessions.get", session_id=session.session_id)
            revision = 1
            if stored:
                known = [row["id"] for row in self._db.rows("sessions.message_ids", session_id=session.session_id)]
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
                split = Split(stored["split"])
            else:
                number = self._count() + 1
                split = Split.HELDOUT if number % heldout_every == _HELDOUT_AT % heldout_every else Split.TRAIN
            received_at = timestamp()
            self._db.run(
                "sessions.put",
                session_id=session.session_id,
                revision=revision,
                split=split,
                start_time=session.start_time,
                end_time=session.end_time,
                received_at=received_at,
                message_count=len(session.messages),
                raw=canonical_json(session.as_json()),
            )
            self._db.run_many(
                "sessions.add_message",
                [
                    {
                        "id": message.id,
                        "session_id": session.session_id,
                        "position": message.position,
                        "role": message.role,
                        "text": message.text,
                        "timestamp": message.timestamp or session.start_time or received_at,
                    }
                    for message in session.messages
                ],
            )
        return (Arrival.GROWN if revision > 1 else Arrival.NEW), revision

    def get(self, session_id: str) -> StoredSession:
        row = self._db.row("sessions.get", session_id=session_id)
        if row is None:
            raise AtlesError(f"there is no session {session_id!r}; `atles sessions` lists them")
        return _stored(row)

    def list(self) -> Sequence[dict[str, Any]]:
        """All sessions, oldest first, without their messages."""
        return [dict(row) for row in self._db.rows("sessions.list")]

    def wait_for_training(self, session_id: str, waiting: bool) -> None:
        self._db.run("sessions.wait_for", session_id=session_id, what="training" if waiting else "")

    def waiting_for_training(self) -> Sequence[str]:
        return [row["session_id"] for row in self._db.rows("sessions.waiting_for_training")]

    def _count(self) -> int:
        row = self._db.row("sessions.count")
        return row["n"] if row else 0


def _stored(row: sqlite3.Row) -> StoredSession:
    return StoredSession(
        Session.of(json.loads(row["raw"])),
        row["revision"],
        Split(row["split"]),
        row["received_at"],
        row["waiting_for"],
    )
