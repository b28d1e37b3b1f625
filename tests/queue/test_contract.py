"""What every queue promises. One class, run over each back end; then what only one of them has."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from atles.errors import LeaseLost
from atles.queue import Job, NewJob, Queue
from atles.store import Store
from atles.store.postgresql import PostgreSQL
from tests.passing import Clock, queue_of

LEASE_SECONDS = 60.0
LANES = {"lane": ("kind",), "slow": ("slow kind",), "empty": ("nothing",)}
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def clock(store: Store) -> Clock:
    return Clock(store)


@pytest.fixture
def worker(store: Store, clock: Clock) -> Callable[[str], Queue]:
    """Makes queues for workers of one back end, by name."""
    return lambda name: queue_of(store, name, clock, LEASE_SECONDS, LANES)


@pytest.fixture
def queue(worker: Callable[[str], Queue]) -> Queue:
    return worker("me")


@pytest.fixture
def other(worker: Callable[[str], Queue]) -> Queue:
    return worker("other")


def job(key: str, lane: str = "lane", delay: float = 0.0, **payload: object) -> NewJob:
    return NewJob(LANES[lane][0], key, lane, payload, delay)


def near(moment: float | None, expected: float) -> bool:
    """PostgreSQL's clock goes on while a test runs."""
    return moment is not None and abs(moment - expected) < 5


def claimed(queue: Queue, lane: str = "lane") -> Job:
    found = queue.claim(lane)
    assert found is not None
    return found


def keys(queue: Queue, lane: str = "lane") -> list[str]:
    """All that can be claimed now, in order."""
    found = []
    while one := queue.claim(lane):
        found.append(one.key)
    return found


class TestQueue:
    def test_a_job_comes_out_as_it_went_in(self, queue: Queue) -> None:
        queue.put(job("a", answer=42, text="\ud83d 漢"))
        one = claimed(queue)
        assert (one.kind, one.key, one.lane, one.state, one.attempts) == ("kind", "a", "lane", "running", 1)
        assert one.payload == {"answer": 42, "text": "\ud83d 漢"}

    def test_the_oldest_comes_first_and_each_lane_by_itself(self, queue: Queue) -> None:
        queue.put(job("a"), job("x", "slow"), job("b"))
        queue.put(job("c"))
        assert keys(queue) == ["a", "b", "c"]
        assert keys(queue, "slow") == ["x"]
        assert keys(queue, "empty") == []

    def test_a_waiting_job_is_put_once(self, queue: Queue) -> None:
        queue.put(job("a", n=1), job("a", n=2))
        queue.put(job("a", n=3))
        assert [one.payload["n"] for one in queue.open()] == [1]

    def test_a_running_or_finished_job_can_be_put_again(self, queue: Queue) -> None:
        queue.put(job("a"))
        first = claimed(queue)
        queue.put(job("a"))
        second = claimed(queue)
        assert second.id != first.id
        queue.done(first)
        queue.done(second)
        queue.put(job("a"))
        assert keys(queue) == ["a"]

    def test_a_delayed_job_is_not_due(self, queue: Queue, clock: Clock) -> None:
        queue.put(job("later", delay=10), job("now"))
        assert near(queue.next_due("lane"), clock())
        assert keys(queue) == ["now"]
        clock.sleep(9)
        assert keys(queue) == []
        clock.sleep(1.1)
        assert keys(queue) == ["later"]

    def test_what_is_next_and_when(self, queue: Queue, clock: Clock) -> None:
        assert queue.next_due("lane") is None
        queue.put(job("a", delay=5))
        assert near(queue.next_due("lane"), clock() + 5) and queue.busy("lane")
        clock.sleep(5)
        one = claimed(queue)
        assert queue.busy("lane")
        queue.done(one)
        assert queue.next_due("lane") is None and not queue.busy("lane")

    def test_a_silent_worker_loses_its_job(self, queue: Queue, other: Queue, clock: Clock) -> None:
        queue.put(job("a"))
        mine = claimed(queue)
        clock.sleep(LEASE_SECONDS - 1)
        other.recover()
        assert other.claim("lane") is None
        clock.sleep(2)
        other.recover()
        theirs = claimed(other)
        assert (theirs.id, theirs.attempts) == (mine.id, 2)
        for end in (
            lambda: queue.done(mine),
            lambda: queue.retry(mine, "x", 0),
            lambda: queue.bury(mine, "x"),
            lambda: queue.give_back(mine),
        ):
            with pytest.raises(LeaseLost, match="a: another worker has this job"):
                end()
        queue.renew(mine)  # must not take it back
        other.done(theirs)
        assert queue.open() == [] and queue.dead() == []

    def test_a_worker_that_gives_signs_of_life_keeps_its_job(self, queue: Queue, other: Queue, clock: Clock) -> None:
        queue.put(job("a"))
        mine = claimed(queue)
        for _ in range(5):
            clock.sleep(LEASE_SECONDS - 1)
            queue.renew(mine)
        other.recover()
        assert other.claim("lane") is None
        queue.done(mine)

    def test_a_job_that_failed_comes_again_later_with_its_error(self, queue: Queue, clock: Clock) -> None:
        queue.put(job("a"), job("b"))
        queue.retry(claimed(queue), "no luck", 10)
        assert keys(queue) == ["b"], "it does not block the next one"
        clock.sleep(11)
        again = claimed(queue)
        assert (again.key, again.attempts, again.error) == ("a", 2, "no luck")

    def test_a_job_that_failed_while_its_key_waits_again_leaves_the_work_to_that_one(
        self, queue: Queue, clock: Clock
    ) -> None:
        for end in (lambda one: queue.retry(one, "x", 0), queue.give_back):
            queue.put(job("a"))
            first = claimed(queue)
            queue.put(job("a"))
            end(first)
            (left,) = queue.open()
            assert left.id != first.id and left.attempts == 0
            queue.done(claimed(queue))

    def test_the_dead_letter_list(self, queue: Queue) -> None:
        queue.put(job("a"), job("b"), job("c"))
        for error in ("first", "second"):
            queue.bury(claimed(queue), error)
        assert [(one.key, one.state, one.error) for one in queue.dead()] == [
            ("a", "dead", "first"),
            ("b", "dead", "second"),
        ]
        assert keys(queue) == ["c"]

    def test_the_dead_come_back_when_called(self, queue: Queue) -> None:
        queue.put(job("a"), job("b"))
        queue.bury(claimed(queue), "x")
        queue.bury(claimed(queue), "x")
        assert queue.revive("b") == 1
        again = claimed(queue)
        assert (again.key, again.attempts) == ("b", 1), "its tries begin anew"
        assert queue.revive() == 1
        assert keys(queue) == ["a"]
        assert queue.dead() == [] and queue.revive() == 0

    def test_a_dead_job_does_not_come_back_beside_one_of_its_key(self, queue: Queue) -> None:
        queue.put(job("a"))
        queue.bury(claimed(queue), "x")
        queue.put(job("a"))
        assert queue.revive() == 0
        assert keys(queue) == ["a"]

    def test_a_job_given_back_is_unharmed(self, queue: Queue) -> None:
        queue.put(job("a"))
        for _ in range(3):
            one = claimed(queue)
            assert one.attempts == 1
            queue.give_back(one)

    def test_jobs_and_rows_commit_together(self, queue: Queue, store: Store) -> None:
        queue.put(job("a"))
        one = claimed(queue)
        with pytest.raises(ZeroDivisionError), store.transaction():
            queue.put(job("b"))
            queue.done(one)
            raise ZeroDivisionError
        assert [(left.key, left.state) for left in queue.open()] == [("a", "running")]

    def test_a_lane_of_which_nothing_can_be_done_is_empty(self, queue: Queue) -> None:
        queue.put(job("x", "slow"))
        assert queue.claim("lane") is None and queue.next_due("lane") is None and not queue.busy("lane")
        assert queue.busy("slow")

    def test_threads_never_get_the_same_job(self, worker: Callable[[str], Queue]) -> None:
        worker("putter").put(*(job(str(number)) for number in range(200)))
        got: list[str] = []

        def work(name: str) -> None:
            mine = worker(name)
            while one := mine.claim("lane"):
                got.append(one.key)
                mine.done(one)

        threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got, key=int) == [str(number) for number in range(200)]


