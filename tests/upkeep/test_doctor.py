"""Every check: a home is broken in that way, which is found, repaired, and found fine."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from atles.cli.app import atles
from atles.errors import StoreError
from atles.layout import Home, is_session_file
from atles.pipeline.lanes import open_queue
from atles.records import Adapter, AdapterState, Step, Verdict
from atles.settings import RetentionSettings, Settings, StoreSettings
from atles.store import open_store
from atles.store.adapters import BASE
from atles.upkeep import check_adapters, check_data, check_files, check_store
from atles.upkeep.doctor import examine
from atles.upkeep.finding import FAIL, OK, REPAIRED, WARN, Finding, some
from tests.fakes import FakePrograms
from tests.fakes.process import DaemonProcess
from tests.lived import lived_in
from tests.pipeline.conftest import Pipeline
from tests.raw import execute
from tests.samples import chat, document, drop


@dataclass
class Lived:
    """A home that has seen everything, and its store."""

    home: Home
    settings: Settings
    fake: FakePrograms
    now: float

    def __post_init__(self) -> None:
        self.store = open_store(self.home, self.settings)
        self.queue = open_queue(self.store, self.settings)

    def found(self) -> dict[str, Finding]:
        """What is not as it should be; the dead letter that is always there apart."""
        found = {it.check: it for it in examine(self.home, self.settings, None, self.now) if it.state != OK}
        assert found.pop("dead letters").state == WARN
        return found

    def repaired(self) -> dict[str, Finding]:
        done = [it.repaired() for it in examine(self.home, self.settings, None, self.now)]
        return {it.check: it for it in done if it.state not in (OK, WARN)}

    def mended(self, check: str, state: str = FAIL) -> tuple[Finding, Finding]:
        """The one finding, and what its repair says; afterwards nothing is found."""
        found = self.found()
        assert set(found) == {check} and found[check].state == state and found[check].fix, found
        assert self.found() == found, "looking changes nothing"
        done = self.repaired()
        assert set(done) == {check} and done[check].state == REPAIRED, done
        assert self.found() == {}
        return found[check], done[check]

    def work_off(self) -> None:
        """Let the daemon's steps do what is queued and due."""
        pipeline = Pipeline(self.home, self.fake, self.settings)
        pipeline.work_off()
        pipeline.store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, home: Home, fake: FakePrograms) -> Iterator[Lived]:
    url = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    made = Lived(home, lived_in(home, fake, url), fake, time.time())
    yield made
    made.store.close()


@pytest.fixture
def here(home: Home, fake: FakePrograms) -> Iterator[Lived]:
    """The same in a SQLite file, for what only that has."""
    made = Lived(home, lived_in(home, fake), fake, time.time())
    yield made
    made.store.close()


def aged(path: Path, hours: float = 2.0) -> Path:
    for it in (path, *path.rglob("*")):
        os.utime(it, (time.time() - hours * 3600,) * 2)
    return path


def training_file(home: Home, session_id: str) -> Path:
    (file,) = home.training_data.glob(f"training_{session_id}_*.jsonl")
    return file


def test_nothing_is_wrong_with_a_home_that_was_only_used(lived: Lived) -> None:
    assert lived.found() == {}
    lived.work_off()
    assert lived.found() == {}


# --- files ---


def test_a_folder_that_is_none(here: Lived) -> None:
    shutil.rmtree(here.home.work)
    here.home.work.symlink_to("nowhere")
    finding = here.found()["folders"]
    assert finding.state == FAIL and finding.detail.endswith(": work") and finding.fix
    here.home.work.unlink()
    assert here.found() == {}, "one that is missing is made"


def test_files_that_were_never_finished(lived: Lived) -> None:
    home = lived.home
    for path in (home.logs / ".x.json.12.ab.tmp", home.work / "progress.tmp"):
        path.touch(0o600)
        aged(path)
    (home.adapters / ".0009-00000000.tmp").mkdir(0o700)
    (home.adapters / ".0009-00000000.tmp" / "weights").touch(0o600)
    aged(home.adapters / ".0009-00000000.tmp")
    young = home.logs / ".y.json.12.ab.tmp"
    young.touch(0o600)
    finding, done = lived.mended("leftovers", WARN)
    assert "left by writers that were killed" in finding.detail and done.fix == "deleted 3"
    assert young.exists() and not list(home.adapters.glob(".*"))


