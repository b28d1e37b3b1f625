"""The stores that benchmarks run ATLES on, looked at from outside: a SQLite file, or a PostgreSQL server of our own."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from atles.layout import Home
from bench.running import settings

KINDS = ("sqlite", "postgresql")
_SCHEMA = "atles"


class Place(ABC):
    """A home, and the store beside it; used as a context. `url` and `settings` name it as ATLES's own settings do."""

    name: str
    url: str = ""
    settings: Sequence[str] = ()

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)

    @abstractmethod
    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The rows of a query that both databases understand."""

    @abstractmethod
    def jobs(self, *states: str) -> int:
        """Jobs that are waiting, running or dead; without trainings, which may be put off for long."""

    @abstractmethod
    def bytes(self) -> int:
        """Of the database, without its write-ahead log."""

    @abstractmethod
    def log_bytes(self) -> int:
        """Of the write-ahead log."""

    def server_cpu_seconds(self) -> float:
        """What the database server has used so far; 0 where there is none."""
        return 0.0

    def count(self, query: str) -> int:
        return self.rows(query)[0][0]

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...


class SQLitePlace(Place):
    """It can be looked at once the daemon has made it."""

    name = f"SQLite {sqlite3.sqlite_version}"
    _opened: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True, isolation_level=None)
        return self._opened

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        with closing(self._connection.execute(query)) as found:
            return found.fetchall()

    def jobs(self, *states: str) -> int:
        return self.count(f"select count(*) from jobs where kind <> 'train' and state in ({_quoted(states)})")

    def bytes(self) -> int:
        return self.home.database.stat().st_size

    def log_bytes(self) -> int:
        log = self.home.database.with_name(f"{self.home.database.name}-wal")
        return log.stat().st_size if log.exists() else 0

    def __exit__(self, *error: object) -> None:
        if self._opened:
            self._opened.close()


class PostgreSQLPlace(Place):
    """Its server waits for the disk at every commit, as PostgreSQL does unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        try:
            import psycopg  # comes with atles[cluster]

            from bench.postgres import Server
        except ImportError as error:
            raise RuntimeError(f"{error.name} is not installed: run `pip install 'atles[cluster]'`") from error
        self.server = Server(durable=True)
        self.url = self.server.database()
        self.settings = settings(store_url=self.url)
        self._connection = psycopg.connect(self.url, autocommit=True)
        self._connection.execute(f"set search_path to {_SCHEMA}".encode())
        self.name = f"PostgreSQL {self._connection.info.server_version // 10_000}"

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        return self._connection.execute(query.encode()).fetchall()

    def jobs(self, *states: str) -> int:
        named = [{"waiting": "todo", "running": "doing", "dead": "failed"}[state] for state in states]
        chosen = f"task_name <> 'train' and status in ({_quoted(named)})"
        return self.count(f"select count(*) from procrastinate_jobs where {chosen}")

    def bytes(self) -> int:
        return self.count("select pg_database_size(current_database())")

    def log_bytes(self) -> int:
        return self.count("select sum(size)::bigint from pg_ls_waldir()")

    def server_cpu_seconds(self) -> float:
        return self.server.cpu_seconds()

    def __exit__(self, *error: object) -> None:
        self._connection.close()
        self.server.stop()


def place(kind: str, folder: Path) -> Place:
    """A fresh store of a kind. Raises RuntimeError where there is none to be had."""
    return PostgreSQLPlace(folder) if kind == "postgresql" else SQLitePlace(folder)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
