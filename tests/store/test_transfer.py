"""A store in another: every row of every table, whatever interrupts it."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from atles.errors import Different, StoreError
from atles.layout import Home
from atles.settings import Settings, StoreSettings
from atles.store import Store, open_store
from atles.store.postgresql import PostgreSQL
from atles.store.tables import TABLES, tables_of
from atles.store.transfer import Mark, Moving, check, digest, mark, put_mark
from atles.store.words import index_anew, index_rest, unfound
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT
from tests.lived import SESSIONS, lived_in
from tests.raw import execute
from tests.samples import session

Opened = Callable[[], Store]
Sides = tuple[Opened, Opened]


@pytest.fixture(params=["to postgresql", "to sqlite"])
def sides(request: pytest.FixtureRequest, home: Home, fake: FakePrograms, tmp_path: Path, postgresql: str) -> Sides:
    """What opens a store that has seen everything, and what opens an empty one of the other kind."""
    if request.param == "to postgresql":
        lived_in(home, fake)
        return lambda: Store(home.database), lambda: Store(PostgreSQL(postgresql))
    lived_in(home, fake, postgresql)
    return lambda: Store(PostgreSQL(postgresql)), lambda: Store(tmp_path / "target" / "atles.db")


def moved(source: Store, target: Store, id: str = "one", **more: object) -> Moving:
    moving = Moving(source, target, id, "here", **more)  # type: ignore[arg-type]
    moving.begin()
    moving.copy()
    return moving


def test_every_table_is_listed(store: Store) -> None:
    """A table that is added to the schema and not to the list would be left behind."""
    made_of_others = {"jobs", "job_notes", "workers", "store_version", "turns", "memories_fts"}
    others = ("procrastinate_", "sqlite_", "turns_", "memories_fts_")
    types = tables_of(store).types
    found = {name for name in types if name not in made_of_others and not name.startswith(others)}
    found |= {"turn_vectors"}  # of which the prefix is another's
    assert found == {table.name for table in TABLES}
    for table in TABLES:
        assert set(table.key) <= types[table.name].keys() | {"rowid"}, table


def test_what_a_row_refers_to_is_copied_before_it(store: Store) -> None:
    if not isinstance(store.database, PostgreSQL):
        lists = {table.name: execute(store, f"pragma foreign_key_list({table.name})") for table in TABLES}
        refers = [(name, row[2]) for name, rows in lists.items() for row in rows]
    else:
        refers = execute(
            store,
            "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint where contype = 'f' "
            "and connamespace = current_schema()::regnamespace",
        )
    order = [table.name for table in TABLES]
    seen = [(of, to) for of, to in refers if of in order and to in order]
    assert len(seen) > 5
    assert all(order.index(to) < order.index(of) for of, to in seen)


def test_the_other_store_is_the_same(sides: Sides) -> None:
    source, target = sides[0](), sides[1]()
    heard: list[tuple[str, int, int]] = []
    moved(source, target, rows=7, progress=lambda *said: heard.append(said)).end()
    here, there = tables_of(source), tables_of(target)
    for table in TABLES:
        assert here.size(table) > 0, f"{table.name}: the test has a row of it"
        assert list(here.rows(table)) == list(there.rows(table))
    assert ("messages", here.size(TABLES[2]), here.size(TABLES[2])) in heard
    assert unfound(target).sessions == set()
    for store in (source, target):
        assert len(store.turns.with_any(["boat"], *store.turns.span(1))) >= 4 * (SESSIONS - 2)
    ann = target.sessions.user("ann")
    assert ann
    assert (
        [it.text for it in target.memories.like(ann, ["dog"], [], 5)]
        == [it.text for it in source.memories.like(ann, ["dog"], [], 5)]
        != []
    )
    # What is added goes on with the numbers.
    for store in (source, target):
        store.sessions.add(session("next", "u: Who?", metadata={"user": "new"}), 5)
        store.memories.put_session("next", 1, [], [], {})
    row = "select session_id, number, split, \"user\" from sessions where session_id = 'next'"
    assert [tuple(it) for it in execute(target, row)] == [tuple(it) for it in execute(source, row)]
    *ids, last = [row[0] for row in execute(target, "select id from session_memories order by session_id = 'next'")]
    assert last > max(ids)
    source.close()
    target.close()


@pytest.mark.parametrize("after", [1, 12, 40])
def test_interrupted_it_goes_on_where_it_stopped(sides: Sides, after: int) -> None:
    source, target = sides[0](), sides[1]()
    left = [after]

    def interrupt(what: str, done: int, total: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moved(source, target, rows=2, progress=interrupt)
    copied = {table.name: tables_of(target).size(table) for table in TABLES}
    again: Counter[str] = Counter()
    moving = Moving(source, target, "one", "here", rows=2, progress=lambda what, *_: again.update([what]))
    assert moving.begin(), "it knows that it had begun"
    moving.copy()
    for table in TABLES:
        left_to_do = tables_of(source).size(table) - copied[table.name]
        assert again[table.name] == -(-left_to_do // 2), f"{table.name}: nothing is copied twice"
    source.close()
    target.close()


def test_killed_it_goes_on(home: Home, fake: FakePrograms, postgresql: str) -> None:
    lived_in(home, fake)
    code = f"""