class TestLeases:
    """What one machine has besides: a daemon that knows itself alone, and the longest wait first."""

    @pytest.fixture
    def store(self, sqlite: Store) -> Store:
        return sqlite

    def test_what_has_been_due_longest_comes_first(self, queue: Queue, clock: Clock) -> None:
        queue.put(job("a", delay=10), job("b", delay=5), job("c", delay=5))
        clock.sleep(20)
        assert keys(queue) == ["b", "c", "a"]

    def test_the_jobs_of_dead_workers_are_freed(self, queue: Queue, other: Queue, clock: Clock) -> None:
        queue.put(job("a"), job("b"), job("c"))
        claimed(other)
        mine = claimed(queue)
        assert queue.release_others() == 1
        assert keys(queue) == ["a", "c"]
        queue.done(mine)
        again = [one for one in queue.open() if one.key == "a"]
        assert again[0].attempts == 2, "a try in which a worker died counts"


_WORKER = """
import sys, time
from pathlib import Path
from atles.store import Store
from atles.store.postgresql import PostgreSQL
from tests.passing import queue_of
from tests.queue.test_contract import LANES
where = sys.argv[1]
store = Store(PostgreSQL(where) if where.startswith("postgresql:") else Path(where))
queue = queue_of(store, sys.argv[2], time.time, lanes=LANES)
print("ready", flush=True)
sys.stdin.readline()
while job := queue.claim("lane"):
    print(job.key, flush=True)
    queue.done(job)
"""


def test_processes_never_get_the_same_job(store: Store, queue: Queue) -> None:
    queue.put(*(job(str(number)) for number in range(150)))
    where = store.database.url if isinstance(store.database, PostgreSQL) else str(store.database.path)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, where, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for name in "ab"
    ]  # fmt: skip
    for process in workers:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in workers:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    got = [process.communicate()[0].split() for process in workers]
    assert sorted(got[0] + got[1], key=int) == [str(number) for number in range(150)]
