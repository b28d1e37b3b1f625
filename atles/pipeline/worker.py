"""Works off one lane of the queue. Knows how a step may fail, never what it does."""

import errno
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from atles.errors import Damaged, EndpointError, LeaseLost, ProgramFailed
from atles.queue import Job, NewJob, Queue
from atles.settings import QueueSettings
from atles.store import Store

log = logging.getLogger("atles.worker")

# A step can do nothing about these, and people can: a folder that is read-only, a disk or a quota that is full.
_DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO}
_WAITS = "tried again by itself: "


class StepRunner(Protocol):
    """One step. `work` may be slow and holds no lock; `record` commits with the job, and says which jobs come next."""

    def work(self, job: Job) -> Any: ...
    def record(self, job: Job, result: Any, seconds: float) -> Sequence[NewJob]: ...
    def failed(self, job: Job, error: str) -> Sequence[NewJob]: ...


class Worker:
    """A thread that claims a lane's jobs until told to stop. `wake` tells it when there may be new ones, and it tells
    the other lanes. While `may_not_work` gives a reason it does none, and what failed meanwhile was no try.

    A job that fails for good goes to the dead-letter list, and the jobs that follow it come. One that the disk refuses
    for good goes there without them, and is tried again all the same, until the disk takes it.
    """

    def __init__(
        self,
        lane: str,
        queue: Queue,
        store: Store,
        steps: dict[str, StepRunner],
        settings: QueueSettings,
        stop: threading.Event,
        wake: "WakeUp",
        poll_seconds: float = 5.0,
        may_not_work: Callable[[], str] = lambda: "",
    ) -> None:
        self.lane = lane
        self.current: Job | None = None
        self._claimed: Job | None = None
        self._queue, self._store, self._steps = queue, store, steps
        self._settings, self._stop, self._poll_seconds = settings, stop, poll_seconds
        self._wake, self._may_not_work = wake, may_not_work
        self._woken = wake.add(lane)
        self._refused_again_at = 0.0  # time.monotonic(); at the start, for what an earlier worker left
        self._thread = threading.Thread(target=self._loop, name=f"atles-{lane}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; whether it did."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while self._claimed or not self._stop.is_set():  # what is claimed is done
            try:
                if self._may_not_work():
                    self._let_go()
                    self._stop.wait(self._poll_seconds)
                    continue
                self._try_refused()
                if self.run_one():
                    continue
                due = self._queue.next_due(self.lane)
            except Damaged as error:
                log.warning("lane %s waits: %s", self.lane, error)
                self._stop.wait(self._poll_seconds)
                continue
            except Exception:
                # The store itself fails (disk full, locked): nothing was lost, the job's lease will run out.
                log.exception("lane %s: the store cannot be used; trying again in %g s", self.lane, self._poll_seconds)
                self._stop.wait(self._poll_seconds)
                continue
            wait = self._poll_seconds if due is None else min(self._poll_seconds, max(0.0, due - time.time()))
            self._woken.wait(max(min(wait, self._refused_again_at - time.monotonic()), 0.01))
            self._woken.clear()

    def _let_go(self) -> None:
        """Give back what is claimed; where even that cannot be written, at the next look."""
        held = self._claimed
        if held is None:
            return
        if self._stop.is_set():
            self._claimed = None  # there is no next look; the next daemon takes it up
        with suppress(LeaseLost, Damaged):  # its lease runs out
            self._queue.give_back(held)
        self._claimed = None

    def _try_refused(self) -> None:
        """Let what the disk refused wait again, when it is time for that."""
        if time.monotonic() < self._refused_again_at:
            return
        again_at = math.inf
        for job in self._queue.dead():
            refused = job.lane == self.lane and job.error.startswith(_WAITS)
            if refused and not self._queue.revive(job.key):  # the same waits already, and goes first
                again_at = time.monotonic() + self._patience
        self._refused_again_at = again_at

    @property
    def _patience(self) -> float:
        """Seconds before what the disk refused is tried again: as if there had been one more try."""
        return self._settings.backoff_seconds * 2**self._settings.max_attempts

    @property
    def held(self) -> list[Job]:
        """The jobs that are this worker's: the one that it does, and the one after it."""
        return [job for job in (self._claimed, self.current) if job]

    def run_one(self) -> bool:
        """Do the lane's next job, and claim the one after it; False if none is due."""
        self.current = self._claimed or self._queue.claim(self.lane)
        job, self._claimed = self.current, None
        if job is None:
            return False
        try:
            self._do(job, self._steps[job.kind])
        finally:
            self.current = None
        return True

    def _do(self, job: Job, step: StepRunner) -> None:
        if job.attempts > self._settings.max_attempts:
            died = f"the daemon died {job.attempts - 1} times while doing this: {job.error or 'no error seen'}"
            self._bury(job, step, died)
            return
        started = time.monotonic()
        try:
            result = step.work(job)
            with self._store.transaction():
                following = step.record(job, result, time.monotonic() - started)
                self._queue.put(*following)
                self._queue.done(job)
                # The next job, here, where that costs no commit of its own: each is a wait for the disk.
                claimed = None if self._stop.is_set() else self._queue.claim(self.lane)
            self._claimed = claimed
        except LeaseLost as error:
            log.warning("%s", error)
        except Exception as error:  # noqa: BLE001  # any failure of a step is retried, then kept
            self._handle(job, step, error)
        else:
            self._wake_others(following)

    def _handle(self, job: Job, step: StepRunner, error: Exception) -> None:
        if isinstance(error, (ProgramFailed, EndpointError)) and error.kind == "stopped":
            self._queue.give_back(job)
            log.info("%s: stopped; it goes on later", job.key)
            return
        if why := self._may_not_work():
            log.warning("%s: tried again later, %s", job.key, why if str(error) == why else f"{why}: {error}")
            self._queue.give_back(job)
            return
        text = f"{type(error).__name__}: {error}"
        # A failure nobody foresaw may pass, too: a full disk, a locked file.
        if getattr(error, "retryable", True) and job.attempts < self._settings.max_attempts:
            # Who knows how long the outside world needs says so.
            base = max(self._settings.backoff_seconds, getattr(error, "patience", 0.0))
            delay = max(base * 2 ** (job.attempts - 1), getattr(error, "retry_after", None) or 0.0)
            log.warning("%s: try %d failed, again in %g s: %s", job.key, job.attempts, delay, text, exc_info=error)
            self._queue.retry(job, text, delay)
        elif isinstance(error, OSError) and error.errno in _DISK:
            log.error("%s: %d tries failed, again in %g s: %s", job.key, job.attempts, self._patience, text)
            self._queue.bury(job, _WAITS + text)
            self._refused_again_at = min(self._refused_again_at, time.monotonic() + self._patience)
        else:
            log.error("%s: gave up after %d tries: %s", job.key, job.attempts, text, exc_info=error)
            self._bury(job, step, text)

    def _bury(self, job: Job, step: StepRunner, error: str) -> None:
        with self._store.transaction():
            following = step.failed(job, error)
            self._queue.put(*following)
            self._queue.bury(job, error)
        self._wake_others(following)

    def _wake_others(self, jobs: Sequence[NewJob]) -> None:
        for lane in {job.lane for job in jobs} - {self.lane}:
            self._wake(lane)


class WakeUp:
    """Wakes a daemon's workers: calling it says that a lane may have new jobs."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}

    def add(self, lane: str) -> threading.Event:
        """The event that is set when the lane's worker is to look for jobs."""
        return self._events.setdefault(lane, threading.Event())

    def __call__(self, lane: str) -> None:
        if lane in self._events:
            self._events[lane].set()
