"""What systemd hears of a daemon: that it works, that it still does, that it ends; and nothing where nobody listens."""

import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atles.cli.foreground import LearningDaemon
from atles.errors import Damaged, StoreError
from atles.gateway.server import Gateway
from atles.layout import Home
from atles.settings import GatewaySettings, Settings
from atles.upkeep.notify import Supervisor
from atles.upkeep.pulse import Part, Pulse
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT, until
from tests.samples import chat, drop


class FakeSystemd:
    """A socket that daemons send their news to. `heard` are the datagrams that came, each as its lines."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self.heard: list[list[str]] = []

    def listen(self) -> list[list[str]]:
        """All that has come so far."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    return str(tmp_path / "notify") if request.param == "file" else f"@atles-test-{os.getpid()}-{tmp_path.name}"


@pytest.fixture
def systemd(address: str) -> Iterator[FakeSystemd]:
    made = FakeSystemd(address)
    yield made
    made.close()


def test_news_are_one_datagram(systemd: FakeSystemd, address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    supervisor.tell("READY=1", "STATUS=all is well")
    supervisor.tell("STOPPING=1")
    assert systemd.listen() == [["READY=1", "STATUS=all is well"], ["STOPPING=1"]]


def test_a_name_cannot_pass_for_other_news(systemd: FakeSystemd, address: str) -> None:
    Supervisor({"NOTIFY_SOCKET": address}).tell("STATUS=learning on /a\nSTOPPING=1\r\ud83d")
    assert systemd.listen() == [["STATUS=learning on /a STOPPING=1 \\ud83d"]]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_nothing_happens_where_nobody_listens(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("it opened a socket"))
    supervisor = Supervisor(environment)
    supervisor.tell("READY=1")
    assert supervisor.watchdog_seconds == 0


def test_what_cannot_be_sent_is_logged_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "atles.daemon"):
        Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("WATCHDOG=1", "STATUS=x")
    assert "cannot tell systemd WATCHDOG=1" in caplog.text


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getppid())}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": ""}, 0.0),
        ({"WATCHDOG_PID": str(os.getpid())}, 0.0),
    ],
)
def test_how_often_it_wants_to_hear(environment: dict[str, str], seconds: float) -> None:
    assert Supervisor(environment).watchdog_seconds == seconds


# --- the pulse ---


