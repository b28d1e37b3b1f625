"""Copies of the database in a home: which still hold what was forgotten, and which go."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from atles.layout import Home
from atles.pipeline import copies, forget
from atles.store import Store
from tests.samples import session


def copied(sqlite: Store, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as copy, closing(sqlite3.connect(sqlite.database.name)) as source:
        source.backup(copy)
    return path


def test_a_copy_from_before_still_holds_it(sqlite: Store, home: Home) -> None:
    for name in "ab":
        sqlite.sessions.add(session(name, "u: I keep bees", "a: Nice."), 5)
    before = [copied(sqlite, home.root / f"atles.db.{it}") for it in ("migrated", "migrated.2", "moving")]
    before.append(copied(sqlite, home.work / "backup-1" / "atles.db"))
    (home.root / "atles.db.migrated.2-shm").touch()
    assert copies.holding(home, sqlite, ["a"]) == [], "nothing is forgotten"
    forget.forget(sqlite, sessions=["a"])
    copied(sqlite, home.root / "atles.db.migrated.3")
    copied(sqlite, home.root / "atles.db.mine")
    there = sorted(home.root.rglob("*"))
    assert copies.holding(home, sqlite, ["a"]) == before and copies.holding(home, sqlite, ["b"]) == []
    assert sorted(home.root.rglob("*")) == there, "looking leaves nothing behind"
    before[0].write_text("no database")
    os.truncate(before[1], 5000)
    assert copies.holding(home, sqlite, ["a"]) == before, "of these nobody can say"


def test_what_is_in_a_copys_journal_counts(sqlite: Store, home: Home) -> None:
    copy, old = copied(sqlite, home.root / "atles.db.migrated"), Store(home.root / "other.db")
    sqlite.sessions.add(session("a", "u: I keep bees"), 5)
    old.sessions.add(session("a", "u: I keep bees"), 5)
    for ending in ("", "-wal"):
        shutil.copy(f"{home.root / 'other.db'}{ending}", f"{copy}{ending}")
    old.close()
    forget.forget(sqlite, sessions=["a"])
    assert copies.holding(home, sqlite, ["a"]) == [copy]


def test_a_dead_backup_goes_and_one_at_work_stays(home: Home) -> None:
    for name in ("backup-dead", "backup-alive", "train-x"):
        (home.work / name).mkdir()
        (home.work / name / "atles.db").write_text("words")
        (home.work / name / ".lock").touch()
    with FileLock(home.work / "backup-alive" / ".lock"):
        copies.drop_dead_backups(home)
        assert {it.name for it in home.work.iterdir()} == {"backup-alive", "train-x"}