def test_an_unfinished_session_file_may_be_the_only_copy(lived: Lived) -> None:
    home = lived.home
    whole, torn = home.sessions / ".completed_session_070.json.12.ab.tmp", home.sessions / "theirs.tmp"
    whole.write_text(json.dumps(chat(70)))
    torn.write_text('{"messages": [{"role": "user", "content": "my na')
    for path in (whole, torn):
        path.chmod(0o600)
        aged(path)
    assert set(lived.found()) == {"leftovers"}
    said = lived.repaired()["leftovers"].fix
    assert said == "1 in sessions/ were whole and will be learned, 1 in sessions/ are in quarantine"
    assert json.loads((home.sessions / "completed_session_070.json").read_text()) == chat(70)
    (reason,) = home.quarantine.glob("*.reason.txt")
    assert "killed before it had finished" in reason.read_text()
    aside = reason.with_name(reason.name.removesuffix(".reason.txt"))
    assert aside.read_text().endswith("my na") and is_session_file(aside.name), "it can be mended and tried again"
    assert {name: it.state for name, it in lived.found().items()} == {"quarantine": WARN}


def test_one_that_was_handed_over_already_does_not_take_its_place(here: Lived) -> None:
    (there := drop(here.home, chat(70))).chmod(0o600)
    other = here.home.sessions / ".completed_session_070.json.12.ab.tmp"
    other.write_text(json.dumps(chat(71) | {"session_id": "session_070"}))
    other.chmod(0o600)
    aged(other)
    here.repaired()
    assert json.loads(there.read_text()) == chat(70) and len(list(here.home.sessions.glob("*.json"))) == 2


def test_what_a_killed_daemon_left(lived: Lived) -> None:
    home = lived.home
    for path in (home.owner, home.work / "progress.json", home.socket):
        path.write_text("{}")
        path.chmod(0o600)
    finding, done = lived.mended("daemon", WARN)
    assert "was killed" in finding.detail and done.fix == "deleted what it left: daemon.json, api.sock, progress.json"


def test_a_daemon_that_runs_is_left_alone(here: Lived) -> None:
    here.store.close()
    with DaemonProcess(here.home, here.fake, "train.enabled=false") as daemon:
        found = {it.check: it for it in examine(here.home, here.settings, None, here.now)}
        assert found["daemon"].detail == f"runs, pid {daemon.pid}" and found["daemon"].repair is None
        assert daemon.terminate() == 0


def test_files_that_others_could_read(lived: Lived) -> None:
    home = lived.home
    opened = [home.master_log, home.processed, home.processed / "completed_session_001.json"]
    for path in opened:
        path.chmod(path.stat().st_mode | 0o044)
    (waiting := drop(home, chat(70))).chmod(0o644)
    home.config.write_text("[train]\nseed = 1\n")
    home.config.chmod(0o644)
    (home.models / "public.bin").write_text("x")
    finding, done = lived.mended("rights", WARN)
    assert (
        "completed_session_001.json" in finding.detail
        and done.fix == "took the rights of others from 3 files and folders"
    )
    assert all(not it.stat().st_mode & 0o077 for it in opened)
    assert waiting.stat().st_mode & 0o777 == home.config.stat().st_mode & 0o777 == 0o644


def test_settings_with_a_password_that_others_could_read(here: Lived) -> None:
    here.home.config.write_text('[store]\nurl = "postgresql://me:hunter2@db/atles"\n')
    here.home.config.chmod(0o644)
    here.mended("rights", WARN)
    assert here.home.config.stat().st_mode & 0o777 == 0o600


