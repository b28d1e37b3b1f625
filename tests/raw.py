"""SQL on a store of either kind, for tests that look behind it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from atles.store import Store
from atles.store.postgresql import PostgreSQL
from atles.store.sqlite import SQLite


def execute(store: Store, sql: str) -> list[Any]:
    """Run a statement; its rows, if it has any."""
    if isinstance(store.database, PostgreSQL):
        done = store.database.connection.execute(sql.encode())
        return list(done.fetchall()) if done.description else []
    assert isinstance(store.database, SQLite)
    return store.database._connection.execute(sql).fetchall()


def everything(store: Store) -> bytes:
    """All that the database holds: the bytes of the file, or every row of every table."""
    if isinstance(store.database, SQLite):
        execute(store, "pragma wal_checkpoint(truncate)")
        return store.database.path.read_bytes()
    tables = execute(store, "select table_name from information_schema.tables where table_schema = current_schema")
    rows = [row for (table,) in tables for row in execute(store, f"select t::text from {table} t")]
    return "\n".join(str(row[0]) for row in rows).encode()


def overwrite(database: Path, table: str) -> bytes:
    """Zeros in place of a table's first page, as a failing disk leaves it; the whole file as it was."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (page,) = connection.execute("select rootpage from sqlite_master where name = ?", [table]).fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    was = database.read_bytes()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    return was