def pulse(
    address: str, parts: dict[str, Callable[[], bool]], ask: Callable[[], object] = lambda: None
) -> tuple[Pulse, threading.Event]:
    stop = threading.Event()
    supervisor = Supervisor({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"})
    return Pulse([Part(*it) for it in parts.items()], ask, stop, supervisor), stop


def test_it_is_heard_of_while_all_parts_live(systemd: FakeSystemd, address: str) -> None:
    beat, _ = pulse(address, {"one": lambda: True, "other": lambda: True})
    assert beat.seconds == 1.0, "three times before it would be ended"
    beat.look()
    beat.look()
    assert systemd.listen() == [["WATCHDOG=1"], ["WATCHDOG=1"]]


def test_a_dead_part_is_logged_once_and_nothing_is_heard_any_more(
    systemd: FakeSystemd, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    alive = {"lane train": True, "the monitor": True}
    beat, _ = pulse(address, {name: lambda name=name: alive[name] for name in alive})
    beat.look()
    alive["lane train"] = False
    with caplog.at_level(logging.ERROR, "atles.daemon"):
        beat.look()
        beat.look()
        assert [it.getMessage() for it in caplog.records] == [
            "lane train ended, and nobody had asked for it; `atles restart` begins anew"
        ]
        alive["the monitor"] = False
        beat.look()
    assert "lane train and the monitor ended" in caplog.text
    assert [lines[0][:8] for lines in systemd.listen()] == ["WATCHDOG", "STATUS=l", "STATUS=l"]


def test_a_store_that_does_not_answer_is_no_sign_of_life(systemd: FakeSystemd, address: str) -> None:
    def ask() -> None:
        raise StoreError("disk I/O error")

    beat, _ = pulse(address, {}, ask)
    with pytest.raises(StoreError):
        beat.look()
    assert systemd.listen() == []


def test_a_damaged_database_is_told_and_no_reason_to_be_ended(
    systemd: FakeSystemd, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Begun anew it would find the same file, and who talks to a model through it would be cut off."""
    damage = [Damaged("it is damaged"), Damaged("it is damaged"), None]

    def ask() -> None:
        if found := damage.pop(0):
            raise found

    beat, _ = pulse(address, {"one": lambda: True}, ask)
    with caplog.at_level(logging.INFO, "atles.daemon"):
        for _ in range(3):
            beat.look()
    said = ["nothing is learned, though all is recorded: it is damaged", "the database is whole again"]
    assert [it.getMessage() for it in caplog.records] == said
    alive = ["WATCHDOG=1"]
    told = [["STATUS=nothing is learned: it is damaged"], alive, alive, ["STATUS=learning"], alive]
    assert systemd.listen() == told


def test_parts_that_were_told_to_end_are_no_trouble(
    systemd: FakeSystemd, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    beat, stop = pulse(address, {"lane learn": lambda: False})
    stop.set()
    beat.look()
    assert systemd.listen() == [] and not caplog.records


# --- the daemon ---


@pytest.fixture
def watched(home: Home, fake: FakePrograms, systemd: FakeSystemd, address: str) -> Iterator[LearningDaemon]:
    """A daemon with all its parts, that wants to be heard of every tenth of a second."""
    supervisor = Supervisor({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"})
    settings = Settings(gateway=GatewaySettings(port=0))
    daemon = LearningDaemon(home, settings, embedded=False, gateway=True, supervisor=supervisor)
    daemon.start()
    yield daemon
    daemon.stop()


def test_a_daemon_that_works_is_heard_of_again_and_again(watched: LearningDaemon, systemd: FakeSystemd) -> None:
    until(lambda: systemd.listen().count(["WATCHDOG=1"]) >= 3, "it was heard of three times")
    assert {part.name for part in watched._parts()} == {
        "lane learn", "lane train", "the monitor", "the gateway", "the errands",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("part", ["monitor", "lane", "gateway", "errands"])
def test_a_daemon_of_which_a_part_died_is_not(
    watched: LearningDaemon, systemd: FakeSystemd, home: Home, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: ["WATCHDOG=1"] in systemd.listen(), "it lives")
    if part == "monitor":
        monkeypatch.setattr(watched._monitor, "_offer", lambda path: sys.exit())
        drop(home, chat(1))
        dead = "the monitor"
    elif part == "lane":
        worker = watched._crew.workers[0]
        monkeypatch.setattr(worker, "run_one", lambda: sys.exit())
        watched._wake(worker.lane)
        dead = f"lane {worker.lane}"
    elif part == "errands":
        errands = watched._errands
        monkeypatch.setattr(errands, "do_due", lambda: sys.exit())
        errands._thread = threading.Thread(target=errands._keep)  # the first waits for what is due in minutes
        errands.start()
        dead = "the errands"
    else:
        gateway = watched._gateway
        assert isinstance(gateway, Gateway) and gateway._loop
        monkeypatch.setattr("atles.gateway.server._ANSWER_SECONDS", 0.2)
        released = threading.Event()
        gateway._loop.call_soon_threadsafe(released.wait, 30)
        dead = "the gateway"
    until(lambda: f"{dead} ended, and nobody had asked for it" in home.log.read_text(), "it is noticed")
    assert f"STATUS={dead} ended unexpectedly; waiting to be started anew" in [it[0] for it in systemd.listen()]
    before = len(systemd.heard)
    assert len(systemd.listen()) == before, "silence"
    if part == "gateway":
        released.set()
        until(lambda: ["WATCHDOG=1"] in systemd.listen()[before:], "it was only busy")


def test_stopping_is_told_as_no_trouble(home: Home, fake: FakePrograms, watched: LearningDaemon) -> None:
    watched.stop()
    assert "nobody had asked for it" not in home.log.read_text()


def test_run_tells_when_it_is_ready_and_when_it_ends(home: Home, systemd: FakeSystemd, address: str) -> None:
    """As systemd starts it: a process of its own, with the environment of a unit."""
    words = [sys.executable, "-m", "atles", "--home", str(home.root), "--set", "train.enabled=false", "run", "--quiet"]
    environment = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
    daemon = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        until(lambda: len(systemd.listen()) >= 3, "it was heard of")
        ready = next(lines for lines in systemd.heard if "READY=1" in lines)
        assert ready[1].startswith(f"STATUS=learning on {home.root.resolve()}; OpenAI clients: base_url=http://127")
        assert ["WATCHDOG=1"] in systemd.heard
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
        assert ["STOPPING=1", "STATUS=finishing the short steps"] in systemd.listen()
    finally:
        daemon.kill()
        daemon.wait()


def test_whoever_is_ended_by_the_watchdog_says_where_it_was(home: Home, systemd: FakeSystemd, address: str) -> None:
    words = [sys.executable, "-m", "atles", "--home", str(home.root), "--set", "train.enabled=false", "run", "--quiet"]
    environment = {**os.environ, "NOTIFY_SOCKET": address}
    daemon = subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )  # fmt: skip
    try:
        until(systemd.listen, "it is ready")
        daemon.send_signal(signal.SIGABRT)
        _, errors = daemon.communicate(timeout=60)
        assert "Fatal Python error: Aborted" in errors and "monitor.py" in errors
    finally:
        daemon.kill()
        daemon.wait()
