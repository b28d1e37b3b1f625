"""A home in one file and back: everything in it, once; also while a daemon works, forgets and prunes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from atles.capture.tracker import SessionTracker
from atles.config import load_settings
from atles.errors import AtlesError, StoreError
from atles.layout import Home
from atles.pipeline import room
from atles.pipeline.erase import erase, mark
from atles.pipeline.lanes import open_queue
from atles.pipeline.shelf import open_shelf
from atles.records import AdapterState
from atles.scratch import scratch
from atles.settings import Settings, StoreSettings
from atles.store import Store, open_store
from atles.store.adapters import BASE
from atles.store.database import SCHEMA_VERSION
from atles.store.tables import TABLES, _OfSQLite, tables_of
from atles.store.transfer import digest
from atles.upkeep import backup as backup_module
from atles.upkeep.archive import Writer, verified
from atles.upkeep.backup import backup, name_for, rotate
from atles.upkeep.doctor import examine
from atles.upkeep.finding import OK, WARN, Finding
from atles.upkeep.restore import restore
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT, DaemonProcess, until
from tests.lived import lived_in
from tests.raw import execute
from tests.samples import chat, drop, session


@pytest.fixture(params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, home: Home, fake: FakePrograms) -> Settings:
    """A home that has seen everything, of either kind; its settings."""
    return lived_in(home, fake, request.getfixturevalue("postgresql") if request.param == "postgresql" else "")


def made(home: Home, settings: Settings, path: Path, **more: Any) -> Path:
    with closing(open_store(home, settings)) as store:
        backup(home, settings, store, path, home.config, **more)
    return path


def contents(store: Store) -> dict[str, tuple[int, str]]:
    tables = tables_of(store)
    return {table.name: digest(tables.rows(table)) for table in TABLES}


def findings(home: Home) -> dict[str, Finding]:
    """What a doctor finds that is not as it should be."""
    return {it.check: it for it in examine(home, Settings(), None, time.time()) if it.state != OK}


def files(home: Home, *folders: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home.root)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


# --- what is in it ---


def test_all_that_is_worth_keeping_comes_back(home: Home, lived: Settings, tmp_path: Path) -> None:
    drop(home, chat(50))
    tracker = SessionTracker(home=home.root)
    tracker.start_session("open")
    tracker.log_message("user", "Still talking.")
    (home.quarantine / "bad.json").write_text("{")
    (home.quarantine / "bad.json.reason.txt").write_text("not JSON\n")
    (home.models / "model.bin").write_text("x")
    (home.secrets).write_text("KEY=1")
    home.config.write_text("# mine\n[train]\nepochs = 7\n")
    os.utime(home.processed / "completed_session_001.json", (1_700_000_000, 1_700_000_000))
    with closing(open_store(home, lived)) as store:
        before = contents(store)
        queue = open_queue(store, lived)
        jobs = sorted(it.key for it in queue.open()), [(it.key, it.error) for it in queue.dead()]
        done = backup(home, lived, store, tmp_path / "b.tar.gz", home.config)
    assert done.bytes == done.path.stat().st_size and done.path.stat().st_mode & 0o777 == 0o600
    manifest = verified(done.path)
    assert manifest["schema"] == SCHEMA_VERSION and manifest["left_out"] == [] == list(done.left_out)
    assert manifest["store"] == ("postgresql" if lived.store.url else "sqlite")
    assert manifest["counts"] == done.counts and done.counts["sessions"] == 16
    assert not list(home.work.glob("backup-*")), "nothing is left of it"

    new = Home(tmp_path / "new")
    told = restore(done.path, new)
    assert told.counts == done.counts and told.home == new.root
    with closing(Store(new.database)) as store:
        assert contents(store) == before
        queue = open_queue(store, Settings())
        assert (sorted(it.key for it in queue.open()), [(it.key, it.error) for it in queue.dead()]) == jobs
        assert {it.state for it in queue.open()} == {"waiting"}, "what was running waits"
        assert not execute(store, "select 1 from sqlite_master where name = 'moving'")
    kept = ("training_data", "adapters", "sessions", "logs")
    assert files(new, *(getattr(new, it) for it in kept)) == files(home, *(getattr(home, it) for it in kept))
    assert new.config.read_text() == home.config.read_text()
    assert (new.processed / "completed_session_001.json").stat().st_mtime == 1_700_000_000
    assert not list(new.models.iterdir()) and not new.secrets.exists() and not new.socket.exists()
    assert all(not it.lstat().st_mode & 0o077 for it in (new.root, *new.root.rglob("*")))
    assert {name: it.state for name, it in findings(new).items()} == {"dead letters": WARN, "quarantine": WARN}
    assert (any("atles migrate --to postgresql" in it for it in told.notes)) is bool(lived.store.url)


def test_processed_files_can_be_left_out(home: Home, lived: Settings, tmp_path: Path) -> None:
    path = made(home, lived, tmp_path / "b.tar.gz", processed=False)
    new = Home(tmp_path / "new")
    restore(path, new)
    assert not list(new.processed.iterdir())
    assert set(findings(new)) == {"dead letters"}


def test_what_is_being_written_is_no_file_yet(home: Home, lived: Settings, tmp_path: Path) -> None:
    (home.sessions / ".completed_x.json.1.tmp").write_text("{")
    (home.logs / ".publishing").write_text("")
    (home.adapters / ".0009-00000000.tmp").mkdir()
    names = {it["path"] for it in verified(made(home, lived, tmp_path / "b.tar.gz"))["files"]}
    assert "atles.db" in names and not [name for name in names if "/." in name or name.endswith(".tmp")]


def test_passwords_are_not_in_it_and_a_copy_does_not_write_where_the_original_is(
    home: Home, lived: Settings, tmp_path: Path
) -> None:
    home.config.write_text(
        '[store]\nurl = "postgresql://me:hunter2@db/atles"\nartifacts = "s3://bucket/x"\nschema = "mine"\n'
    )
    path = made(home, lived, tmp_path / "b.tar.gz")
    new = Home(tmp_path / "new")
    told = restore(path, new)
    assert "hunter2" not in new.config.read_text() and "# url = " in new.config.read_text()
    assert load_settings(new).store == StoreSettings(schema="mine")
    assert any("they lead to where the original is" in it for it in told.notes)


def test_settings_that_cannot_be_changed_are_set_aside(home: Home, fake: FakePrograms, tmp_path: Path) -> None:
    lived_in(home, fake)
    path = made(home, Settings(), tmp_path / "a.tar.gz")
    home.config.write_text('store.url = "postgresql://db/atles"\n')
    made(home, Settings(), path)
    new = Home(tmp_path / "new")
    told = restore(path, new)
    assert not new.config.exists() and (new.root / "atles.toml.original").read_text() == home.config.read_text()
    assert any("not in force" in it for it in told.notes)


def test_other_settings_are_those_of_the_home(home: Home, lived: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[train]\nepochs = 9\n")
    with closing(open_store(home, lived)) as store:
        backup(home, lived, store, tmp_path / "b.tar.gz", other)
    restore(tmp_path / "b.tar.gz", Home(tmp_path / "new"))
    assert load_settings(Home(tmp_path / "new")).train.epochs == 9


# --- what goes meanwhile ---


@dataclass
class _Meanwhile:
    """Does something when the database has been copied, and the adapters have not."""

    do: Callable[[], object] = lambda: None
    done: list[str] = field(default_factory=list)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> _Meanwhile:
    happens, snapshot = _Meanwhile(), backup_module._snapshot

    def copied(*arguments: Any) -> None:
        snapshot(*arguments)
        happens.do()
        happens.done.append("copied")

    monkeypatch.setattr(backup_module, "_snapshot", copied)
    return happens


def forget(home: Home, settings: Settings, session_id: str) -> None:
    with closing(open_store(home, settings)) as store:
        erase(open_shelf(home, settings), store, open_queue(store, settings), mark(store, [session_id]))


def test_an_adapter_that_is_forgotten_meanwhile_is_retired_in_the_copy(
    home: Home, lived: Settings, tmp_path: Path, meanwhile: _Meanwhile
) -> None:
    with closing(open_store(home, lived)) as store:
        (adapter,) = store.adapters.list()
        assert store.adapters.active()[1] == adapter.name
    meanwhile.do = lambda: forget(home, lived, "session_001")
    path = made(home, lived, tmp_path / "b.tar.gz")
    assert meanwhile.done and not home.adapter(adapter.name).exists()
    new = Home(tmp_path / "new")
    told = restore(path, new)
    with closing(Store(new.database)) as store:
        assert store.adapters.get(adapter.name).state is AdapterState.RETIRED
        assert store.adapters.active()[1] == BASE
    assert not list(new.adapters.iterdir())
    assert "training data of 1 sessions is made again" in " ".join(told.notes)
    assert set(findings(new)) == {"dead letters"}


def test_weights_that_are_lost_are_said(home: Home, lived: Settings, tmp_path: Path) -> None:
    with closing(open_store(home, lived)) as store:
        (adapter,) = store.adapters.list()
        (home.adapter(adapter.name) / "adapter_model.safetensors").unlink()
        done = backup(home, lived, store, tmp_path / "b.tar.gz", home.config)
    (said,) = done.left_out
    assert f"the weights of adapter {adapter.name} cannot be read" in said
    told = restore(done.path, Home(tmp_path / "new"))
    assert any(said in it for it in told.notes)
    assert "adapters" in findings(Home(tmp_path / "new"))


def test_a_file_that_goes_between_two_looks_is_tried_again(
    home: Home, lived: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(home, lived)) as store:
        folder = home.adapter(store.adapters.list()[0].name)
    (folder / "adapter.gguf").write_bytes(b"GGUF")
    opened, tries = backup_module.opened, Counter[str]()

    def racing(paths: Any) -> Any:
        paths = list(paths)
        if any(it.name == "adapter.gguf" for it in paths):
            tries["adapter"] += 1
            (folder / "adapter.gguf").unlink()
        return opened(paths)

    monkeypatch.setattr(backup_module, "opened", racing)
    names = {it["path"] for it in verified(made(home, lived, tmp_path / "b.tar.gz"))["files"]}
    assert tries["adapter"] == 1
    assert f"adapters/{folder.name}/adapter_model.safetensors" in names
    assert f"adapters/{folder.name}/adapter.gguf" not in names


def test_a_session_that_flows_on_is_not_missed(
    home: Home, lived: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each opening of a file, that file moves on to where the daemon would bring it next."""
    (home.open_sessions / "a.jsonl").write_text('\n{"session_id": "a"}')
    drop(home, chat(60))
    opened = backup_module.opened
    onwards = {
        "a.jsonl": lambda path: path.rename(path.with_name("a.1.closing")),
        "a.1.closing": lambda path: (path.unlink(), drop(home, {"session_id": "a", "messages": []})),
    }

    def flowing(paths: Any) -> Any:
        paths = list(paths)
        for path in paths:
            if (move := onwards.pop(path.name, None)) and path.parent == home.open_sessions:
                move(path)
        return opened(paths)

    monkeypatch.setattr(backup_module, "opened", flowing)
    names = {it["path"] for it in verified(made(home, lived, tmp_path / "b.tar.gz"))["files"]}
    assert not onwards
    assert "learning_daemon/sessions/completed_a.json" in names
    assert not [name for name in names if "/open/" in name]