def test_what_others_do_come_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Lived) -> None:
    """In a folder that everybody may enter."""
    monkeypatch.setattr("atles.upkeep.privacy._open_to_others", lambda path: bool(path.stat().st_mode & 0o044))
    here.home.log.write_text("")
    for path in (here.home.training_data, here.home.log):
        path.chmod(0o755)
    found = here.found()
    assert set(found) == {"privacy", "rights"} and found["privacy"].fix.startswith("`chmod -R go-rwx ")
    assert here.repaired()["privacy"].fix.startswith("took the rights of others from 2 files")
    assert here.found() == {}


def test_a_link_is_for_nobody_and_what_it_leads_to_is_not_ours(lived: Lived, tmp_path: Path) -> None:
    (theirs := tmp_path / "theirs.json").write_text("{}")
    theirs.chmod(0o644)
    (folder := tmp_path / "folder").mkdir(0o755)
    (lived.home.logs / "link").symlink_to(theirs)
    (lived.home.logs / "dangling").symlink_to("nowhere")
    (lived.home.root / "folder").symlink_to(folder)
    assert lived.found() == {}
    lived.home.master_log.chmod(0o644)
    assert lived.repaired()["rights"].fix == "took the rights of others from 1 files and folders"
    assert theirs.stat().st_mode & 0o777 == 0o644 and folder.stat().st_mode & 0o777 == 0o755


# --- what goes wrong while it is looked at ---


def test_rows_that_make_no_sense_are_a_finding_and_the_others_are_made(lived: Lived) -> None:
    execute(lived.store, "update session_logs set at = 'yesterday'")
    finding = lived.found()["logs"]
    assert finding.state == FAIL and "it cannot be checked: ValueError: " in finding.detail
    checks = [it.check for it in examine(lived.home, lived.settings, None, lived.now)]
    assert checks[-1] == "dead letters" and len(checks) == len(set(checks))


@pytest.mark.parametrize("module", [check_adapters, check_data, check_files, check_store])
def test_whichever_check_fails_it_is_named(here: Lived, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    def fails(*_: object) -> Finding:
        raise ZeroDivisionError("by zero")

    whole = [it.check for it in examine(here.home, here.settings, None, here.now)]
    for name in [it for it, what in vars(module).items() if getattr(what, "__module__", "") == module.__name__]:
        if name.startswith("_") or name in ("data_again", "RESTORE"):
            continue
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fails)
            found = list(examine(here.home, here.settings, None, here.now))
        failed = [it for it in found if "it cannot be checked: ZeroDivisionError: by zero" in it.detail]
        if (module, name) in ((check_store, "server"), (check_files, "database")):  # not asked of this home
            assert not failed
            continue
        assert len(failed) == 1 and failed[0].state == FAIL, name
        assert [it.check for it in found] == (whole if name != "damage" else whole[: len(found)]), name


def test_a_repair_that_fails_does_not_keep_the_others() -> None:
    def fails() -> str:
        raise ZeroDivisionError("by zero")

    done = Finding("x", WARN, "", repair=fails).repaired()
    assert done.state == FAIL and done.fix == "it could not be repaired: ZeroDivisionError: by zero"


# --- the database ---


def test_a_damaged_database(here: Lived) -> None:
    here.store.close()
    with open(here.home.database, "r+b") as file:
        for page in range(20, 60):
            file.seek(page * 4096 + 100)
            file.write(b"\xff" * 300)
    found = {it.check: it for it in examine(here.home, here.settings, None, here.now) if it.state != OK}
    assert found["database"].state == FAIL and "atles restore" in found["database"].fix
    assert set(found) == {"database"}, "what it would say cannot be trusted"
    assert found["database"].repair is None


def test_no_database_at_all(here: Lived) -> None:
    here.store.close()
    here.home.database.write_text("this is no database")
    found = {it.check: it for it in examine(here.home, here.settings, None, here.now) if it.state != OK}
    assert set(found) == {"database"} and "cannot open the database" in found["database"].detail


