"""The jobs of one store, put into the queue of another. Knows in which order jobs of each kind are done."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from atles.errors import AtlesError
from atles.pipeline.lanes import LANES, TRAIN
from atles.queue import Job, NewJob, Queue
from atles.records import Step, canonical_json
from atles.store import Store
from atles.store.tables import tables_of


@dataclass(frozen=True, slots=True)
class Jobs:
    """All that a queue holds, oldest first: what waits or runs, and what failed for good."""

    open: Sequence[Job]
    dead: Sequence[Job]


def jobs_of(queue: Queue) -> Jobs:
    return Jobs(queue.open(), queue.dead())


def carry(jobs: Jobs, store: Store, queue: Queue) -> None:
    """Make these the jobs of the queue beside a store, and no others. What was running waits there, and its tries begin
    anew; what failed for good did so as often, with the same error. In one transaction.

    Nobody else works on that queue, and `queue` may claim every kind. Raises AtlesError where it holds others in the
    end.
    """
    users = {row["session_id"]: row["user"] for row in store.sessions.list()}
    with store.transaction():
        tables_of(store).drop_jobs()
        for job in jobs.dead:  # first: as long as nothing else waits, what is claimed is this one
            _bury(job, queue, users)
        queue.put(*(_new(job, users) for job in jobs.open))
        there = jobs_of(queue)
        if _keys(there.open) != _keys(jobs.open) or _keys(there.dead) != _keys(jobs.dead):
            raise AtlesError(f"the jobs in {store.database.name} are not those that were carried over")


def wait_again(queue: Queue) -> None:
    """Let what ran in a copied store wait: whoever worked on it works on the original. Nobody else may claim."""
    running = Counter(job.lane for job in queue.open() if job.state == "running")
    queue.release_others()
    # What a silent worker had is given out first, so it is just these.
    claimed = [queue.claim(lane) for lane, number in running.items() for _ in range(number)]
    for job in filter(None, claimed):
        queue.give_back(job)


def _bury(job: Job, queue: Queue, users: Mapping[str, str]) -> None:
    queue.put(_new(job, users, delay=0.0))
    for again in range(max(1, job.attempts), 0, -1):
        claimed = queue.claim(job.lane)
        if claimed is None or claimed.key != job.key:
            raise AtlesError(f"{job.key} failed for good, and cannot be carried over; `atles sessions retry {job.key}`")
        if again > 1:
            queue.retry(claimed, job.error, 0.0)
        else:
            queue.bury(claimed, job.error)


def _new(job: Job, users: Mapping[str, str], delay: float | None = None) -> NewJob:
    """The job as it was put: with the order that only a queue of several workers keeps."""
    order, priority = "", 0
    if job.kind == Step.MEMORY:
        order = f"user {users.get(job.payload.get('session_id', ''), '')}"
    elif job.kind in LANES[TRAIN]:
        order, priority = TRAIN, int(job.kind == Step.GATE or bool(job.payload.get("now")))
    wait = max(0.0, job.run_after - time.time()) if delay is None else delay
    return NewJob(job.kind, job.key, job.lane, job.payload, wait, order, priority)


def _keys(jobs: Sequence[Job]) -> list[str]:
    """What the jobs are; of those that are open each key once, as a second one would do the same work."""
    dead = any(job.state == "dead" for job in jobs)
    said = [[job.kind, job.key, job.lane, job.error.replace("\0", "\ufffd") if dead else ""] for job in jobs]
    return sorted(map(canonical_json, said) if dead else set(map(canonical_json, said)))
