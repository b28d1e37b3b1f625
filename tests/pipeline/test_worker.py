"""One lane's worker: what it claims, and when, and whom it wakes."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from atles.errors import Damaged
from atles.pipeline.worker import WakeUp, Worker
from atles.queue import Job, NewJob
from atles.settings import QueueSettings
from atles.store import Store
from tests.fakes.process import until
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

    def __init__(self, store: Store, backoff_seconds: float = 2.0) -> None:
        self.queue = queue_of(store, "me", time.time, lanes={"here": ("kind",), "there": ("other",)})
        self.step, self.stop, self.wake = Step(), threading.Event(), WakeUp()
        self.there = self.wake.add("there")
        settings = QueueSettings(max_attempts=1, backoff_seconds=backoff_seconds)
        self.worker = Worker(
            "here", self.queue, store, {"kind": self.step}, settings, self.stop, self.wake, 0.05,
            lambda: store.database.damage,
        )  # fmt: skip
        self.queue.put(NewJob("kind", "a", "here"), NewJob("kind", "b", "here"))

    def end(self) -> None:
        """As a daemon ends it: its worker may be waiting for the next job."""
        self.stop.set()
        self.wake("here")
        assert self.worker.join(5)

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


def test_what_the_disk_refuses_is_tried_until_the_disk_takes_it(store: Store) -> None:
    lane = Lane(store, backoff_seconds=0.05)

    def refused_at_first() -> None:
        if lane.step.done[-1] == "a" and lane.step.done.count("a") < 3:
            raise PermissionError(13, "Permission denied", "/home/training_data")

    lane.step.do, lane.step.follow = refused_at_first, (NewJob("other", "c", "there"),)
    assert lane.worker.run_one()
    (dead,) = lane.queue.dead()
    assert dead.error == "tried again by itself: PermissionError: [Errno 13] Permission denied: '/home/training_data'"
    assert lane.states() == {"b": ("waiting", 0)}, "what follows waits, too"
    lane.worker.start()
    until(lambda: len(lane.step.done) == 4, "it is tried again and again")
    lane.end()
    assert sorted(lane.step.done) == ["a", "a", "a", "b"] and lane.queue.dead() == []


def test_what_the_disk_refused_an_earlier_worker_is_tried_at_once(store: Store) -> None:
    lane = Lane(store)
    lane.step.do = _refuse
    assert lane.worker.run_one() and lane.worker.run_one()
    assert [job.key for job in lane.queue.dead()] == ["a", "b"]
    later = Lane(store)
    later.worker.start()
    until(lambda: sorted(later.step.done) == ["a", "a", "b", "b"], "what was put now, and what was left")
    later.end()
    assert later.queue.dead() == []


def _refuse() -> None:
    raise OSError(28, "No space left on device")


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


def test_where_the_database_is_damaged_all_waits_and_nothing_fails(
    sqlite: Store, caplog: pytest.LogCaptureFixture
) -> None:
    lane, database = Lane(sqlite), sqlite.database

    def damaged() -> None:
        database.damage = "the database is damaged"
        raise Damaged(database.damage)

    lane.step.do = damaged
    lane.worker.start()
    until(lambda: lane.states() == {"a": ("waiting", 0), "b": ("waiting", 0)} and lane.step.done, "it was no try")
    time.sleep(0.3)
    assert lane.step.done == ["a"] and lane.queue.dead() == []
    assert [it.getMessage() for it in caplog.records] == ["a: tried again later, the database is damaged"]
    assert not caplog.records[0].exc_info
    lane.step.do, database.damage = lambda: None, ""
    until(lambda: lane.step.done == ["a", "a", "b"], "it is mended")
    lane.end()


def test_damage_of_the_queue_itself_is_one_line(
    sqlite: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane, database = Lane(sqlite), sqlite.database

    def damaged(*given: object) -> None:
        database.damage = "the database is damaged"
        raise Damaged(database.damage)

    assert lane.worker.run_one() and lane.worker.held
    monkeypatch.setattr(lane.queue, "give_back", damaged)
    monkeypatch.setattr(lane.queue, "done", damaged)
    lane.worker.start()
    until(lambda: caplog.records and not lane.worker.held, "it came upon it")
    time.sleep(0.3)
    said = [it.getMessage() for it in caplog.records]
    assert said == ["b: tried again later, the database is damaged", "lane here waits: the database is damaged"]
    assert not any(it.exc_info for it in caplog.records)
    lane.end()
