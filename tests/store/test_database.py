"""The SQLite file: all or nothing, from many threads and processes, and what is said when it cannot be used."""

import contextlib
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from atles.errors import Damaged, Duplicate, StoreError, Unusable
from atles.pipeline.lanes import open_queue
from atles.settings import Settings
from atles.store import Store
from atles.store.database import SCHEMA_VERSION, named_queries
from atles.store.postgresql import PostgreSQL
from atles.store.sqlite import SQLite
from tests.raw import execute, overwrite
from tests.samples import session

PACKAGE = Path(__file__).parent.parent.parent / "atles"


def sessions(store: Store) -> list[str]:
    return [row["session_id"] for row in store.sessions.list()]


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.sessions.add(session("one", "u: a"), 5)
        raise ZeroDivisionError
    assert sessions(store) == []
    with store.transaction():
        store.sessions.add(session("two", "u: a"), 5)
    assert sessions(store) == ["two"]


def test_a_transaction_inside_another_is_part_of_it(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        with store.transaction():
            store.sessions.add(session("inner", "u: a"), 5)
        raise ZeroDivisionError
    assert sessions(store) == []


def test_an_error_inside_is_not_hidden_when_it_is_caught_outside_of_the_inner_one(store: Store) -> None:
    with store.transaction():
        store.sessions.add(session("outer", "u: a"), 5)
        with pytest.raises(ZeroDivisionError), store.transaction():
            raise ZeroDivisionError
    assert sessions(store) == ["outer"]


def test_what_was_deleted_is_in_no_file_once_the_database_is_settled(sqlite: Store) -> None:
    sqlite.sessions.add(session("one", "u: Quillfeather"), 5)
    sqlite.database.settle()
    files = [sqlite.database.path, sqlite.database.path.with_name(f"{sqlite.database.path.name}-wal")]
    assert b"Quillfeather" in files[0].read_bytes()
    sqlite.database._connection.execute("delete from messages")
    sqlite.database._connection.execute("delete from sessions")
    with sqlite3.connect(files[0]) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from sessions").fetchone()
        sqlite.database.settle()  # somebody reads: nothing is waited for
    reader.close()
    sqlite.database.settle()
    assert not any(b"Quillfeather" in file.read_bytes() for file in files)


def test_what_one_thread_has_not_committed_another_does_not_see(store: Store) -> None:
    seen: list[list[str]] = []
    with store.transaction():
        store.sessions.add(session("one", "u: a"), 5)
        thread = threading.Thread(target=lambda: seen.append(sessions(store)))
        thread.start()
        thread.join()
    assert seen == [[]]


def test_a_full_disk_fails_the_transaction_and_not_the_next_one(sqlite: Store) -> None:
    connection = sqlite.database._connection
    pages = connection.execute("pragma page_count").fetchone()[0]
    connection.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"), sqlite.transaction():
        sqlite.sessions.add(session("one", "u: " + "x" * 200_000), 5)
    assert sessions(sqlite) == []
    connection.execute("pragma max_page_count = 1000000")
    with sqlite.transaction():
        sqlite.sessions.add(session("two", "u: a"), 5)
    other = Store(sqlite.database.path)
    assert sessions(other) == ["two"], "the commit was real"
    other.close()


def test_a_commit_that_fails_is_rolled_back(sqlite: Store) -> None:
    """A deferred foreign key fails at the commit itself, as a full disk can."""
    connection = sqlite.database._connection
    with pytest.raises(Duplicate), sqlite.transaction():
        connection.execute("pragma defer_foreign_keys = on")
        sqlite.sessions.add(session("one", "u: a"), 5)
        connection.execute("update examples set id = id")
        connection.execute(
            "insert into steps (session_id, revision, step, seconds, attempts, at) values ('none', 1, 'log', 0, 1, '')"
        )
    assert not connection.in_transaction
    with sqlite.transaction():
        sqlite.sessions.add(session("two", "u: a"), 5)
    other = Store(sqlite.database.path)
    assert sessions(other) == ["two"]
    other.close()


_WRITER = """
import sys
from pathlib import Path
from atles.store import Store
from tests.samples import session
store = Store(Path(sys.argv[1]))
for number in range(40):
    store.sessions.add(session(f"{sys.argv[2]}-{number}", "u: a", "a: b"), 5)
"""


def test_processes_open_and_write_one_new_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "atles.db"
    command = [sys.executable, "-c", _WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True, cwd=PACKAGE.parent) for name in "abc"
    ]
    errors = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], errors
    store = Store(path)
    splits = [row["split"] for row in store.sessions.list()]
    store.close()
    assert len(splits) == 120
    assert splits.count("heldout") == 24, "every fifth, whoever wrote it"


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "atles.db"
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match=rf"newer ATLES \(schema {SCHEMA_VERSION + 1}.*upgrade ATLES"):
        Store(path)
    assert sqlite3.connect(path).execute("pragma user_version").fetchone() == (SCHEMA_VERSION + 1,)


