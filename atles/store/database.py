"""What the store asks of a database: named queries, transactions, and words to look for. Knows SQL, never what the rows
mean.

The queries lie in `sql/*.sql`, each below a line `-- name: …`; what SQLite and PostgreSQL say differently lies in a
folder of each, under the same names.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from atles.errors import Unusable

SCHEMA_VERSION = 6


def newer(name: str, version: int) -> Unusable:
    """What is raised for tables that a newer ATLES has brought to its own version."""
    return Unusable(
        f"{name} was written by a newer ATLES (schema {version}, this one knows {SCHEMA_VERSION})",
        "upgrade ATLES here to that version or a newer one and restart what runs, or choose another --home or "
        "store.schema",
    )


class Row(Protocol):
    """A row of either database: by column name or number; iterates over its values."""

    def __getitem__(self, key: str | int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> Sequence[str]: ...


class Database(ABC):
    """Used from any number of threads and processes. Every call raises StoreError where the database fails, and
    Duplicate where a row's key is taken."""

    name: str  # as people know it: a path, or an address without its password
    path: Any = None  # the file, where it is one
    damage = ""  # how it was found to be damaged; a server sees to that itself

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing. Inside another transaction of this thread, part of that one."""

    @abstractmethod
    def lock(self, what: str) -> None:
        """Until the transaction ends, nobody else holds the lock of that name. A transaction takes them in one order,
        or two of them may wait for each other until the database ends one."""

    @abstractmethod
    def rows(self, query: str, /, **values: Any) -> Sequence[Row]:
        """The rows of a named query."""

    @abstractmethod
    def run(self, query: str, /, **values: Any) -> int:
        """Run a named statement; the number of rows it changed."""

    @abstractmethod
    def run_many(self, query: str, values: Sequence[Mapping[str, Any]]) -> int:
        """Run a named statement for each of `values`; the number of rows changed."""

    @abstractmethod
    def any_of(self, words: Iterable[str], beginnings: Iterable[str] = ()) -> str:
        """The full-text expression for what holds a form of one of the words, or a word with one of the beginnings."""

    def searchable(self, text: str) -> str:
        """A text as its full-text index takes it."""
        return text

    @abstractmethod
    def settle(self) -> None:
        """Let what was deleted leave the files, as far as the database allows it."""

    def look_again(self) -> None:
        """Take `damage` back if it is mended by now. May take long."""
        self.damage = ""

    @abstractmethod
    def leads(self) -> bool:
        """Whether this process is the one of its cluster that does what only one is to do. Asked from one thread."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections of all threads."""

    def row(self, query: str, /, **values: Any) -> Row | None:
        """The first row of a named query, or None."""
        return next(iter(self.rows(query, **values)), None)


def text_of(name: str) -> str:
    """A file of `sql/`."""
    return files("atles.store").joinpath("sql", name).read_text("utf-8")


@cache
def named_queries(dialect: str) -> Mapping[str, str]:
    """`sessions.add` -> SQL, from `-- name: add` in `sql/sessions.sql` or `sql/<dialect>/sessions.sql`."""
    found: dict[str, str] = {}
    sql = files("atles.store").joinpath("sql")
    for folder in (sql, sql.joinpath(dialect)):
        for file in folder.iterdir():
            if not file.name.endswith(".sql"):
                continue
            for part in re.split(r"^-- name: ", file.read_text("utf-8"), flags=re.MULTILINE)[1:]:
                name, _, statement = part.partition("\n")
                found[f"{file.name.removesuffix('.sql')}.{name.strip()}"] = statement.strip()
    return found
