"""A disk that gets full: trainings stop first, then learning; recording never, and all of it goes on by itself."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from atles.cli.app import atles
from atles.daemon import LearningDaemon
from atles.errors import AtlesError, StoreError
from atles.insights.training import training
from atles.layout import Home
from atles.pipeline import jobs, room, training_steps
from atles.pipeline.room import MIB, Room, size
from atles.pipeline.worker import WakeUp, Worker
from atles.queue import Job, NewJob
from atles.records import Step
from atles.settings import DiskSettings, GatewaySettings, QueueSettings, Settings
from atles.store import Store
from atles.upkeep.disk import DiskWatch
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT, DaemonProcess, idle, until
from tests.passing import queue_of
from tests.pipeline.conftest import SETTINGS, Pipeline
from tests.samples import chat, drop

REAL = room.free_bytes  # tests see another one
LIMITS = DiskSettings(train_mb=2000, learn_mb=200)


class Disk:
    """A disk with as much room as told."""

    def __init__(self, free_mb: float) -> None:
        self.free_mb = free_mb
        self.asked: set[Path] = set()

    def __call__(self, folder: Path) -> int:
        self.asked.add(folder)
        return int(self.free_mb * MIB)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(100_000)
    monkeypatch.setattr(room, "free_bytes", made)
    return made


# --- how much is enough for what ---


@pytest.mark.parametrize(
    ("free", "begins", "goes_on", "learns", "state"),
    [
        (2000, True, True, True, "ok"),
        (1999, False, True, True, "no training"),
        (1000, False, True, True, "no training"),
        (999, False, False, True, "no training"),
        (200, False, False, True, "no training"),
        (199, False, False, False, "no learning"),
        (0, False, False, False, "no learning"),
    ],
)
def test_trainings_stop_first_then_learning(
    home: Home, disk: Disk, free: float, begins: bool, goes_on: bool, learns: bool, state: str
) -> None:
    disk.free_mb = free
    here = Room(home, LIMITS)
    may = [not why for why in (here.no_training(), here.no_training(runs=True), here.no_learning())]
    assert may == [begins, goes_on, learns]
    assert here.seen() == {"free": free * MIB, "state": state}
    assert disk.asked == {home.root}


def test_the_reason_names_the_setting(home: Home, disk: Disk) -> None:
    disk.free_mb = 1331
    assert Room(home, LIMITS).no_training() == "only 1.3 GB free (disk.train_mb = 2000)"
    disk.free_mb = 100
    assert Room(home, LIMITS).no_learning() == "only 100 MB free (disk.learn_mb = 200)"


def test_no_limit_stops_nothing(home: Home, disk: Disk) -> None:
    disk.free_mb = 0
    assert Room(home, DiskSettings(0, 0)).seen()["state"] == "ok"


def test_a_limit_for_learning_alone_holds_for_trainings_too(home: Home, disk: Disk) -> None:
    disk.free_mb = 100
    assert "disk.learn_mb" in Room(home, DiskSettings(train_mb=0, learn_mb=200)).no_training()


def test_the_real_disk_is_asked_also_before_a_home_is_made(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    assert REAL(tmp_path / "not" / "there") == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.5)


@pytest.mark.parametrize(
    ("number", "says"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (4096, "4 KB"), (210 << 20, "210 MB"), (1 << 31, "2.0 GB")],
)
def test_sizes_for_people(number: int, says: str) -> None:
    assert size(number) == says


def test_the_log_says_it_once_each_time_it_changes(home: Home, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watch = DiskWatch(Room(home, LIMITS))
    for free in (5000, 4000, 1500, 1400, 100, 90, 1500, 5000, 6000):
        disk.free_mb = free
        watch.look()
    said = [(it.levelname, it.getMessage().split(":")[0]) for it in caplog.records]
    assert said == [
        ("WARNING", "no training begins"),
        ("ERROR", "nothing is learned before there is room, though all is recorded"),
        ("WARNING", "no training begins"),
        ("INFO", "there is room on the disk again"),
    ]


# --- a worker that may not work ---


class Lane:
    """A worker of one lane, with two jobs to do; `why` says why it may not."""

    def __init__(self, store: Store) -> None:
        self.why = ""
        self.done: list[str] = []
        self.fills: Exception | None = None
        self.queue = queue_of(store, "me", time.time)
        settings = QueueSettings(max_attempts=1)
        stop = self.stop = threading.Event()
        self.worker = Worker(
            "learn", self.queue, store, {Step.MEMORY: self}, settings, stop, WakeUp(), 0.01, lambda: self.why
        )
        self.queue.put(NewJob(Step.MEMORY, "a", "learn"), NewJob(Step.MEMORY, "b", "learn"))

    def work(self, job: Job) -> None:
        self.done.append(job.key)
        if self.fills:
            self.why = "it is full"
            raise self.fills

    def record(self, job: Job, result: None, seconds: float) -> list[NewJob]:
        self.why = "it is full" if job.key == "a" else ""
        return []

    def failed(self, job: Job, error: str) -> list[NewJob]:
        return []

    def states(self) -> dict[str, tuple[str, int]]:
        return {job.key: (job.state, job.attempts) for job in self.queue.open()}


@pytest.fixture
def lane(sqlite: Store) -> Iterator[Lane]:
    made = Lane(sqlite)
    yield made
    made.stop.set()


def test_what_was_claimed_already_is_given_back_and_done_later(lane: Lane) -> None:
    lane.worker.start()
    until(lambda: lane.states() == {"b": ("waiting", 0)}, "the first is done, and the next let go")
    time.sleep(0.1)
    assert lane.done == ["a"]
    lane.why = ""
    until(lambda: lane.states() == {}, "the second is done")
    assert lane.done == ["a", "b"]


def test_it_ends_when_told_to_though_it_may_not_work(lane: Lane) -> None:
    lane.why = "it is full"
    lane.worker.start()
    lane.stop.set()
    assert lane.worker.join(5) and lane.done == []


def test_what_failed_while_the_disk_was_full_was_no_try(lane: Lane, caplog: pytest.LogCaptureFixture) -> None:
    lane.fills = StoreError("database or disk is full")
    assert lane.worker.run_one()
    assert lane.states() == {"a": ("waiting", 0), "b": ("waiting", 0)} and lane.queue.dead() == []
    assert "a: tried again later, it is full: database or disk is full" in caplog.text
    lane.fills, lane.why = None, ""
    assert lane.worker.run_one()
    assert lane.done == ["a", "a"]


# --- trainings ---


@pytest.fixture
def pipeline(home: Home, fake: FakePrograms, disk: Disk) -> Iterator[Pipeline]:
    opened = Pipeline(home, fake, replace(SETTINGS, disk=LIMITS))
    yield opened
    opened.store.close()


def works(pipeline: Pipeline) -> None:
    """Do what is due within the next ten seconds."""
    for _ in range(10):
        pipeline.clock.sleep(1)
        for worker in pipeline.workers:
            while worker.run_one():
                pass


@pytest.mark.parametrize("asked", [False, True])
def test_no_training_begins_with_too_little_room(
    pipeline: Pipeline, fake: FakePrograms, disk: Disk, asked: bool
) -> None:
    pipeline.context.at_once = asked
    disk.free_mb = 1999
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    if asked:
        pipeline.queue.put(jobs.train_now())
    works(pipeline)
    assert fake.runs("train") == [] and pipeline.context.put_off == "only 2.0 GB free (disk.train_mb = 2000)"
    assert len(pipeline.store.sessions.waiting_for_training()) == 0, "no log waits for it"
    assert {job.attempts for job in pipeline.queue.open()} == {0} and pipeline.queue.dead() == []
    disk.free_mb = 2000
    pipeline.context.at_once = True  # whatever this machine's load is
    pipeline.work_off()
    assert [it.state for it in pipeline.store.adapters.list()] == ["promoted"]


def test_a_training_stops_at_its_checkpoint_and_goes_on_there(
    pipeline: Pipeline, fake: FakePrograms, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    fake.modes("train", "slow", "ok")
    steps: list[int] = []

    def fills(event: Any) -> None:
        steps.append(event["step"])
        disk.free_mb = 1500 if len(steps) < 5 else 999  # what it writes itself does not stop it

    pipeline.context.progress = fills
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    works(pipeline)
    assert len(fake.runs("train")) == 1 and "the training stops at its checkpoint: only 999 MB free" in caplog.text
    (waits,) = (job for job in pipeline.queue.open() if job.kind == Step.TRAIN)
    assert (waits.state, waits.attempts) == ("waiting", 0) and pipeline.queue.dead() == []
    disk.free_mb = 3000
    pipeline.context.progress = lambda event: None
    pipeline.work_off()
    (adapter,) = pipeline.store.adapters.list()
    assert adapter.state == "promoted" and len(fake.runs("train")) == 2
    assert adapter.train["details"]["resumed_from_step"] >= 4


def test_room_that_comes_back_while_a_training_ends_does_not_make_it_a_failure(
    pipeline: Pipeline, fake: FakePrograms, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the training's own files took it, or somebody else's were deleted in that moment."""
    fake.modes("train", "slow", "ok")
    free = [100_000.0]

    def full_for_a_moment(folder: Path) -> int:
        now, free[0] = free[0], 100_000.0
        return int(now * MIB)

    def fills(event: Any) -> None:
        free[0] = 500.0
        pipeline.context.progress = lambda event: None

    monkeypatch.setattr(room, "free_bytes", full_for_a_moment)
    pipeline.context.progress = lambda event: fills(event) if free[0] > 500 and len(fake.runs("train")) == 1 else None
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    assert len(fake.runs("train")) == 2 and pipeline.queue.dead() == []
    assert [it.state for it in pipeline.store.adapters.list()] == ["promoted"]