def test_what_people_move_back_from_quarantine_is_not_missed(
    home: Home, lived: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.quarantine / "completed_q.json").write_text("{")
    opened = backup_module.opened

    def moving(paths: Any) -> Any:
        paths = list(paths)
        for path in paths:
            if path.parent == home.quarantine and path.exists():
                path.rename(home.sessions / path.name)
        return opened(paths)

    monkeypatch.setattr(backup_module, "opened", moving)
    names = {it["path"] for it in verified(made(home, lived, tmp_path / "b.tar.gz"))["files"]}
    assert "learning_daemon/sessions/completed_q.json" in names


def test_killed_it_leaves_the_backup_before(home: Home, fake: FakePrograms, tmp_path: Path) -> None:
    lived_in(home, fake)
    folder = tmp_path / "backups"
    folder.mkdir()
    made(home, Settings(), folder)
    (path,) = folder.iterdir()
    before = path.read_bytes()
    code = """
import os, signal, sys
from pathlib import Path
from atles.layout import Home
from atles.settings import Settings
from atles.store import Store
from atles.upkeep import backup
backup._one_file = lambda path: os.kill(os.getpid(), signal.SIGKILL)
home = Home(sys.argv[1])
backup.backup(home, Settings(), Store(home.database), Path(sys.argv[2]), home.config)
"""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, str(home.root), str(folder)], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
        assert path.read_bytes() == before
        (copy,) = home.work.glob("backup-*/atles.db")  # the next one took away what the first had left
        (left,) = [it for it in folder.iterdir() if it.name.endswith(".tmp")]
    (found,) = [it for it in examine(home, Settings(), None, time.time()) if it.check == "leftovers"]
    assert found.state == WARN and "work/backup-" in found.detail
    assert found.repaired().fix == "deleted 1" and not copy.exists() and not list(home.work.glob("backup-*"))
    with scratch(home.work):
        made(home, Settings(), folder)
        assert left.exists(), "it may be theirs who are at it"
    made(home, Settings(), folder)
    assert not left.exists() and len(list(folder.iterdir())) == 3
    partial, other = folder / ".one.tar.gz.77.0123abcd.tmp", folder / ".two.tar.gz.77.0123abcd.tmp"
    partial.touch()
    other.touch()
    made(home, Settings(), folder / "one.tar.gz")
    assert not partial.exists() and other.exists()


