"""What only the queue of several machines has: order, labels, news of jobs, and workers that come and go."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atles.queue import NewJob
from atles.queue.procrastinate import ProcrastinateQueue
from atles.store import Store
from atles.store.postgresql import PostgreSQL
from tests.fakes.process import until
from tests.passing import Clock
from tests.raw import execute

LANES = {"learn": ("memory", "data"), "train": ("train",)}


@pytest.fixture
def store(postgresql: str) -> Iterator[Store]:
    opened = Store(PostgreSQL(postgresql))
    yield opened
    opened.close()


@pytest.fixture
def worker(store: Store) -> Callable[..., ProcrastinateQueue]:
    def make(**settings: object) -> ProcrastinateQueue:
        assert isinstance(store.database, PostgreSQL)
        given: dict[str, Any] = {"lease_seconds": 30, **settings}  # by name, each of its own type
        return ProcrastinateQueue(store.database, LANES, **given)

    return make


def said(user: str, key: str, **more: object) -> NewJob:
    return NewJob("memory", key, "learn", order=f"user {user}", **more)  # type: ignore[arg-type]


def keys(queue: ProcrastinateQueue, lane: str = "learn") -> list[str]:
    found = []
    while job := queue.claim(lane):
        found.append(job.key)
    return found


def test_of_one_order_one_at_a_time_and_others_beside_it(worker: Callable[..., ProcrastinateQueue]) -> None:
    queue, other = worker(), worker()
    queue.put(said("ada", "a1"), said("ada", "a2"), said("bo", "b1"))
    first = queue.claim("learn")
    assert first and first.key == "a1"
    assert keys(other) == ["b1"]
    assert other.next_due("learn") is None, "nothing to look for until a1 has ended"
    queue.done(first)
    assert keys(other) == ["a2"]


def test_what_is_tried_again_stays_before_what_came_later(worker: Callable[..., ProcrastinateQueue]) -> None:
    queue = worker()
    queue.put(said("ada", "a1"), said("ada", "a2"))
    first = queue.claim("learn")
    assert first
    queue.retry(first, "the server is away", 30)
    assert keys(queue) == []
    due = queue.next_due("learn")
    assert due is not None and 20 < due - time.time() < 31


def test_a_higher_priority_does_not_wait_for_what_is_put_off(worker: Callable[..., ProcrastinateQueue]) -> None:
    queue = worker()
    queue.put(NewJob("train", "at night", "train", order="train", delay=60))
    queue.put(NewJob("train", "now", "train", order="train", priority=1))
    assert keys(queue, "train") == ["now"]


def test_a_job_that_needs_a_label_waits_for_a_worker_that_has_it(worker: Callable[..., ProcrastinateQueue]) -> None:
    plain, able = worker(needs={"train": "gpu"}), worker(labels=["gpu", "big"])
    plain.put(NewJob("train", "t", "train"), NewJob("memory", "m", "learn"))
    assert plain.claim("train") is None and plain.next_due("train") is None and plain.busy("train")
    assert keys(able, "train") == ["t"] and keys(able) == ["m"], "who has a label does the rest as well"


def test_a_worker_does_what_it_was_asked_to(worker: Callable[..., ProcrastinateQueue]) -> None:
    queue = worker(does={"data"})
    queue.put(NewJob("memory", "m", "learn"), NewJob("data", "d", "learn"))
    assert keys(queue) == ["d"] and keys(queue, "train") == []


def test_news_of_a_job_comes_at_once_and_from_any_connection(
    worker: Callable[..., ProcrastinateQueue], postgresql: str
) -> None:
    woken: list[str] = []
    stop = threading.Event()
    worker().listen(woken.append, stop)
    until(lambda: len(woken) == 2, "it looked for what was there before")
    woken.clear()
    elsewhere = Store(PostgreSQL(postgresql))
    assert isinstance(elsewhere.database, PostgreSQL)
    ProcrastinateQueue(elsewhere.database, LANES, lease_seconds=30).put(NewJob("train", "t", "train"))
    until(lambda: woken == ["train"], "the lane is told", 3)
    elsewhere.close()
    stop.set()


def test_news_goes_on_after_the_connection_was_lost(
    worker: Callable[..., ProcrastinateQueue], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atles.queue.procrastinate._LISTEN_SECONDS", 0.1)
    woken: list[str] = []
    stop = threading.Event()
    queue = worker()
    queue.listen(woken.append, stop)
    until(lambda: len(woken) == 2, "it listens")
    execute(
        store,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where pid <> pg_backend_pid() and datname = current_database()",
    )
    until(lambda: len(woken) == 4, "it listens again, and has looked for what came meanwhile")
    queue.put(NewJob("memory", "m", "learn"))
    until(lambda: woken[4:] == ["learn"], "the lane is told")
    stop.set()


def test_two_that_put_one_key_at_once_put_it_once(worker: Callable[..., ProcrastinateQueue]) -> None:
    queue = worker()
    barrier = threading.Barrier(4)

    def put() -> None:
        for number in range(20):
            barrier.wait()
            queue.put(NewJob("memory", f"key {number}", "learn"))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.key for job in queue.open()] == [f"key {number}" for number in range(20)]


def test_who_was_suspended_for_long_begins_anew(worker: Callable[..., ProcrastinateQueue], store: Store) -> None:
    queue, other = worker(lease_seconds=30), worker(lease_seconds=30)
    queue.put(NewJob("memory", "m", "learn"), NewJob("memory", "n", "learn"))
    held = queue.claim("learn")
    assert held
    Clock(store).sleep(301)
    assert other.recover() == 1
    assert [it["name"] for it in other.workers()] == [], "it is given up"
    queue.renew(held)
    assert sorted(keys(queue)) == ["m", "n"], "as a new worker"
    assert len(other.workers()) == 1


def test_a_job_whose_claim_was_lost_on_the_way_is_not_held_for_ever(
    worker: Callable[..., ProcrastinateQueue], store: Store
) -> None:
    queue = worker(lease_seconds=30)
    queue.put(NewJob("memory", "m", "learn"), NewJob("memory", "n", "learn"))
    assert queue.claim("learn")
    held = queue.claim("learn")
    assert held and held.key == "n"
    queue.renew(held)
    assert queue.claim("learn") is None, "it may be on its way still"
    Clock(store).sleep(31)
    queue.renew(held)
    again = queue.claim("learn")
    assert again and (again.key, again.attempts) == ("m", 2)
    queue.done(held)


def test_who_works_and_at_what(worker: Callable[..., ProcrastinateQueue]) -> None:
    queue, other = worker(does={"memory"}, labels=["gpu"]), worker()
    queue.put(NewJob("memory", "m", "learn"), NewJob("data", "d", "learn"))
    assert queue.workers() == [], "who only puts jobs is no worker"
    queue.claim("learn")
    other.claim("train")
    first, second = queue.workers()
    assert (first["steps"], first["labels"], first["doing"]) == (["memory"], ["gpu"], "m")
    assert (second["labels"], second["doing"]) == ([], "") and second["silent"] < 60
    assert {(it["queue"], it["state"], it["n"]) for it in queue.counts()} == {
        ("memory", "running", 1),
        ("data", "waiting", 1),
    }
    queue.leave()
    assert len(other.workers()) == 1
    assert other.recover() == 1, "what it held is free at once"
