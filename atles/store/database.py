"""A SQLite file: connections per thread, transactions, named queries. Knows SQL, never what the rows mean.

The queries lie in `sql/*.sql`, each below a line `-- name: …`. Another database is another folder of the same names.
"""

import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from atles.errors import StoreError

SCHEMA_VERSION = 5
_BUSY_SECONDS = 30.0


class Database:
    """One SQLite database in WAL mode, used from any number of threads and processes.

    Raises StoreError where the file cannot be opened or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot open the database {path}: {error}") from error

    def _migrate(self) -> None:
        connection = self._connection
        # A table that is rebuilt keeps its name, and what refers to it refers to the new one.
        connection.execute("pragma foreign_keys = off")
        connection.execute("pragma legacy_alter_table = on")
        try:
            with self.transaction():
                version = connection.execute("pragma user_version").fetchone()[0]
                if version > SCHEMA_VERSION:
                    raise StoreError(
                        f"{self.path} was written by a newer ATLES (schema {version}, this one knows {SCHEMA_VERSION});"
                        " upgrade ATLES, or choose another --home"
                    )
                if version == SCHEMA_VERSION:
                    return
                if (
                    version == 0
                    and connection.execute("select 1 from sqlite_master where name = 'session_memories'").fetchone()
                ):
                    # The original's database: its one table moves aside, and stays readable.
                    connection.execute("alter table session_memories rename to session_memories_original")
                # Each step says what is to be done before the present tables are made, and what after.
                steps = [
                    _sql(f"migrate_{n}.sql").split("-- @schema", 1)
                    for n in range(version or SCHEMA_VERSION, SCHEMA_VERSION)
                ]
                before, after = ([step[part] for step in steps] for part in (0, 1))
                for statement in _statements("\n".join([*before, _sql("schema.sql"), *after])):
                    connection.execute(statement)
                connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        finally:
            connection.execute("pragma legacy_alter_table = off")
            connection.execute("pragma foreign_keys = on")

    @property
    def _connection(self) -> sqlite3.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("pragma journal_mode = wal")
            # A commit is on the disk before a session's file moves away: FULL, not NORMAL.
            connection.execute("pragma synchronous = full")
            connection.execute("pragma foreign_keys = on")
            # What was forgotten is overwritten, not just marked as free.
            connection.execute("pragma secure_delete = on")
            # 1 MiB of page cache: the daemon idles all day, and the kernel caches the file anyway.
            connection.execute("pragma cache_size = -1024")
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Inside another transaction of this thread, part of that one."""
        connection = self._connection
        if connection.in_transaction:
            yield
            return
        connection.execute("begin immediate")
        try:
            yield
            connection.execute("commit")
        except BaseException:
            # A full disk fails the commit and leaves the transaction open, or has ended it already.
            if connection.in_transaction:
                connection.execute("rollback")
            raise

    def rows(self, query: str, /, **values: Any) -> list[sqlite3.Row]:
        """The rows of a named query."""
        return self._connection.execute(_queries()[query], values).fetchall()

    def row(self, query: str, /, **values: Any) -> sqlite3.Row | None:
        """The first row of a named query, or None."""
        return self._connection.execute(_queries()[query], values).fetchone()

    def run(self, query: str, /, **values: Any) -> int:
        """Run a named statement; the number of rows it changed."""
        return self._connection.execute(_queries()[query], values).rowcount

    def run_many(self, query: str, values: Sequence[Mapping[str, Any]]) -> int:
        """Run a named statement for each of `values`; the number of rows changed."""
        return self._connection.executemany(_queries()[query], values).rowcount

    def settle(self) -> None:
        """Bring the file itself up to date and empty the write-ahead log: what was deleted is then in neither.

        While somebody reads, nothing happens; the next call does it.
        """
        connection = self._connection
        connection.execute("pragma busy_timeout = 0")  # whoever writes meanwhile would wait as well
        try:
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        finally:
            connection.execute(f"pragma busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()


def _sql(name: str) -> str:
    return files("atles.store").joinpath("sql", name).read_text("utf-8")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@cache
def _queries() -> dict[str, str]:
    """`sessions.add` -> SQL, from `-- name: add` in sql/sessions.sql."""
    found: dict[str, str] = {}
    for file in files("atles.store").joinpath("sql").iterdir():
        if not file.name.endswith(".sql"):
            continue
        for part in re.split(r"^-- name: ", file.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            name, _, sql = part.partition("\n")
            found[f"{file.name.removesuffix('.sql')}.{name.strip()}"] = sql.strip()
    return found
