"""One lane's worker: what it claims, and when, and whom it wakes."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from atles.pipeline.worker import WakeUp, Worker
from atles.queue import Job, NewJob
from atles.settings import QueueSettings
from atles.store import Store
from tests.passing import queue_of


class Step:
    """Does what it is told, and remembers for which jobs."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.follow: Sequence[NewJob] = ()
        self.do: Callable[[], None] = lambda: None

    def work(self, job: Job) -> None:
        self.done.append(job.key)
        self.do()

    def record(self, job: Job, result: None, seconds: float) -> Sequence[NewJob]:
        return self.follow

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        return self.follow


class Lane:
    """A worker of the lane `here`, with two jobs to do."""

    def __init__(self, store: Store) -> None:
        self.queue = queue_of(store, "me", time.time, lanes={"here": ("kind",), "there": ("other",)})
        self.step, self.stop, self.wake = Step(), threading.Event(), WakeUp()
        self.there = self.wake.add("there")
        settings = QueueSettings(max_attempts=1)
        self.worker = Worker("here", self.queue, store, {"kind": self.step}, settings, self.stop, self.wake)
        self.queue.put(NewJob("kind", "a", "here"), NewJob("kind", "b", "here"))

    def states(self) -> dict[str, tuple[str, int]]:
        return {job.key: (job.state, job.attempts) for job in self.queue.open()}


@pytest.fixture
def lane(store: Store) -> Lane:
    return Lane(store)


def test_the_next_job_is_claimed_in_the_transaction_that_ends_this_one(lane: Lane) -> None:
    assert lane.worker.run_one()
    assert lane.states() == {"b": ("running", 1)}
    assert lane.worker.run_one()
    assert not lane.worker.run_one()
    assert lane.step.done == ["a", "b"] and lane.states() == {}


def test_a_step_that_fails_claims_nothing(lane: Lane) -> None:
    lane.step.do = lambda: 1 / 0  # type: ignore[assignment, return-value]
    assert lane.worker.run_one()
    assert lane.states() == {"b": ("waiting", 0)}


def test_who_is_told_to_stop_claims_no_more(lane: Lane) -> None:
    lane.step.do = lane.stop.set
    lane.worker.start()
    assert lane.worker.join(5)
    assert lane.step.done == ["a"] and lane.states() == {"b": ("waiting", 0)}


def test_what_is_claimed_is_done_before_a_stop(lane: Lane) -> None:
    assert lane.worker.run_one()
    lane.stop.set()
    lane.worker.start()
    assert lane.worker.join(5)
    assert lane.step.done == ["a", "b"] and lane.states() == {}


@pytest.mark.parametrize("fails", [False, True])
def test_the_lane_that_gets_work_is_woken(lane: Lane, fails: bool) -> None:
    if fails:
        lane.step.do = lambda: 1 / 0  # type: ignore[assignment, return-value]
    assert lane.worker.run_one()
    assert not lane.there.is_set()
    lane.step.follow = (NewJob("kind", "c", "there"),)
    assert lane.worker.run_one()
    assert lane.there.is_set()
