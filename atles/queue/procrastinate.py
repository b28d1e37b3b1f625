"""The queue on PostgreSQL, for several machines: Procrastinate's tables and queries, on the store's own connections, so
that a step's rows, its end and the jobs that follow are one transaction.

Procrastinate hands a job to one worker, keeps order within a lock, tells who listens, and knows whose heart still
beats. What it calls a queue is a kind of job here, with the label that a worker needs for it: `train@gpu`.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Event
from typing import Any

from atles.clock import timestamp
from atles.errors import LeaseLost
from atles.queue import Job, NewJob
from atles.records import canonical_json
from atles.store.database import Row
from atles.store.postgresql import PostgreSQL

log = logging.getLogger("atles.queue")

_CHANNEL = "procrastinate_queue_v1#"
_LISTEN_SECONDS = 5.0
_GIVEN_UP = 10  # times the lease: a process that was suspended for less finds itself known still
_STATES = {"todo": "waiting", "doing": "running", "failed": "dead"}


class ProcrastinateQueue:
    """`lanes` names the kinds of job of each lane, `does` those that this worker claims (None: all), `needs` the label
    that a worker must have for a kind, `labels` those that this one has.

    A worker is registered when it first claims: who only puts jobs is none.
    """

    def __init__(
        self,
        database: PostgreSQL,
        lanes: Mapping[str, Collection[str]],
        *,
        lease_seconds: float,
        does: Collection[str] | None = None,
        needs: Mapping[str, str] | None = None,
        labels: Collection[str] = (),
    ) -> None:
        self._db, self._lanes, self._needs, self._lease_seconds = database, lanes, needs or {}, lease_seconds
        self._does = {kind for kinds in lanes.values() for kind in kinds} if does is None else set(does)
        self._labels = labels
        self._worker: int | None = None
        self._registering = threading.Lock()

    # --- putting and working ---

    def put(self, *jobs: NewJob) -> None:
        with self._db.transaction():
            for job in jobs:
                need = self._needs.get(job.kind, "")
                self._db.rows(
                    "jobs.put",
                    queue=f"{job.kind}@{need}" if need else str(job.kind),
                    kind=str(job.kind),
                    priority=job.priority,
                    order=job.order,
                    key=job.key,
                    # As text: PostgreSQL's JSON knows no lone surrogates.
                    args=canonical_json({"lane": job.lane, "payload": canonical_json(job.payload)}),
                    delay=job.delay,
                )

    def claim(self, lane: str) -> Job | None:
        if not (queues := self._queues_of(lane)):
            return None
        row = self._db.row("jobs.claim", queues=queues, worker=self._id())
        return _job(row) if row else None

    def renew(self, *jobs: Job) -> None:
        if self._worker is None:
            return
        if not self._db.run("jobs.beat", worker=self._worker):
            self._worker = None  # this machine slept for so long that it was given up: it begins anew
            return
        held = [job.id for job in jobs]
        with self._db.transaction():
            for row in self._db.rows("jobs.mislaid", worker=self._worker, held=held, seconds=self._lease_seconds):
                log.warning("job %d was mislaid with a lost connection; it waits again", row["id"])
                self._free(row["id"])

    def done(self, job: Job) -> None:
        self._end("jobs.done", job)

    def bury(self, job: Job, error: str) -> None:
        with self._db.transaction():
            self._end("jobs.bury", job)
            self._db.run("jobs.note", job=job.id, error=error, forgiven=0)

    def retry(self, job: Job, error: str, delay: float) -> None:
        self._wait_again(job, error, delay, forgiven=0)

    def give_back(self, job: Job) -> None:
        self._wait_again(job, job.error, 0.0, forgiven=1)

    def _wait_again(self, job: Job, error: str, delay: float, forgiven: int) -> None:
        with self._db.transaction():
            self._end("jobs.mine", job)
            if self._free(job.id, delay):
                self._db.run("jobs.note", job=job.id, error=error, forgiven=forgiven)

    def _free(self, job: int, delay: float = 0.0) -> bool:
        row = self._db.row("jobs.free", job=job, delay=delay)
        if row and row["waits"]:
            return True
        self._db.rows("jobs.drop", job=job)
        return False

    def _end(self, query: str, job: Job) -> None:
        if self._db.row(query, job=job.id, worker=self._worker) is None:
            raise LeaseLost(f"{job.key}: another worker has this job now; the result of this try is dropped")

    # --- keeping order ---

    def release_others(self) -> int:
        """None: the others may live. `recover` finds those that do not."""
        return 0

    def recover(self) -> int:
        with self._db.transaction():
            stalled = [row["id"] for row in self._db.rows("jobs.stalled", seconds=self._lease_seconds)]
            for job in stalled:
                self._free(job)
        self._db.rows("jobs.prune", seconds=self._lease_seconds * _GIVEN_UP)
        return len(stalled)

    def revive(self, key: str | None = None) -> int:
        revived = 0
        with self._db.transaction():
            for row in self._db.rows("jobs.dead", key=key):
                job = _job(row)
                waits = self._db.row("jobs.free", job=job.id, delay=0.0)
                if waits and waits["waits"]:
                    self._db.run("jobs.note", job=job.id, error=job.error, forgiven=job.attempts + 1)
                    revived += 1
        return revived

    def leave(self) -> None:
        if self._worker is not None:
            worker, self._worker = self._worker, None
            self._db.rows("jobs.leave", worker=worker)

    # --- looking ---

    def dead(self) -> Sequence[Job]:
        return [_job(row) for row in self._db.rows("jobs.dead", key=None)]

    def open(self) -> Sequence[Job]:
        return [_job(row) for row in self._db.rows("jobs.open")]

    def next_due(self, lane: str) -> float | None:
        row = self._db.row("jobs.next_due", queues=self._queues_of(lane))
        return time.time() + row["seconds"] if row and row["seconds"] is not None else None

    def busy(self, lane: str) -> bool:
        row = self._db.row("jobs.busy", kinds=list(map(str, self._lanes[lane])))
        return bool(row and row["busy"])

    def workers(self) -> Sequence[Mapping[str, Any]]:
        """Who works on this queue: name, steps, labels, seconds of silence, and the keys of what it does."""
        return [
            {**dict(row), "steps": json.loads(row["steps"]), "labels": json.loads(row["labels"])}
            for row in self._db.rows("jobs.workers")
        ]

    def counts(self) -> Sequence[Mapping[str, Any]]:
        """Jobs by queue (a kind, and the label it needs) and state."""
        return [{**dict(row), "state": _STATES[row["state"]]} for row in self._db.rows("jobs.by_queue")]

    def clock_was_set(self, by: float, before: float) -> int:
        """None: all times are the server's."""
        return 0

    def listen(self, wake: Callable[[str], None], stop: Event) -> None:
        lane_of = {queue: lane for lane in self._lanes for queue in self._queues_of(lane)}

        def follow() -> None:
            while not stop.is_set():
                try:
                    with self._db.connect() as connection:
                        for queue in lane_of:
                            connection.execute(f'listen "{_CHANNEL}{queue}"'.encode())
                        for lane in set(lane_of.values()):  # what came before
                            wake(lane)
                        while not stop.is_set():
                            for note in connection.notifies(timeout=_LISTEN_SECONDS, stop_after=1):
                                wake(lane_of[note.channel.removeprefix(_CHANNEL)])
                except Exception as error:  # noqa: BLE001  # the server may be away for any reason; jobs are found by looking, meanwhile
                    log.warning("no news of new jobs, trying again in %g s: %s", _LISTEN_SECONDS, error)
                    stop.wait(_LISTEN_SECONDS)

        threading.Thread(target=follow, name="atles-listen", daemon=True).start()

    def _id(self) -> int:
        with self._registering:
            if self._worker is not None:
                return self._worker
            with self._db.transaction():
                (row,) = self._db.rows("jobs.register")
                self._db.run(
                    "jobs.introduce",
                    id=row["worker_id"],
                    name=f"{socket.gethostname()}:{os.getpid()}",
                    steps=canonical_json(sorted(self._does)),
                    labels=canonical_json(sorted(self._labels)),
                    at=timestamp(),
                )
            self._worker = row["worker_id"]
            return row["worker_id"]

    def _queues_of(self, lane: str) -> list[str]:
        """The queues of a lane that this worker claims from: also those of its labels, whatever needs them."""
        kinds = [str(kind) for kind in self._lanes[lane] if kind in self._does]
        return kinds + [f"{kind}@{label}" for kind in kinds for label in self._labels]


def _job(row: Row) -> Job:
    asked, state, due = row["args"], _STATES[row["status"]], row["scheduled_at"]
    return Job(
        row["id"], row["task_name"], row["queueing_lock"], asked["lane"], json.loads(asked["payload"]), state,
        row["attempts"] + (state == "running") - row["forgiven"], due.timestamp() if due else time.time(), row["error"],
    )  # fmt: skip
