"""A SQLite file: the store of one machine."""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from atles.errors import Damaged, Duplicate, StoreError, Unusable
from atles.layout import make_folder
from atles.store.database import SCHEMA_VERSION, Database, named_queries, newer, text_of

_BUSY_SECONDS = 30.0
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_WAY_OUT = (
    "`atles doctor` says whether it can be mended, `atles restore` makes a home of a backup, and docs/operations.md "
    "(Repair) says what to do without one"
)


class SQLite(Database):
    """One SQLite database in WAL mode: one writer at a time, any number of readers.

    Raises StoreError where the file cannot be opened or was written by a newer version, and for whatever is written
    after it got another name; Damaged where it is not what SQLite wrote, and `damage` says so from then on.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._explained = _Explained(self)
        self._queries = named_queries("sqlite")
        try:
            make_folder(path.parent)
            # Its journals take over the mode. A file that is there is not opened: to close it would end the locks
            # that SQLite holds on it for other connections of this process.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self._file = self._file_there()
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            if _tells_damage(error):
                raise Damaged(f"cannot open the database {path}: {error}", _WAY_OUT) from error
            raise StoreError(f"cannot open the database {path}: {error}") from error

    def _migrate(self) -> None:
        connection = self._connection
        if connection.execute("pragma user_version").fetchone()[0] == SCHEMA_VERSION:
            return  # mostly; whoever only looks waits for no writer
        # A table that is rebuilt keeps its name, and what refers to it refers to the new one.
        connection.execute("pragma foreign_keys = off")
        connection.execute("pragma legacy_alter_table = on")
        try:
            with self.transaction():
                version = connection.execute("pragma user_version").fetchone()[0]
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
                    text_of(f"sqlite/migrate_{n}.sql").split("-- @schema", 1)
                    for n in range(version or SCHEMA_VERSION, SCHEMA_VERSION)
                ]
                before, after = ([step[part] for step in steps] for part in (0, 1))
                for statement in _statements("\n".join([*before, text_of("sqlite/schema.sql"), *after])):
                    connection.execute(statement)
                connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        finally:
            connection.execute("pragma legacy_alter_table = off")
            connection.execute("pragma foreign_keys = on")

    @property
    def _connection(self) -> sqlite3.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            self._check_file()
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",  # never a new file: this one may be moved at this moment
                uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False,
            )  # fmt: skip
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
        try:
            with self._explained:
                connection = self._connection
                inside = connection.in_transaction
                if not inside:
                    connection.execute("begin immediate")
        except StoreError:
            self._check_file()  # SQLite says "disk I/O error" of a file that is moved at this very moment
            raise
        if inside:
            yield
            return
        try:
            self._check_file()
            # Somebody may have upgraded ATLES under a daemon that goes on.
            with self._explained:
                version = connection.execute("pragma user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise newer(self.name, version)
            yield
            with self._explained:
                connection.execute("commit")
        except BaseException:
            # A full disk fails the commit and leaves the transaction open, or has ended it already.
            if connection.in_transaction:
                connection.execute("rollback")
            raise

    def _file_there(self) -> tuple[int, int] | None:
        """Which file has the database's name now, if any."""
        with suppress(FileNotFoundError):
            state = self.path.stat()
            return state.st_dev, state.st_ino
        return None

    def _check_file(self) -> None:
        """Nothing is written into a file that was set aside since it was opened: nobody would find it there."""
        if self._file_there() != self._file:
            raise Unusable(
                f"the database {self.path} was moved away while it was open",
                "`atles migrate` or `atles restore` may have done that; do it again, and it goes to where the store is",
            )

    def lock(self, what: str) -> None:
        """Held already: there is one writer at a time."""

    def rows(self, query: str, /, **values: Any) -> list[sqlite3.Row]:
        with self._explained:
            return self._connection.execute(self._queries[query], values).fetchall()

    def row(self, query: str, /, **values: Any) -> sqlite3.Row | None:
        with self._explained:
            return self._connection.execute(self._queries[query], values).fetchone()

    def run(self, query: str, /, **values: Any) -> int:
        with self.transaction(), self._explained:
            return self._connection.execute(self._queries[query], values).rowcount

    def run_many(self, query: str, values: Sequence[Mapping[str, Any]]) -> int:
        with self.transaction(), self._explained:
            return self._connection.executemany(self._queries[query], values).rowcount

    def any_of(self, words: Iterable[str], beginnings: Iterable[str] = ()) -> str:
        return " OR ".join([*map(_quoted, words), *(f"{_quoted(it)} *" for it in beginnings)])

    def settle(self) -> None:
        """Bring the file itself up to date and empty the write-ahead log: what was deleted is then in neither.

        While somebody reads, nothing happens; the next call does it.
        """
        with self._explained:
            connection = self._connection
            connection.execute("pragma busy_timeout = 0")  # whoever writes meanwhile would wait as well
            try:
                connection.execute("pragma wal_checkpoint(truncate)").fetchall()
            finally:
                connection.execute(f"pragma busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    def look_again(self) -> None:
        if not self.damage:
            return
        with suppress(sqlite3.Error):
            if self._connection.execute("pragma quick_check(1)").fetchone()[0] == "ok":
                self.damage = ""

    def leads(self) -> bool:
        return True  # one daemon has the home's lock

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()


class _Explained:
    """Turns what SQLite raises into what the store promises. A class, not a generator: it is entered at every query."""

    def __init__(self, database: SQLite) -> None:
        self._database = database

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.IntegrityError):
            raise Duplicate(f"the database refuses it: {error}") from error
        if not isinstance(error, sqlite3.Error):
            return
        if _tells_damage(error):
            damaged = Damaged(f"the database {self._database.name} is damaged ({error})", _WAY_OUT)
            self._database.damage = str(damaged)
            raise damaged from error
        raise StoreError(f"the database cannot be used: {error}") from error


def _tells_damage(error: Exception) -> bool:
    """Whether SQLite has found something in the file that it did not write."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _quoted(word: str) -> str:
    """As FTS5 takes it: whatever is in a word, none of it is read as syntax."""
    return '"' + word.replace('"', " ").replace("\0", " ") + '"'


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
