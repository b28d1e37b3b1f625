"""A home is for its owner alone, whatever the umask of the process that writes to it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from atles.capture.tracker import SessionTracker
from atles.cli.app import atles
from atles.daemon import LearningDaemon
from atles.layout import Home, make_folder, write_atomic
from atles.settings import DaemonSettings, GatewaySettings, Settings, TrainSettings
from atles.store import Store
from tests.conftest import Learned
from tests.fakes import FakePrograms
from tests.fakes.process import until
from tests.samples import chat, drop


def open_to_others(folder: Path) -> dict[str, str]:
    """Whatever below a folder others could read, write or enter; the folder itself, too."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_mode & 0o077:
            found[str(path.relative_to(folder))] = oct(path.lstat().st_mode)
    return found


@pytest.fixture
def home(short_home: Home) -> Home:
    return short_home


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_home_that_has_learned_is_for_its_owner_alone(learned: Learned) -> None:
    """Its daemon and the programs had no umask to help them."""
    root = learned.home.root
    found = {path.name for path in root.rglob("*") if path.is_file()}
    assert {"atles.db", "daemon.log", "daemon.lock", "master_log.jsonl", "daemon_stats.json"} <= found
    assert {"adapter_model.safetensors", "report.html", "lineage.json", "manifest.json", "train.jsonl"} <= found
    assert open_to_others(root) == {}


def test_so_is_one_at_work_and_what_others_left_there(home: Home, fake: FakePrograms, no_umask: None) -> None:
    fake.modes("train", "slow")
    settings = Settings(
        daemon=DaemonSettings(settle_seconds=0), gateway=GatewaySettings(port=0), train=TrainSettings(max_load=0)
    )
    for number in range(30):
        drop(home, chat(number)).chmod(0o666)
    (home.sessions / "completed_bad.json").write_text("[]")
    tracker = SessionTracker(home=home.root)
    tracker.start_session("open")
    tracker.log_message("user", "Still talking.")
    daemon = LearningDaemon(home, settings, gateway=True)
    daemon.start()
    try:
        until(lambda: (home.work / "progress.json").exists(), "it trains")
        until(lambda: list(home.quarantine.iterdir()), "the bad file is set aside")
        assert open_to_others(home.root) == {}
        assert home.socket.is_socket() and list(home.open_sessions.iterdir())
        with daemon.store.database.transaction():
            assert {"atles.db-wal", "atles.db-shm"} <= {path.name for path in home.root.iterdir()}
    finally:
        daemon.stop()
    tracker.end_session()
    again = LearningDaemon(home, settings)
    again.start()
    again.drain()
    CliRunner().invoke(atles, ["--home", str(home.root), "forget", "session_003", "--yes"], catch_exceptions=False)
    again.drain()
    again.stop()
    assert list(home.adapters.iterdir()) and (home.processed / "completed_open.json").exists()
    assert open_to_others(home.root) == {}


def test_the_umask_of_the_host_stays_what_it_was(home: Home, fake: FakePrograms, no_umask: None) -> None:
    daemon = LearningDaemon(home, Settings())
    daemon.start()
    (home.root.parent / "file").write_text("")
    daemon.stop()
    assert (home.root.parent / "file").stat().st_mode & 0o777 == 0o666


def test_folders_are_made_all_the_way_up(tmp_path: Path, no_umask: None) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a")
    assert open_to_others(tmp_path / "a") == {}
    assert tmp_path.stat().st_mode & 0o777 == 0o755, "what was there keeps its rights"


def test_a_folder_cannot_be_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file" / "folder")


def test_an_old_file_that_is_written_again_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "report.json").chmod(0o644)
    write_atomic(tmp_path / "report.json", "{}")
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o600


def test_a_file_for_a_place_that_people_chose_follows_their_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "memories.jsonl", "{}", exported=True)
    finally:
        os.umask(before)
    assert (tmp_path / "memories.jsonl").stat().st_mode & 0o777 == 0o640


def locks(path: Path) -> list[list[str]]:
    """The locks of this process on a file: kind, mode, first and last byte."""
    fields = [line.split()[1:] for line in Path("/proc/locks").read_text().splitlines()]
    inode = f":{path.stat().st_ino}"
    return sorted([*it[:3], *it[5:7]] for it in fields if it[3] == str(os.getpid()) and it[4].endswith(inode))


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs /proc/locks")
def test_to_open_the_database_again_leaves_the_locks_of_this_process_alone(home: Home) -> None:
    """The system ends a process's locks on a file when the process closes any descriptor of that file."""
    store = Store(home.database)
    held = locks(home.database)
    assert held
    again = Store(home.database)
    assert locks(home.database) == held
    again.close()
    store.close()
