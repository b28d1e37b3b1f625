"""Whether the database is whole, its indexes agree with its rows, and its server is one that ATLES can use."""

import time

from atles.queue import Queue
from atles.records import Step
from atles.store import Store
from atles.store.database import SCHEMA_VERSION
from atles.store.sqlite import SQLite
from atles.store.tables import tables_of
from atles.store.words import index_anew, index_rest, unfound, unindexed
from atles.upkeep.finding import FAIL, OK, REPAIR, RESTORE, WARN, Finding, some

_OLDEST_SERVER = 14  # whose extended protocol and functions are used
_SAME_TIME_SECONDS = 5.0  # clocks that are further apart than that are not synchronised


def damage(store: Store) -> Finding:
    """What SQLite finds wrong in its file; PostgreSQL's pages are its server's matter."""
    if not isinstance(store.database, SQLite):
        return Finding("database", OK, f"{store.database.name}, schema {SCHEMA_VERSION}")
    tables = tables_of(store)
    if not (wrong := tables.damage()) and (lost := sum(1 for _ in tables.select("pragma foreign_key_check"))):
        wrong = f"{lost:,} rows refer to others that are not there"
    if wrong:
        return Finding("database", FAIL, f"{store.database.name} is damaged: {wrong}", RESTORE)
    return Finding("database", OK, f"whole, schema {SCHEMA_VERSION}")


def words(store: Store, queue: Queue) -> Finding:
    """Messages and memories that no search finds, and entries of what is there no more."""
    before = unindexed(store)
    # What is not read yet is not in the index yet; what was read since the first look is in it at the second.
    jobs = [job for job in (*queue.open(), *queue.dead()) if job.kind == Step.MEMORY]
    unread = {str(job.payload.get("session_id")) for job in jobs}
    found = unfound(store)
    sessions, memories = sorted(before & found.sessions - unread), sorted(found.memories)
    said = [f"messages of {some(sessions)}"] if sessions else []
    said += [f"{len(memories):,} memories"] if memories else []
    said += [f"{found.strays:,} entries of what is no more"] if found.strays else []
    if not (said or found.damage):
        return Finding("search index", OK, "holds every message and memory")

    def repair() -> str:
        if found.strays or found.damage:
            index_anew(store)
            return "made again from the rows"
        index_rest(store)
        return "put in what it lacked"

    detail = f"it does not agree with the rows: {', '.join(said)}" if said else f"it is damaged: {found.damage}"
    return Finding("search index", FAIL, detail, f"{REPAIR} makes it agree", repair)


def server(store: Store) -> Finding:
    """Which PostgreSQL it is, whose queue is on it, and whether its clock shows our time."""
    from importlib.metadata import version as installed

    tables = tables_of(store)
    number, said = next(
        tables.select("select current_setting('server_version_num')::int, current_setting('server_version')")
    )
    if number < _OLDEST_SERVER * 10_000:
        return Finding("server", FAIL, f"PostgreSQL {said}", f"ATLES needs PostgreSQL {_OLDEST_SERVER} or newer")
    (queue,) = next(tables.select("select procrastinate from store_version"))
    detail = f"PostgreSQL {said}, queue of Procrastinate {queue}"
    if queue != installed("procrastinate"):
        fix = f"this machine has Procrastinate {installed('procrastinate')}; install the same on all"
        return Finding("server", WARN, detail, fix)
    asked = time.time()
    (there,) = next(tables.select("select extract(epoch from clock_timestamp())::float8"))
    apart = there - (asked + time.time()) / 2
    if abs(apart) > _SAME_TIME_SECONDS:
        return Finding(
            "server", WARN, f"{detail}; its clock is {abs(apart):.0f} s {'ahead' if apart > 0 else 'behind'}",
            "let both machines synchronise their clocks (NTP): due times are the server's, dates of sessions are ours",
        )  # fmt: skip
    return Finding("server", OK, detail)