def test_a_database_that_is_gone(here: Lived) -> None:
    here.store.close()
    for path in here.home.root.glob("atles.db*"):
        path.unlink()
    found = {it.check: it for it in examine(here.home, here.settings, None, here.now) if it.state != OK}
    assert set(found) == {"database"} and found["database"].state == FAIL and found["database"].repair is None
    number = len({json.loads(line)["session_id"] for line in here.home.master_log.read_text().splitlines()})
    assert found["database"].detail == f"atles.db is gone, though {number} sessions were learned" and number > 10
    assert "atles restore" in found["database"].fix and "doctor --repair" in found["database"].fix
    shutil.rmtree(here.home.logs)
    for path in list(here.home.processed.iterdir())[1:]:
        path.unlink()
    (lost,) = [it for it in examine(here.home, here.settings, None, here.now) if it.state == FAIL]
    assert lost.detail == "atles.db is gone, though 1 session was learned"
    (here.home.root / "atles.db.migrated").touch(0o600)
    (moved,) = [it for it in examine(here.home, here.settings, None, here.now) if it.state == FAIL]
    assert "was moved to PostgreSQL" in moved.detail and "ATLES_STORE_URL" in moved.fix


def test_a_home_that_has_learned_nothing_lacks_no_database(home: Home) -> None:
    assert {it.check for it in examine(home, Settings(), None, time.time())} == {"privacy", "daemon", "folders"}


def test_learned_anew_without_a_backup_nothing_is_found(here: Lived) -> None:
    """What docs/operations.md says: the log goes on, with what the new database says."""
    here.work_off()
    here.store.close()
    for path in here.home.root.glob("atles.db*"):
        path.unlink()
    again = Pipeline(here.home, here.fake, here.settings)
    for path in list(here.home.processed.glob("*.json")):
        again.inbox.take(Path(shutil.copy(path, here.home.sessions)))
    again.work_off()
    names = {row["session_id"] for row in again.store.sessions.list()}
    lines = [json.loads(line) for line in here.home.master_log.read_text().splitlines()]
    now = [(seq, at, entry["session_id"]) for seq, at, entry in again.store.logs.after(0)]
    assert [(it["seq"], it["logged_at"], it["session_id"]) for it in lines[-len(now) :]] == now
    assert {it[2] for it in now} == names
    again.store.close()
    left = {it.check: it.repaired() for it in examine(here.home, here.settings, None, here.now) if it.state == FAIL}
    assert set(left) == {"training data"} and left["training data"].fix.startswith("deleted of earlier times: ")
    assert [it for it in examine(here.home, here.settings, None, here.now) if it.state == FAIL] == []


def test_rows_that_refer_to_nothing(here: Lived) -> None:
    execute(here.store, "pragma foreign_keys = off")
    execute(here.store, "delete from users where name = 'ann'")
    execute(here.store, "pragma foreign_keys = on")
    found = {it.check: it for it in examine(here.home, here.settings, None, here.now) if it.state != OK}
    assert "rows refer to others that are not there" in found["database"].detail


def test_messages_that_no_search_finds(lived: Lived) -> None:
    stored = lived.store.sessions.get("session_003")
    lived.store.turns.remove(stored.number)
    finding, done = lived.mended("search index")
    assert "messages of session_003" in finding.detail and done.fix == "put in what it lacked"


def test_memories_that_no_search_finds(lived: Lived) -> None:
    (memory, *_) = lived.store.memories.of_user(lived.store.sessions.user("ann") or 0)
    lived.store.database.run("memories.unindex", id=memory.id)
    finding, _ = lived.mended("search index")
    assert "1 memories" in finding.detail


def test_words_that_are_no_more(lived: Lived) -> None:
    execute(lived.store, "update messages set text = '' where session = 2 and position = 1")
    execute(lived.store, "delete from examples where session_id = 'session_002'")
    for file in (lived.home.training_data, lived.home.chat_data):
        for path in file.glob("training_session_002_*"):
            path.write_text("")
    finding, done = lived.mended("search index")
    assert "1 entries of what is no more" in finding.detail and done.fix == "made again from the rows"


