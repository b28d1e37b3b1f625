"""One adapter takes the place of another while people chat; the servers are fake ones."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atles.errors import ProgramFailed
from atles.serving.llamacpp import ModelServers
from atles.serving.swap import Swapping
from tests.fakes import FakePrograms
from tests.fakes.process import gone, until
from tests.serving.conftest import Find, kill, who


@pytest.fixture
def forgotten() -> set[str]:
    """Adapters that may not serve any more."""
    return set()


@pytest.fixture
def swapping(servers: ModelServers, forgotten: set[str]) -> Iterator[Swapping]:
    made = Swapping(servers, may_serve=lambda adapter: adapter not in forgotten, retry_seconds=1.0)
    yield made
    made.close()


def answered(swapping: Swapping, wanted: str) -> str:
    with swapping.current(wanted) as lease:
        said = who(lease.url)
        assert said == (lease.adapter or "base")
        return said


def running(fake: FakePrograms) -> list[str]:
    return sorted(run["spec"]["name"] for run in fake.runs("serve") if not gone(run["pid"]))


def test_the_first_one_is_waited_for(swapping: Swapping, fake: FakePrograms) -> None:
    fake.modes("serve", "slow")
    assert answered(swapping, "") == "base"
    assert swapping.failure is None


def test_the_one_before_answers_until_the_next_is_loaded(swapping: Swapping, fake: FakePrograms) -> None:
    fake.modes("serve.new", "slow")
    assert answered(swapping, "old") == "old"
    long_chat = swapping.current("old")
    started = time.monotonic()
    assert answered(swapping, "new") == "old" and time.monotonic() - started < 0.5, "nobody waits"
    until(lambda: answered(swapping, "new") == "new", "it is loaded")
    assert who(long_chat.url) == "old", "a lease is answered by its adapter to its end"
    assert len(fake.runs("serve")) == 2
    long_chat.release()
    assert running(fake) == ["new", "old"], "a rollback finds it warm"
    assert answered(swapping, "old") == "old", "at once"


def test_what_saw_something_forgotten_does_not_answer_for_a_second(
    swapping: Swapping, fake: FakePrograms, forgotten: set[str]
) -> None:
    fake.modes("serve.new", "slow")
    long_chat = swapping.current("old")
    forgotten.add("old")
    assert answered(swapping, "new") == "new", "it is waited for"
    long_chat.release()
    assert running(fake) == ["new"], "what it knew is in no memory any more"


def test_nor_does_it_stay_in_memory_when_the_next_was_there_already(
    swapping: Swapping, servers: ModelServers, fake: FakePrograms, forgotten: set[str]
) -> None:
    assert answered(swapping, "old") == "old"
    servers.lease("new").release()
    forgotten.add("old")
    assert answered(swapping, "new") == "new"
    assert running(fake) == ["new"]


def test_one_that_cannot_be_loaded_is_told_of_and_tried_again(
    swapping: Swapping, fake: FakePrograms, caplog: pytest.LogCaptureFixture
) -> None:
    fake.modes("serve.new", "vanish", "vanish", "ok")
    assert answered(swapping, "old") == "old"
    with caplog.at_level(logging.ERROR, "atles.serving"):
        assert answered(swapping, "new") == "old"
        until(lambda: swapping.failure, "it failed")
    assert "something odd" in str(swapping.failure)
    assert "new cannot be served, so old still answers; it is tried again in 1 s" in caplog.text
    for _ in range(5):
        assert answered(swapping, "new") == "old"
    assert len([run for run in fake.runs("serve") if run["spec"]["name"] == "new"]) == 1, "not at every request"
    until(lambda: answered(swapping, "new") == "new", "the third try works")
    assert swapping.failure is None


def test_a_rollback_forgets_the_failure(swapping: Swapping, fake: FakePrograms) -> None:
    fake.modes("serve.new", "vanish")
    assert answered(swapping, "old") == "old"
    answered(swapping, "new")
    until(lambda: swapping.failure, "it failed")
    assert answered(swapping, "old") == "old"
    assert swapping.failure is None


def test_with_nobody_to_answer_meanwhile_the_failure_is_the_answer(
    swapping: Swapping, fake: FakePrograms, forgotten: set[str]
) -> None:
    fake.modes("serve.new", "vanish")
    with pytest.raises(ProgramFailed, match="something odd"):
        swapping.current("new")
    assert "something odd" in str(swapping.failure)
    assert answered(swapping, "old") == "old"
    forgotten.add("old")
    with pytest.raises(ProgramFailed, match="something odd"):
        swapping.current("new")


def test_when_the_one_before_died_the_next_is_waited_for(
    swapping: Swapping, servers: ModelServers, fake: FakePrograms
) -> None:
    fake.modes("serve.new", "slow")
    assert answered(swapping, "old") == "old"
    kill(servers, "old")
    assert answered(swapping, "new") == "new"
    assert running(fake) == ["new"]


def test_the_one_that_answers_does_not_make_room_for_the_next(
    swapping: Swapping, servers: ModelServers, fake: FakePrograms
) -> None:
    fake.modes("serve.new", "slow")
    assert answered(swapping, "old") == "old"
    servers.lease("other").release()  # idle, and for a shorter time
    assert answered(swapping, "new") == "old"
    until(lambda: len(fake.runs("serve")) == 3, "the next one starts")
    assert running(fake) == ["new", "old"]
    assert answered(swapping, "new") in ("old", "new")


def test_whom_nobody_wants_any_more_does_not_take_over_when_it_is_loaded(
    swapping: Swapping, fake: FakePrograms
) -> None:
    fake.modes("serve.b", "slow")
    assert answered(swapping, "a") == "a"
    assert answered(swapping, "b") == "a"
    assert answered(swapping, "c") == "a", "c waits for its turn"
    until(lambda: answered(swapping, "c") == "c", "c is loaded")
    for _ in range(10):
        assert answered(swapping, "c") == "c"
        time.sleep(0.05)


def test_twenty_swaps_under_load_lose_no_request(swapping: Swapping, fake: FakePrograms) -> None:
    fake.modes("serve", "ok", "slow", "slow", "ok")
    adapters = [f"v{number}" for number in range(21)]
    wanted, done = ["v0"], threading.Event()
    answers: list[tuple[str, str]] = []

    def chat() -> None:
        while not done.is_set():
            with swapping.current(wanted[0]) as lease:
                first = who(lease.url)
                time.sleep(0.02)  # a stream goes on for a while
                answers.append((lease.adapter, first))
                answers.append((lease.adapter, who(lease.url)))

    assert answered(swapping, "v0") == "v0"
    with ThreadPoolExecutor(8) as pool:
        chats = [pool.submit(chat) for _ in range(8)]
        try:
            for adapter in adapters[1:]:
                wanted[0] = adapter
                until(lambda: (wanted[0], wanted[0]) in answers[-16:], f"{adapter} answers")
        finally:
            done.set()
    for it in chats:
        it.result()  # raises what failed
    assert all(leased == said for leased, said in answers), "one adapter answers a lease, the one it is of"
    assert len(Counter(said for _, said in answers)) == 21 and len(answers) > 100
    assert len(fake.runs("serve")) == 21 and len(running(fake)) <= 3


def test_idle_ones_end_after_a_swap(fake: FakePrograms, find: Find, tmp_path: Path) -> None:
    with ModelServers(find, tmp_path / "work", idle_seconds=0.5) as servers:
        swapping = Swapping(servers)
        assert answered(swapping, "old") == "old"
        until(lambda: answered(swapping, "new") == "new", "it is loaded")
        until(lambda: (answered(swapping, "new"), running(fake))[1] == ["new"], "the old one ends")
