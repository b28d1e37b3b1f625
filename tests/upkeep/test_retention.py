"""What goes after a while; and what never does, whatever is killed or full meanwhile."""

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from atles import scratch
from atles.clock import timestamp
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline import journal, release
from atles.pipeline.dataset import snapshot
from atles.pipeline.erase import erase, mark
from atles.pipeline.shelf import open_shelf
from atles.records import Adapter, AdapterState, Dataset, Example, Session, SessionLog, Split, Verdict
from atles.settings import RetentionSettings, Settings
from atles.store import Store
from atles.upkeep import files, retention
from atles.upkeep.retention import Doomed, doomed, prune
from tests.fakes import FakePrograms
from tests.pipeline.conftest import Pipeline
from tests.raw import execute
from tests.samples import chat, drop

KEEP = RetentionSettings(
    processed_days=0, processed_mb=0, quarantine_days=0, log_days=0, rejected_adapter_days=0, rollback_adapters=0,
    dataset_days=0, work_days=0,
)  # fmt: skip
DAY = 86_400.0
NOW = time.time()


def aged(path: Path, days: float) -> Path:
    """As if it had been written so long ago, with all that is in it."""
    for it in (*path.rglob("*"), path) if path.is_dir() else (path,):
        os.utime(it, (NOW - days * DAY, NOW - days * DAY))
    return path


