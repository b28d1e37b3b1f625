"""Moves a home from its SQLite file to PostgreSQL, or back. At no moment do the settings lead to a store that is not
whole, and what was interrupted is finished by doing it again.

To PostgreSQL: copy and compare; write the settings; set the old file aside. To SQLite: copy and compare, under another
name; name it atles.db; close the old store to others; write the settings. Whoever writes to the old store meanwhile, of
whatever process or machine, waits until nothing can go on in it, and then hears so.
"""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from atles.clock import new_id, timestamp
from atles.errors import AtlesError, Different, Duplicate, HomeLocked
from atles.insights.status import owner
from atles.layout import Home, make_folder, sync_folder, write_atomic
from atles.pipeline.lanes import open_queue
from atles.records import canonical_json
from atles.settings import Settings, StoreSettings, listed
from atles.store import Store
from atles.store.leaving import close_to_others, held
from atles.store.tables import TABLES, tables_of
from atles.store.transfer import Mark, Moving, Progress, drop_mark, mark, silent
from atles.upkeep.carry import Jobs, carry, jobs_of
from atles.upkeep.settings_file import change

_LOCK_SECONDS = 0.5
_ROWS = 1000  # in a transaction


@dataclass(frozen=True, slots=True)
class Moved:
    """From where to where, as people know both; what is there now; and what stays of the old store."""

    source: str
    target: str
    rows: int
    jobs: int
    dead: int
    resumed: bool
    kept: str


@dataclass(frozen=True)
class _Way:
    """A migration: `id` marks the target, `begun` says whether an earlier try had."""

    home: Home
    settings: Settings
    target: StoreSettings
    file: Path
    id: str
    begun: bool
    rows: int
    progress: Progress

    @property
    def note(self) -> Path:
        return _note_of(self.home)

    @property
    def place(self) -> str:
        """The home, as others may know it."""
        return f"{socket.gethostname()}:{self.home.root.resolve()}"


def migrate(
    home: Home,
    settings: Settings,
    target: StoreSettings,
    file: Path,
    *,
    rows: int = _ROWS,
    progress: Progress = silent,
) -> Moved:
    """Move all that `settings.store` holds to `target` (an empty url: the home's SQLite file), and write that into the
    settings `file`. `rows` are copied in a transaction.

    A password in the url is used and not written. Raises HomeLocked while a daemon runs; AtlesError where the target
    holds something else, a row is not the same there, or others work on it; then the home stays where it is.
    """
    home = Home(home.root.resolve())  # whatever folder it is gone on with from
    if not (settings.store.url or home.database.exists()):
        raise AtlesError(f"there is no ATLES home at {home.root}; choose another with --home")
    with _held(home):
        name, note = _name(home, target), _note_of(home)
        begun = json.loads(note.read_text("utf-8")) if note.exists() else None
        if begun and begun["target"] != name and (target.url or _is_server(begun["target"])):
            raise AtlesError(
                f"a migration to {begun['target']} was interrupted: do that again to finish it, or delete {note} to "
                "give it up"
            )
        way = _Way(home, settings, target, file, begun["id"] if begun else new_id(), begun is not None, rows, progress)
        if _name(home, settings.store) == name:
            return _finish(way)
        if target.url and settings.store.url:
            raise AtlesError(
                f"the store of {home.root} is at {_name(home, settings.store)}: `atles migrate --to sqlite` first, and "
                "from there to the other"
            )
        return _to_postgresql(way) if target.url else _to_sqlite(way)


def without_secret(url: str) -> str:
    """The address without its passwords. Raises AtlesError where they cannot be told apart."""
    from atles.store.postgresql import parts_of

    bare = re.sub(r"([?&])\w*(?:password|secret)=[^&]*&?", r"\1", re.sub(r"(://[^:@/]*):[^@/]*@", r"\1@", url)).rstrip(
        "?&"
    )
    said = {name: value for name, value in parts_of(url).items() if not name.endswith(("password", "secret"))}
    if parts_of(bare) != said:
        raise AtlesError("this address cannot be written without its password; give that in PGPASSWORD or ~/.pgpass")
    return bare


# --- the two ways ---


def _to_postgresql(way: _Way) -> Moved:
    home, target = way.home, way.target
    with closing(_opened(home, target)) as there:
        _nobody_works(there, way.settings)
        with closing(Store(home.database)) as here, held(here):
            jobs, resumed = _copied(way, here, there)
            change(way.file, "store", {"url": without_secret(target.url), "schema": target.schema}, "")
            kept = _set_aside(home)
        _end(way, there)
        return _moved(way, str(home.database), there, jobs, resumed, kept)


def _to_sqlite(way: _Way) -> Moved:
    home, new = way.home, way.home.database.with_name(f"{way.home.database.name}.moving")
    if home.database.exists():
        if not _is_ours(way, home.database):
            raise AtlesError(f"{home.database} is there already; move it away first")
        new = home.database  # interrupted after it got its name
    elif new.exists() and not _is_ours(way, new):
        _discard(new)
    with closing(_opened(home, way.settings.store)) as there:
        _nobody_works(there, way.settings)
        with held(there):
            _nobody_works(there, way.settings)  # nor has begun since
            with closing(Store(new)) as here:
                jobs, resumed = _copied(way, there, here)
            if new != home.database:
                new.rename(home.database)
                sync_folder(home.root)
            close_to_others(there, Mark(way.id, way.place, timestamp(), "moved"))
        at = timestamp()
        change(way.file, "store", {"url": None}, f"Moved to {home.database.name} on {at}, by `atles migrate`:")
        with closing(Store(home.database)) as here:
            _end(way, here)
            return _moved(way, there.database.name, here, jobs, resumed, there.database.name)


