"""`atles migrate`: to PostgreSQL and back, with nothing left behind and nothing to go on in at the old place."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from filelock import FileLock

from atles.config import load_settings
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline import lanes
from atles.queue.procrastinate import ProcrastinateQueue
from atles.store import Store, open_store
from atles.store.postgresql import PostgreSQL
from atles.store.tables import TABLES, tables_of
from atles.store.transfer import check, digest, mark
from atles.upkeep import migrate as moving
from atles.upkeep.carry import carry
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT, DaemonProcess, until
from tests.lived import lived_in
from tests.raw import execute
from tests.samples import document, drop

Call = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture
def root(home: Home) -> Path:
    return home.root


@pytest.fixture
def lived(home: Home, fake: FakePrograms) -> dict[str, tuple[int, str]]:
    """A home in a SQLite file; what is in it."""
    lived_in(home, fake)
    return contents(Store(home.database))


def contents(store: Store) -> dict[str, tuple[int, str]]:
    """Every table as a number and a hash; the store is closed."""
    tables = tables_of(store)
    found = {table.name: digest(tables.rows(table)) for table in TABLES}
    store.close()
    return found


def jobs(store: Store, home: Home) -> dict[str, list[Any]]:
    """What waits and what is dead, as the queue says it; the store is closed."""
    queue = lanes.open_queue(store, load_settings(home))
    found = {
        "open": sorted((it.kind, it.key, it.lane, dict(it.payload)) for it in queue.open()),
        "dead": [(it.kind, it.key, it.lane, dict(it.payload), it.error, it.attempts) for it in queue.dead()],
    }
    store.close()
    return found


def with_password(url: str) -> str:
    return url.replace("atles@", "atles:hunter2@")


def test_there_and_back(home: Home, call: Call, told: Told, lived: dict[str, Any], postgresql: str) -> None:
    home.config.write_text('# mine\n[store]\n# where it is\nschema = "atles"  # so\n\n[train]\nepochs = 7 # few\n')
    home.config.chmod(0o644)
    before = jobs(Store(home.database), home)
    assert [len(before[state]) for state in ("open", "dead")] == [4, 1]

    done = told("migrate", "--to", postgresql)
    assert (done["rows"], done["jobs"], done["dead"], done["resumed"]) == (
        sum(number for number, _ in lived.values()), 4, 1, False,
    )  # fmt: skip
    assert home.config.read_text() == (
        f'# mine\n[store]\n# where it is\nschema = "atles"\nurl = "{postgresql}"\n\n[train]\nepochs = 7 # few\n'
    )
    assert home.config.stat().st_mode & 0o777 == 0o600
    assert not home.database.exists() and Path(done["kept"]) == home.root / "atles.db.migrated"
    settings = load_settings(home)
    assert contents(check(open_store(home, settings))) == lived
    after = jobs(open_store(home, settings), home)
    assert after == before
    status = call("status", "--json", code=3).stdout
    assert json.loads(status)["queue"]["waiting"] == 4

    done = told("migrate", "--to", "sqlite")
    assert (done["jobs"], done["dead"], done["target"]) == (4, 1, str(home.database))
    assert load_settings(home).store.url == "" and load_settings(home).train.epochs == 7
    assert re.search(
        rf"^# Moved to atles.db on .*:\n# url = \"{re.escape(postgresql)}\"$", home.config.read_text(), re.M
    )
    assert contents(check(Store(home.database))) == lived
    assert jobs(Store(home.database), home) == before
    assert json.loads(call("status", "--json", code=3).stdout)["queue"]["waiting"] == 4
    with pytest.raises(AtlesError, match=f"was moved to .*{re.escape(str(home.root))}"):
        check(Store(PostgreSQL(postgresql)))
    assert "marked by another migration" in call("migrate", "--to", postgresql, code=1).stderr


def test_a_daemon_goes_on_in_postgresql(
    home: Home, fake: FakePrograms, call: Call, lived: dict[str, Any], postgresql: str
) -> None:
    call("migrate", "--to", postgresql)
    store = open_store(home, load_settings(home))
    queue = lanes.open_queue(store, load_settings(home))
    with DaemonProcess(home, fake, "train.enabled=false"):
        until(lambda: {it.key for it in queue.open()} <= {"rebuild", "log:session_002#1"}, "the waiting are learned")
    assert store.memories.session_or_none("late/one") and store.examples.of_session("session_099")
    store.close()


def test_order_and_priority_are_those_of_a_cluster(
    home: Home, call: Call, lived: dict[str, Any], postgresql: str
) -> None:
    """Sessions of one user one after the other, trainings one at a time, also where a label is needed."""
    call("migrate", "--set", "train.needs=gpu", "--to", postgresql)
    store = Store(PostgreSQL(postgresql))
    rows = execute(store, "select task_name, queue_name, lock, priority, status from procrastinate_jobs")
    assert {tuple(row) for row in rows} == {
        ("memory", "memory", "user ann", 0, "todo"),
        ("memory", "memory", "user ", 0, "todo"),
        ("train", "train@gpu", "train", 0, "todo"),
        ("log", "log", None, 0, "todo"),
        ("train", "train@gpu", "train", 0, "failed"),
    }
    assert not execute(store, "select 1 from procrastinate_workers"), "the migration works there no more"
    store.close()


# --- what is refused ---


def test_not_while_the_daemon_runs(home: Home, call: Call, lived: dict[str, Any], postgresql: str) -> None:
    with FileLock(home.lock):
        said = call("migrate", "--to", postgresql, code=1).stderr
    assert "works on" in said and "`atles stop`" in said
    assert contents(Store(home.database)) == lived


def test_a_password_is_not_taken_from_the_command_line(home: Home, call: Call, lived: Any, postgresql: str) -> None:
    said = call("migrate", "--to", with_password(postgresql), code=2).stderr
    assert "PGPASSWORD" in said and "~/.pgpass" in said and "ATLES_STORE_URL" in said
    assert "hunter2" not in said and not home.config.exists()
    said = call("migrate", "--set", f"store.url={postgresql}", "--to", "sqlite", code=2).stderr
    assert "use --to" in said


def test_one_in_the_environment_is_used_and_not_written(
    home: Home, call: Call, told: Told, lived: Any, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLES_STORE_URL", with_password(postgresql))
    other = call("migrate", "--to", postgresql, code=1).stderr
    assert "names another store than --to" in other
    done = told("migrate")
    assert done["in_environment"] and "hunter2" not in json.dumps(done)
    assert load_settings(home, environment={}).store.url == postgresql
    assert "hunter2" not in home.config.read_text()
    assert "still in the environment" in call("migrate", "--to", "sqlite").stdout
    assert contents(Store(home.database)) == lived


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("postgresql://me:a%40b@h/x?sslpassword=b&user=c", "postgresql://me@h/x?user=c"),
        ("postgresql://h/x?user=c&password=b", "postgresql://h/x?user=c"),
    ],
)
def test_no_password_is_written(url: str, bare: str) -> None:
    assert moving.without_secret(url) == bare


def test_where_to_has_to_be_said(call: Call, lived: Any, home: Home) -> None:
    assert "--to postgresql://" in call("migrate", code=2).stderr
    said = call("migrate", "--to", "mysql://x/y", code=2).stderr
    assert "--to must be like postgresql://" in said and "'mysql://x'" in said and "ATLES_STORE_URL" not in said
    assert "small letters" in call("migrate", "--to", "postgresql://x/y", "--schema", "A;b", code=2).stderr
    assert f"has its store at {home.database} already" in call("migrate", "--to", "sqlite", code=1).stderr


def test_a_home_that_is_not_there_is_not_made(call: Call, tmp_path: Path, postgresql: str) -> None:
    nowhere = tmp_path / "nowhere"
    assert "there is no ATLES home" in call("--home", str(nowhere), "migrate", "--to", postgresql, code=1).stderr
    assert not nowhere.exists()


def test_a_server_that_cannot_be_reached(home: Home, call: Call, lived: Any, tmp_path: Path) -> None:
    said = call("migrate", "--to", f"postgresql://atles@/none?host={tmp_path}", code=1).stderr
    assert said.startswith("atles: the database postgresql://") and said.count("\n") == 1
    assert contents(Store(home.database)) == lived
    assert not moving._note_of(home).exists(), "another address can be tried"


def test_a_target_that_holds_something_is_left_alone(
    home: Home, call: Call, lived: Any, postgresql: str, tmp_path: Path
) -> None:
    call("migrate", "--to", postgresql)
    other = Home(tmp_path / "other").create()
    Store(other.database).close()
    said = call("--home", str(other.root), "migrate", "--to", postgresql, code=1).stderr
    assert "holds something already" in said and "--schema" in said
    assert other.database.exists() and not other.config.exists() and not moving._note_of(other).exists()
    call("--home", str(other.root), "migrate", "--to", postgresql, "--schema", "other")
    assert load_settings(other).store.schema == "other"
    assert contents(open_store(home, load_settings(home))) == lived


def test_not_while_others_work_there(home: Home, call: Call, lived: Any, postgresql: str) -> None:
    store = Store(PostgreSQL(postgresql))
    queue = ProcrastinateQueue(store.database, lanes.LANES, lease_seconds=30)  # type: ignore[arg-type]  # it is one
    queue.claim(lanes.LEARN)
    said = call("migrate", "--to", postgresql, code=1).stderr
    assert "at work for" in said and f":{os.getpid()}; end that first" in said
    queue.leave()
    call("migrate", "--to", postgresql)
    queue.claim(lanes.LEARN)
    assert "end that first" in call("migrate", "--to", "sqlite", code=1).stderr
    queue.leave()
    store.close()


def test_from_one_server_to_another_goes_by_way_of_sqlite(home: Home, call: Call, lived: Any, postgresql: str) -> None:
    call("migrate", "--to", postgresql)
    said = call("migrate", "--to", postgresql, "--schema", "two", code=1).stderr
    assert "(schema atles): `atles migrate --to sqlite` first" in said
    assert contents(check(open_store(home, load_settings(home)))) == lived and not home.database.exists()
    call("migrate", "--to", "sqlite")
    call("migrate", "--to", postgresql, "--schema", "two")
    assert contents(check(open_store(home, load_settings(home)))) == lived


def test_another_file_is_not_overwritten_on_the_way_back(home: Home, call: Call, lived: Any, postgresql: str) -> None:
    call("migrate", "--to", postgresql)
    Store(home.database).close()
    assert "is there already; move it away" in call("migrate", "--to", "sqlite", code=1).stderr


def test_settings_that_cannot_be_changed_line_by_line_change_nothing(
    home: Home, call: Call, lived: Any, postgresql: str
) -> None:
    home.config.write_text('store.schema = "atles"\n')
    assert "do it by hand" in call("migrate", "--to", postgresql, code=2).stderr
    assert home.database.exists() and home.config.read_text() == 'store.schema = "atles"\n'
    home.config.write_text(f'[store]\nurl = "{postgresql}"\n')
    call("migrate", "--to", postgresql)
    assert not home.database.exists(), "written by hand, it is finished"


# --- others, who go on writing ---


def in_the_log(home: Home, words: str) -> None:
    until(lambda: home.log.exists() and words in home.log.read_text(), words)


def test_a_machine_that_only_records_loses_nothing(
    home: Home, fake: FakePrograms, told: Told, lived: Any, postgresql: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    told("migrate", "--to", postgresql)
    other = Home(tmp_path / "other").create()
    other.config.write_text(f'[store]\nurl = "{postgresql}"\n[daemon]\nsteps = ""\n')
    with DaemonProcess(other, fake) as recorder:
        drop(other, document("before"))
        until(lambda: not any(other.sessions.glob("*.json")), "it is recorded")

        def during(*_: Any) -> Any:
            drop(other, document("during"))
            time.sleep(1.0)  # it would be long enough
            return carry(*_)

        monkeypatch.setattr(moving, "carry", during)
        told("migrate", "--to", "sqlite")
        drop(other, document("after"))
        in_the_log(other, f"was moved to {socket.gethostname()}:{home.root}")
        in_the_log(other, "completed_after.json")
        recorder.terminate()
    assert sorted(it.name for it in other.sessions.glob("*.json")) == ["completed_after.json", "completed_during.json"]
    here, there = Store(home.database), Store(PostgreSQL(postgresql))
    for store in (here, there):
        assert store.sessions.holds("before") and not store.sessions.holds("during") | store.sessions.holds("after")
        store.close()
    other.config.unlink()  # its settings are put right
    with DaemonProcess(other, fake, "train.enabled=false"):
        until(lambda: not any(other.sessions.glob("*.json")), "they are recorded")


def test_the_old_schema_is_open_again_as_the_docs_say(
    home: Home, call: Call, told: Told, lived: Any, postgresql: str
) -> None:
    told("migrate", "--to", postgresql)
    told("migrate", "--to", "sqlite")
    store = Store(PostgreSQL(postgresql))
    execute(store, "drop table atles.moving")
    home.config.write_text(f'[store]\nurl = "{postgresql}"\n')
    home.database.rename(home.root / "elsewhere.db")
    store.spending.spend(7)
    assert store.spending.spent() == 19
    store.close()
    told("migrate", "--to", "sqlite")
    here = Store(home.database)
    assert here.spending.spent() == 19
    here.close()
    with pytest.raises(AtlesError, match="was moved to"):
        Store(PostgreSQL(postgresql)).spending.spend(7)


def test_a_command_that_writes_to_the_file_meanwhile_is_not_lost(
    home: Home, told: Told, lived: Any, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as `memory edit`: it waits, and fails."""
    said: list[str] = []
    late = Store(home.database)

    def write() -> None:
        try:
            late.spending.spend(7)
        except AtlesError as error:
            said.append(str(error))

    def during(*values: Any) -> None:
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        change(*values)

    thread, change = threading.Thread(target=write), moving.change
    monkeypatch.setattr(moving, "change", during)
    kept = Path(told("migrate", "--to", postgresql)["kept"])
    thread.join()
    assert "moved away while it was open" in said[0]
    late.close()
    assert not kept.with_name("atles.db-wal").exists() and not home.database.exists()
    assert contents(Store(kept)) == lived