def put(path: Path, size: int = 1000, days: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return aged(path, days)


def names(found: Any) -> list[str]:
    return [it.name for it in found]


# --- session files ---


@pytest.fixture
def pipeline(home: Home, fake: FakePrograms) -> Iterator[Pipeline]:
    """A home with four learned sessions, one processed each day; the newest today."""
    opened = Pipeline(home, fake)
    opened.arrive(*(chat(number) for number in range(4)))
    opened.work_off()
    for number in range(4):
        aged(home.processed / f"completed_session_{number:03d}.json", 3 - number)
    yield opened
    opened.store.close()


def test_learned_session_files_go_by_age(pipeline: Pipeline, home: Home) -> None:
    done = prune(home, pipeline.store, replace(KEEP, processed_days=1.5), NOW)
    assert names(done.gone) == ["completed_session_000.json", "completed_session_001.json"]
    assert names(sorted(home.processed.iterdir())) == ["completed_session_002.json", "completed_session_003.json"]
    assert {it.why for it in done.gone} == {"older than 1.5 days (retention.processed_days)"}
    assert len(pipeline.store.sessions.list()) == 4, "what they said is in the database"


def test_learned_session_files_go_by_size_the_oldest_first(pipeline: Pipeline, home: Home) -> None:
    sizes = [path.stat().st_size for path in sorted(home.processed.iterdir())]
    limit = (sum(sizes[2:]) + 1) / (1 << 20)
    done = prune(home, pipeline.store, replace(KEEP, processed_mb=limit), NOW)
    assert names(done.gone) == ["completed_session_000.json", "completed_session_001.json"]
    assert [it.bytes for it in done.gone] == sizes[:2]
    assert prune(home, pipeline.store, replace(KEEP, processed_mb=limit), NOW).gone == []


def test_what_the_database_does_not_have_stays_and_is_named(
    pipeline: Pipeline, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = aged(drop(home, chat(9)).rename(home.processed / "completed_session_009.json"), 9)
    longer = chat(0)
    longer["messages"] = [*longer["messages"], {"role": "user", "content": "And one that was never taken in"}]
    grown = home.processed / "completed_session_000.2.json"
    grown.write_text(json.dumps(longer))
    aged(grown, 8)
    broken = put(home.processed / "completed_broken.json", days=7)
    done = prune(home, pipeline.store, replace(KEEP, processed_days=1), NOW)
    assert unknown.exists() and grown.exists() and broken.exists()
    assert names(done.kept) == [unknown.name, grown.name, broken.name]
    assert "has 4 of its 5 messages" in done.kept[1].stays
    assert all("move it to sessions/" in it.stays for it in done.kept)
    assert len(done.gone) == 2 and "of processed 3 stay" in caplog.text


def test_they_do_not_count_as_gone_when_the_size_is_what_matters(pipeline: Pipeline, home: Home) -> None:
    put(home.processed / "completed_unknown.json", 1 << 20, days=99)
    done = prune(home, pipeline.store, replace(KEEP, processed_mb=0.5), NOW)
    assert len(done.gone) == 4 and names(done.kept) == ["completed_unknown.json"]


def test_open_and_waiting_sessions_are_never_touched(pipeline: Pipeline, home: Home) -> None:
    waiting = aged(drop(home, chat(7)), 999)
    going_on = put(home.open_sessions / "s.jsonl", days=999)
    everything = RetentionSettings(1, 0.0001, 1, 1, 1, 1, 1, 1)
    prune(home, pipeline.store, everything, NOW)
    assert waiting.exists() and going_on.exists()
    assert list(home.processed.iterdir()) == []


def test_a_file_from_the_future_is_not_old(pipeline: Pipeline, home: Home) -> None:
    for path in home.processed.iterdir():
        aged(path, -400)
    assert list(doomed(home, pipeline.store, replace(KEEP, processed_days=1), NOW)) == []


def test_what_was_set_aside_goes_with_its_reason(home: Home, store: Store) -> None:
    for name, days in (("old.json", 9), ("new.json", 1)):
        put(home.quarantine / name, days=99)  # it lay somewhere else before
        put(home.quarantine / f"{name}.reason.txt", 10, days)
    put(home.quarantine / "lonely.json.reason.txt", 10, 9)
    assert list(doomed(home, store, KEEP, NOW)) == [], "it was not learned: by default it stays"
    done = prune(home, store, replace(KEEP, quarantine_days=7), NOW)
    assert names(done.gone) == ["lonely.json", "old.json"] and [it.bytes for it in done.gone] == [10, 1010]
    assert names(sorted(home.quarantine.iterdir())) == ["new.json", "new.json.reason.txt"]


# --- logs ---


def logged(pipeline: Pipeline, days: float) -> None:
    """As if all that is logged had been logged so long ago."""
    at = datetime.fromtimestamp(NOW - days * DAY, UTC)
    for path in pipeline.home.logs.glob("session_log_*.json"):
        path.rename(path.with_name(f"{path.name[:-20]}{at:%Y%m%d_%H%M%S}.json"))
    entries = [json.loads(line) for line in pipeline.home.master_log.read_text().splitlines()]
    text = "".join(json.dumps({**it, "logged_at": at.isoformat()}) + "\n" for it in entries)
    pipeline.home.master_log.write_text(text)
    execute(pipeline.store, f"update session_logs set at = '{at.isoformat()}'")


def master(home: Home) -> list[str]:
    return [json.loads(line)["session_id"] for line in home.master_log.read_text().splitlines()]


def test_old_logs_go_and_what_was_published_is_not_published_again(pipeline: Pipeline, home: Home) -> None:
    logged(pipeline, 30)
    pipeline.arrive(chat(4))
    pipeline.work_off()
    done = prune(home, pipeline.store, replace(KEEP, log_days=10), NOW)
    assert sum(it.name.startswith("session_log_") for it in done.gone) == 4
    assert done.gone[-1].name == "master_log.jsonl" and done.gone[-1].bytes > 0
    assert master(home) == ["session_004"]
    journal.publish(pipeline.store, home, 0)
    assert master(home) == ["session_004"] and len(list(home.logs.glob("session_log_*"))) == 1
    pipeline.arrive(chat(5))
    pipeline.work_off()
    assert master(home) == ["session_004", "session_005"]
    assert len(pipeline.store.logs.of_session("session_000")) == 1, "the database keeps every entry"
    assert json.loads(home.stats.read_text())["sessions_processed"] == 6


def test_the_last_entry_stays_however_old_it_says_what_was_published(pipeline: Pipeline, home: Home) -> None:
    logged(pipeline, 30)
    last = master(home)[-1]
    prune(home, pipeline.store, replace(KEEP, log_days=10), NOW)
    assert master(home) == [last]
    journal.publish(pipeline.store, home, 0)
    assert master(home) == [last]
    assert prune(home, pipeline.store, replace(KEEP, log_days=10), NOW).gone == []


def test_other_peoples_lines_and_a_torn_end_are_no_obstacle(pipeline: Pipeline, home: Home) -> None:
    logged(pipeline, 30)
    pipeline.arrive(chat(4))
    pipeline.work_off()
    home.master_log.write_text("a note\n" + home.master_log.read_text() + '{"seq": 99, "half')
    prune(home, pipeline.store, replace(KEEP, log_days=10), NOW)
    first, torn = home.master_log.read_text().splitlines()
    assert json.loads(first)["session_id"] == "session_004" and torn == '{"seq": 99, "half'
    journal.publish(pipeline.store, home, 0)
    assert master(home) == ["session_004"]


def test_a_log_of_which_little_is_old_is_not_written_anew(pipeline: Pipeline, home: Home) -> None:
    logged(pipeline, 30)
    lines = home.master_log.read_text()
    new = json.dumps({"seq": 99, "logged_at": datetime.fromtimestamp(NOW, UTC).isoformat(), "x": "x" * 20 * len(lines)})
    home.master_log.write_text(f"{lines}{new}\n")
    assert journal.old_length(home.master_log, NOW - 10 * DAY) == 0
    assert journal.old_length(home.logs / "none", NOW) == 0


def test_what_is_logged_while_the_log_is_cut_is_not_lost(
    pipeline: Pipeline, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(pipeline, 30)
    pipeline.arrive(chat(4))
    pipeline.work_off()
    entry = pipeline.store.logs.of_session("session_004")[0]
    write, threads = journal.write_atomic, []

    def meanwhile(path: Path, data: bytes) -> None:
        monkeypatch.setattr(journal, "write_atomic", write)
        pipeline.store.logs.add(replace(SessionLog(**entry), session_id="meanwhile"), timestamp())
        threads.append(threading.Thread(target=journal.publish, args=(pipeline.store, home, 0)))
        threads[0].start()
        threads[0].join(0.3)
        write(path, data)

    monkeypatch.setattr(journal, "write_atomic", meanwhile)
    prune(home, pipeline.store, replace(KEEP, log_days=10), NOW)
    threads[0].join()
    assert master(home) == ["session_004", "meanwhile"]


# --- adapters and datasets ---


class Trained:
    """Adapters on the disk and in the store, each on a dataset of its own, trained so many days ago."""

    def __init__(self, home: Home, store: Store) -> None:
        self.home, self.store = home, store
        self.weights = b"weights"

    def add(self, name: str, days: float, verdict: Verdict | None) -> None:
        number = len(self.store.sessions.list())
        self.store.sessions.add(Session.of(chat(number)), 1000)
        messages = ({"role": "user", "content": "q"}, {"role": "assistant", "content": name})
        example = Example(f"session_{number:03d}", f"m{name}", "pair", "q", name, messages)
        self.store.examples.put([example])
        self.store.examples.add_dataset(Dataset(f"d{name}", "", 1, 0, (), ()), [example.id])
        at = datetime.fromtimestamp(NOW - days * DAY, UTC).isoformat()
        self.store.adapters.add(Adapter(name, "base", f"d{name}", "", AdapterState.CANDIDATE, "not judged yet", at, {}))
        folder = self.home.adapter(name)
        for file in ("adapter_model.safetensors", "adapter_config.json", "adapter.gguf", "report.json", "report.html",
                     "lineage.json", "onnx/model.bin"):  # fmt: skip
            put(folder / file, 1000, days)
        aged(folder, days)
        for file in ("train.jsonl", "manifest.json"):
            put(self.home.dataset(f"d{name}") / file, 100)
        aged(self.home.dataset(f"d{name}"), days)
        if verdict:
            release.settle(self.store, self.store.adapters.get(name), verdict, self.store.adapters.active()[0])

    def files(self, name: str) -> list[str]:
        folder = self.home.adapter(name)
        return sorted(str(it.relative_to(folder)) for it in folder.rglob("*") if it.is_file())


NO, YES = Verdict(False, "It forgot too much.", {"kept": 0.5}), Verdict(True, "It learned.", {"gain": 0.3})
REPORTS = ["lineage.json", "report.html", "report.json"]


@pytest.fixture
def trained(home: Home, store: Store) -> Trained:
    return Trained(home, store)


def test_the_weights_of_rejected_adapters_go_and_what_tells_of_them_stays(
    trained: Trained, home: Home, store: Store
) -> None:
    trained.add("old", 40, NO)
    trained.add("new", 10, NO)
    trained.add("serves", 40, YES)
    trained.add("candidate", 40, None)
    done = prune(home, store, replace(KEEP, rejected_adapter_days=30), NOW)
    assert names(done.gone) == ["old"] and done.gone[0].bytes == 4000
    assert trained.files("old") == REPORTS and all(len(trained.files(it)) == 7 for it in ("new", "serves", "candidate"))
    row = store.adapters.get("old")
    day = datetime.fromtimestamp(NOW, UTC).date()
    assert (
        row.state == "rejected" and row.reason == f"It forgot too much. Its weights were deleted on {day} to make room."
    )
    assert row.verdict and row.verdict["numbers"] == {"kept": 0.5}
    assert store.adapters.that_saw("session_000") == ["old"], "and forgetting still finds it"
    assert prune(home, store, replace(KEEP, rejected_adapter_days=30), NOW).gone == []


def test_killed_in_between_it_is_no_adapter_any_more_and_the_rest_goes_next_time(
    trained: Trained, home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained.add("old", 40, NO)
    unlink, left = Path.unlink, [2]

    def dies(self: Path, missing_ok: bool = False) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", dies)
    with pytest.raises(KeyboardInterrupt):
        prune(home, store, replace(KEEP, rejected_adapter_days=30), NOW)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert "adapter_model.safetensors" not in trained.files("old") and len(trained.files("old")) == 5
    assert "Its weights were deleted" in store.adapters.get("old").reason, "said before it was true, never after"
    later = prune(home, store, replace(KEEP, rejected_adapter_days=30), NOW + DAY)
    assert names(later.gone) == ["old"] and trained.files("old") == REPORTS
    assert store.adapters.get("old").reason.count("Its weights were deleted") == 1


def test_who_asks_for_deleted_weights_is_told_what_became_of_them(trained: Trained, home: Home, store: Store) -> None:
    trained.add("old", 40, NO)
    prune(home, store, replace(KEEP, rejected_adapter_days=30), NOW)
    with pytest.raises(AtlesError, match=r"cannot be read.* it was rejected: .*weights were deleted on \d{4}-"):
        open_shelf(home, Settings()).adapter(store.adapters.get("old"))


def test_what_may_be_rolled_back_to_stays(trained: Trained, home: Home, store: Store) -> None:
    for name in "abcde":
        trained.add(name, 100, YES)
    done = prune(home, store, replace(KEEP, rollback_adapters=2), NOW)
    assert names(done.gone) == ["a", "b"] and {it.bytes for it in done.gone} == {7000}
    assert [it.state for it in store.adapters.list()] == ["retired"] * 2 + ["promoted"] * 3
    assert "It served once" in store.adapters.get("a").reason
    assert sorted(names(home.adapters.iterdir())) == ["c", "d", "e"]
    assert not home.dataset("da").exists() and home.dataset("dc").exists()
    assert [release.rollback(store) for _ in range(3)] == [("e", "d"), ("d", "c"), ("c", "")], (
        "over those that are gone"
    )


def test_one_that_was_rolled_back_from_may_be_promoted_again(trained: Trained, home: Home, store: Store) -> None:
    for name in "abc":
        trained.add(name, 100, YES)
    release.rollback(store)
    assert prune(home, store, replace(KEEP, rollback_adapters=1), NOW).gone == []
    release.promote(store, "c")
    assert store.adapters.active()[1] == "c" and len(trained.files("c")) == 7


def test_one_that_was_promoted_meanwhile_stays(trained: Trained, home: Home, store: Store) -> None:
    for name in "abc":
        trained.add(name, 100, YES)
    (a,) = doomed(home, store, replace(KEEP, rollback_adapters=1), NOW)
    assert a.name == "a"
    release.promote(store, "a")
    a.delete()
    assert (
        store.adapters.active()[1] == "a" and store.adapters.get("a").state == "promoted" and home.adapter("a").exists()
    )


def test_datasets_go_that_nobody_needs(trained: Trained, home: Home, store: Store) -> None:
    trained.add("rejected", 40, NO)
    trained.add("fresh", 10, NO)
    trained.add("serves", 40, YES)
    trained.add("candidate", 40, None)
    put(home.dataset("waits") / "manifest.json", days=1)
    put(home.dataset("orphan") / "manifest.json", days=40)
    aged(home.dataset("orphan"), 40)
    done = prune(home, store, replace(KEEP, dataset_days=30), NOW)
    assert sorted(names(done.gone)) == ["drejected", "orphan"]
    assert {it.name for it in home.datasets.iterdir()} == {"dfresh", "dserves", "dcandidate", "waits"}


def test_a_dataset_that_is_needed_again_is_new(home: Home, store: Store, pipeline: Pipeline) -> None:
    examples = list(pipeline.store.examples.of_split(Split.TRAIN))
    made = snapshot(home.datasets, examples, [])
    aged(Path(made.path), 40)
    assert snapshot(home.datasets, examples, []) == made
    assert prune(home, store, replace(KEEP, dataset_days=30), NOW).gone == []


def test_what_was_forgotten_leaves_with_its_adapter_also_after_pruning(home: Home, fake: FakePrograms) -> None:
    """Forgetting finds what saw a session by the database, not by the files that pruning took."""
    pipeline = Pipeline(home, fake)
    pipeline.arrive(*(chat(number) for number in range(20)))
    pipeline.work_off()
    (adapter,) = pipeline.store.adapters.list()
    shutil.rmtree(home.work)
    home.work.mkdir()
    everything = RetentionSettings(0.0001, 0, 0.0001, 0.0001, 0.0001, 1, 0.0001, 0.0001)
    prune(home, pipeline.store, everything, NOW + DAY)
    done = erase(pipeline.context.shelf, pipeline.store, pipeline.queue, mark(pipeline.store, ["session_000"]))
    assert done["retired"] == [adapter.name] and not home.adapter(adapter.name).exists()
    pipeline.work_off()
    assert [it.state for it in pipeline.store.adapters.list()] == ["retired", "promoted"], "a new one without it"
    pipeline.store.close()


# --- leftovers of programs ---


def test_the_copy_of_a_killed_backup_goes_at_once_and_one_in_use_stays(home: Home, store: Store) -> None:
    left = put(home.work / "backup-killed" / "atles.db").parent
    put(left / ".lock", 0)
    put(home.work / "backup-of-an-earlier-version" / "atles.db", days=1)
    with scratch.scratch(home.work) as living:
        put(living / "atles.db", days=99)
        aged(living, 99)
        (found,) = doomed(home, store, replace(KEEP, work_days=7), NOW)
        assert (found.name, found.why, found.bytes) == ("backup-killed", "its backup was killed", 1000)
        assert names(prune(home, store, replace(KEEP, work_days=7), NOW).gone) == ["backup-killed"]
        assert (living / "atles.db").exists() and not left.exists()
    assert names(home.work.glob("backup-*")) == ["backup-of-an-earlier-version"]
    found.delete()
    assert not left.exists(), "to look for it again does not make it again"


def test_one_that_is_taken_away_before_it_is_locked_gets_another_folder(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = scratch.make_folder, list[Path]()

    def taken(folder: Path) -> None:
        make(folder)
        made.append(folder)
        if len(made) == 1:
            (folder / ".lock").touch()
            scratch.take_away(folder)

    monkeypatch.setattr(scratch, "make_folder", taken)
    with scratch.scratch(home.work) as folder:
        assert folder.exists() and scratch.in_use(folder) and scratch.running(home.work)
        assert scratch.killed(home.work) == []
    assert not list(home.work.iterdir()) and not scratch.running(home.work)


# --- what cannot be looked at ---


def test_an_odd_file_is_named_and_the_others_go(
    pipeline: Pipeline, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    (dangling := home.processed / "completed_dangling.json").symlink_to("nowhere")
    (folder := home.processed / "completed_folder.json").mkdir()
    os.mkfifo(pipe := home.processed / "completed_pipe.json")
    for path in (dangling, folder, pipe):
        os.utime(path, (NOW - 99 * DAY, NOW - 99 * DAY), follow_symlinks=False)
    home.quarantine.rmdir()
    home.chat_data.rename(home.root / "elsewhere")
    put(home.work / "old" / "spec.json", days=9)
    aged(home.work / "old", 9)
    done = prune(home, pipeline.store, replace(KEEP, processed_days=1.5, quarantine_days=1, work_days=7), NOW)
    assert names(done.gone) == ["old", "completed_session_000.json", "completed_session_001.json"]
    assert {it.name for it in done.kept} == {dangling.name, folder.name, pipe.name} and done.failed == []
    assert dangling.is_symlink() and "of processed" in caplog.text


@pytest.mark.parametrize(
    "kind", ["_work", "_unfinished", "_datasets", "_adapters", "_logs", "_processed", "_quarantine"]
)
def test_a_kind_that_cannot_be_looked_at_does_not_keep_the_others(
    pipeline: Pipeline, home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    def fails(*_: object) -> Iterator[Doomed]:
        raise PermissionError(13, "Permission denied")
        yield

    caplog.set_level(logging.INFO, "atles.daemon")
    monkeypatch.setattr(retention, kind, fails)
    put(home.work / "old" / "spec.json", days=9)
    aged(home.work / "old", 9)
    put(home.quarantine / "x.json", days=9)
    put(home.quarantine / "x.json.reason.txt", 9, days=9)
    limits = replace(KEEP, processed_days=1.5, quarantine_days=1, work_days=7)
    expected = {"_work": ["old"], "_processed": ["completed_session_000.json", "completed_session_001.json"],
                "_quarantine": ["x.json"]}  # fmt: skip
    left = [name for each, found in expected.items() if each != kind for name in found]
    (unseen,) = [it for it in doomed(home, pipeline.store, limits, NOW) if it.error]
    assert unseen.error == "it cannot be looked at: [Errno 13] Permission denied"
    done = prune(home, pipeline.store, limits, NOW)
    assert names(done.gone) == left and "deleted of" in caplog.text
    ((failed, error),) = done.failed
    assert failed.kind == kind.strip("_").replace("unfinished", "work") and "Permission denied" in error


# --- leftovers of programs, by age ---


def test_leftovers_in_work_go_and_what_is_written_to_stays(home: Home, store: Store) -> None:
    for folder in ("train-old", "train-new", "serve/serve-old", "serve/serve-new", "embed"):
        put(home.work / folder / "spec.json", days=9)
        aged(home.work / folder, 9)
    put(home.work / "train-new" / "deep" / "checkpoint.pt", days=1)
    put(home.work / "serve" / "serve-new" / "stderr.log", days=1)
    put(home.work / "training.lock", 0, days=99)  # held by whoever trains: another process's lock is the same file
    done = prune(home, store, replace(KEEP, work_days=7), NOW)
    assert sorted(names(done.gone)) == ["embed", "serve-old", "train-old"]
    assert (home.work / "training.lock").exists() and (home.work / "train-new" / "spec.json").exists()


def test_what_killed_writers_left_goes_but_not_what_may_be_the_only_copy_of_a_chat(home: Home, store: Store) -> None:
    def left(folder: Path, name: str, days: float) -> Path:
        return put(folder / f".{name}.4711.0a1b2c3d.tmp", days=days)

    folders = (home.processed, home.training_data, home.chat_data, home.logs)
    old = [left(folder, "old.json", 0.1) for folder in folders]
    stay = [left(folder, "new.json", 0.01) for folder in folders]
    stay += [left(folder, "only_copy.json", 99) for folder in (home.sessions, home.open_sessions)]
    stay += [put(home.logs / "mine.txt", days=99)]
    done = prune(home, store, KEEP, NOW)
    assert {it.why for it in done.gone} == {"its writer was killed"} and len(done.gone) == 4
    assert not any(it.exists() for it in old) and all(it.exists() for it in stay)


def test_a_link_is_not_followed(home: Home, store: Store, tmp_path: Path) -> None:
    mine = put(tmp_path / "mine" / "thesis.tex", days=99)
    (home.work / "link").symlink_to(mine.parent)
    folder = home.work / "old"
    folder.mkdir()
    (folder / "link").symlink_to(mine.parent)
    os.utime(folder / "link", (1e9, 1e9), follow_symlinks=False)
    os.utime(folder, (1e9, 1e9))
    done = prune(home, store, replace(KEEP, work_days=7), NOW)
    assert names(done.gone) == ["old"] and mine.exists() and (home.work / "link").exists()


def test_a_folder_that_was_half_deleted_is_taken_for_nothing_and_goes_next_time(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home.dataset("d") / "manifest.json")
    aged(home.dataset("d"), 40)

    def dies(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files.shutil, "rmtree", dies)
        prune(home, store, replace(KEEP, dataset_days=30), NOW)
    assert names(home.datasets.iterdir()) == [".deleted-d"]
    assert names(prune(home, store, KEEP, NOW).gone) == [".deleted-d"]
    assert list(home.datasets.iterdir()) == []


# --- all of it ---


def test_nothing_goes_from_a_new_home_and_nothing_where_all_is_kept(home: Home, pipeline: Pipeline) -> None:
    assert list(doomed(home, pipeline.store, RetentionSettings(), NOW)) == []
    assert list(doomed(home, pipeline.store, KEEP, NOW + 9999 * DAY)) == []


def test_the_log_says_how_many_and_how_much(pipeline: Pipeline, home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    size = sum(it.stat().st_size for it in home.processed.iterdir() if it.name < "completed_session_002")
    prune(home, pipeline.store, replace(KEEP, processed_days=1.5), NOW)
    (said,) = [it.getMessage() for it in caplog.records if it.name == "atles.daemon"]
    assert said == (f"deleted of processed: 2, {retention.size(size)}, older than 1.5 days (retention.processed_days)")


def test_what_cannot_be_deleted_is_told_and_stops_nothing(
    pipeline: Pipeline, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink: Callable[..., None] = Path.unlink

    def refuses(self: Path, missing_ok: bool = False) -> None:
        if self.name == "completed_session_000.json":
            raise PermissionError(13, "Permission denied")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuses)
    done = prune(home, pipeline.store, replace(KEEP, processed_days=1.5), NOW)
    assert names(done.gone) == ["completed_session_001.json"]
    ((failed, error),) = done.failed
    assert failed.name == "completed_session_000.json" and "Permission denied" in error


def test_a_daemon_does_a_part_at_a_time(pipeline: Pipeline, home: Home) -> None:
    days = replace(KEEP, processed_days=0.5)
    assert [len(prune(home, pipeline.store, days, NOW, most=2).gone) for _ in range(3)] == [2, 1, 0]


def test_looking_changes_nothing(pipeline: Pipeline, home: Home) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(it): (it.stat().st_mtime_ns, it.stat().st_size) for it in home.root.rglob("*") if it.is_file()}

    logged(pipeline, 30)
    before = state()
    found: list[Doomed] = list(doomed(home, pipeline.store, RetentionSettings(1, 1, 1, 1, 1, 1, 1, 1), NOW))
    assert found
    after = state()
    assert {name for name in before if not name.startswith(str(home.database))} <= set(after)
    assert all(after[name] == it for name, it in before.items() if not name.startswith(str(home.database)))