def test_a_newer_schema_says_what_to_do(tmp_path: Path, postgresql: str) -> None:
    there = PostgreSQL(postgresql)
    there.connection.execute(f"update store_version set version = {SCHEMA_VERSION + 1}".encode())
    there.close()
    here = SQLite(tmp_path / "atles.db")
    here._connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    here.close()
    for opened in (lambda: PostgreSQL(postgresql), lambda: SQLite(tmp_path / "atles.db")):
        with pytest.raises(Unusable, match="newer ATLES") as caught:
            opened()
        assert caught.value.way_out.startswith("upgrade ATLES here to that version")
        assert caught.value.way_out in str(caught.value) and caught.value.what in str(caught.value)


def test_a_daemon_writes_nothing_into_a_database_that_was_upgraded_under_it(tmp_path: Path) -> None:
    old, new = Store(tmp_path / "atles.db"), SQLite(tmp_path / "atles.db")
    old.sessions.add(session("s", "u: a"), 5)
    new._connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(Unusable, match=r"newer ATLES .* restart what runs"):
        old.sessions.add(session("t", "u: a"), 5)
    assert [row["session_id"] for row in old.sessions.list()] == ["s"]


def test_nothing_is_upgraded_while_older_ones_work(postgresql: str) -> None:
    store = Store(PostgreSQL(postgresql))
    queue = open_queue(store, Settings())
    assert queue.claim("learn") is None, "it is a worker now"
    execute(store, f"update store_version set version = {SCHEMA_VERSION - 1}")
    with pytest.raises(Unusable, match=rf"with an older ATLES \(schema {SCHEMA_VERSION - 1}\): .*; end that"):
        PostgreSQL(postgresql)
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://atles:p@ss5hunter@h.invalid/x", "postgresql://atles:hun/ter4hunter@h.invalid/x",
        "postgresql://atles:100%hunter@h.invalid/x", "postgresql://atles:hunter2 x@h.invalid/x",
        "postgresql://atles:hunter@h.invalid:port/x", "postgresql://atles:hunter2", "postgresql://h.invalid/x?hunter2",
        "postgresql://h.invalid/x?password=p@hunter", "host=h.invalid user=atles password=hunter2", "%00hunter",
        "postgresql://h.invalid/x?hunter2=1", "postgresql://atles:hunter%00@h.invalid/x",
    ],
)  # fmt: skip
def test_a_malformed_address_is_not_shown(url: str) -> None:
    with pytest.raises(StoreError, match=r"cannot be read; store\.url must be like .* %40 for @") as caught:
        PostgreSQL(url)
    assert "hunter" not in str(caught.value) and "h.invalid" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None, "nor below a traceback"


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(StoreError, match=r"the database postgresql://h\.invalid/x cannot be used") as caught:
        PostgreSQL("postgresql://atles:hun%40ter%252@h.invalid/x?connect_timeout=2")
    assert "hun" not in str(caught.value) and "ter%2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to be read as one" * 20, None])
def test_what_is_no_database_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "atles.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot open the database .*atles\.db"):
        Store(path)


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="cannot open the database"):
        Store(tmp_path / "home" / "atles.db")


