"""Everything that is remembered, from one store into another: same ids, same numbers. Knows rows, not what they say.

    moving = Moving(source, target, id)
    moving.begin()      the target says from now on that it is not whole
    moving.copy()       done again after an interruption it goes on behind the last row that is there
    moving.end()        the target is whole

The jobs are carried over by who knows what they are (`upkeep/carry.py`).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from atles.clock import timestamp
from atles.errors import Different, StoreError, Unusable
from atles.store import Store
from atles.store.tables import TABLES, Rows, Table, tables_of
from atles.store.words import index_rest

Progress = Callable[[str, int, int], object]  # what is copied, how much of it is done, and of how much

_AT_ONCE = 1000  # rows in a transaction


def silent(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a store says of itself while it is not to be used. `home`: the one that it is filled from, or moved to."""

    id: str
    home: str
    at: str
    state: str  # filling, or moved


def mark(store: Store) -> Mark | None:
    """The store's mark, if it has one. Raises StoreError."""
    tables = tables_of(store)
    if "moving" not in tables.types:
        return None
    row = next(tables.select("select id, home, at, state from moving"), None)
    return Mark(*row) if row else None


def put_mark(store: Store, mark: Mark) -> None:
    """In the place of any other."""
    tables = tables_of(store)
    with store.transaction():
        columns = ", ".join(f"{name} text not null" for name in ("id", "home", "at", "state"))
        tables.run(f"create table if not exists moving ({columns})")
        tables.run("delete from moving")
        row = (mark.id, mark.home, mark.at, mark.state)
        tables.run("insert into moving (id, home, at, state) values (?, ?, ?, ?)", row)


def drop_mark(store: Store) -> None:
    tables_of(store).run("drop table if exists moving")


def check(store: Store) -> Store:
    """The store, if it may be used. Raises StoreError for one that is half filled, or was moved away."""
    if found := mark(store):
        store.close()
        name = store.database.name
        if found.state == "filling":
            raise Unusable(
                f"{name} is being filled by `atles migrate` from {found.home} since {found.at}",
                "do that again there, it goes on where it stopped",
            )
        raise Unusable(
            f"what was in {name} was moved to {found.home} on {found.at} and goes on there",
            "name another store.url or store.schema, or none",
        )
    return store


class Moving:
    """A copy of a store in the making. `id` tells it from others into the same target, `home` is where it comes from.
    Everything raises StoreError."""

    def __init__(
        self, source: Store, target: Store, id: str, home: str, *, rows: int = _AT_ONCE, progress: Progress = silent
    ) -> None:
        self._target = target
        self._from, self._to = tables_of(source), tables_of(target)
        self._id, self._home, self._rows, self._progress = id, home, rows, progress

    def begin(self) -> bool:
        """Mark the target as one that is being filled; whether an earlier try had begun.

        Raises StoreError if it holds anything else.
        """
        with self._target.transaction():
            self._target.database.lock("tables")
            found = mark(self._target)
            if found and found.id == self._id and found.state == "filling":
                return True
            if found:
                way_out = (
                    "if that was given up, drop the schema there"
                    if found.state == "filling"
                    else "to use it again, `drop table SCHEMA.moving` there and set store.url"
                )
                raise StoreError(
                    f"{self._to.name} is marked by another migration ({found.state}, {found.home}, {found.at}); "
                    f"{way_out}; or name another database, or another --schema"
                )
            if not self._to.empty():
                raise StoreError(
                    f"{self._to.name} holds something already, and nothing is mixed into it; name an empty database, "
                    "or another --schema"
                )
            put_mark(self._target, Mark(self._id, self._home, timestamp(), "filling"))
            return False

    def copy(self, *, anew: bool = False) -> None:
        """Copy what is not there yet, or everything anew; make the indexes; compare. Raises Different."""
        if anew:
            self._to.clear()
        for table in TABLES:
            if self._from.columns(table) != self._to.columns(table):
                raise StoreError(
                    f"the table {table.name} differs in {self._to.name}: it is of another version of ATLES"
                )
            self._copy(table)
        index_rest(self._target, lambda done, total: self._progress("words", done, total))
        self._to.count_on()
        self.compare()

    def _copy(self, table: Table) -> None:
        total, done = self._from.size(table), self._to.size(table)
        rows = self._from.rows(table, self._to.last(table))
        for some in _batches(rows, self._rows):
            self._to.put(table, some)
            done += len(some)
            self._progress(table.name, done, total)

    def compare(self) -> None:
        """Raises Different, with the tables that are not the same on both sides."""
        found = []
        for at, table in enumerate(TABLES):
            source, target = (digest(side.rows(table)) for side in (self._from, self._to))
            if source != target:
                found.append(f"{table.name} ({source[0]} rows here, {target[0]} there)")
            self._progress("comparing", at + 1, len(TABLES))
        if found:
            raise Different(f"{self._to.name} is not what {self._from.name} is: {', '.join(found)}")

    def end(self) -> None:
        """The target may be used."""
        drop_mark(self._target)


def digest(rows: Rows) -> tuple[int, str]:
    """How many rows there are, and a hash of what is in them, in whatever order they come.

    NUL counts as U+FFFD, which is what PostgreSQL's texts have in its place.
    """
    number, total = 0, 0
    for row in rows:
        text = repr(tuple(it.replace("\0", "\ufffd") if isinstance(it, str) else it for it in row))
        total += int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        number += 1
    return number, f"{total % (1 << 256):064x}"


def _batches(rows: Rows, size: int) -> Iterator[list[tuple[object, ...]]]:
    while some := list(islice(rows, size)):
        yield some