def test_the_gate_is_not_stopped_it_writes_little(pipeline: Pipeline, fake: FakePrograms, disk: Disk) -> None:
    def fills(event: Any) -> None:
        if event["phase"] == "evaluate":  # a training would be stopped
            disk.free_mb = 300

    pipeline.context.progress = fills
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    assert [it.state for it in pipeline.store.adapters.list()] == ["promoted"]


def test_what_the_next_training_waits_for(pipeline: Pipeline, disk: Disk) -> None:
    def waits() -> dict[str, Any]:
        return training(pipeline.home, pipeline.store, pipeline.settings)

    assert waits()["no_room"] == ""
    disk.free_mb = 1331
    assert waits()["no_room"] == "only 1.3 GB free (disk.train_mb = 2000)"


# --- the whole daemon ---


@pytest.fixture
def daemon(home: Home, fake: FakePrograms, disk: Disk) -> Iterator[LearningDaemon]:
    settings = Settings(disk=LIMITS, gateway=GatewaySettings(port=0))
    made = LearningDaemon(home, replace(settings, train=replace(settings.train, enabled=False)))
    made.start()
    yield made
    made.stop()


def test_below_the_limit_sessions_wait_and_nothing_fails(daemon: LearningDaemon, home: Home, disk: Disk) -> None:
    disk.free_mb = 199
    files = [drop(home, chat(number)) for number in range(5)]
    with pytest.raises(AtlesError, match=r"only 199 MB free \(disk.learn_mb = 200\); make room, then .*atles drain"):
        daemon.drain()
    assert all(path.exists() for path in files) and daemon.store.sessions.list() == []
    seen = daemon.get_status()
    assert seen["disk"] == {"free": 199 * MIB, "state": "no learning"} and seen["inbox"] == 5
    disk.free_mb = 200
    until(lambda: not any(path.exists() for path in files), "they are taken in, unasked")
    assert daemon.drain() == []
    seen = daemon.get_status()
    assert seen["disk"]["state"] == "no training" and seen["stats"]["sessions_processed"] == 5
    assert seen["queue"]["dead"] == []


