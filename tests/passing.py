"""Time that passes when told, for a queue of either kind: SQLite asks our clock, PostgreSQL its own."""

import time
from collections.abc import Callable

from atles.pipeline.lanes import LANES
from atles.queue import Queue
from atles.queue.leases import LeaseQueue
from atles.queue.procrastinate import ProcrastinateQueue
from atles.store import Store
from atles.store.postgresql import PostgreSQL


class Clock:
    """Unix time as the queue beside a store sees it."""

    def __init__(self, store: Store, before: "Clock | None" = None) -> None:
        self._database = store.database if isinstance(store.database, PostgreSQL) else None
        self._began, self.slept = (before._began, before.slept) if before else (time.time(), 0.0)

    def __call__(self) -> float:
        return time.time() if self._database else self._began + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self._database is None:
            return
        # To let time pass is to let everything have happened earlier.
        self._database.connection.execute(
            "update procrastinate_jobs set scheduled_at = scheduled_at - make_interval(secs => %s)", [seconds]
        )
        self._database.connection.execute(
            "update procrastinate_events set at = at - make_interval(secs => %s)", [seconds]
        )
        self._database.connection.execute(
            "update procrastinate_workers set last_heartbeat = last_heartbeat - make_interval(secs => %s)", [seconds]
        )

    def until(self, moment: float) -> None:
        # PostgreSQL's own clock goes on between two jobs that are put together.
        self.sleep(max(0.0, moment - self()) + (1.0 if self._database else 0.001))


def queue_of(store: Store, owner: str, clock: Callable[[], float], lease_seconds: float = 60.0, lanes=LANES) -> Queue:
    """A worker's queue beside a store."""
    if isinstance(store.database, PostgreSQL):
        return ProcrastinateQueue(store.database, lanes, lease_seconds=lease_seconds)
    return LeaseQueue(store.database, owner, lease_seconds, clock)