def test_the_originals_memories_are_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "atles.db"
    original = sqlite3.connect(path)
    original.execute(
        "create table session_memories (id integer primary key autoincrement, session_id text, timestamp text,"
        " topics text, preferences text, message_count integer, data text)"
    )
    original.execute("insert into session_memories (session_id, topics) values ('old', '[\"tea\"]')")
    original.commit()
    original.close()
    for _ in range(2):
        store = Store(path)
        assert list(store.memories.sessions()) == []
        kept = store.database._connection.execute("select session_id, topics from session_memories_original")
        assert [tuple(row) for row in kept] == [("old", '["tea"]')]
        store.close()


def test_every_query_that_is_named_exists_and_every_one_that_exists_is_named() -> None:
    named = {
        name
        for file in PACKAGE.rglob("*.py")
        for name in re.findall(
            r'"((?:sessions|messages|memories|turns|vectors|spending|examples|adapters|logs|jobs|keys|feedback)\.\w+)"',
            file.read_text(),
        )
        if not name.endswith((".sql", ".jsonl"))
    }
    known = {dialect: set(named_queries(dialect)) for dialect in ("sqlite", "postgresql")}
    assert named == known["sqlite"] | known["postgresql"]
    # The queue of each is another; all else is the same.
    apart = {name for name in known["sqlite"] ^ known["postgresql"] if not name.startswith("jobs.")}
    assert apart == set()


def test_every_query_is_one_that_sqlite_understands(tmp_path: Path) -> None:
    database = SQLite(tmp_path / "atles.db")
    for name, sql in named_queries("sqlite").items():
        values = dict.fromkeys(re.findall(r":(\w+)", sql))
        database._connection.execute(f"explain {sql}", values), name
    database.close()


def test_damage_is_an_error_of_its_own_and_remembered_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "atles.db"
    before = Store(path)
    before.sessions.add(session("one", "u: a"), 5)
    before.close()
    was = overwrite(path, "sessions")
    store = Store(path)
    assert store.database.damage == "", "nobody has come upon it"
    store.database.look_again()
    with pytest.raises(
        Damaged, match=rf"the database {path} is damaged \(database disk image is malformed\); `atles do"
    ):
        store.sessions.list()
    assert store.database.damage.startswith(f"the database {path} is damaged")
    store.database.look_again()
    assert store.database.damage, "it is as it was"
    with path.open("r+b") as file:
        file.write(was)
    store.database.close()  # what it keeps in memory it would take for what is there
    store.database.look_again()
    assert store.database.damage == "" and sessions(store) == ["one"]
    store.close()


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "atles.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(Damaged, match=r"cannot open the database .*: file is not a database; `atles doctor`"):
        SQLite(path)


def test_what_others_refuse_is_no_damage(sqlite: Store) -> None:
    with pytest.raises(StoreError) as refused:
        sqlite.database.run("jobs.put", kind="x")  # values that the statement asks for are missing
    assert not isinstance(refused.value, Damaged) and sqlite.database.damage == ""


def test_every_query_is_one_that_postgresql_understands(postgresql: str) -> None:
    database = PostgreSQL(postgresql)
    for name, sql in database._queries.items():
        values = dict.fromkeys(re.findall(r"%\((\w+)\)s", sql.decode()))
        refused = (psycopg.errors.IntegrityError, psycopg.errors.RaiseException)  # understood, and no row of that name
        with contextlib.suppress(*refused), database.connection.transaction(force_rollback=True):
            database.connection.execute(sql, values), name
    database.close()


def test_both_have_the_same_tables_and_columns(sqlite: Store, postgresql: str) -> None:
    own = {"jobs", "job_notes", "workers", "store_version"}
    there = PostgreSQL(postgresql)
    columns = there.connection.execute(
        "select table_name, column_name from information_schema.columns where table_schema = 'atles'"
    ).fetchall()
    there.close()
    here = sqlite.database._connection.execute(  # type: ignore[attr-defined]  # a test looks behind the interface
        "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'"
    ).fetchall()
    indexes = ("turns", "memories_fts", "sqlite_", "procrastinate_")  # each in its own way
    assert {(table, column) for table, column in here if not table.startswith(indexes) and table not in own} == {
        (table, column)
        for table, column in columns
        if not table.startswith(indexes) and table not in own and (table, column) != ("examples", "rowid")
    }