def test_what_was_written_after_the_settings_were_comes_along(
    home: Home, told: Told, lived: Any, postgresql: str
) -> None:
    killed(home, postgresql, "_set_aside")
    assert load_settings(home).store.url == postgresql
    late = Store(home.database)  # by a command that had read them before
    late.spending.spend(7)
    late.close()
    told("migrate", "--to", postgresql)
    assert open_store(home, load_settings(home)).spending.spent() == 19


# --- interruptions ---

KILLED = """
import os, signal, sys
from pathlib import Path
from atles.config import load_settings
from atles.layout import Home
from atles.settings import StoreSettings
from atles.upkeep import migrate, carry
home, url, where = Home(sys.argv[1]), sys.argv[2], sys.argv[3]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
left = int(where) if where.isdigit() else 0
def progress(*_):
    global left
    left -= 1
    left == 0 and die()
if not left:
    setattr(migrate, where, die)
migrate.migrate(home, load_settings(home), StoreSettings(url), home.config, rows=2, progress=progress)
"""


def killed(home: Home, url: str, where: str) -> None:
    """`where`: after so many words of progress, or at the call of that function."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(home.root), url, where], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL


PLACES = ["1", "15", "60", "carry", "change", "_end"]


@pytest.mark.slow
@pytest.mark.parametrize("where", [*PLACES, "_set_aside", "drop_mark"])
def test_killed_on_the_way_there(home: Home, told: Told, lived: Any, postgresql: str, where: str) -> None:
    before = jobs(Store(home.database), home)
    killed(home, postgresql, where)
    if where in ("1", "15", "60", "carry", "change"):
        assert load_settings(home).store.url == "", "it is where it was"
        assert contents(check(Store(home.database))) == lived
    if where != "drop_mark":
        with pytest.raises(AtlesError, match="is being filled by"):
            check(Store(PostgreSQL(postgresql)))
    done = told("migrate", "--to", postgresql)
    assert done["resumed"] and (done["jobs"], done["dead"]) == (4, 1)
    assert not home.database.exists() and (home.root / "atles.db.migrated").exists()
    settings = load_settings(home)
    assert contents(check(open_store(home, settings))) == lived
    assert jobs(open_store(home, settings), home) == before
    assert mark(open_store(home, settings)) is None and not moving._note_of(home).exists()


@pytest.mark.slow
@pytest.mark.parametrize("where", [*PLACES, "close_to_others", "sync_folder", "drop_mark"])
def test_killed_on_the_way_back(home: Home, told: Told, lived: Any, postgresql: str, where: str) -> None:
    before = jobs(Store(home.database), home)
    told("migrate", "--to", postgresql)
    killed(home, "", where)
    done = told("migrate", "--to", "sqlite")
    assert done["resumed"] and (done["jobs"], done["dead"]) == (4, 1)
    assert load_settings(home).store.url == "" and not moving._note_of(home).exists()
    assert contents(check(Store(home.database))) == lived
    assert jobs(Store(home.database), home) == before
    with pytest.raises(AtlesError, match="was moved to"):
        check(Store(PostgreSQL(postgresql)))


def test_ctrl_c_is_no_traceback_and_the_next_try_goes_on(
    home: Home, call: Call, told: Told, lived: Any, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(moving, "carry", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        call("migrate", "--to", postgresql, code=130)
    assert told("migrate", "--to", postgresql)["resumed"]


def test_what_was_learned_since_an_interruption_comes_along(
    home: Home, told: Told, lived: Any, postgresql: str
) -> None:
    killed(home, postgresql, "change")
    store = Store(home.database)
    execute(store, "update messages set text = 'changed' where position = 0")
    store.close()
    now = contents(Store(home.database))
    told("migrate", "--to", postgresql)
    assert contents(open_store(home, load_settings(home))) == now != lived


def test_another_target_after_an_interruption_is_refused(home: Home, call: Call, lived: Any, postgresql: str) -> None:
    killed(home, postgresql, "15")
    said = call("migrate", "--to", postgresql, "--schema", "other", code=1).stderr
    assert "was interrupted: do that again to finish it" in said and "migration.json" in said
    moving._note_of(home).unlink()
    call("migrate", "--to", postgresql, "--schema", "other")


def test_given_up_and_begun_anew(home: Home, call: Call, told: Told, lived: Any, postgresql: str) -> None:
    told("migrate", "--to", postgresql)
    killed(home, "", "60")
    moving._note_of(home).unlink()  # as the docs say
    done = told("migrate", "--to", "sqlite")
    assert not done["resumed"] and contents(Store(home.database)) == lived
    assert not list(home.root.glob("atles.db.moving*"))


def test_a_file_of_that_name_that_is_somebodys_is_left_alone(
    home: Home, call: Call, told: Told, lived: Any, postgresql: str
) -> None:
    told("migrate", "--to", postgresql)
    file = home.root / "atles.db.moving"
    shutil.copy(home.root / "atles.db.migrated", file)
    said = call("migrate", "--to", "sqlite", code=1).stderr
    assert f"{file} is there" in said and "move it away" in said and not moving._note_of(home).exists()
    assert contents(Store(file)) == lived


def test_given_up_on_the_way_there_the_message_says_what_to_do(
    home: Home, call: Call, told: Told, lived: Any, postgresql: str
) -> None:
    killed(home, postgresql, "15")
    moving._note_of(home).unlink()
    assert "if that was given up, drop the schema there" in call("migrate", "--to", postgresql, code=1).stderr
    store = Store(PostgreSQL(postgresql))
    execute(store, "drop schema atles cascade")
    store.close()
    told("migrate", "--to", postgresql)
    assert contents(open_store(home, load_settings(home))) == lived


def test_it_is_gone_on_with_from_another_folder(
    home: Home, told: Told, lived: Any, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told("migrate", "--to", postgresql)
    monkeypatch.chdir(home.root.parent)
    killed(Home("home"), "", "60")
    note = moving._note_of(home)
    assert json.loads(note.read_text())["target"] == str(home.database)
    note.write_text(note.read_text().replace(str(home.database), "home/atles.db"))  # as it was written once
    assert told("migrate", "--to", "sqlite")["resumed"]
    assert contents(Store(home.database)) == lived


def test_a_copy_that_is_wrong_moves_nothing(
    home: Home, call: Call, lived: Any, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atles.store import transfer

    monkeypatch.setattr(transfer, "index_rest", lambda store, *_: execute(store, "update users set name = name || '!'"))
    said = call("migrate", "--to", postgresql, code=1).stderr
    assert "is not what" in said and "users" in said
    assert load_settings(home).store.url == "" and contents(Store(home.database)) == lived
