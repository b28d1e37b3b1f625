"""The daemon as people and service managers start and stop it: real processes, real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atles.cli import foreground, service
from atles.daemon import STOP_SECONDS, LearningDaemon
from atles.insights.status import alive, owner
from atles.layout import Home
from atles.store import Store
from tests.cli.conftest import NO_TRAINING, command, eventually
from tests.samples import chat, drop

Process = Callable[..., subprocess.CompletedProcess[str]]


def status(process: Process, code: int = 0) -> dict[str, Any]:
    return json.loads(process("status", "--json", code=code).stdout)


def test_start_status_restart_stop(process: Process, root: Path) -> None:
    started = json.loads(process("start", "--json", *NO_TRAINING).stdout)
    pid = started["pid"]
    assert (started["is_running"], started["home"]) == (True, str(root))
    assert status(process)["pid"] == pid
    assert f"runs already on {root} (pid {pid})" in process("start").stdout

    restarted = json.loads(process("restart", "--json", *NO_TRAINING).stdout)
    assert restarted["pid"] != pid
    assert status(process)["is_running"]

    assert "ATLES stopped" in process("stop").stdout
    assert status(process, code=3)["is_running"] is False
    assert "does not run" in process("stop").stdout


def test_as_long_is_waited_as_a_stop_may_take() -> None:
    for it in (service.stop, service.restart):
        (timeout,) = [option for option in it.params if option.name == "timeout"]
        assert timeout.default == STOP_SECONDS


def test_stop_returns_when_the_process_is_gone(call: Callable[..., Any], root: Path) -> None:
    """It gives its lock back before it ends, and until then a disk that its home is on cannot be unmounted."""
    home = Home(root).create()
    with subprocess.Popen([sys.executable, "-c", _SLOW_TO_END, str(root)], stdout=subprocess.PIPE, text=True) as slow:
        assert slow.stdout and slow.stdout.readline() == "ready\n"
        began = time.monotonic()
        assert "ATLES stopped" in call("stop", "--timeout", "30").stdout
        assert not alive(slow.pid) and owner(home) is None
        assert time.monotonic() - began < 4, "and not longer, though nobody has waited for it"


_SLOW_TO_END = """
import json, os, signal, sys, time
from filelock import FileLock
from atles.layout import Home
home = Home(sys.argv[1])
lock = FileLock(home.lock)
lock.acquire()
home.owner.write_text(json.dumps({"pid": os.getpid(), "started_at": time.time(), "embedded": False}))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
lock.release()
time.sleep(1)
"""


def test_a_second_daemon_is_refused_and_the_first_goes_on(process: Process, root: Path) -> None:
    process("start", *NO_TRAINING)
    refused = process("run", *NO_TRAINING, code=1)
    assert "works on" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert status(process)["is_running"]


def test_of_many_that_start_one_at_once_all_hear_that_it_runs(process: Process, root: Path) -> None:
    started = [
        subprocess.Popen(command(root, "start", "--json", *NO_TRAINING), stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [json.loads(it.communicate()[0]) for it in started]
    assert [it.returncode for it in started] == [0] * 4 and len({it["pid"] for it in said}) == 1
    (mine,) = {it["pid"] for it in said}
    assert f"pid {mine}" in process("stop").stdout


def test_a_killed_daemon_leaves_no_lock(process: Process, root: Path) -> None:
    pid = json.loads(process("start", "--json", *NO_TRAINING).stdout)["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: owner(Home(root)) is None)
    status(process, code=3)
    assert "was killed" in process("doctor", *NO_TRAINING).stdout
    process("start", *NO_TRAINING)
    assert status(process)["pid"] != pid


def test_start_says_why_it_failed(process: Process, root: Path) -> None:
    Home(root).create().database.write_text("this is no database, whatever its name says")
    said = process("start", *NO_TRAINING, code=1).stderr
    assert said.startswith("atles: the daemon did not start: ") and f"database {root}/atles.db" in said
    assert said.count("\n") == 1


def test_start_says_that_the_database_is_gone(process: Process, root: Path) -> None:
    drop(Home(root), chat(1))
    process("drain", *NO_TRAINING)
    Home(root).database.unlink()
    assert "atles.db is gone, though 1 session was learned: `atles restore" in process("start", *NO_TRAINING).stderr
    assert process("restart", *NO_TRAINING).stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_drains_when_it_is_told_to_end(root: Path, number: signal.Signals) -> None:
    home = Home(root).create()
    for chats in range(20):
        drop(home, chat(chats))
    daemon = subprocess.Popen(
        command(root, "run", *NO_TRAINING), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert daemon.stdout
    assert daemon.stdout.readline().startswith("ATLES runs on")
    eventually(lambda: (home.processed / "completed_session_000.json").exists())
    daemon.send_signal(number)
    _, errors = daemon.communicate(timeout=30)
    assert daemon.returncode == 0
    assert "daemon stopped" in errors
    assert not home.owner.exists()
    store = Store(home.database)
    try:
        stored, remembered = store.sessions.list(), store.memories.sessions()
    finally:
        store.close()
    assert len(stored) == len(remembered) > 0


def test_a_second_ctrl_c_ends_it_at_once(root: Path) -> None:
    daemon = subprocess.Popen(
        [sys.executable, "-c", _SLOW_TO_STOP, str(root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert daemon.stdout
    daemon.stdout.readline()
    daemon.send_signal(signal.SIGINT)
    assert daemon.stdout.readline() == "stopping\n"
    daemon.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert daemon.wait(10) == -signal.SIGINT
    assert time.monotonic() - began < 5
    daemon.stdout.close()


_SLOW_TO_STOP = """
import sys, time
from atles.cli import main
from atles.daemon import LearningDaemon
def stop(daemon):
    print("stopping", flush=True)
    time.sleep(60)
