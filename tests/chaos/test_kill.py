"""kill -9 wherever it hurts: every session is learned once, none is lost, and nothing outlives the daemon."""

import json
import random
import time
from pathlib import Path

import pytest

from atles.layout import Home
from atles.records import AdapterState
from atles.store import Store
from atles.store.adapters import BASE
from tests.chaos.verdict import learned_once
from tests.fakes import FakePrograms
from tests.fakes.process import DaemonProcess, gone, idle, until
from tests.samples import chat, drop

pytestmark = pytest.mark.slow

SESSIONS = [chat(number) for number in range(1, 14)]


@pytest.fixture
def fake(tmp_path: Path) -> FakePrograms:
    return FakePrograms(tmp_path / "control")


def run_to_the_end(home: Home, fake: FakePrograms, *overrides: str) -> None:
    with DaemonProcess(home, fake, *overrides) as daemon:
        until(lambda: idle(home), "all is learned")
        assert daemon.terminate() == 0


def trainings(home: Home) -> int:
    store = Store(home.database)
    try:
        return len(store.adapters.list())
    finally:
        store.close()


def what_serves_is_whole(home: Home) -> None:
    """The base, or an adapter that was judged, with every file."""
    store = Store(home.database)
    _, active = store.adapters.active()
    if active != BASE:
        assert store.adapters.get(active).state is AdapterState.PROMOTED
        assert {"adapter_config.json", "adapter_model.safetensors", "report.json", "lineage.json"} <= {
            file.name for file in home.adapter(active).iterdir()
        }
    store.close()


@pytest.mark.parametrize("where", ["begin", "end"])
@pytest.mark.parametrize("step", ["memory", "data", "train", "gate", "log", "publish"])
def test_killed_inside_a_step(home: Home, fake: FakePrograms, step: str, where: str) -> None:
    (fake.control / "pause.json").write_text(json.dumps({"step": step, "where": where}))
    for session in SESSIONS:
        drop(home, session)
    with DaemonProcess(home, fake) as daemon:
        until((fake.control / "paused").exists, f"the {step} step begins")
        daemon.kill()
    what_serves_is_whole(home)
    run_to_the_end(home, fake)
    learned_once(home, SESSIONS)
    assert trainings(home) == 1
    if step in ("train", "gate"):
        assert len(fake.runs("train")) == len(fake.runs("evaluate")) == 1, "what a program had finished stays done"


@pytest.mark.parametrize("program", ["train", "evaluate"])
def test_killed_while_a_program_works(home: Home, fake: FakePrograms, program: str) -> None:
    fake.modes(program, "slow", "ok")
    for session in SESSIONS:
        drop(home, session)
    with DaemonProcess(home, fake) as daemon:
        until(lambda: fake.runs(program), f"{program} begins")
        time.sleep(0.3)
        daemon.kill()
    until(lambda: gone(fake.runs(program)[0]["pid"]), f"{program} ends with its daemon", 5)
    run_to_the_end(home, fake)
    learned_once(home, SESSIONS)
    assert trainings(home) == 1
    assert len(fake.runs(program)) == 2


def test_killed_at_any_time(home: Home, fake: FakePrograms) -> None:
    """Ten kills over forty sessions that keep coming."""
    chance = random.Random(20261123)
    sessions = [chat(number) for number in range(1, 41)]
    waiting = list(sessions)
    for _ in range(10):
        # A job may be killed more often than `max_attempts` allows for, here and nowhere else.
        with DaemonProcess(home, fake, "queue.max_attempts=50") as daemon:
            for _ in range(4):
                drop(home, waiting.pop())
                time.sleep(chance.uniform(0, 0.7))
            daemon.kill()
    run_to_the_end(home, fake, "queue.max_attempts=50")
    learned_once(home, sessions, kills=10)


def test_sigterm_while_training_goes_on_later_where_it_was(home: Home, fake: FakePrograms) -> None:
    fake.modes("train", "slow", "ok")
    for session in SESSIONS:
        drop(home, session)
    with DaemonProcess(home, fake) as daemon:
        until(lambda: (home.work / "progress.json").exists(), "training begins")
        began = time.monotonic()
        assert daemon.terminate() == 0
        assert time.monotonic() - began < 10
    assert gone(fake.runs("train")[0]["pid"])
    assert not home.owner.exists()
    run_to_the_end(home, fake)
    learned_once(home, SESSIONS)
    assert trainings(home) == 1
    store = Store(home.database)
    (adapter,) = store.adapters.list()
    store.close()
    assert adapter.train["details"]["resumed_from_step"] >= 1
    assert len(fake.runs("train")) == 2


def test_sigterm_finishes_what_is_short(home: Home, fake: FakePrograms) -> None:
    with DaemonProcess(home, fake) as daemon:
        drop(home, chat(1))
        until(lambda: not idle(home), "it is taken")
        assert daemon.terminate() == 0
    assert idle(home)
    learned_once(home, [chat(1)])
    assert trainings(home) == 0


def test_a_second_daemon_is_refused_and_does_no_harm(home: Home, fake: FakePrograms) -> None:
    with DaemonProcess(home, fake) as first:
        second = DaemonProcess(home, fake)
        assert not second.started
        assert f"a daemon (pid {first.pid}) works on" in second.errors()
        assert second.terminate() != 0
        drop(home, chat(1))
        until(lambda: home.master_log.exists() and idle(home), "the first one works on")
        assert first.terminate() == 0
    learned_once(home, [chat(1)])
    assert trainings(home) == 0


def test_the_lock_of_a_killed_daemon_is_no_lock(home: Home, fake: FakePrograms) -> None:
    with DaemonProcess(home, fake) as first:
        assert first.started
        first.kill()
    assert json.loads(home.owner.read_text())["pid"] == first.pid, "it could not clean up"
    with DaemonProcess(home, fake) as second:
        assert second.started
        assert json.loads(home.owner.read_text())["pid"] == second.pid
        assert second.terminate() == 0
