"""Durable jobs: what is still to do. Knows kinds, lanes and JSON, never sessions.

The interface is at-least-once: a job that was claimed and not finished is claimed again. What makes a step
exactly-once is that its rows and its `done` commit in one transaction of the same database.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be put. While one with this key waits, putting it again changes nothing."""

    kind: str
    key: str
    lane: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0  # seconds before it can be claimed
    # Where several work on a lane: of the jobs of one `order`, one at a time is worked on, in the order they were put;
    # a higher priority goes before, and does not wait for those of a lower one that are not due yet.
    order: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored. `attempts` counts claims, this one included; times are Unix seconds."""

    id: int
    kind: str
    key: str
    lane: str
    payload: Mapping[str, Any]
    state: str
    attempts: int
    run_after: float
    error: str


class Queue(Protocol):
    """One machine: `queue.leases`. Several: `queue.procrastinate`, on PostgreSQL."""

    def put(self, *jobs: NewJob) -> None:
        """Add jobs, in the caller's transaction if there is one."""
        ...

    def claim(self, lane: str) -> Job | None:
        """The job of the lane that has been due longest, leased to this worker; None if there is none. One whose
        worker fell silent comes first. In the caller's transaction if there is one."""
        ...

    def renew(self, *jobs: Job) -> None:
        """Extend the leases of all jobs that this worker holds; with none, say that it is there."""
        ...

    def done(self, job: Job) -> None:
        """Finish a job, in the caller's transaction. Raises LeaseLost if it is no longer ours."""
        ...

    def retry(self, job: Job, error: str, delay: float) -> None:
        """Give a job back, to be claimed again after `delay` seconds. Raises LeaseLost."""
        ...

    def bury(self, job: Job, error: str) -> None:
        """Move a job to the dead-letter list. Raises LeaseLost."""
        ...

    def give_back(self, job: Job) -> None:
        """Return a job unharmed: the try does not count. For a worker that was told to stop."""
        ...

    def release_others(self) -> int:
        """Return the leases of all other workers, where there can be none: for the one daemon of a home, when it
        starts. How many."""
        ...

    def recover(self) -> int:
        """Let jobs whose worker fell silent wait again. How many."""
        ...

    def revive(self, key: str | None = None) -> int:
        """Let dead jobs (all, or those of a key) wait again, with their tries reset. How many."""
        ...

    def dead(self) -> Sequence[Job]:
        """The dead-letter list, oldest first."""
        ...

    def open(self) -> Sequence[Job]:
        """What waits or runs, oldest first."""
        ...

    def next_due(self, lane: str) -> float | None:
        """Unix time at which this worker can claim the lane's next job, as far as is known now; None if nothing is
        left that it could do."""
        ...

    def clock_was_set(self, by: float, before: float) -> int:
        """The clock of this machine was set by `by` seconds, and showed `before` (Unix seconds) the last time it was
        right: let what waits be due when it was meant to be. How many. Where another clock counts, nothing changes."""
        ...

    def busy(self, lane: str) -> bool:
        """Whether a job of the lane waits or is worked on, by whomever."""
        ...

    def listen(self, wake: Callable[[str], None], stop: Event) -> None:
        """Call `wake` with the lane of every job that another process puts, from a thread of its own, until `stop`."""
        ...

    def leave(self) -> None:
        """This worker claims no more; what it holds is free for others."""
        ...
