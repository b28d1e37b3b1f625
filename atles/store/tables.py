"""The tables of a store as rows, for whoever copies or compares all of it. Knows names, keys and both kinds of
database, never what the rows are for.

Not among them: the jobs, since each kind of store has a queue of its own, and the full-text indexes, which are made of
the rows (`words.py`).
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from atles.errors import Duplicate, StoreError
from atles.store.sqlite import SQLite

if TYPE_CHECKING:
    from atles.store import Store
    from atles.store.postgresql import PostgreSQL

_AT_ONCE = 1000  # rows that are fetched together
_NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Table:
    """`key` are the columns that its rows are ordered by; no two rows share them."""

    name: str
    key: tuple[str, ...]


# What a row refers to stands in a table before it.
TABLES = (
    Table("users", ("id",)),
    Table("sessions", ("number",)),
    Table("messages", ("rowid",)),
    Table("turn_vectors", ("rowid",)),
    Table("memories", ("number",)),
    Table("memory_sources", ("memory", "message")),
    Table("topics", ("number",)),
    Table("topic_sessions", ("topic", "session")),
    Table("spending", ("day",)),
    Table("session_memories", ("id",)),
    Table("examples", ("rowid",)),
    Table("datasets", ("id",)),
    Table("dataset_examples", ("dataset_id", "example_id")),
    Table("adapters", ("name",)),
    Table("releases", ("seq",)),
    Table("steps", ("session_id", "revision", "step")),
    Table("session_logs", ("seq",)),
    Table("api_keys", ("id",)),
    Table("feedback", ("session_id", "position")),
    Table("forgotten", ("seq",)),
)

_SOME_ERRORS = 3

Key = tuple[Any, ...]
Rows = Iterator[tuple[Any, ...]]


class Tables(ABC):
    """One store's tables. Everything raises StoreError where the database fails."""

    name: str  # of the database, as people know it

    @abstractmethod
    def select(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        """The rows of a query, fetched some at a time; `?` stands for a value."""

    @abstractmethod
    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement, in the store's own transaction if there is one."""

    @abstractmethod
    def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows, as `rows` gives them, in one transaction."""

    @abstractmethod
    def clear(self) -> None:
        """Delete the rows of all tables, the indexes and the jobs."""

    @abstractmethod
    def drop_jobs(self) -> None:
        """Delete all jobs."""

    @abstractmethod
    def jobs(self) -> int:
        """How many there are."""

    @abstractmethod
    def count_on(self) -> None:
        """Let the numbers that the database gives out go on behind those that are there."""

    @abstractmethod
    def damage(self) -> str:
        """What is wrong with the pages of a file, in words; "" if nothing is. A server's are its own matter."""

    @abstractmethod
    def _types(self) -> Mapping[str, Mapping[str, str]]:
        """Table -> column -> its type."""

    @abstractmethod
    def _ordered(self, table: Table, column: str) -> str:
        """A column as it is compared: texts by their bytes, in both kinds of database."""

    @cached_property
    def types(self) -> Mapping[str, Mapping[str, str]]:
        return self._types()

    def columns(self, table: Table) -> list[str]:
        """Its columns, in the order in which `rows` gives them: the same in both kinds of database."""
        return [*table.key, *sorted(self.types[table.name].keys() - set(table.key))]

    def rows(self, table: Table, after: Key | None = None) -> Rows:
        """All rows, or those behind a key, in the order of their keys."""
        key = ", ".join(self._ordered(table, column) for column in table.key)
        places = ", ".join("?" * len(table.key))
        behind = f" where ({key}) > ({places})" if after is not None else ""
        names = ", ".join(f'"{column}"' for column in self.columns(table))
        return self.select(f'select {names} from "{table.name}"{behind} order by {key}', after or ())

    def last(self, table: Table) -> Key | None:
        """The last key; None where there are no rows."""
        names = ", ".join(f'"{column}"' for column in table.key)
        key = ", ".join(f"{self._ordered(table, column)} desc" for column in table.key)
        return next(self.select(f'select {names} from "{table.name}" order by {key} limit 1'), None)

    def size(self, table: Table) -> int:
        """How many rows it has."""
        return next(self.select(f'select count(*) from "{table.name}"'))[0]

    def empty(self) -> bool:
        """Whether the store holds nothing at all."""
        return not self.jobs() and all(self.last(table) is None for table in TABLES)


class _OfSQLite(Tables):
    def __init__(self, database: SQLite) -> None:
        self._database, self.name = database, database.name

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._database._connection
        except sqlite3.IntegrityError as error:
            raise Duplicate(f"the database {self.name} refuses it: {error}") from error
        except sqlite3.Error as error:
            raise StoreError(f"the database {self.name} cannot be used: {error}") from error

    def select(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        with self._connection() as connection:
            yield from map(tuple, connection.execute(sql, values))

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._connection() as connection:
            connection.execute(sql, values)

    def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        columns = self.columns(table)
        names, places = ", ".join(f'"{column}"' for column in columns), ", ".join("?" * len(columns))
        with self._database.transaction(), self._connection() as connection:
            connection.executemany(f'insert into "{table.name}" ({names}) values ({places})', rows)

    def clear(self) -> None:
        with self._database.transaction():
            self.run("insert into turns (turns) values ('delete-all')")
            for table in reversed(TABLES):
                self.run(f'delete from "{table.name}"')
            self.run("insert into memories_fts (memories_fts) values ('rebuild')")  # of nothing
            self.drop_jobs()

    def drop_jobs(self) -> None:
        self.run("delete from jobs")

    def jobs(self) -> int:
        return next(self.select("select count(*) from jobs"))[0]

    def count_on(self) -> None:
        """SQLite does so by itself."""

    def damage(self) -> str:
        try:
            found = [row[0] for row in self.select(f"pragma quick_check({_SOME_ERRORS})") if row[0] != "ok"]
        except StoreError as error:
            found = [str(error)]
        return "; ".join(it.replace("\n", ", ") for it in found)

    def _types(self) -> Mapping[str, Mapping[str, str]]:
        found = "select m.name, c.name, c.type from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table'"
        return _grouped(self.select(found))

    def _ordered(self, table: Table, column: str) -> str:
        return f'"{column}"'


class _OfPostgreSQL(Tables):
    """On the store's own connection: in its transaction, where there is one."""

    def __init__(self, database: "PostgreSQL") -> None:
        self._database, self.name = database, database.name

    def select(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        # The rows stay at the server until they are asked for, which takes a transaction.
        with (
            self._database.transaction(),
            self._database.explained(),
            self._database.connection.cursor(name=f"rows{next(_NUMBERS)}") as cursor,
        ):
            cursor.itersize = _AT_ONCE
            cursor.execute(sql.replace("?", "%s").encode(), values)
            yield from map(tuple, cursor)

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._database.explained():
            self._database.connection.execute(sql.replace("?", "%s").encode(), values)

    def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        names = ", ".join(f'"{column}"' for column in self.columns(table))
        with (
            self._database.transaction(),
            self._database.explained(),
            self._database.connection.cursor() as cursor,
            cursor.copy(f'copy "{table.name}" ({names}) from stdin'.encode()) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def clear(self) -> None:
        names = ", ".join(f'"{table.name}"' for table in TABLES)
        with self._database.transaction():
            self.run(f"truncate {names}, turns, memories_fts restart identity cascade")
            self.drop_jobs()

    def drop_jobs(self) -> None:
        self.run("delete from procrastinate_jobs")

    def jobs(self) -> int:
        return next(self.select("select count(*) from procrastinate_jobs"))[0]

    def count_on(self) -> None:
        with self._database.transaction():
            for table in TABLES:
                for column in table.key:
                    (name,) = next(self.select("select pg_get_serial_sequence(?, ?)", [table.name, column]))
                    if name:
                        last = f'select max("{column}") as n from "{table.name}"'
                        self.run(
                            f"select setval(cast(? as regclass), coalesce(n, 1), n is not null) from ({last}) l", [name]
                        )

    def damage(self) -> str:
        return ""

    def _types(self) -> Mapping[str, Mapping[str, str]]:
        found = "select table_name, column_name, data_type from information_schema.columns where table_schema = ?"
        return _grouped(self.select(found, [self._database.schema]))

    def _ordered(self, table: Table, column: str) -> str:
        return f'"{column}"' + (' collate "C"' if self.types[table.name][column] == "text" else "")


def _grouped(found: Rows) -> Mapping[str, Mapping[str, str]]:
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in found:
        types.setdefault(table, {})[column] = kind
    return types


def tables_of(store: "Store") -> Tables:
    """The tables of a store of either kind."""
    if isinstance(store.database, SQLite):
        return _OfSQLite(store.database)
    from atles.store.postgresql import PostgreSQL  # its driver takes megabytes

    assert isinstance(store.database, PostgreSQL)  # there are two
    return _OfPostgreSQL(store.database)