def test_a_drain_says_which_training_it_leaves(
    home: Home, fake: FakePrograms, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_steps, "_LOOK_AGAIN_SECONDS", 1.0)
    disk.free_mb = 1000
    for number in range(1, 14):
        drop(home, chat(number))
    daemon = LearningDaemon(home, replace(SETTINGS, disk=LIMITS))
    daemon.start()
    try:
        with pytest.raises(AtlesError, match=r"not everything could be learned: only 1000 MB free \(disk.train_mb"):
            daemon.drain()
        assert len(daemon.store.sessions.list()) == 13 and fake.runs("train") == []
        disk.free_mb = 3000
        assert daemon.drain() == [] and len(daemon.store.adapters.list()) == 1
    finally:
        daemon.stop()


def test_everybody_who_looks_is_told(home: Home, fake: FakePrograms, disk: Disk) -> None:
    settings = Settings(disk=LIMITS, gateway=GatewaySettings(port=0, upstream="http://127.0.0.1:9/v1"))
    daemon = LearningDaemon(home, settings, gateway=True)
    daemon.start()
    limits = ("--set", "disk.train_mb=2000", "--set", "disk.learn_mb=200")

    def said(*words: str) -> str:
        done = CliRunner().invoke(atles, ["--home", str(home.root), *limits, *words], prog_name="atles")
        return done.output

    try:
        assert "Disk" not in said("status") and "GB free" in said("doctor")
        disk.free_mb = 1331
        assert "1.3 GB free: no training begins; see `atles prune`" in said("status")
        assert json.loads(said("status", "--json"))["disk"] == {"free": 1331 * MIB, "state": "no training"}
        assert "No training begins before there is room: only 1.3 GB free (disk.train_mb = 2000)." in said("train")
        assert "no training begins: only 1.3 GB free" in said("doctor")
        disk.free_mb = 100
        assert "100 MB free: nothing is learned, though all is recorded" in said("status")
        findings = {it["check"]: it for it in json.loads(said("doctor", "--json"))}
        assert findings["disk"]["state"] == "fail" and "atles prune --dry-run" in findings["disk"]["fix"]
        with urlopen(f"{daemon.gateway_url}/readyz") as answer:
            assert json.load(answer) == {"status": "ready", "disk": "no learning", "database": "ok"}
    finally:
        daemon.stop()


