"""A store that is left: who writes meanwhile waits, and then hears where it went."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from atles.errors import StoreError
from atles.pipeline import lanes
from atles.pipeline.lanes import open_queue
from atles.queue import NewJob
from atles.settings import Settings
from atles.store import Store, leaving
from atles.store.leaving import close_to_others, held
from atles.store.postgresql import PostgreSQL
from atles.store.transfer import Mark, drop_mark
from tests.fakes.process import until
from tests.raw import execute
from tests.samples import session

MOVED = Mark("one", "there:/home", "2026-01-01", "moved")


class Writer(threading.Thread):
    """Does something, and keeps the error if it fails."""

    def __init__(self, write: Callable[[], object]) -> None:
        super().__init__()
        self.write, self.error = write, ""
        self.start()

    def run(self) -> None:
        try:
            self.write()
        except StoreError as error:
            self.error = str(error)


def names(store: Store) -> set[str]:
    return {row["session_id"] for row in store.sessions.list()}


def test_others_read_and_wait_where_they_write(store: Store) -> None:
    with held(store):
        writer = Writer(lambda: store.sessions.add(session("one", "u: a"), 5))
        other = Writer(lambda: names(store))
        other.join()
        assert not other.error
        writer.join(0.5)
        assert writer.is_alive() and names(store) == set()
    writer.join()
    assert not writer.error and names(store) == {"one"}


def test_who_waited_hears_where_it_went(postgresql: str) -> None:
    store, late = Store(PostgreSQL(postgresql)), Store(PostgreSQL(postgresql))
    queue = open_queue(late, Settings())
    late.sessions.add(session("one", "u: a"), 5)
    with held(store):
        writer = Writer(lambda: late.sessions.add(session("two", "u: a"), 5))
        writer.join(0.3)
        close_to_others(store, MOVED)
    writer.join()
    assert "was moved to there:/home on 2026-01-01 and goes on there" in writer.error
    job = NewJob("memory", "memory:one", lanes.LEARN)
    for write in (
        lambda: queue.put(job),
        lambda: queue.claim(lanes.LEARN),
        lambda: late.sessions.wait_for_training("one", True),
    ):
        with pytest.raises(StoreError, match="was moved to there:/home"):
            write()
    assert names(late) == {"one"}, "it can be looked at"
    assert len(execute(late, "select 1 from procrastinate_jobs")) == 0
    Store(PostgreSQL(postgresql)).close()
    with held(store):
        close_to_others(store, MOVED)  # done again it is the same
    drop_mark(store)
    late.sessions.add(session("three", "u: a"), 5)
    assert names(late) == {"one", "three"}, "open again"
    store.close()
    late.close()


def test_somebody_who_writes_without_end_is_not_waited_for_forever(
    store: Store, monkeypatch: pytest.MonkeyPatch, postgresql: str
) -> None:
    monkeypatch.setattr(leaving, "_WAIT_SECONDS", 1)
    writes, goes_on = threading.Event(), threading.Event()

    def write() -> None:
        with store.transaction():
            store.sessions.add(session("one", "u: a"), 5)
            writes.set()
            goes_on.wait(20)

    if isinstance(store.database, PostgreSQL):
        writer = Writer(write)
        assert writes.wait(20)
    else:  # whoever reads keeps what was written in the journal
        store.sessions.add(session("one", "u: a"), 5)
        execute(store, "begin")
        names(store)
        writer = Writer(lambda: Store(Path(store.database.path)).sessions.add(session("two", "u: a"), 5))
        writer.join()
    done = Writer(lambda: held(store).__enter__())
    until(lambda: not done.is_alive(), "it gives up")
    goes_on.set()
    writer.join()
    assert "others work on" in done.error and "end the daemons" in done.error


def test_nothing_is_written_into_a_file_that_was_set_aside(sqlite: Store) -> None:
    sqlite.sessions.add(session("one", "u: a"), 5)
    path = sqlite.database.path
    with held(sqlite):
        writer = Writer(lambda: sqlite.sessions.add(session("two", "u: a"), 5))
        assert not path.with_name("atles.db-wal").stat().st_size, "all of it is in the one file"
        path.rename(path.with_name("kept"))
    writer.join()
    assert "moved away while it was open" in writer.error
    for write in (lambda: sqlite.sessions.add(session("three", "u: a"), 5), lambda: sqlite.spending.spend(1)):
        with pytest.raises(StoreError, match="moved away"):
            write()
    Store(path).close()  # another file of that name is another
    with pytest.raises(StoreError, match="moved away"):
        sqlite.sessions.add(session("three", "u: a"), 5)
    assert names(sqlite) == {"one"}