# --- the server ---


@pytest.fixture
def served(home: Home, fake: FakePrograms, postgresql: str) -> Iterator[Lived]:
    made = Lived(home, lived_in(home, fake, postgresql), fake, time.time())
    yield made
    made.store.close()


def test_a_server_that_is_new_enough_and_on_time(served: Lived) -> None:
    (found,) = [it for it in examine(served.home, served.settings, None, served.now) if it.check == "server"]
    assert found.state == OK and "queue of Procrastinate" in found.detail


def test_one_that_is_too_old(served: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_store, "_OLDEST_SERVER", 99)
    assert served.found()["server"].fix == "ATLES needs PostgreSQL 99 or newer"


def test_one_whose_clock_shows_another_time(served: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(check_store.time, "time", lambda: real() - 60)
    found = served.found()["server"]
    assert found.state == WARN and "its clock is 60 s ahead" in found.detail


def test_one_with_the_queue_of_another_version(served: Lived) -> None:
    execute(served.store, "update store_version set procrastinate = '99.0.0'")
    found = served.found()["server"]
    assert found.state == WARN and "Procrastinate 99.0.0" in found.detail and "install the same" in found.fix


def test_one_that_cannot_be_reached(home: Home, tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(f"postgresql://atles@/none?host={tmp_path}"))
    found = {it.check: it for it in examine(home, settings, None, time.time()) if it.state != OK}
    assert set(found) == {"database"} and found["database"].state == FAIL
    assert "cannot be used" in found["database"].detail and "server runs" in found["database"].fix


# --- sessions ---


def jobs(lived: Lived, session_id: str) -> list[str]:
    return [it.kind for it in lived.queue.open() if it.payload.get("session_id") == session_id]


def lose_jobs(lived: Lived, session_id: str) -> None:
    """As if somebody had deleted them."""
    if lived.settings.store.url:
        execute(lived.store, f"delete from procrastinate_jobs where queueing_lock like '%:{session_id}#%'")
    else:
        execute(lived.store, f"delete from jobs where key like '%:{session_id}#%'")


def test_a_session_that_nobody_works_on(lived: Lived) -> None:
    lose_jobs(lived, "late/one")
    lose_jobs(lived, "session_099")
    found = lived.found()
    assert set(found) == {"search index", "sessions"}, "nothing of it is searchable, either"
    assert "late/one, session_099" in found["sessions"].detail
    assert lived.repaired()["sessions"].fix == "queued again: late/one, session_099"
    assert lived.found() == {} and jobs(lived, "late/one") == [Step.MEMORY]
    lived.work_off()
    assert lived.found() == {} and lived.store.memories.session_or_none("late/one")


@pytest.mark.parametrize(("done", "next_step"), [((Step.MEMORY,), Step.DATA), ((Step.MEMORY, Step.DATA), Step.LOG)])
def test_one_that_stopped_half_way_goes_on_there(lived: Lived, done: tuple[Step, ...], next_step: Step) -> None:
    lived.work_off()
    kept = ", ".join(f"'{step}'" for step in done)
    execute(lived.store, f"delete from steps where session_id = 'session_099' and step not in ({kept})")
    execute(lived.store, "delete from session_logs where session_id = 'session_099'")
    lived.mended("sessions")
    assert jobs(lived, "session_099") == [next_step]
    lived.work_off()
    assert lived.store.logs.of_session("session_099")


def test_one_that_waits_for_a_training_that_does_not_come(lived: Lived) -> None:
    lived.work_off()
    execute(lived.store, "delete from session_logs where session_id = 'session_099'")
    lived.store.sessions.wait_for_training("session_099", True)
    lived.mended("sessions")
    assert list(lived.store.sessions.waiting_for_training()) == []


def test_one_that_waits_for_a_training_that_comes_is_fine(lived: Lived) -> None:
    execute(lived.store, "delete from session_logs where session_id = 'session_004'")
    lived.store.sessions.wait_for_training("session_004", True)
    assert {it.kind for it in lived.queue.open()} >= {Step.TRAIN}
    assert lived.found() == {}


def test_what_failed_for_good_is_listed_with_its_error(lived: Lived) -> None:
    (found,) = [it for it in examine(lived.home, lived.settings, None, lived.now) if it.check == "dead letters"]
    assert found.detail == "1 job failed: train:x (Broken: é \U0001f600)"
    assert "`atles sessions retry`" in found.fix and found.repair is None


# --- what is made of them ---


@pytest.mark.parametrize(
    "breaking",
    [
        lambda path: path.write_text(path.read_text().replace("Boat number 5", "The moon")),
        lambda path: path.write_text(path.read_text().split("\n")[0] + "\n"),
        lambda path: path.write_text("{"),
        lambda path: (path.parent / "chat" / path.name).write_text(""),
        lambda path: (path.parent / "chat" / path.name).unlink(),
        lambda path: path.write_text(
            path.read_text() + '{"instruction": "a", "output": "b", "context": "session_005"}\n'
        ),
    ],
)
def test_training_data_that_is_not_what_the_database_has(lived: Lived, breaking: Any) -> None:
    file = training_file(lived.home, "session_005")
    before = file.read_bytes(), (lived.home.chat_data / file.name).read_bytes()
    breaking(file)
    finding, done = lived.mended("training data")
    assert "of session_005" in finding.detail and done.fix == "queued to be made again: session_005"
    assert jobs(lived, "session_005") == [Step.DATA]
    lived.work_off()
    assert (file.read_bytes(), (lived.home.chat_data / file.name).read_bytes()) == before
    assert lived.found() == {}


def test_training_data_that_is_gone(here: Lived) -> None:
    shutil.rmtree(here.home.training_data)
    here.home.create()
    here.mended("training data")
    here.work_off()
    assert here.found() == {} and len(list(here.home.training_data.glob("*.jsonl"))) == 16


def test_in_a_cluster_another_machine_may_have_it(served: Lived) -> None:
    shutil.rmtree(served.home.training_data)
    served.home.create()
    assert served.found() == {}


def test_training_data_from_before_a_session_grew(lived: Lived) -> None:
    file = training_file(lived.home, "session_005")
    old = file.with_name("training_session_005_20200101_000000.jsonl")
    own = file.with_name("training_mine_20200101_000000.jsonl")
    for path in (old, own, lived.home.chat_data / old.name):
        shutil.copy(file, path)
    finding, done = lived.mended("training data")
    assert old.name in finding.detail and done.fix == f"deleted of earlier times: {old.name}"
    assert not old.exists() and not (lived.home.chat_data / old.name).exists() and own.exists()


def test_logs_that_are_gone(lived: Lived) -> None:
    (file,) = lived.home.logs.glob("session_log_session_005_*.json")
    before = file.read_bytes()
    file.unlink()
    finding, done = lived.mended("logs")
    assert file.name in finding.detail and done.fix == f"written from the database: {file.name}"
    assert file.read_bytes() == before


def test_logs_that_retention_deleted_are_not_missed(lived: Lived) -> None:
    for file in lived.home.logs.glob("session_log_*.json"):
        file.unlink()
    assert set(lived.found()) == {"logs"}
    lived.now += 400 * 86_400
    assert lived.found() == {}
    lived.settings = replace(lived.settings, retention=RetentionSettings(log_days=0))
    assert set(lived.found()) == {"logs"}


def test_session_files_that_the_database_does_not_have(lived: Lived) -> None:
    """As after a restore of an older database."""
    home = lived.home
    longer = document("session_005", *("u: a", "a: b") * 5)
    for name, content in (("completed_lost.json", json.dumps(document("lost", "u: Who?", "a: You."))),
                          ("completed_session_005.2.json", json.dumps(longer))):  # fmt: skip
        (home.processed / name).write_text(content)
        (home.processed / name).chmod(0o600)
    finding, done = lived.mended("processed")
    assert "completed_lost.json, completed_session_005.2.json" in finding.detail and "moved to sessions/" in done.fix
    assert {it.name for it in home.sessions.glob("*.json")} == {"completed_lost.json", "completed_session_005.2.json"}


def test_what_cannot_be_read_in_processed_is_named_and_the_others_are_repaired(here: Lived) -> None:
    home = here.home
    os.mkfifo(home.processed / "completed_pipe.json", 0o600)
    (home.processed / "odd.json").mkdir(0o700)
    finding = here.found()["processed"]
    assert finding.state == WARN
    assert "completed_pipe.json (it is no plain file), odd.json (it is no plain file)" in finding.detail
    (home.processed / "completed_lost.json").write_text(json.dumps(document("lost", "u: Who?", "a: You.")))
    assert "completed_pipe.json" in here.found()["processed"].detail
    assert here.repaired()["processed"].fix == "moved to sessions/, to be learned: completed_lost.json"
    assert home.completed("lost").exists() and here.found()["processed"] == finding


def test_what_waits_in_sessions_is_not_overwritten(here: Lived) -> None:
    waiting = drop(here.home, document("lost", "u: Other words"))
    before = waiting.read_text()
    (here.home.processed / waiting.name).write_text(json.dumps(document("lost", "u: Who?")))
    here.repaired()
    assert waiting.read_text() == before and len(list(here.home.sessions.glob("completed_lost*.json"))) == 2


# --- adapters ---


def only(lived: Lived) -> Adapter:
    (adapter,) = lived.store.adapters.list()
    return adapter


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_weights_of_the_active_adapter_that_are_lost(lived: Lived, how: str) -> None:
    adapter = only(lived)
    weights = lived.home.adapter(adapter.name) / "adapter_model.safetensors"
    weights.unlink() if how == "gone" else weights.write_bytes(b"other weights")
    finding, done = lived.mended("adapters")
    assert (
        adapter.name in finding.detail and "serves at present" in finding.detail and "`atles rollback`" in finding.fix
    )
    assert "the base model serves now" in done.fix
    now = only(lived)
    assert now.state is AdapterState.RETIRED and "Its weights were lost" in now.reason
    assert lived.store.adapters.active()[1] == BASE
    (kept,) = lived.home.work.glob(f"adapter-{adapter.name}-*")
    assert (kept / "report.json").exists(), "what there is of it is kept"


def another(lived: Lived, name: str, state: AdapterState) -> Adapter:
    """An adapter beside the one that there is, of the same dataset."""
    first = only(lived)
    shutil.copytree(lived.home.adapter(first.name), lived.home.adapter(name))
    adapter = replace(first, name=name, state=AdapterState.CANDIDATE, path=str(lived.home.adapter(name)), verdict=None)
    lived.store.adapters.add(adapter)
    if state is not AdapterState.CANDIDATE:
        lived.store.adapters.judge(name, Verdict(state is AdapterState.PROMOTED, "so", {}))
    return adapter


def test_weights_of_one_that_can_be_gone_back_to(lived: Lived) -> None:
    first = only(lived).name
    other = another(lived, "0002-00000000", AdapterState.PROMOTED)
    version, _ = lived.store.adapters.active()
    lived.store.adapters.point(other.name, "promote", "so", version)
    shutil.rmtree(lived.home.adapter(first))
    finding, done = lived.mended("adapters")
    assert first in finding.detail and "serves at present" not in finding.detail
    assert "serves now" not in done.fix
    assert lived.store.adapters.active()[1] == other.name
    assert lived.store.adapters.get(first).state is AdapterState.RETIRED


def test_weights_that_other_machines_have(here: Lived, tmp_path: Path) -> None:
    from atles.pipeline.shelf import open_shelf

    here.settings = replace(here.settings, store=StoreSettings(artifacts=str(tmp_path / "shared")))
    adapter = only(here)
    open_shelf(here.home, here.settings).offer([adapter])
    weights = here.home.adapter(adapter.name) / "adapter_model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(b"other weights")
    _, done = here.mended("adapters")
    assert "was fetched again" in done.fix and weights.read_bytes() == before
    assert here.store.adapters.active()[1] == adapter.name
    shutil.rmtree(here.home.adapter(adapter.name))
    assert here.found() == {}, "it is fetched when it is needed"


def test_weights_of_a_rejected_one_may_be_gone(lived: Lived) -> None:
    other = another(lived, "0002-00000000", AdapterState.REJECTED)
    (lived.home.adapter(other.name) / "adapter_model.safetensors").unlink()
    assert lived.found() == {}


def test_a_candidate_that_nobody_is_going_to_judge(lived: Lived) -> None:
    other = another(lived, "0002-00000000", AdapterState.CANDIDATE)
    finding, done = lived.mended("candidates")
    assert other.name in finding.detail and done.fix == f"queued to be judged: {other.name}"
    lived.work_off()
    assert lived.store.adapters.get(other.name).state in (AdapterState.PROMOTED, AdapterState.REJECTED)


def test_folders_of_adapters_that_the_store_does_not_know(lived: Lived) -> None:
    unknown, mine = lived.home.adapter("0007-0123abcd"), lived.home.adapter("mine")
    for folder in (unknown, mine):
        folder.mkdir(0o700)
        (folder / "weights").touch(0o600)
    assert lived.found() == {}, "a training is to come that may take it up"
    waiting = "jobs where kind = 'train' and state = 'waiting'"
    if lived.settings.store.url:
        waiting = "procrastinate_jobs where task_name = 'train' and status = 'todo'"
    execute(lived.store, f"delete from {waiting}")
    finding, done = lived.mended("adapter folders", WARN)
    assert "0007-0123abcd" in finding.detail and "in work/" in done.fix
    (kept,) = lived.home.work.glob("adapter-0007-0123abcd-*")
    assert (kept / "weights").exists() and mine.exists()


# --- the command ---


def test_the_command_says_what_it_did(here: Lived) -> None:
    training_file(here.home, "session_005").unlink()
    words = ["--home", str(here.home.root), "--set", "train.enabled=false", "doctor"]

    def told(*more: str) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(atles, [*words, "--json", *more], catch_exceptions=False)
        return done.exit_code, {it["check"]: it for it in json.loads(done.stdout)}

    code, found = told()
    assert (code, found["training data"]["state"]) == (1, "fail")
    shown = CliRunner().invoke(atles, [*words, "--repair"]).stdout
    assert "repaired" in shown and "-> queued to be made again: session_005" in shown
    code, found = told("--repair")
    assert (code, found["training data"]["state"]) == (0, "ok")


def test_a_repair_that_fails_says_why() -> None:
    def broken() -> str:
        raise StoreError("the disk is full")

    done = Finding("x", FAIL, "wrong", "do", broken).repaired()
    assert (done.state, done.fix) == (FAIL, "it could not be repaired: the disk is full")
    assert Finding("x", WARN, "wrong", "do").repaired().state == WARN


def test_a_check_that_fails_stops_none_of_the_others(here: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atles.upkeep.check_data.processed", lambda *_: (_ for _ in ()).throw(OSError("not readable")))
    found = here.found()
    assert set(found) == {"processed"} and found["processed"].detail == "it cannot be checked: not readable"


def test_some_names_stand_for_all() -> None:
    assert some(["a"]) == "a" and some(list("abc")) == "a, b, c" and some(list("abcde")) == "a, b, c and 2 more"


def test_a_living_home_is_fine_at_any_moment(home: Home, fake: FakePrograms) -> None:
    """Sessions flow while it looks: none of them is taken for lost."""
    with DaemonProcess(home, fake) as daemon:
        for number in range(60):
            drop(home, chat(number))
            if number % 2 == 0:
                longer = chat(number // 2)
                longer["messages"] += chat(number + 1000)["messages"]
                drop(home, longer, f"again_{number}")
            if number % 5 == 0:
                wrong = [it for it in examine(home, Settings(), None, time.time()) if it.state != OK]
                assert wrong == []
        daemon.kill()
