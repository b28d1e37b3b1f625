"""What many tests start from: a home, a store, and fake machine-learning programs."""

import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atles import log as logs
from atles import programs
from atles.layout import Home
from atles.pipeline import room
from atles.store import Store
from atles.store.postgresql import PostgreSQL
from bench import postgres
from tests.fakes import FakePrograms
from tests.fakes.process import DaemonProcess, idle, until
from tests.fakes.s3 import on_s3, s3_server
from tests.samples import EXAMPLES, drop

# A runner in the background may have been started with Ctrl-C ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


# What takes longest, begun first, so that no process of several waits for another one at the end.
LONGEST = ("test_damaged.py", "test_flow.py", "test_programs.py", "test_chaos.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
    # Processes share tests out by their ids: of two with the same, one would not be run.
    if twice := [it for it, times in Counter(item.nodeid for item in items).items() if times > 1]:
        raise pytest.UsageError(f"these tests have the same id, give them others: {', '.join(twice)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged may be no text that UTF-8 can hold, and reports go from process to process."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ATLES_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATLES_GATEWAY_PORT", "0")  # daemons of several homes run at once
    # However full the disk of this machine is, in this process and in others.
    monkeypatch.setattr(room, "free_bytes", lambda folder: 1 << 40)
    for name in ("TRAIN", "LEARN"):
        monkeypatch.setenv(f"ATLES_DISK_{name}_MB", "0")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the 135M base model is converted to, once for all tests."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


@pytest.fixture
def short_home() -> Iterator[Home]:
    """A home with a short path: there may be a socket in it, whose path may not be long."""
    with tempfile.TemporaryDirectory(prefix="atles-") as folder:
        yield Home(Path(folder) / "home").create()


@pytest.fixture(scope="session")
def template() -> str:
    """The name of a PostgreSQL database with the store's empty tables."""
    url = postgres.server().database()
    PostgreSQL(url).close()
    return url.split("/")[3].split("?")[0]


@pytest.fixture
def postgresql(template: str) -> Iterator[str]:
    """The address of a PostgreSQL database of its own, with the store's empty tables."""
    url = postgres.server().database(template)
    yield url
    postgres.server().drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, home: Home) -> Iterator[Store]:
    """A store of each kind that there is."""
    database = PostgreSQL(request.getfixturevalue("postgresql")) if request.param == "postgresql" else home.database
    opened = Store(database)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(home: Home) -> Iterator[Store]:
    """A store in a SQLite file, for what only that has."""
    opened = Store(home.database)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An S3 with the bucket `tests.fakes.s3.BUCKET`, for this process and those that it starts."""
    on_s3(s3_endpoint, monkeypatch)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePrograms]:
    """Fake programs in the place of the real ones."""
    fakes = FakePrograms(tmp_path / "control")
    monkeypatch.setattr(programs, "command", fakes.command)
    yield fakes
    logs.close()


@dataclass(frozen=True)
class Learned:
    """A home in which a daemon, a process of its own, learned the example sessions with fake programs."""

    home: Home
    sessions: tuple[dict, ...]
    modules: frozenset[str]  # that the daemon had imported
    mapped: str  # /proc/PID/maps of the daemon after its work
    resident_mb: float


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    folder = tmp_path_factory.mktemp("learned")
    home, fakes = Home(folder / "home").create(), FakePrograms(folder / "control")
    sessions = tuple(json.loads(file.read_text()) for file in sorted(EXAMPLES.glob("*.json")))
    with DaemonProcess(home, fakes) as daemon:
        for session in sessions:
            drop(home, session)
        until(lambda: home.master_log.exists() and idle(home), "the examples are learned")
        proc = Path(f"/proc/{daemon.pid}")
        mapped, status = (proc / "maps").read_text(), (proc / "status").read_text()
        assert daemon.terminate() == 0
    (resident,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    modules = frozenset((fakes.control / "modules").read_text().split())
    return Learned(home, sessions, modules, mapped, int(resident) / 1024)
