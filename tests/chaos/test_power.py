"""The power fails: what was not synced is gone. What was handed over is learned all the same, once."""

import random
import shutil
import sys
from pathlib import Path

import pytest

from atles.config import load_settings
from atles.layout import Home
from tests.chaos.disk import Call, Disk, available, calls, record, text
from tests.chaos.driver import AT_THE_END, SETTINGS
from tests.chaos.killable import Killable
from tests.chaos.traffic import Ledger, conversation
from tests.chaos.verdict import Verdict, judge
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT, DaemonProcess, idle, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not available(), reason="strace is not there, or may not trace here"),
]

SESSIONS, FAILURES, SEED = 24, 6, 20261126
PLAIN = (*SETTINGS, "gateway.enabled=false", "memory.rerank=off")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path, list[Call]]:
    """A home as it was, as it became, and every call in between."""
    folder = tmp_path_factory.mktemp("recorded")
    home, fake = Home(folder / "home").create(), FakePrograms(folder / "control")
    with DaemonProcess(home, fake) as daemon:  # the database has been there for a while
        assert daemon.terminate() == 0
    before = Path(shutil.copytree(home.root, folder / "before"))
    command = [sys.executable, "-m", "tests.chaos.scenario", str(home.root), str(fake.control), str(SESSIONS), *PLAIN]
    record(command, ROOT, folder / "trace")
    return home, before, list(calls(folder / "trace"))


def handed_over(done: list[Call]) -> Ledger:
    """What was handed over by then, as the scenario said it."""
    said = b"".join(
        text(call.arguments[1]) for call in done if call.name == "write" and b"handed_over" in text_of(call)
    )
    numbers = [int(name.removeprefix("file_")) for name in said.decode().split()]
    return Ledger({session["session_id"]: session for session in map(session_of, numbers)})


def text_of(call: Call) -> bytes:
    descriptor = call.arguments[0]
    return text(descriptor[descriptor.index("<") + 1 : -1]) if "<" in descriptor else b""


def session_of(number: int) -> dict:
    session = conversation(number)
    if number % 3 == 0:
        del session["start_time"]  # a tracker's has that of its own
    return session


def test_a_record_says_what_the_disk_holds(recorded: tuple[Home, Path, list[Call]], tmp_path: Path) -> None:
    """Where everything is kept, that is what was there in the end: the record is whole, and read as it is meant."""
    home, before, done = recorded
    disk = play(home, before, done)
    disk.leave(tmp_path / "left", kept=1.0)
    files = {path.relative_to(home.root): path for path in home.root.rglob("*") if path.is_file()}
    assert len(files) > SESSIONS
    for name, path in files.items():
        assert (tmp_path / "left" / name).read_bytes() == path.read_bytes(), name


def play(home: Home, before: Path, done: list[Call]) -> Disk:
    now = home.root.with_name("now")
    home.root.rename(now)
    try:
        shutil.copytree(before, home.root)
        disk = Disk(home.root)
        shutil.rmtree(home.root)
    finally:
        now.rename(home.root)
    for call in done:
        disk.play(call)
    return disk


@pytest.mark.parametrize("number", range(FAILURES))
def test_what_was_handed_over_survives_a_power_loss(
    recorded: tuple[Home, Path, list[Call]], tmp_path: Path, number: int
) -> None:
    home, before, done = recorded
    chance = random.Random(SEED + number)
    done = done[: int(len(done) * (number + chance.random()) / FAILURES)]  # one in each part of the run
    disk = play(home, before, done)
    # Of what was not synced nothing is left, or some of it.
    disk.leave(tmp_path / "home", kept=0.5 if number % 2 else 0.0, chance=chance)
    left, fake = Home(tmp_path / "home"), FakePrograms(tmp_path / "control")
    daemon = Killable("daemon", left, fake, ["run", "--quiet"], (*PLAIN, AT_THE_END))
    try:
        until(daemon.began.is_set, "it starts on what is left")
        until(lambda: not any(left.open_sessions.iterdir()) and idle(left), "all is learned")
        assert daemon.terminate() == 0
    finally:
        daemon.kill()
    ledger = handed_over(done)
    with_more = Ledger(dict(ledger.sessions))
    for path in left.processed.iterdir():  # what was about to be handed over may be there, whole
        session = session_of(int(path.name.removeprefix("completed_file_")[:5]))
        with_more.sessions.setdefault(session["session_id"], session)
    settings = load_settings(left, environment={}, overrides=PLAIN)
    assert judge(left, with_more, settings, kills=SESSIONS) == Verdict([], [], [])
