"""The queue on SQLite: a claimed job is leased, and a lease that runs out frees the job.

Leases go by the machine's clock, too, and need no correction when it is set: their holder renews them by the new time,
and in a lane nobody but that holder claims.
"""

import json
import time
from collections.abc import Callable, Sequence
from threading import Event

from atles.clock import timestamp
from atles.errors import Duplicate, LeaseLost
from atles.queue import Job, NewJob
from atles.records import canonical_json
from atles.store.database import Database, Row

# Seconds: a budget of tokens may wait for tomorrow. A job that is due later was put by a wrong clock.
LONGEST_DELAY = 86_400.0


class LeaseQueue:
    """`owner` names this worker and is never used again; `clock` gives Unix seconds."""

    def __init__(
        self,
        database: Database,
        owner: str,
        lease_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db = database
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._clock = clock

    def put(self, *jobs: NewJob) -> None:
        at, now = timestamp(), self._clock()
        self._db.run_many(
            "jobs.put",
            [
                {
                    "kind": job.kind,
                    "key": job.key,
                    "lane": job.lane,
                    "payload": canonical_json(job.payload),
                    "at": at,
                    "due": now + min(job.delay, LONGEST_DELAY),
                }
                for job in jobs
            ],
        )

    def claim(self, lane: str) -> Job | None:
        now = self._clock()
        # Looking is free; only a claim that will find something takes the write lock.
        if self._db.row("jobs.claimable", lane=lane, now=now) is None:
            return None
        with self._db.transaction():
            row = self._db.row("jobs.claim", lane=lane, now=now, owner=self._owner, until=now + self._lease_seconds)
        return _job(row) if row else None

    def renew(self, *jobs: Job) -> None:
        until = self._clock() + self._lease_seconds
        for job in jobs:
            self._db.run("jobs.renew", id=job.id, owner=self._owner, until=until)

    def done(self, job: Job) -> None:
        self._mine(self._db.run("jobs.done", id=job.id, owner=self._owner), job)

    def retry(self, job: Job, error: str, delay: float) -> None:
        run_after = self._clock() + min(delay, LONGEST_DELAY)
        self._wait_again("jobs.retry", job, error=error, run_after=run_after)

    def bury(self, job: Job, error: str) -> None:
        self._mine(self._db.run("jobs.bury", id=job.id, owner=self._owner, error=error, at=timestamp()), job)

    def give_back(self, job: Job) -> None:
        self._wait_again("jobs.give_back", job)

    def release_others(self) -> int:
        return self._db.run("jobs.release_others", owner=self._owner)

    def recover(self) -> int:
        return 0  # `claim` takes them

    def revive(self, key: str | None = None) -> int:
        return self._db.run("jobs.revive", key=key, now=self._clock())

    def dead(self) -> Sequence[Job]:
        return [_job(row) for row in self._db.rows("jobs.dead")]

    def open(self) -> Sequence[Job]:
        return [_job(row) for row in self._db.rows("jobs.open")]

    def next_due(self, lane: str) -> float | None:
        row = self._db.row("jobs.next_due", lane=lane)
        return row["due"] if row else None

    def clock_was_set(self, by: float, before: float) -> int:
        now = self._clock()
        # Set forward: what became due by that alone; what is due later was put after it, or waits at most too short.
        span = {"after": before, "until": before + by} if by > 0 else {"after": now, "until": float("inf")}
        return self._db.run("jobs.shift", by=by, latest=now + LONGEST_DELAY, **span)

    def busy(self, lane: str) -> bool:
        return self.next_due(lane) is not None

    def listen(self, wake: Callable[[str], None], stop: Event) -> None:
        """Nobody else tells: other processes' jobs are found by looking."""

    def leave(self) -> None:
        """The next daemon frees what it holds."""

    def _wait_again(self, query: str, job: Job, **values: object) -> None:
        try:
            self._mine(self._db.run(query, id=job.id, owner=self._owner, **values), job)
        except Duplicate:
            # One with the same key was put meanwhile and waits already: it will do this job's work.
            self.done(job)

    def _mine(self, changed: int, job: Job) -> None:
        if changed != 1:
            raise LeaseLost(f"{job.key}: another worker has this job now; the result of this try is dropped")


def _job(row: Row) -> Job:
    return Job(
        row["id"],
        row["kind"],
        row["key"],
        row["lane"],
        json.loads(row["payload"]),
        row["state"],
        row["attempts"],
        row["run_after"],
        row["error"],
    )
