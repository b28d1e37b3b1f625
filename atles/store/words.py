"""The full-text indexes beside the rows that they are made of: whether they agree, and making them again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from atles.errors import StoreError
from atles.store import Store
from atles.store.sqlite import SQLite
from atles.store.tables import tables_of

_AT_ONCE = 100  # sessions, or memories, in a transaction: who waits for it must not wait long
_SEARCHABLE = "m.role in ('user', 'assistant') and m.text <> ''"


@dataclass(frozen=True, slots=True)
class Unfound:
    """What the indexes lack: ids of sessions and of memories; how many entries they have for what is not there; and
    what the database says of them, where they are damaged."""

    sessions: frozenset[str]
    memories: frozenset[str]
    strays: int
    damage: str


def unindexed(store: Store) -> frozenset[str]:
    """The ids of sessions with messages that are not in the index."""
    return frozenset(session for _, _, session in _sessions(store))


def unfound(store: Store) -> Unfound:
    """Compare the indexes with the rows."""
    tables, (turns, memories) = tables_of(store), _entries(store)
    strays = f"""
        select count(*) from (
            select i.id from {turns} i
            where not exists (select 1 from messages m where m.rowid = i.id and {_SEARCHABLE})
            union all
            select i.id from {memories} i where not exists (select 1 from memories m where m.number = i.id)) s"""
    return Unfound(
        unindexed(store),
        frozenset(memory for memory, _ in _memories(store)),
        next(tables.select(strays))[0],
        _damage(store),
    )


def index_rest(store: Store, progress: Callable[[int, int], object] = lambda done, total: None) -> None:
    """Put what the indexes lack into them. `progress` hears how many sessions are done, of how many."""
    sessions, done = list(_sessions(store)), 0
    for user, of_user in groupby(sessions, key=itemgetter(0)):
        for some in _some(list(of_user)):
            with store.transaction():
                store.sessions.lock(user)
                for _, number, _ in some:
                    store.turns.index(number)
            done += len(some)
            progress(done, len(sessions))
    for some in _some(list(_memories(store))):
        words = [{"id": id, "words": store.database.searchable(text)} for id, text in some]
        store.database.run_many("memories.index", words)


def index_anew(store: Store) -> None:
    """Make the indexes of nothing but the rows. Interrupted, `index_rest` goes on."""
    tables = tables_of(store)
    with store.transaction():
        if isinstance(store.database, SQLite):
            tables.run("insert into turns (turns) values ('delete-all')")
            tables.run("insert into memories_fts (memories_fts) values ('delete-all')")
        else:
            tables.run("delete from turns")
            tables.run("delete from memories_fts")
    index_rest(store)


def _entries(store: Store) -> tuple[str, str]:
    """What is in the index of messages, and in that of memories, as queries for their ids."""
    if isinstance(store.database, SQLite):
        return "turns_docsize", "memories_fts_docsize"
    return "(select rowid as id from turns)", "(select number as id from memories_fts)"


def _sessions(store: Store) -> Iterator[tuple[int, int, str]]:
    """User, number and id of sessions with messages that are not in the index."""
    turns, _ = _entries(store)
    return tables_of(store).select(  # pyright: ignore[reportReturnType]  # rows of these three columns
        f"""select distinct s."user", s.number, s.session_id from messages m join sessions s on s.number = m.session
        where {_SEARCHABLE} and not exists (select 1 from {turns} i where i.id = m.rowid)
        order by s."user", s.number"""
    )


def _memories(store: Store) -> Iterator[tuple[str, str]]:
    """Id and text of memories that are not in the index."""
    _, memories = _entries(store)
    return tables_of(store).select(  # pyright: ignore[reportReturnType]  # rows of these two columns
        f"""select m.id, m.text from memories m
        where not exists (select 1 from {memories} i where i.id = m.number) order by m.number"""
    )


def _damage(store: Store) -> str:
    if not isinstance(store.database, SQLite):
        return ""  # PostgreSQL writes an entry with its row, and checks its pages itself
    try:
        # 1: compare with the rows, too, which the index of messages cannot, as it keeps no words.
        tables_of(store).run("insert into turns (turns, rank) values ('integrity-check', 0)")
        tables_of(store).run("insert into memories_fts (memories_fts, rank) values ('integrity-check', 1)")
    except StoreError as error:
        return str(error)
    return ""


def _some(all_of: list[Any]) -> Iterator[list[Any]]:
    return (all_of[at : at + _AT_ONCE] for at in range(0, len(all_of), _AT_ONCE))