import os, signal
from pathlib import Path
from atles.settings import Settings, StoreSettings
from atles.store import Store, open_store
from atles.store.postgresql import PostgreSQL
from atles.store.transfer import Moving
left = [12]
def progress(*said):
    left[0] -= 1
    left[0] or os.kill(os.getpid(), signal.SIGKILL)
source, target = Store(Path({str(home.database)!r})), Store(PostgreSQL({postgresql!r}))
moving = Moving(source, target, "one", "here", rows=3, progress=progress)
moving.begin()
moving.copy()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    source, target = Store(home.database), Store(PostgreSQL(postgresql))
    assert 0 < tables_of(target).size(TABLES[2]) < tables_of(source).size(TABLES[2])
    moving = Moving(source, target, "one", "here")
    assert moving.begin()
    moving.copy()
    source.close()
    target.close()


def test_a_source_that_changed_meanwhile_is_noticed_and_copied_anew(sides: Sides) -> None:
    source, target = sides[0](), sides[1]()
    moved(source, target)
    execute(source, "update messages set text = 'other words' where position = 1")
    execute(source, "delete from spending")
    moving = Moving(source, target, "one", "here")
    assert moving.begin()
    with pytest.raises(Different, match=r"messages \(.*spending \(0 rows here, 1 there\)"):
        moving.copy()
    moving.copy(anew=True)
    assert [it.text for it in target.sessions.get("session_001").session.messages][1] == "other words"
    assert not unfound(target).strays
    source.close()
    target.close()


def test_one_wrong_letter_is_noticed(sides: Sides) -> None:
    source, target = sides[0](), sides[1]()
    moving = moved(source, target)
    execute(target, "update session_logs set entry = replace(entry, '0', '1') where seq = 3")
    with pytest.raises(Different, match="session_logs"):
        moving.compare()
    source.close()
    target.close()


def test_nothing_is_mixed_into_another_store(sides: Sides) -> None:
    source, target = sides[0](), sides[1]()
    target.sessions.add(session("mine", "u: a"), 5)
    before = tables_of(target).size(TABLES[1])
    with pytest.raises(StoreError, match="holds something already"):
        moved(source, target)
    assert tables_of(target).size(TABLES[1]) == before and mark(target) is None
    source.close()
    target.close()


def test_nor_into_what_another_migration_fills(sides: Sides) -> None:
    source, target = sides[0](), sides[1]()
    moved(source, target)
    with pytest.raises(StoreError, match="marked by another migration"):
        moved(source, target, "two")
    source.close()
    target.close()


