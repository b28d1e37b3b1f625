"""A database of version 1 becomes one of today: nothing is lost, and what was not scrubbed is learned again."""

import json
import sqlite3
from pathlib import Path

import pytest

from atles.pipeline.memory import MemoryProcessor
from atles.queue.leases import LeaseQueue
from atles.records import Adapter, AdapterState, Dataset, Session
from atles.store import Store
from atles.store.database import SCHEMA_VERSION
from tests.samples import document

SECRET = "the wifi password is Blue-Heron-77"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """As version 1 wrote it: two sessions, one of a named user, one message with parts."""
    path = tmp_path / "atles.db"
    connection = sqlite3.connect(path)
    connection.executescript((Path(__file__).parent / "schema_1.sql").read_text())
    for number, (name, user) in enumerate((("plain", None), ("parts", "ada"))):
        raw = document(name, f"u: I live in Leeds and {SECRET}.", "a: Noted.", metadata={"user": user} if user else {})
        if user:
            raw["messages"][0]["content"] = [{"type": "text", "text": f"I live in Bath, {SECRET}."}]
        session = Session.of(raw)
        connection.execute(
            "insert into sessions values (?, 1, 'train', ?, ?, '2026-01-02T03:14:06+00:00', 2, '', ?)",
            (name, raw["start_time"], raw["end_time"], json.dumps(session.as_json())),
        )
        for message in session.messages:
            connection.execute(
                "insert into messages (id, session_id, position, role, text, timestamp, rejected)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (
                    message.id,
                    name,
                    message.position,
                    message.role,
                    message.text,
                    "2026-01-02T03:04:05+00:00",
                    number * message.position,
                ),
            )
        connection.execute(
            "insert into examples values (?, ?, ?, 'pair', 'q', 'a', '[]', '2026', null)",
            (f"example {name}", name, session.messages[1].id),
        )
    connection.execute("pragma user_version = 1")
    connection.commit()
    connection.close()
    return path


def test_sessions_users_and_messages_are_kept(old: Path) -> None:
    store = Store(old)
    assert [row["session_id"] for row in store.sessions.list()] == ["plain", "parts"]
    assert {row["name"] for row in store.sessions.users()} == {"", "ada"}
    plain, parts = store.sessions.get("plain").session, store.sessions.get("parts").session
    expected = Session.of(document("plain", f"u: I live in Leeds and {SECRET}.", "a: Noted."))
    assert [it.id for it in plain.messages] == [it.id for it in expected.messages]
    assert [it.raw for it in plain.messages] == [it.raw for it in expected.messages]
    assert parts.messages[0].raw["content"][0]["text"] == f"I live in Bath, {SECRET}."
    assert len(store.examples.of_session("plain")) == 1
    assert store.database._connection.execute("pragma foreign_key_check").fetchall() == []
    store.close()


def test_it_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    def shape(store: Store) -> dict[str, list[tuple]]:
        connection = store.database._connection
        tables = [
            row[0] for row in connection.execute("select name from sqlite_master where type in ('table', 'index')")
        ]
        return {
            name: [tuple(row) for row in connection.execute(f'pragma table_info("{name}")')]
            for name in tables
            if not name.startswith("sqlite_autoindex")
        }

    migrated, fresh = Store(old), Store(tmp_path / "fresh.db")
    assert shape(migrated) == shape(fresh)
    assert migrated.database._connection.execute("pragma user_version").fetchone()[0] == SCHEMA_VERSION
    migrated.close()
    fresh.close()


def test_everything_is_learned_again_and_the_secrets_go(old: Path) -> None:
    store = Store(old)
    queue = LeaseQueue(store.database, "me", 60)
    assert sorted(job.key for job in queue.open()) == ["memory:parts#1", "memory:plain#1"]
    memory = MemoryProcessor(store=store)
    for name in ("plain", "parts"):
        stored = store.sessions.get(name)
        memory.remember(stored, memory.extract(stored))
    rows = store.database._connection.execute("select text, raw from messages").fetchall()
    assert "Blue-Heron" not in repr([tuple(row) for row in rows])
    assert "[PASSWORD]" in store.sessions.get("parts").session.messages[0].text
    assert [hit.session_id for hit in memory.recall("Where do I live?", user="ada")] == ["parts"]
    store.close()


def test_of_version_2_everything_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "atles.db"
    store = Store(path)
    store.examples.add_dataset(Dataset("d", "/d", 0, 0, (), ()), [])
    store.adapters.add(Adapter("a", "base", "d", "/a", AdapterState.CANDIDATE, "new", "2026", {}))
    store.adapters.point("a", "promote", "good", 0)
    for table, column, new in (("adapters", "state", ", 'retired'"), ("releases", "action", ", 'retire'")):
        (row,) = store.database._connection.execute("select sql from sqlite_master where name = ?", (table,))
        assert new in row["sql"] and column in row["sql"]
        store.database._connection.execute("pragma foreign_keys = off")
        store.database._connection.execute(f"alter table {table} rename to new_{table}")
        store.database._connection.execute(row["sql"].replace(new, ""))
        store.database._connection.execute(f"insert into {table} select * from new_{table}")
        store.database._connection.execute(f"drop table new_{table}")
    store.database._connection.execute("alter table examples drop column rejected")
    store.database._connection.execute("pragma user_version = 2")
    store.close()
    store = Store(path)
    assert [it.name for it in store.adapters.list()] == ["a"] and store.adapters.active() == (1, "a")
    store.adapters.retire("a", "seen")
    store.adapters.point("", "retire", "seen", 1)
    assert store.adapters.get("a").state is AdapterState.RETIRED and store.adapters.active() == (2, "")
    store.close()
