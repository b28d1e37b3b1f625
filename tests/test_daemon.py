"""LearningDaemon, as a program that embeds it sees it."""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from filelock import FileLock

import atles
from atles.daemon import _DRAIN_SECONDS, STOP_SECONDS, LearningDaemon, home_status
from atles.errors import AtlesError, Damaged, HomeLocked, StoreError
from atles.gateway import server
from atles.insights.status import owner
from atles.layout import Home
from atles.one_daemon import get_daemon, get_daemon_status, start_daemon, stop_daemon
from atles.pipeline import journal, lanes, room, steps
from atles.pipeline.finetune import ModelFineTuner
from atles.pipeline.memory import MemoryProcessor
from atles.queue import Job, NewJob
from atles.settings import DaemonSettings, GatewaySettings, QueueSettings, Settings
from atles.store import Store
from tests.fakes import FakePrograms
from tests.fakes.process import until
from tests.raw import overwrite
from tests.samples import chat, drop


@pytest.fixture
def daemon(home: Home, fake: FakePrograms) -> Iterator[LearningDaemon]:
    made = LearningDaemon(home, Settings())
    made.start()
    yield made
    made.stop()


def test_a_dropped_session_is_taken_at_once_and_learned(daemon: LearningDaemon, home: Home) -> None:
    began = time.monotonic()
    drop(home, chat(1))
    until(lambda: daemon.store.sessions.list(), "it is stored", 3)
    assert time.monotonic() - began < 3, "long before the next look, 5 s later"
    assert daemon.drain() == []
    assert daemon.store.memories.session("session_001")
    assert json.loads(home.stats.read_text())["sessions_processed"] == 1