LearningDaemon.stop = stop
main(["--home", sys.argv[1], "run", "--quiet", "--set", "train.enabled=false"])
"""


@pytest.mark.parametrize(("gateway", "most_mb"), [("false", 40), ("true", 56)])
def test_the_daemon_process_holds_nothing_that_it_does_not_need(process: Process, gateway: str, most_mb: int) -> None:
    """What is imported stays in memory all day: no rich, no torch, and no HTTP server where none is wanted."""
    pid = json.loads(process("start", "--json", *NO_TRAINING, "--set", f"gateway.enabled={gateway}").stdout)["pid"]
    maps = Path(f"/proc/{pid}/maps")
    if not maps.exists():
        pytest.skip("needs /proc")
    mapped = maps.read_text()
    assert "torch" not in mapped
    assert "numpy" not in mapped
    resident = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) <= most_mb * 1024, resident
    code = "import sys, atles.cli.app, atles.cli.foreground; print({'rich', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_logs_show_the_end_and_follow(process: Process, root: Path) -> None:
    process("start", *NO_TRAINING)
    assert "daemon started" in process("logs", "-n", "1").stdout
    assert process("logs", "-n", "0").stdout == ""
    follower = subprocess.Popen(command(root, "logs", "-f", "-n", "1"), stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout
        assert "daemon started" in follower.stdout.readline()  # from here on it misses nothing
        drop(Home(root), chat(7))
        assert "session_007" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(10) == 130
    finally:
        follower.kill()
        follower.communicate()


def test_drain_waits_for_the_daemon_that_runs(process: Process, root: Path) -> None:
    process("start", *NO_TRAINING)
    for number in range(5):
        drop(Home(root), chat(number))
    done = json.loads(process("drain", "--json").stdout)
    assert done["stats"]["sessions_processed"] == 5
    assert status(process)["is_running"]


def test_drain_asks_for_no_training_where_that_is_off(
    call: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreground, "at_once", lambda: pytest.fail("it asked for one"))
    daemon = LearningDaemon(Home(root))
    daemon.start()
    try:
        drop(Home(root), chat(1))
        assert "1 session learned" in call("drain", *NO_TRAINING).stdout
    finally:
        daemon.stop()


def test_drain_does_not_wait_for_a_damaged_database(
    call: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreground, "owner", lambda home: {"pid": 1, "damage": "it is damaged"})
    Store(Home(root).create().database).close()
    drop(Home(root), chat(1))
    assert "not all can be learned: it is damaged" in call("drain", *NO_TRAINING, code=1).stderr


def test_stop_does_not_end_the_application_that_a_daemon_lives_in(tmp_path: Path) -> None:
    application = (
        "import sys, atles; atles.start_daemon(sys.argv[1]); print('ready', flush=True);"
        "sys.stdin.read(); atles.stop_daemon()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", application, str(tmp_path / "home")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == b"ready\n"
        stop = [sys.executable, "-m", "atles", "--home", str(tmp_path / "home"), "stop"]
        told = subprocess.run(stop, capture_output=True, text=True, check=False)
        assert told.returncode == 1 and "stop_daemon()" in told.stderr
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(30) == 0
