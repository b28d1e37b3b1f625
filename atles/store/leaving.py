"""A store that is moved away: nobody writes to it while it is copied, and whoever still has it open afterwards is told
where it went. Knows what each kind of database has for that, never how the copy is made.

A SQLite file needs no more than another name: `sqlite.py` writes into none that was moved.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from atles.errors import StoreError
from atles.store import Store
from atles.store.database import text_of
from atles.store.sqlite import SQLite
from atles.store.transfer import Mark, put_mark

if TYPE_CHECKING:
    from atles.store.postgresql import PostgreSQL

_WAIT_SECONDS = 30  # for those who work on it just now
_LOOK_SECONDS = 0.1


@contextmanager
def held(store: Store) -> Iterator[None]:
    """Until it ends, others may read the store, and wait where they write to it. One transaction. All of a SQLite store
    is then in the one file, none of it in its journal.

    Raises StoreError where somebody works on it for too long.
    """
    if not isinstance(store.database, SQLite):
        with store.transaction():
            _lock(store)
            yield
        return
    path = store.database.path
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        store.database.settle()
        with store.transaction():
            if not _size(path.with_name(f"{path.name}-wal")):  # nobody wrote since
                yield
                return
        time.sleep(_LOOK_SECONDS)
    raise _too_busy(store)


def close_to_others(store: Store, mark: Mark) -> None:
    """Say that a PostgreSQL store was moved, and let whoever writes to it from now on hear that. Without its table
    `moving` it is open again. Inside `held`, those who wait are the first to hear it. Raises StoreError."""
    database = _server(store)
    with store.transaction(), database.explained():
        put_mark(store, mark)
        database.connection.execute(text_of("postgresql/moved.sql").encode())
        for name in _tables(database):
            database.connection.execute(
                f'create or replace trigger moved before insert or update or delete or truncate on "{name}" '
                "for each statement execute function refuse_moved()".encode()
            )


def _lock(store: Store) -> None:
    import psycopg

    database = _server(store)
    connection = database.connection
    names = ", ".join(f'"{name}"' for name in _tables(database))
    try:
        # A copy takes its time; the server is not to end it for that.
        connection.execute("set local idle_in_transaction_session_timeout = 0")
        connection.execute(f"set local lock_timeout = '{_WAIT_SECONDS}s'".encode())
        connection.execute(f"lock table {names} in share row exclusive mode".encode())
        connection.execute("set local lock_timeout = 0")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise _too_busy(store) from error


def _too_busy(store: Store) -> StoreError:
    return StoreError(
        f"others work on {store.database.name} without end; end the daemons, workers and commands that use it, and do "
        "it again"
    )


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _tables(database: "PostgreSQL") -> list[str]:
    """All that anybody writes to. Not the version: whoever opens the store updates that, mostly to what it is, and may
    go on looking."""
    found = database.connection.execute(
        "select table_name::text from information_schema.tables where table_schema = current_schema "
        "and table_type = 'BASE TABLE' and table_name not in ('moving', 'store_version') order by 1"
    )
    return [row[0] for row in found.fetchall()]


def _server(store: Store) -> "PostgreSQL":
    from atles.store.postgresql import PostgreSQL

    assert isinstance(store.database, PostgreSQL)  # there are two
    return store.database
