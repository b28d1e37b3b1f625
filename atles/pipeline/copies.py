"""Copies of the database that ATLES itself left in a home: what was forgotten since is still in them."""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from atles import scratch
from atles.layout import Home, names
from atles.store import Store

_COPY = re.compile(r"\.(?:migrated(?:\.\d+)?|moving)")  # what follows the database's name
_AT_ONCE = 500  # ids in a query


def holding(home: Home, store: Store, sessions: Iterable[str], memories: Iterable[str] = ()) -> list[Path]:
    """The older copies that still hold messages of these sessions that are forgotten now, or these memories; also one
    that cannot be read, for nobody can say. Raises OSError."""
    messages = [
        row["id"]
        for session_id in sessions
        for it, row in zip(
            store.sessions.get(session_id).session.messages,
            store.sessions.message_rows(store.sessions.number(session_id)),
            strict=True,
        )
        if it.is_forgotten
    ]
    wanted = list(memories)
    return [copy for copy in _copies(home) if _holds(copy, messages, wanted)]


def _copies(home: Home) -> Iterator[Path]:
    base = home.database.name
    for name in sorted(names(home.root)):
        if name.startswith(base) and _COPY.fullmatch(name, len(base)):
            yield home.root / name
    yield from (copy for it in scratch.folders(home.work) if (copy := it / base).exists())


def _holds(copy: Path, messages: Sequence[str], memories: Sequence[str]) -> bool:
    # Without a journal nothing is missing in the file itself, and reading it leaves none behind.
    whole = "" if copy.with_name(f"{copy.name}-wal").exists() else "&immutable=1"
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro{whole}", uri=True, timeout=1.0)) as database:
            forgotten = "json_extract(raw, '$.forgotten') is null"
            return _finds(database, f"select 1 from messages where {forgotten} and id in", messages) or _finds(
                database, "select 1 from memories where id in", memories
            )
    except sqlite3.Error:
        return copy.exists()


def _finds(database: sqlite3.Connection, query: str, ids: Sequence[str]) -> bool:
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        if database.execute(f"{query} ({', '.join('?' * len(some))}) limit 1", some).fetchone():
            return True
    return False


def drop_dead_backups(home: Home) -> None:
    """Delete what backups left that were killed. Raises OSError."""
    for folder in scratch.killed(home.work):
        scratch.take_away(folder)