def test_a_file_that_is_taken_between_two_looks_is_waited_for(
    daemon: LearningDaemon, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_open = daemon.queue.open
    # Not by the monitor, but just after somebody looked.
    monkeypatch.setattr(type(daemon._crew.context), "no_learning", lambda self: "later")
    file = drop(home, chat(1))

    def looked() -> Sequence[Job]:
        found = queue_open()
        assert daemon.inbox.take(file)
        return found

    monkeypatch.setattr(daemon.queue, "open", looked)
    assert daemon._busy()


def test_what_lay_there_before_the_start_is_learned(home: Home, fake: FakePrograms) -> None:
    drop(home, chat(1))
    (home.sessions / "completed_bad.json").write_text("[]")
    daemon = LearningDaemon(home, Settings(daemon=DaemonSettings(settle_seconds=0)))
    daemon.start()
    assert daemon.drain() == []
    daemon.stop()
    assert home_status(home)["stats"]["sessions_processed"] == 1
    assert home_status(home)["quarantine"] == 1


def test_it_holds_its_parts(daemon: LearningDaemon) -> None:
    assert isinstance(daemon.memory_processor, MemoryProcessor)
    assert isinstance(daemon.model_fine_tuner, ModelFineTuner)
    assert daemon.model_fine_tuner.model_name == "smollm2-135m-instruct"


def test_the_status_is_the_same_from_inside_and_outside(daemon: LearningDaemon, home: Home) -> None:
    drop(home, chat(1))
    until(lambda: daemon.store.sessions.list(), "it is taken")
    daemon.drain()
    inside, outside = daemon.get_status(), home_status(home)
    assert inside["is_running"] and outside["is_running"]
    for status in (inside, outside):
        assert status["stats"].pop("uptime_hours") >= 0
    assert inside == outside
    assert inside["stats"] == {
        "sessions_processed": 1, "total_messages": 4, "total_memory_items": inside["stats"]["total_memory_items"],
        "total_fine_tunes": 0,
    }  # fmt: skip
    assert inside["queue"] == {"waiting": 0, "running": [], "dead": []} and inside["active_adapter"] is None


def test_starting_and_stopping_twice_is_once(home: Home, fake: FakePrograms) -> None:
    daemon = LearningDaemon(home, Settings())
    daemon.stop()
    daemon.start()
    daemon.start()
    assert daemon.is_running and owner(home)
    daemon.stop()
    daemon.stop()
    assert not daemon.is_running and owner(home) is None and not home.owner.exists()
    daemon.start()
    daemon.stop()
    text = home.log.read_text()
    assert text.count("daemon started on") == text.count("daemon stopped") == 2


def test_the_log_has_the_originals_format(daemon: LearningDaemon, home: Home) -> None:
    logging.getLogger("atles.test").info("half an emoji: \ud83d")
    for line in home.log.read_text().splitlines():
        stamp, level, message = line.split(" - ", 2)
        time.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f")
        assert level in ("INFO", "WARNING", "ERROR") and message
    assert "half an emoji: \\ud83d" in home.log.read_text()


def test_two_daemons_on_one_home(daemon: LearningDaemon, home: Home) -> None:
    with pytest.raises(HomeLocked, match=r"a daemon \(pid \d+\) works on .* already; see `atles status`"):
        LearningDaemon(home, Settings()).start()
    assert daemon.get_status()["is_running"]


def test_asking_for_the_status_does_not_keep_a_daemon_from_starting(home: Home, fake: FakePrograms) -> None:
    """`atles status` holds the lock for a moment to see whether it is free."""
    asking = FileLock(home.lock, thread_local=False)
    asking.acquire()
    threading.Timer(0.1, asking.release).start()
    daemon = LearningDaemon(home, Settings())
    daemon.start()
    daemon.stop()


def test_it_can_be_stopped_by_another_thread_than_started_it(home: Home, fake: FakePrograms) -> None:
    daemon = LearningDaemon(home, Settings())
    daemon.start()
    thread = threading.Thread(target=daemon.stop)
    thread.start()
    thread.join()
    again = LearningDaemon(home, Settings())
    again.start()
    again.stop()


def test_a_home_that_cannot_be_made_is_an_error_and_leaves_no_lock(tmp_path: Path, fake: FakePrograms) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        LearningDaemon(tmp_path / "file" / "home", Settings()).start()


def test_a_broken_database_is_an_error_and_leaves_no_lock(home: Home, fake: FakePrograms) -> None:
    home.database.write_bytes(b"no database " * 100)
    with pytest.raises(StoreError):
        LearningDaemon(home, Settings()).start()
    assert owner(home) is None


def test_a_database_that_is_gone_is_not_begun_anew_in_silence(home: Home, fake: FakePrograms) -> None:
    drop(home, chat(1))
    daemon = LearningDaemon(home, Settings(daemon=DaemonSettings(settle_seconds=0)))
    daemon.start()
    assert daemon.drain() == []
    daemon.stop()
    home.database.rename(home.migrated)
    with pytest.raises(StoreError, match="moved to PostgreSQL"):
        daemon.start()
    assert owner(home) is None and not home.database.exists()
    home.migrated.unlink()
    daemon.start()
    daemon.stop()
    (lost,) = [line for line in home.log.read_text().splitlines() if " - ERROR - " in line]
    assert "atles.db is gone, though 1 session was learned" in lost and "atles restore" in lost


@pytest.mark.parametrize("broken", [None, b"", b"\xff{", b'{"pid": 1}'])
def test_who_works_here_is_said_again_where_that_was_lost(home: Home, fake: FakePrograms, broken: bytes | None) -> None:
    daemon = LearningDaemon(home, Settings(queue=QueueSettings(lease_seconds=0.3)))
    daemon.start()
    said = owner(home)
    home.owner.unlink() if broken is None else home.owner.write_bytes(broken)
    until(lambda: (owner(home) or {}).get("pid") == os.getpid(), "it is there again", 3)
    assert owner(home) == said
    daemon.stop()
    assert not home.owner.exists()


def test_the_status_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(AtlesError, match="there is no ATLES home at"):
        home_status(Home(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_the_originals_functions(home: Home, fake: FakePrograms) -> None:
    assert atles.start_daemon is start_daemon
    try:
        daemon = start_daemon(home)
        assert get_daemon() is daemon and daemon.is_running
        assert get_daemon_status()["is_running"] is True
    finally:
        stop_daemon()
    assert get_daemon_status(home)["is_running"] is False
    stop_daemon()


def test_a_stop_does_not_wait_for_what_is_not_due(home: Home, fake: FakePrograms) -> None:
    daemon = LearningDaemon(home, Settings())
    daemon.start()
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 3


def test_a_stop_is_whole_though_the_store_is_away(
    home: Home, fake: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = LearningDaemon(home, Settings())
    daemon.start()

    def away(*given: object, **more: object) -> None:
        raise StoreError("the server is away")

    monkeypatch.setattr(daemon.queue, "next_due", away)
    monkeypatch.setattr(daemon.queue, "leave", away)
    monkeypatch.setattr(daemon.store.logs, "after", away)
    monkeypatch.setattr(daemon.inbox, "take", away)
    drop(home, chat(1))
    daemon.stop()
    assert not daemon.is_running and owner(home) is None and not home.owner.exists()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("atles-")]
    assert "they follow at the next start: the server is away" in home.log.read_text()
    again = LearningDaemon(home, Settings())
    again.start()
    assert again.drain() == []
    again.stop()
    assert "session_001" in home.master_log.read_text()


def test_a_stop_does_not_wait_for_room(home: Home, fake: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = LearningDaemon(home, Settings(daemon=DaemonSettings(settle_seconds=0)))
    daemon.start()
    monkeypatch.setattr(daemon.inbox, "take", lambda path: None)
    monkeypatch.setattr(room, "free_bytes", lambda folder: -1)  # less than any setting asks for
    daemon.queue.put(NewJob("memory", "memory:a#1", lanes.LEARN, {"session_id": "a", "revision": 1}))
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 5


def test_a_damaged_database_is_seen_and_keeps_nobody_waiting(home: Home, fake: FakePrograms) -> None:
    settings = Settings(
        daemon=DaemonSettings(poll_seconds=0.2), queue=QueueSettings(lease_seconds=0.3), gateway=GatewaySettings(port=0)
    )
    drop(home, chat(1))
    daemon = LearningDaemon(home, settings, gateway=True)
    daemon.start()
    assert daemon.drain() == []
    daemon.stop()
    was = overwrite(home.database, "session_logs")
    daemon.start()
    with suppress(Damaged):
        daemon.store.logs.of_session("session_001")  # if the errands have not come upon it
    until(lambda: "damage" in (owner(home) or {}), "it says so")
    file = drop(home, chat(2))
    with pytest.raises(Damaged, match=r"not everything could be learned: the database .* is damaged"):
        daemon.drain()
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{daemon.gateway_url}/readyz")
    assert refused.value.code == 503
    assert json.load(refused.value) == {"status": "not ready", "disk": "ok", "database": "damaged"}
    time.sleep(1)
    assert file.exists() and daemon.queue.dead() == []
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 5
    said = home.log.read_text()
    assert said.count("nothing is learned, though all is recorded: the database") == 1
    assert "Traceback" not in said and said.count("is damaged") < 6
    home.database.write_bytes(was)
    daemon.start()
    assert daemon.drain() == [] and "damage" not in (owner(home) or {})
    assert len(daemon.store.sessions.list()) == 2
    daemon.stop()


@pytest.mark.parametrize("fails", ["the gateway", "a step"])
def test_a_start_that_fails_leaves_nothing(
    home: Home, fake: FakePrograms, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    closed: list[Store] = []
    close = Store.close
    monkeypatch.setattr(Store, "close", lambda store: (closed.append(store), close(store)))
    if fails == "a step":
        monkeypatch.setattr(steps, "all_steps", lambda context: 1 / 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(gateway=GatewaySettings(port=taken.getsockname()[1]))
        daemon = LearningDaemon(home, settings, gateway=True)
        with pytest.raises((AtlesError, ZeroDivisionError), match=r"cannot listen|by zero"):
            daemon.start()
    assert not daemon.is_running and owner(home) is None and not home.owner.exists()
    assert closed == [daemon.store] and not logging.getLogger("atles").handlers
    monkeypatch.undo()
    daemon.start()
    daemon.stop()


def test_who_writes_the_logs_of_years_holds_up_no_lease(
    home: Home, fake: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, renewed = threading.Event(), threading.Event(), threading.Event()

    def long(*given: object, **more: object) -> None:
        begun.set()
        go_on.wait(30)

    monkeypatch.setattr(journal, "publish", long)
    daemon = LearningDaemon(home, Settings(queue=QueueSettings(lease_seconds=0.3)))
    daemon.start()
    try:
        assert begun.wait(10)
        monkeypatch.setattr(daemon.queue, "renew", lambda *jobs: renewed.set())
        assert renewed.wait(5)
    finally:
        go_on.set()
        daemon.stop()


@pytest.mark.parametrize("steps", ["", "train", "memory"])
def test_on_one_machine_it_does_what_nobody_else_would(home: Home, fake: FakePrograms, steps: str) -> None:
    drop(home, chat(1))
    daemon = LearningDaemon(home, Settings(daemon=DaemonSettings(steps=steps)))
    daemon.start()
    assert daemon.drain() == []
    assert not daemon.queue.open() and daemon.store.logs.of_session("session_001")
    daemon.stop()
    assert "daemon.steps is for several machines" in home.log.read_text()


def test_more_time_is_given_than_a_stop_takes() -> None:
    assert STOP_SECONDS > server._DRAIN_SECONDS + 6 * _DRAIN_SECONDS
    operations = Path(__file__).parent.parent / "docs" / "operations.md"
    assert f"`--stop-timeout {STOP_SECONDS:.0f}`" in operations.read_text("utf-8")