# --- the real thing ---

_CHATS = """
import sys, time
from atles import SessionTracker
from atles.capture import outbox
for number in range(20):
    with SessionTracker(home=sys.argv[1]) as chat:
        chat.start_session(f"session_{number:03d}")
        chat.log_message("user", f"What colour is the boat number {number}?")
        chat.log_message("assistant", f"Boat number {number} is painted colour {number * 7}.")
print(len(outbox._waiting), flush=True)
sys.stdin.readline()
while outbox._waiting:
    time.sleep(0.05)
"""


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk of 4 MiB can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
@pytest.mark.parametrize("guarded", [True, False])
def test_twenty_chats_on_a_full_disk_are_all_learned_when_there_is_room(
    tmp_path: Path, fake: FakePrograms, guarded: bool
) -> None:
    """Also without the guard, as when the disk fills up within a moment: then steps fail, and are tried again."""
    with small_disk(tmp_path / "disk", 4) as folder:
        home = Home(folder / "home").create()
        limit = "disk.learn_mb=1" if guarded else "disk.learn_mb=0"
        with DaemonProcess(home, fake, limit, "train.enabled=false", "daemon.poll_seconds=0.5") as daemon:
            assert daemon.started, daemon.errors()
            filler = folder / "filler"
            with filler.open("wb", buffering=0) as file, suppress(OSError):  # there is no space left
                while True:
                    file.write(b"x" * 4096)
            host = subprocess.Popen(
                [sys.executable, "-c", _CHATS, str(home.root)],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert host.stdin and host.stdout
            assert host.stdout.readline() == "20\n", "all wait in the host: not one could be written"
            time.sleep(2)  # the daemon looks, and may fail
            filler.unlink()
            host.communicate("\n", timeout=60)
            assert host.returncode == 0
            until(lambda: home.master_log.exists() and idle(home), "all are learned", 180)  # as long as a lease
            assert daemon.terminate() == 0
        lines = [json.loads(line) for line in home.master_log.read_text().splitlines()]
        assert sorted(it["session_id"] for it in lines) == [f"session_{number:03d}" for number in range(20)]
        assert all(it["errors"] == [] for it in lines)
        store = Store(home.database)
        assert queue_of(store, "look", time.time).dead() == []
        store.close()
