"""What was done with each session: steps with their seconds, log entries, and the sums over them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atles.clock import timestamp
from atles.records import SessionLog, Step, canonical_json
from atles.store.database import Database

_AT_ONCE = 500  # entries: those of years would take a hundred megabytes


class Logs:
    def __init__(self, database: Database) -> None:
        self._db = database

    def step(
        self,
        session_id: str,
        revision: int,
        step: Step,
        seconds: float,
        attempts: int,
        *,
        error: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Record how a step of a session ended."""
        self._db.run(
            "logs.put_step",
            session_id=session_id,
            revision=revision,
            step=step,
            seconds=round(seconds, 6),
            attempts=attempts,
            error=error,
            result=canonical_json(result or {}),
            at=timestamp(),
        )

    def steps(self, session_id: str, revision: int) -> Mapping[str, dict[str, Any]]:
        """The ended steps of a session by name."""
        return {
            row["step"]: {**dict(row), "result": json.loads(row["result"])}
            for row in self._db.rows("logs.steps", session_id=session_id, revision=revision)
        }

    def add(self, entry: SessionLog, at: str) -> None:
        """Record a session's log entry. A second one for a revision (a dead step was retried) takes the first's place,
        with a number of its own, so that the files learn of it."""
        with self._db.transaction():
            self._db.lock("session logs")  # who reads what came after a number must not miss one that is committed late
            self._db.run("logs.remove", session_id=entry.session_id, revision=entry.revision)
            self._db.run(
                "logs.add",
                session_id=entry.session_id,
                revision=entry.revision,
                at=at,
                entry=json.dumps(entry.as_json()),
            )

    def forget(self, session_id: str) -> None:
        """Take out what quotes the session; that it was learned, and when, stays."""
        self._db.run("logs.forget_entries", session_id=session_id)
        self._db.run("logs.forget_steps", session_id=session_id)

    def after(self, seq: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Entries with a number above `seq`: number, time and entry. Few at a time are read, and held."""
        while rows := self._db.rows("logs.after", seq=seq, most=_AT_ONCE):
            for row in rows:
                yield row["seq"], row["at"], json.loads(row["entry"])
            seq = rows[-1]["seq"]

    def named(self, seq: int) -> tuple[str, int, str] | None:
        """Session, revision and time of the entry with that number, if there is one."""
        row = self._db.row("logs.named", seq=seq)
        return (row["session_id"], row["revision"], row["at"]) if row else None

    def last(self) -> int:
        """The highest number that an entry has; 0 if there is none."""
        row = self._db.row("logs.last")
        return row["seq"] if row else 0

    def of_session(self, session_id: str) -> Sequence[dict[str, Any]]:
        return [entry for _, entry in self.dated(session_id)]

    def dated(self, session_id: str) -> Sequence[tuple[str, dict[str, Any]]]:
        """A session's entries, each with its time."""
        rows = self._db.rows("logs.of_session", session_id=session_id)
        return [(row["at"], json.loads(row["entry"])) for row in rows]

    def totals(self) -> dict[str, int]:
        """The original's statistics, counted from the tables."""
        row = self._db.row("logs.totals")
        return dict(row) if row else {}
