"""Clocks that are set, and machines that sleep: what waits is due when it was meant to be, and nothing is cut off."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atles import SessionTracker
from atles.capture.abandoned import Quiet, close_abandoned
from atles.daemon import LearningDaemon
from atles.insights.status import owner
from atles.layout import Home
from atles.queue import NewJob
from atles.queue.leases import LONGEST_DELAY, LeaseQueue
from atles.settings import RetentionSettings, Settings
from atles.store import Store
from atles.upkeep.clocks import Clocks, Reading, last_seen, passed, set_meanwhile
from tests.fakes import FakePrograms
from tests.fakes.process import until

HOUR, DAY = 3600.0, 86_400.0


@dataclass
class Machine:
    """A machine's three clocks."""

    wall: float = 1_800_000_000.0
    passed: float = 5_000.0
    awake: float = 4_000.0
    told: list[tuple[float, float]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        self.wall, self.passed, self.awake = self.wall + seconds, self.passed + seconds, self.awake + seconds

    def sleep(self, seconds: float) -> None:
        self.wall, self.passed = self.wall + seconds, self.passed + seconds

    def set(self, seconds: float) -> None:
        self.wall += seconds

    def read(self) -> Reading:
        return Reading(self.wall, self.passed, self.awake)

    def watched(self) -> Clocks:
        return Clocks(lambda by, before: self.told.append((round(by, 6), before)), self.read)


@pytest.fixture
def machine() -> Machine:
    return Machine()


# --- telling what happened ---


def test_a_clock_that_runs_tells_nothing(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    watched = machine.watched()
    for _ in range(5):
        machine.run(20)
        machine.set(1.0)  # slewed, or read late
        watched.look()
    assert machine.told == [] and caplog.records == []


@pytest.mark.parametrize(("by", "says"), [(-HOUR, "set back by 3600 s"), (HOUR, "set forward by 3600 s")])
def test_a_clock_that_is_set_is_told_once(
    machine: Machine, by: float, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    watched = machine.watched()
    machine.run(20)
    watched.look()
    before = machine.wall
    machine.run(5)
    machine.set(by)
    machine.run(15)
    for _ in range(3):
        watched.look()
        machine.run(20)
    assert machine.told == [(by, before)]
    assert [says in record.getMessage() for record in caplog.records] == [True]


def test_a_machine_that_slept_was_not_set(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watched = machine.watched()
    machine.sleep(8 * HOUR)
    watched.look()
    assert machine.told == [] and [it.getMessage() for it in caplog.records] == ["the machine slept for 28800 s"]


def test_a_clock_that_was_set_while_the_machine_slept(machine: Machine) -> None:
    watched = machine.watched()
    machine.sleep(8 * HOUR)
    machine.set(-DAY)
    watched.look()
    assert [by for by, _ in machine.told] == [-DAY]


def test_what_could_not_be_done_about_it_is_told_again(machine: Machine) -> None:
    tries: list[float] = []

    def fails_once(by: float, before: float) -> None:
        tries.append(by)
        if len(tries) == 1:
            raise OSError("disk full")

    watched = Clocks(fails_once, machine.read)
    machine.set(-HOUR)
    with pytest.raises(OSError, match="disk full"):
        watched.look()
    machine.run(20)
    watched.look()
    watched.look()
    assert tries == [-HOUR, -HOUR]


def test_the_clock_is_trusted_after_ten_even_minutes_awake(machine: Machine) -> None:
    watched = machine.watched()
    assert not watched.trusted(), "it may be wrong after a start"
    machine.sleep(DAY)
    assert not watched.trusted()
    machine.run(601)
    assert watched.trusted()
    machine.set(10 * 365 * DAY)
    assert not watched.trusted(), "it looks itself, whenever it was looked at last"
    machine.run(601)
    assert watched.trusted()


def test_the_systems_clocks_are_read() -> None:
    first = Reading.now()
    second = Reading.now()
    assert first.passed <= second.passed and first.awake <= second.awake
    assert abs(second.wall - time.time()) < 60
    assert abs(passed() - second.passed) < 60


# --- the queue ---


class Queued:
    """A queue by the machine's clock, and what of it is due."""

    def __init__(self, store: Store, machine: Machine) -> None:
        self.machine = machine
        self.queue = LeaseQueue(store.database, "me", 60.0, lambda: machine.wall)

    def put(self, **delays: float) -> None:
        self.queue.put(*(NewJob("kind", key, "lane", delay=delay) for key, delay in delays.items()))

    def waits(self) -> dict[str, float]:
        """Seconds until each job is due, by its key."""
        return {it.key: round(it.run_after - self.machine.wall, 3) for it in self.queue.open()}

    def due(self) -> list[str]:
        keys = []
        while job := self.queue.claim("lane"):
            keys.append(job.key)
            self.queue.done(job)
        return keys


@pytest.fixture
def queued(sqlite: Store, machine: Machine) -> Queued:
    """On SQLite: only there jobs go by this machine's clock."""
    return Queued(sqlite, machine)


def test_set_back_by_a_day_nothing_waits_a_day(queued: Queued, machine: Machine) -> None:
    queued.put(now=0, soon=10, later=100)
    watched = Clocks(queued.queue.clock_was_set, machine.read)
    machine.set(-DAY)
    assert queued.due() == [], "that is what goes wrong"
    machine.run(20)
    watched.look()
    assert queued.waits() == {"now": -20, "soon": -10, "later": 80}
    assert queued.due() == ["now", "soon"]
    machine.run(80)
    assert queued.due() == ["later"]


def test_what_is_put_after_the_clock_was_set_back_is_never_late(queued: Queued, machine: Machine) -> None:
    watched = Clocks(queued.queue.clock_was_set, machine.read)
    machine.set(-HOUR)
    queued.put(soon=10)
    watched.look()
    assert queued.waits()["soon"] <= 10


def test_set_forward_nothing_is_due_before_its_time(queued: Queued, machine: Machine) -> None:
    watched = Clocks(queued.queue.clock_was_set, machine.read)
    queued.put(now=0, retry=60, tomorrow=20 * HOUR)
    machine.run(20)
    machine.set(HOUR)
    queued.put(new=30, new_now=0)
    watched.look()
    waits = queued.waits()
    assert waits["retry"] == 40, "not at once"
    assert (waits["new"], waits["new_now"], waits["now"]) == (30, 0, -20 - HOUR), "neither is put off by an hour"
    assert waits["tomorrow"] < 20 * HOUR


def test_a_retry_is_due_when_it_was_meant_to_be(queued: Queued, machine: Machine) -> None:
    watched = Clocks(queued.queue.clock_was_set, machine.read)
    queued.put(a=0)
    job = queued.queue.claim("lane")
    assert job
    queued.queue.retry(job, "no luck", 60)
    machine.set(-DAY)
    watched.look()
    assert queued.waits() == {"a": 60}


def test_jobs_that_are_dead_or_running_are_not_moved(queued: Queued, machine: Machine) -> None:
    queued.put(dies=0, runs=1)
    job = queued.queue.claim("lane")
    assert job
    queued.queue.bury(job, "x")
    machine.run(2)
    running = queued.queue.claim("lane")
    assert running
    assert queued.queue.clock_was_set(-DAY, machine.wall) == 0
    queued.queue.done(running)


@pytest.mark.parametrize("by", [-DAY, DAY])
def test_a_worker_keeps_its_job_and_neither_lane_takes_the_others(queued: Queued, machine: Machine, by: float) -> None:
    """A clock set forward ends every lease at once; who holds one is the only one that claims in its lane."""
    queue = queued.queue
    queue.put(NewJob("kind", "short", "learn"), NewJob("kind", "training", "train"))
    training = queue.claim("train")
    assert training
    machine.set(by)
    queue.clock_was_set(by, machine.wall - by)
    if by < 0:
        machine.run(1)
    short = queue.claim("learn")
    assert short and short.key == "short" and queue.claim("learn") is None
    queue.renew(training)
    assert queue.claim("train") is None, "renewed by the clock as it is now"
    machine.run(61)
    assert queue.claim("train"), "and no longer held than a lease is, also if the clock had been ahead"


def test_no_job_waits_longer_than_a_day(queued: Queued) -> None:
    queued.put(a=10 * DAY, b=0)
    job = queued.queue.claim("lane")
    assert job
    queued.queue.retry(job, "x", 10 * DAY)
    assert set(queued.waits().values()) == {LONGEST_DELAY}


# --- set while no daemon ran ---


@pytest.fixture
def home_at(home: Home, queued: Queued) -> Callable[[float], float]:
    """Make the home look as a daemon left it at that time; when it was last seen."""

    def at(moment: float) -> float:
        home.log.touch()
        for path in home.root.rglob("*"):
            if path.is_file():
                os.utime(path, (moment - 100, moment - 100))
        os.utime(home.log, (moment, moment))
        return last_seen(home)

    return at


def test_set_back_while_no_daemon_ran(
    queued: Queued, machine: Machine, home_at: Callable[[float], float], caplog: pytest.LogCaptureFixture
) -> None:
    queued.put(now=0, retry=60)
    seen = home_at(machine.wall)
    machine.set(-10 * HOUR)
    machine.run(HOUR)  # it was off for an hour
    set_meanwhile(seen, queued.queue.clock_was_set, lambda: machine.wall)
    assert queued.waits() == {"now": 0, "retry": 60}, "as if the daemon had ended just now"
    assert "set back by 32400 s or more while no daemon ran" in caplog.text


def test_a_start_like_any_other(
    queued: Queued, machine: Machine, home_at: Callable[[float], float], caplog: pytest.LogCaptureFixture
) -> None:
    queued.put(now=0, retry=60)
    seen = home_at(machine.wall)
    machine.run(20)
    set_meanwhile(seen, queued.queue.clock_was_set, lambda: machine.wall)
    assert queued.waits() == {"now": -20, "retry": 40} and caplog.records == []


def test_without_any_sign_of_it_nothing_waits_longer_than_a_day(queued: Queued, machine: Machine) -> None:
    """The home was copied, and the times of its files are those of the copy."""
    queued.put(a=60)
    machine.set(-30 * DAY)
    set_meanwhile(machine.wall, queued.queue.clock_was_set, lambda: machine.wall)
    assert queued.waits() == {"a": LONGEST_DELAY}


def test_a_home_that_nobody_worked_on(tmp_path: Path) -> None:
    assert last_seen(Home(tmp_path / "new")) == 0.0


# --- sessions in progress ---


@pytest.fixture
def journal(home: Home, machine: Machine) -> Path:
    """The journal of a chat that goes on, last written now."""
    SessionTracker(home=home.root).log_message("user", "hello")
    (path,) = home.open_sessions.glob("*.jsonl")
    os.utime(path, (machine.wall, machine.wall))
    return path


def written(path: Path, machine: Machine) -> None:
    with path.open("ab") as file:
        file.write(b'\n{"message": {"role": "user", "content": "more"}}')
    os.utime(path, (machine.wall, machine.wall))


def quiet_by(machine: Machine) -> Quiet:
    return Quiet(lambda: machine.wall, lambda: machine.awake)


@pytest.mark.parametrize("happens", ["set", "sleep"])
def test_neither_a_jump_nor_sleep_closes_a_session(home: Home, machine: Machine, journal: Path, happens: str) -> None:
    quiet = quiet_by(machine)
    assert close_abandoned(home, 1800, quiet=quiet) == []
    getattr(machine, happens)(8 * HOUR)
    assert close_abandoned(home, 1800, quiet=quiet) == [], "its host slept, too"
    machine.run(1799)
    assert close_abandoned(home, 1800, quiet=quiet) == []
    machine.run(2)
    assert len(close_abandoned(home, 1800, quiet=quiet)) == 1, "and then it is abandoned"


def test_a_chat_that_goes_on_after_the_sleep_stays_open(home: Home, machine: Machine, journal: Path) -> None:
    quiet = quiet_by(machine)
    for _ in range(10):
        machine.sleep(8 * HOUR)
        machine.run(1000)
        written(journal, machine)
        assert close_abandoned(home, 1800, quiet=quiet) == []


def test_set_back_a_session_is_still_closed_in_time(home: Home, machine: Machine, journal: Path) -> None:
    quiet = quiet_by(machine)
    close_abandoned(home, 1800, quiet=quiet)
    machine.set(-30 * DAY)  # the journal lies in the future now
    machine.run(1801)
    assert len(close_abandoned(home, 1800, quiet=quiet)) == 1


def test_what_was_left_before_the_start_is_as_old_as_its_file(home: Home, machine: Machine, journal: Path) -> None:
    machine.run(1801)
    assert len(close_abandoned(home, 1800, quiet=quiet_by(machine))) == 1


def test_a_journal_that_came_while_it_was_watched_is_no_older_than_that(
    home: Home, machine: Machine, journal: Path
) -> None:
    quiet = quiet_by(machine)
    quiet.seconds([])
    machine.run(20)
    machine.set(DAY)  # after it was written
    assert quiet.seconds([journal]) == {journal: 20.0}
    journal.unlink()
    assert quiet.seconds([journal]) == {}


# --- the whole daemon ---


@pytest.fixture
def daemon(
    home: Home, fake: FakePrograms, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LearningDaemon]:
    """A daemon by the machine's clocks, which has done its chores once and will not for a while."""
    monkeypatch.setattr("atles.daemon.Clocks", partial(Clocks, read=machine.read))
    daemon = LearningDaemon(home, Settings(retention=RetentionSettings(work_days=1)))
    daemon.start()
    until(home.stats.exists, "the last chore is done")
    yield daemon
    daemon.stop()


def chores(daemon: LearningDaemon) -> dict[str, Callable[[], Any]]:
    return {it.name: it.do for it in daemon._chores()}


def test_the_daemon_moves_its_jobs_and_its_start_with_the_clock(
    daemon: LearningDaemon, home: Home, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.queue.put(NewJob("kind", "a", "nobody's", delay=100))
    (before,) = daemon.queue.open()
    told = owner(home)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - HOUR)
    monkeypatch.setattr(daemon.queue, "_clock", time.time)
    machine.set(-HOUR)
    chores(daemon)["looking at the clock"]()
    (after,) = daemon.queue.open()
    moved = owner(home)
    assert told and moved
    assert after.run_after == pytest.approx(before.run_after - HOUR, abs=1e-3)
    assert moved["started_at"] == pytest.approx(told["started_at"] - HOUR, abs=5)
    assert "1 waiting jobs are due when they were meant to be" in home.log.read_text()


def test_with_a_clock_that_may_be_wrong_nothing_fades_and_nothing_is_deleted(
    daemon: LearningDaemon, home: Home, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    faded: list[bool] = []
    monkeypatch.setattr(daemon.memory_processor, "fade", lambda: faded.append(True) or 0)
    old = home.work / "train-x"
    old.mkdir()
    os.utime(old, (1e9, 1e9))

    def both() -> tuple[int, bool]:
        do = chores(daemon)
        do["fading memories"]()
        do["pruning"]()
        return len(faded), old.exists()

    assert both() == (0, True), "it was started just now"
    machine.run(700)
    machine.set(400 * DAY)
    assert both() == (0, True)
    machine.run(700)
    assert both() == (1, False)


def test_a_daemon_started_with_the_clock_put_right_does_what_waits(home: Home, fake: FakePrograms) -> None:
    """The clock was a day ahead while the jobs were put, and was put right while no daemon ran."""
    ahead = time.time() + 20 * HOUR
    store = Store(home.database)
    LeaseQueue(store.database, "earlier", 60, clock=lambda: ahead).put(NewJob("publish", "publish", "learn", delay=1))
    store.close()
    os.utime(home.database, (ahead, ahead))
    daemon = LearningDaemon(home, Settings())
    daemon.start()
    try:
        assert daemon.drain() == []
        assert json.loads(home.stats.read_text())["sessions_processed"] == 0
        assert "set back by" in home.log.read_text()
    finally:
        daemon.stop()