def test_a_store_that_is_filled_is_not_to_be_used_before_it_is_whole(sides: Sides) -> None:
    source, target = sides[0](), sides[1]()
    assert check(target) is target
    moving = moved(source, target)
    with pytest.raises(StoreError, match="is being filled by `atles migrate` from here"):
        check(target)
    target = sides[1]()
    Moving(source, target, "one", "here").end()
    assert check(target) is target and moving
    put_mark(source, Mark("one", "there", "2026-01-01", "moved"))
    with pytest.raises(StoreError, match="was moved to there on 2026-01-01"):
        check(source)
    target.close()


def test_nul_is_what_postgresql_makes_of_it(sqlite: Store, postgresql: str) -> None:
    sqlite.sessions.add(session("one", "u: a"), 5)
    execute(sqlite, "update messages set name = 'n' || char(0)")
    for name in ("'s' || char(0) || 'x'", "'sa'"):
        execute(sqlite, f"insert into feedback values ({name}, 1, 'up', '', 'now')")
    target = Store(PostgreSQL(postgresql))
    moved(sqlite, target)
    assert execute(target, "select name from messages")[0][0] == "n\ufffd"
    target.close()


def test_a_digest_counts_each_row_and_not_their_order() -> None:
    rows = [(1, "a", None, b"x", 0.5), (2, "b", "c", b"", 1.0), (2, "b", "c", b"", 1.0)]
    assert digest(iter(rows)) == digest(iter(rows[::-1]))
    assert digest(iter(rows)) != digest(iter(rows[:2]))
    assert digest(iter(rows)) != digest(iter([*rows[:2], (2, "b", "d", b"", 1.0)]))
    assert digest(iter([("a\0",)])) == digest(iter([("a\ufffd",)]))


# --- the indexes ---


@pytest.fixture(params=["sqlite", "postgresql"])
def lived(home: Home, fake: FakePrograms, request: pytest.FixtureRequest) -> Store:
    """A store of each kind that has seen everything."""
    url = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    lived_in(home, fake, url)
    return open_store(home, Settings(store=StoreSettings(url)))


def test_what_waits_to_be_read_is_not_in_the_index_yet(lived: Store) -> None:
    found = unfound(lived)
    assert (found.sessions, found.memories, found.strays, found.damage) == ({"late/one", "session_099"}, set(), 0, "")
    index_rest(lived)
    assert unfound(lived).sessions == set()


def test_an_index_is_made_of_nothing_but_the_rows(lived: Store) -> None:
    asked = [["boat"], ["colour"], ["number", "pier"]]
    before = [lived.turns.with_any(words, *lived.turns.span(1)) for words in asked]
    for _ in range(2):
        index_anew(lived)
        found = unfound(lived)
        assert (found.sessions, found.memories, found.strays, found.damage) == (set(), set(), 0, "")
    after = [lived.turns.with_any(words, *lived.turns.span(1)) for words in asked]
    assert [set(it) >= set(was) for it, was in zip(after, before, strict=True)] == [True] * 3
    ann = lived.sessions.user("ann")
    assert ann and len(lived.memories.like(ann, ["dog"], [], 5)) == 1, "once, not twice"


def test_entries_of_nothing_are_counted(lived: Store) -> None:
    index_rest(lived)
    execute(lived, "update messages set text = '' where position = 0 and session = 1")
    assert unfound(lived).strays == 1
    index_anew(lived)
    assert unfound(lived).strays == 0


def test_memories_that_are_not_in_the_index_are_named(lived: Store) -> None:
    (memory, *_) = lived.memories.of_user(lived.sessions.user("ann") or 0)
    lived.database.run("memories.unindex", id=memory.id)
    assert unfound(lived).memories == {memory.id}
    index_rest(lived)
    assert unfound(lived).memories == set()


def test_a_damaged_index_is_noticed(home: Home, fake: FakePrograms) -> None:
    lived_in(home, fake)
    sqlite = Store(home.database)
    index_rest(sqlite)
    execute(sqlite, "update memories set text = 'something else'")
    assert "malformed" in unfound(sqlite).damage
    index_anew(sqlite)
    assert not unfound(sqlite).damage
    execute(sqlite, "delete from turns_data where id > 10")
    assert "malformed" in unfound(sqlite).damage
    index_anew(sqlite)
    assert not unfound(sqlite).damage