def _finish(way: _Way) -> Moved:
    """The settings name the target already: an earlier try was interrupted after that, or there is nothing to do."""
    name = _name(way.home, way.target)
    if not way.begun:
        raise AtlesError(f"{way.home.root} has its store at {name} already")
    with closing(_opened(way.home, way.target)) as there:
        if not (way.target.url and way.home.database.exists()):
            _end(way, there)
            jobs = jobs_of(open_queue(there, replace(way.settings, store=way.target)))
            return _moved(way, "", there, jobs, True, "")
    return _to_postgresql(way)  # somebody may have written to the old file after that


# --- what both have in common ---


def _is_ours(way: _Way, file: Path) -> bool:
    """Whether a SQLite file is this migration's copy."""
    with closing(Store(file)) as store:
        found = mark(store)
    return found is not None and found.id == way.id


def _discard(file: Path) -> None:
    """Delete the copy of a migration that was given up: it was never used, and what it was made of is still there.
    Raises AtlesError for anything else."""
    with closing(Store(file)) as store:
        found = mark(store)
        never_used = found.state == "filling" if found else tables_of(store).empty()
    if not never_used:
        raise AtlesError(f"{file} is there, and no unfinished copy of `atles migrate`; move it away first")
    for ending in ("-wal", "-shm", ""):
        file.with_name(file.name + ending).unlink(missing_ok=True)


def _copied(way: _Way, source: Store, target: Store) -> tuple[Jobs, bool]:
    """Copy rows and jobs; the jobs, and whether an earlier try had begun."""
    write_atomic(way.note, canonical_json({"id": way.id, "target": _name(way.home, way.target)}))
    moving = Moving(source, target, way.id, way.place, rows=way.rows, progress=way.progress)
    try:
        resumed = moving.begin()
    except AtlesError:
        if not way.begun:
            way.note.unlink()
        raise
    try:
        moving.copy()
    except (Different, Duplicate):
        if not resumed:
            raise
        moving.copy(anew=True)  # the home was used since it was interrupted
    jobs = jobs_of(open_queue(source, way.settings))
    queue = open_queue(target, replace(way.settings, store=way.target), labels=listed(way.settings.train.needs))
    try:
        carry(jobs, target, queue)
    finally:
        queue.leave()
    return jobs, resumed


def _end(way: _Way, target: Store) -> None:
    """From now on the target may be used."""
    found = mark(target)
    if found and found.id == way.id:
        drop_mark(target)
    way.note.unlink(missing_ok=True)


def _moved(way: _Way, source: str, target: Store, jobs: Jobs, resumed: bool, kept: str) -> Moved:
    tables = tables_of(target)
    rows = sum(tables.size(table) for table in TABLES)
    name = _name(way.home, way.target)
    return Moved(source, name, rows, len(jobs.open), len(jobs.dead), resumed, kept)


@contextmanager
def _held(home: Home) -> Iterator[None]:
    make_folder(home.daemon)
    lock = FileLock(home.lock, mode=0o600)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        pid = (owner(home) or {}).get("pid") or "unknown"
        raise HomeLocked(f"a daemon (pid {pid}) works on {home.root}; `atles stop` ends it, then migrate") from None
    try:
        yield
    finally:
        lock.release()


def _set_aside(home: Home) -> str:
    """Give the SQLite file, which is `held`, another name, so that nothing goes on in it; its name."""
    kept, number = home.migrated, 1
    while kept.exists():
        number += 1
        kept = home.migrated.with_name(f"{home.migrated.name}.{number}")
    home.database.rename(kept)
    for ending in ("-wal", "-shm"):  # empty; the next file of that name is to have its own
        home.database.with_name(home.database.name + ending).unlink(missing_ok=True)
    sync_folder(home.root)
    return str(kept)


def _nobody_works(store: Store, settings: Settings) -> None:
    """Raise AtlesError if a daemon or worker of any machine works for a PostgreSQL store."""
    from atles.queue.procrastinate import ProcrastinateQueue

    queue = open_queue(store, settings)
    assert isinstance(queue, ProcrastinateQueue)  # the caller has a store of that kind
    at_work = [it["name"] for it in queue.workers() if it["silent"] <= settings.queue.lease_seconds]
    if at_work:
        raise AtlesError(
            f"at work for {store.database.name}: {', '.join(at_work)}; end that first (`atles stop` there, or Ctrl-C), "
            f"and wait {settings.queue.lease_seconds:g} s where one was killed"
        )


def _opened(home: Home, settings: StoreSettings) -> Store:
    """The store that the settings name, also while it is marked."""
    if not settings.url:
        return Store(home.database)
    from atles.store.postgresql import PostgreSQL

    return Store(PostgreSQL(settings.url, settings.schema))


def _name(home: Home, settings: StoreSettings) -> str:
    if not settings.url:
        return str(home.database)
    from atles.store.postgresql import without_password

    return f"{without_password(settings.url)} (schema {settings.schema})"


def _is_server(name: str) -> bool:
    return "://" in name


def _note_of(home: Home) -> Path:
    return home.daemon / "migration.json"