def test_of_a_damaged_database_no_backup_is_made_and_none_restored(
    home: Home, fake: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived_in(home, fake)
    with closing(Store(home.database)) as store:
        for number in range(200):
            store.sessions.add(session(f"more{number}", f"u: {number} {'word ' * 100}"), 5)
        (root,) = next(tables_of(store).select("select rootpage from sqlite_master where name = 'messages'"))
        store.database.settle()
    data = bytearray(home.database.read_bytes())
    data[(root - 1) * 4096 + 200 : root * 4096] = b"\xa5" * (4096 - 200)
    home.database.write_bytes(data)
    with pytest.raises(StoreError, match=r"no backup was made: .*atles\.db is damaged \("):
        made(home, Settings(), tmp_path / "b.tar.gz")
    assert not [it for it in tmp_path.iterdir() if "b.tar.gz" in it.name]
    monkeypatch.setattr(_OfSQLite, "damage", lambda self: "")
    made(home, Settings(), tmp_path / "b.tar.gz")
    monkeypatch.undo()
    with pytest.raises(AtlesError, match="the database in the backup is damaged"):
        restore(tmp_path / "b.tar.gz", Home(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_nothing(
    home: Home, lived: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Writer, *arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "finish", full)
    with pytest.raises(OSError, match="No space"):
        made(home, lived, tmp_path / "b.tar.gz")
    assert not [it for it in tmp_path.iterdir() if "b.tar.gz" in it.name]
    assert not list(home.work.glob("backup-*"))


def test_only_the_newest_are_kept_and_nothing_else_is_touched(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "my-host.example.org")
    other = Home(tmp_path / "other" / home.root.name)
    own, theirs = ([name_for(it, f"2026-01-0{day}T10:20:30+00:00") for day in range(1, 6)] for it in (home, other))
    assert re.fullmatch(rf"atles-my_host-{home.root.name}-[0-9a-f]{{8}}-20260101-102030\.tar\.gz", own[0])
    own.insert(1, own[0].replace(".tar", "-2.tar"))
    own.insert(2, own[0].replace(".tar", "-10.tar"))
    folder = tmp_path / "backups"
    folder.mkdir()
    stay = {*theirs, "atles-mine.tar.gz", "b.tar.gz", "atles-20260101-102030.tar.gz"}
    for name in (*own, *stay):
        (folder / name).touch()
    newest = folder / own.pop(0)  # though another of that second was made before, and had its name
    assert rotate(home, newest, 3) == own[:4]
    assert {it.name for it in folder.iterdir()} == {newest.name, *own[4:], *stay}


def test_homes_of_one_name_on_two_machines_are_two(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for host in ("a.x", "a.y", "", "ü"):
        monkeypatch.setattr("platform.node", lambda host=host: host)
        names.add(name_for(home, "2026-01-01T10:20:30+00:00"))
    assert len(names) == 4 and all(re.fullmatch(r"[A-Za-z0-9_.-]+", it) for it in names)
    monkeypatch.chdir(home.root)
    assert name_for(Home("."), "2026-01-01T10:20:30+00:00") in names, "however it is called"


@pytest.mark.parametrize("links", [True, False])
def test_two_in_one_second_are_two(
    home: Home, fake: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def none(*paths: object) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", none)
    lived_in(home, fake)
    monkeypatch.setattr(backup_module, "name_for", lambda home, at: "atles-x.tar.gz")
    folder = tmp_path / "backups"
    folder.mkdir()
    with closing(open_store(home, Settings())) as store:
        paths = [backup(home, Settings(), store, folder, home.config).path for _ in range(3)]
    assert [it.name for it in paths] == ["atles-x.tar.gz", "atles-x-2.tar.gz", "atles-x-3.tar.gz"]
    assert sorted(folder.iterdir()) == sorted(paths) and all(verified(it) for it in paths)


def test_of_the_logs_only_what_is_written_there(home: Home, fake: FakePrograms, tmp_path: Path) -> None:
    lived_in(home, fake)
    made(home, Settings(), home.logs / "earlier.tar.gz")
    made(home, Settings(), home.logs)
    names = {it["path"] for it in verified(made(home, Settings(), tmp_path / "b.tar.gz"))["files"]}
    logs = {it.rpartition("/")[2] for it in names if "/logs/" in it}
    assert {"master_log.jsonl", "daemon_stats.json"} < logs and not [it for it in logs if it.endswith(".gz")]


@pytest.mark.parametrize(
    "said",
    [
        'url = "postgresql://me@db/atles?sslmode=require&password=hunter3"',
        'url = "postgresql://db/atles?password=hunter3&user=me"',
        "url = 'postgresql://me:hunter3@db/atles?password=hunter3'",
        'url = "postgresql://me:hunter3@db/atles" # password=hunter3',
        'url = "host=db password=hunter3"',
        "url = \"host=db password='hunter3' user=me\"",
    ],
)
def test_settings_without_the_password_are_settings(home: Home, fake: FakePrograms, tmp_path: Path, said: str) -> None:
    lived_in(home, fake)
    home.config.write_text(f'[store]\n{said}\nschema = "mine"\n')
    made(home, Settings(), tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        file = archive.extractfile("atles.toml")
        assert file
        text = file.read().decode()
    assert tomllib.loads(text)["store"]["schema"] == "mine"
    assert "hunter3" not in tomllib.loads(text)["store"]["url"]


# --- where it is restored ---


@pytest.fixture
def path(home: Home, fake: FakePrograms, tmp_path: Path) -> Path:
    """A backup."""
    lived_in(home, fake)
    return made(home, Settings(), tmp_path / "b.tar.gz")


def test_into_an_empty_home(path: Path, tmp_path: Path) -> None:
    new = Home(tmp_path / "new").create()
    new.lock.touch()
    restore(path, new)
    assert new.database.exists() and not new.root.with_name(".new.restoring").exists()


@pytest.mark.parametrize("what", ["atles.db", "atles.toml", "learning_daemon/sessions/completed_x.json", "mine"])
def test_not_into_a_home_that_holds_something(path: Path, tmp_path: Path, what: str) -> None:
    new = Home(tmp_path / "new").create()
    (new.root / what).write_text("mine")
    with pytest.raises(AtlesError, match="holds something already"):
        restore(path, new)
    assert (new.root / what).read_text() == "mine" and not [it for it in tmp_path.iterdir() if "restoring" in it.name]


def test_not_while_a_daemon_runs(path: Path, home: Home, fake: FakePrograms) -> None:
    with DaemonProcess(home, fake), pytest.raises(AtlesError, match="works on"):
        restore(path, home)


def test_not_where_there_is_no_room(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda folder: 1000)
    with pytest.raises(AtlesError, match=r"takes .* and 1000 bytes are free"):
        restore(path, Home(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_not_a_newer_one(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atles.upkeep.restore.SCHEMA_VERSION", SCHEMA_VERSION - 1)
    with pytest.raises(AtlesError, match="made by a newer ATLES"):
        restore(path, Home(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_not_a_damaged_one_and_nothing_is_written(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(AtlesError, match="cannot be restored"):
        restore(path, Home(tmp_path / "new"))
    assert not [it for it in tmp_path.iterdir() if "new" in it.name]


def test_where_the_home_is_a_disk_of_its_own(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that something is mounted on cannot be renamed over."""
    new = Home(tmp_path / "new")
    new.root.mkdir(0o700)
    (new.root / ".restoring").mkdir()  # of one that was killed
    inode = new.root.stat().st_ino
    monkeypatch.setattr(Path, "is_mount", lambda self: self == new.root)
    restore(path, new)
    assert new.root.stat().st_ino == inode and new.database.exists() and not (new.root / ".restoring").exists()
    assert set(findings(new)) == {"dead letters"}


def test_killed_while_it_is_moved_to_its_place_it_is_finished(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Home(tmp_path / "new")
    new.root.mkdir(0o700)
    monkeypatch.setattr(Path, "is_mount", lambda self: self == new.root)
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.name == new.daemon.name:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        restore(path, new)
    monkeypatch.setattr(Path, "rename", rename)
    assert new.adapters.exists() and not new.database.exists() and not new.daemon.exists()

    with Writer(tmp_path / "other") as archive, open(path, "rb") as file:
        archive.add("atles.db", file)
        archive.finish({"atles": "0", "schema": SCHEMA_VERSION, "made_at": "x", "store": "sqlite", "counts": {}})
    with pytest.raises(AtlesError, match="is half restored in"):
        restore(tmp_path / "other", new)
    new.daemon.mkdir()
    with pytest.raises(AtlesError, match="has come since the restore began"):
        restore(path, new)
    new.daemon.rmdir()
    assert restore(path, new).notes == restore(path, Home(tmp_path / "again")).notes
    assert set(findings(new)) == {"dead letters"} and not (new.root / ".restoring").exists()


def test_into_the_folder_where_one_is(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = Home(tmp_path / "new").create()
    new.lock.touch()
    monkeypatch.chdir(new.root)
    assert restore(path, Home(".")).home == new.root
    assert Path("atles.db").exists() and not Path(".restoring").exists(), "seen by the shell that is there"
    assert set(findings(new)) == {"dead letters"}


def test_through_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    assert restore(path, Home(tmp_path / "link")).home == tmp_path / "real"
    assert (tmp_path / "link").is_symlink() and set(findings(Home(tmp_path / "link"))) == {"dead letters"}


def test_one_that_was_killed_is_begun_anew(path: Path, tmp_path: Path) -> None:
    left = tmp_path / ".new.restoring"
    left.mkdir()
    (left / "atles.db").write_text("half of it")
    restore(path, Home(tmp_path / "new"))
    assert not left.exists() and set(findings(Home(tmp_path / "new"))) == {"dead letters"}


def test_an_older_database_is_brought_up_to_date(path: Path, home: Home, tmp_path: Path) -> None:
    with closing(Store(home.database)) as store:
        execute(store, f"pragma user_version = {SCHEMA_VERSION - 1}")
    shutil.copy(home.database, tmp_path / "old.db")
    with Writer(path) as archive, open(tmp_path / "old.db", "rb") as file:
        archive.add("atles.db", file)
        archive.finish(
            {
                "atles": "0",
                "schema": SCHEMA_VERSION - 1,
                "made_at": "x",
                "store": "sqlite",
                "counts": {},
                "left_out": [],
            }
        )
    restore(path, Home(tmp_path / "new"))
    with closing(Store(Home(tmp_path / "new").database)) as store:
        assert execute(store, "pragma user_version")[0][0] == SCHEMA_VERSION


# --- under load ---


class Load:
    """Sessions that arrive all the time, as files and from a tracker that journals."""

    def __init__(self, home: Home) -> None:
        self.home, self.there, self._stop = home, {}, threading.Event()
        self._threads = [threading.Thread(target=it) for it in (self._files, self._chats)]

    there: dict[str, list[str]]  # session -> the words of its messages, once it cannot be lost any more

    def _files(self) -> None:
        number = 100
        while not self._stop.wait(0.01):
            number += 1
            drop(self.home, session := chat(number))
            self.there[session["session_id"]] = [it["content"] for it in session["messages"]]

    def _chats(self) -> None:
        tracker, number = SessionTracker(home=self.home.root), 0
        while not self._stop.wait(0.01):
            number += 1
            name = tracker.start_session(f"talk{number}")
            said = [("user", f"What is {number}?"), ("assistant", f"A number, {number}.")]
            for role, words in said:
                tracker.log_message(role, words)
            self.there[name] = [words for _, words in said]
            time.sleep(0.02)
            tracker.end_session()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_under_load_nothing_is_missing_and_nothing_is_there_twice(
    home: Home, fake: FakePrograms, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    settings = Settings()
    if kind == "postgresql":
        settings = replace(settings, store=StoreSettings(request.getfixturevalue("postgresql")))
        home.config.write_text(f'[store]\nurl = "{settings.store.url}"\n')
    taken: list[tuple[Path, dict[str, list[str]]]] = []
    with DaemonProcess(home, fake), Load(home) as load, closing(open_store(home, settings)) as store:
        until(lambda: store.adapters.active()[1], "it has learned something", 90)
        for number in range(4):
            time.sleep(0.3)
            there = dict(load.there)
            taken.append((made(home, settings, tmp_path / f"{number}.tar.gz"), there))
    flowing = 0
    for number, (path, there) in enumerate(taken):
        manifest = verified(path)
        assert manifest["left_out"] == []
        flowing += sum(
            "/sessions/open/" in it["path"] or "/sessions/completed" in it["path"] for it in manifest["files"]
        )
        new = Home(tmp_path / f"new{number}")
        restore(path, new)
        wrong = {name: it for name, it in findings(new).items() if name != "daemon"}
        assert wrong == {}
        if number not in (0, len(taken) - 1):
            continue
        with DaemonProcess(new, fake, "daemon.idle_minutes=0.001", "train.max_load=0") as daemon:
            until(lambda new=new: not waiting(new), "the rest is learned", 120)
            assert daemon.terminate() == 0
        learned(new, there)
        assert findings(new) == {}
    assert flowing, "some of it was not in the database yet"


def waiting(home: Home) -> bool:
    with closing(Store(home.database)) as store:
        files = [*home.open_sessions.iterdir(), *home.sessions.glob("completed_*.json")]
        return bool(files or open_queue(store, Settings()).open())


def learned(home: Home, there: dict[str, list[str]]) -> None:
    """Every session of the beginning is in every place once, and says what it said."""
    assert not list(home.quarantine.iterdir())
    with closing(Store(home.database)) as store:
        rows = Counter(row["session_id"] for row in store.sessions.list())
        assert set(rows.values()) == {1} and there.keys() <= rows.keys()
        for session_id, words in there.items():
            assert [it.text for it in store.sessions.get(session_id).session.messages] == words
        assert {row["session_id"] for row in store.memories.sessions()} == rows.keys()
    log = Counter(json.loads(line)["session_id"] for line in home.master_log.read_text().splitlines())
    assert log == rows
