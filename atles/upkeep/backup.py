"""A home in one file, while its daemon works. Knows what is worth keeping, and in which order it has to be read.

A session's words flow one way: journal, completed file, database. So what flows is read upstream first, and the
database after it: whatever existed at the beginning is found in one of them, or in two, and to learn it once is the
database's matter. What the database names (training data, datasets, adapters) is read after it, and may be gone then.
"""

import hashlib
import os
import platform
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from atles.clock import compact, new_id, timestamp
from atles.config import masked
from atles.errors import AtlesError, StoreError
from atles.layout import Home, file_name, names
from atles.pipeline import release
from atles.pipeline.lanes import open_queue
from atles.pipeline.shelf import Shelf, open_shelf
from atles.records import Adapter, AdapterState
from atles.scratch import killed, running, scratch, take_away
from atles.settings import Settings
from atles.store import Store
from atles.store.database import SCHEMA_VERSION
from atles.store.sqlite import SQLite
from atles.store.tables import TABLES, tables_of
from atles.store.transfer import Moving
from atles.upkeep.archive import Writer
from atles.upkeep.carry import carry, jobs_of

_LOGS = re.compile(r"session_log_.*\.json|master_log\.jsonl|daemon_stats\.json")
_COUNTED = frozenset(("sessions", "messages", "memories", "examples", "adapters"))


@dataclass(frozen=True, slots=True)
class Made:
    """A backup: its size in bytes, how many rows and files are in it, and what should be in it and is not."""

    path: Path
    bytes: int
    counts: dict[str, int]
    left_out: Sequence[str]


def backup(home: Home, settings: Settings, store: Store, path: Path, config: Path, *, processed: bool = True) -> Made:
    """Write a backup of a home to `path`, or below a folder `path` under a name of its own. Its settings are those in
    the file `config`, without passwords. `processed`: also the session files that were learned. Raises AtlesError, also
    where the database is damaged, and OSError; then nothing is left of it."""
    if not path.parent.is_dir():
        raise AtlesError(f"there is no folder {path.parent}; make it first")
    for left in killed(home.work):
        take_away(left)
    into_folder = path.is_dir()
    target = path / name_for(home, timestamp()) if into_folder else path
    _drop_partial(home, target.parent, _own_name(home) if into_folder else re.escape(target.name))
    with scratch(home.work) as folder, Writer(target, anew=into_folder) as archive:
        files = _Files(home, archive)
        files.flowing()
        if processed:
            files.add(home.processed)
        # Before the database: they are written from it, and must not be ahead of it.
        files.add(home.logs, lambda name: bool(_LOGS.fullmatch(name)))
        database = folder / home.database.name
        _snapshot(store, settings, database)
        with closing(Store(database)) as copy:
            if wrong := tables_of(copy).damage():  # a backup of that is none, and must not take the place of one
                raise StoreError(f"no backup was made: {store.database.name} is damaged ({wrong}); see `atles doctor`")
            files.training(copy)
            left_out = _adapters(files, open_shelf(home, settings), store, copy)
            counts = {it.name: tables_of(copy).size(it) for it in TABLES if it.name in _COUNTED}
        _one_file(database)
        with open(database, "rb") as file:
            archive.add(home.database.name, file)
        if config.exists():
            archive.add_bytes(home.config.name, masked(config.read_text("utf-8-sig")).encode())
        counts["files"] = files.number
        about = {
            "atles": version("atles"), "schema": SCHEMA_VERSION, "made_at": timestamp(),
            "home": str(home.root.resolve()), "store": "sqlite" if isinstance(store.database, SQLite) else "postgresql",
            "counts": counts, "left_out": left_out,
        }  # fmt: skip
        size = archive.finish(about)
        return Made(archive.path, size, counts, left_out)


def name_for(home: Home, at: str) -> str:
    """`atles-thishost-atles_memory-0123abcd-20261126-205006.tar.gz`, for a time in ISO 8601."""
    return f"atles-{_whose(home)}-{compact(at).replace('_', '-')}.tar.gz"


def _whose(home: Home) -> str:
    """What the names of a home's backups have in common, and no other home's: homes may share a folder for them."""
    host, root = platform.node(), home.root.resolve()
    digest = hashlib.sha256(f"{host}:{root}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
    readable = [re.sub(r"[^A-Za-z0-9]+", "_", it)[:30].strip("_") for it in (host.partition(".")[0], root.name)]
    return "-".join([*filter(None, readable), digest])


def _own_name(home: Home) -> str:
    """What `name_for` makes for a home, as a pattern: time and number."""
    return rf"atles-{_whose(home)}-(\d{{8}}-\d{{6}})(?:-(\d+))?\.tar\.gz"


def _drop_partial(home: Home, folder: Path, name: str) -> None:
    """Delete what a killed backup of such a name left in a folder: it holds all that was said until then."""
    left = [it for it in names(folder) if re.fullmatch(rf"\.{name}\.\d+\.[0-9a-f]{{8}}\.tmp", it)]
    if left and not running(home.work):  # asked after the names: whoever writes one of them would still be at it
        for it in left:
            (folder / it).unlink(missing_ok=True)


def rotate(home: Home, newest: Path, keep: int) -> list[str]:
    """Delete all but `keep` of the home's backups beside the `newest`, of those that have a name of `name_for`, the
    oldest first; which. Raises OSError."""
    folder = newest.parent
    matched = (re.fullmatch(_own_name(home), it) for it in names(folder) if it != newest.name)
    found = sorted((it[1], int(it[2] or 1), it[0]) for it in matched if it)
    gone = [it for _, _, it in found[: max(0, len(found) + 1 - keep)]]
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return gone


# --- files ---


class _Files:
    """Puts files of a home into an archive, under the names that they have there."""

    def __init__(self, home: Home, archive: Writer) -> None:
        self._home, self._archive, self.number = home, archive, 0

    def flowing(self) -> None:
        """What may not be in the database yet. The daemon gives a journal another name before it reads it, and people
        move files of the quarantine upstream: so both are looked at twice."""
        home = self._home
        for folder in (home.quarantine, home.open_sessions, home.open_sessions, home.sessions, home.quarantine):
            self.add(folder)

    def training(self, store: Store) -> None:
        """The training files of all sessions that are stored."""
        rows = store.sessions.list()
        known = {f"training_{file_name(it['session_id'])}_{compact(it['received_at'])}.jsonl" for it in rows}
        self.add(self._home.training_data, known.__contains__)
        self.add(self._home.chat_data, known.__contains__)

    def add(self, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> None:
        """The files in a folder, not those further below. What goes meanwhile is left out. Raises OSError."""
        for path in _listed(folder):
            if wanted(path.name):
                with opened([path]) as files:
                    self.put(files)

    def put(self, files: Iterable[tuple[Path, BinaryIO]]) -> None:
        """Open files; what is in the archive already stays as it is there."""
        for path, file in files:
            name = path.relative_to(self._home.root).as_posix()
            if name not in self._archive:
                self._archive.add(name, file)
                self.number += 1


def _listed(folder: Path) -> list[Path]:
    """The files of a folder, without those that are being written."""
    if not folder.is_dir():
        return []
    return sorted(it for it in folder.iterdir() if not it.name.startswith(".") and it.is_file())


@contextmanager
def opened(paths: Iterable[Path]) -> Iterator[Sequence[tuple[Path, BinaryIO]]]:
    """All of these files, or none if one is gone. Once open, they can be read to the end, whoever deletes them."""
    with ExitStack() as stack:
        try:
            files = [(path, stack.enter_context(open(path, "rb"))) for path in paths]
        except FileNotFoundError:
            files = []
        yield files


# --- the database ---


def _snapshot(store: Store, settings: Settings, path: Path) -> None:
    """All that a store holds at one moment, as a SQLite file."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if isinstance(store.database, SQLite):
        try:
            with closing(sqlite3.connect(store.database.path)) as source, closing(sqlite3.connect(path)) as copy:
                source.backup(copy)  # in one go: who writes meanwhile neither waits nor is seen
        except sqlite3.Error as error:
            raise StoreError(f"the database {store.database.name} cannot be copied: {error}") from error
        return
    with closing(Store(path)) as copy, store.transaction():
        tables_of(store).run("set transaction isolation level repeatable read")
        moving = Moving(store, copy, new_id(), store.database.name)
        moving.begin()
        moving.copy()
        carry(jobs_of(open_queue(store, settings)), copy, open_queue(copy, Settings()))
        moving.end()


def _one_file(path: Path) -> None:
    """Let a closed database be whole in its one file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = delete")


# --- what the database names ---


def _adapters(files: _Files, shelf: Shelf, store: Store, copy: Store) -> list[str]:
    """Put in the adapters that a copied store names, with their datasets; what is not there, in words."""
    said = [_adapter(files, shelf, it, store, copy) for it in copy.adapters.list()]
    return [it for it in said if it]


def _adapter(files: _Files, shelf: Shelf, adapter: Adapter, store: Store, copy: Store) -> str:
    missing = _missing(shelf, adapter)
    while adapter.state is not AdapterState.RETIRED:
        paths = [*_listed(shelf.home.adapter(adapter.name)), *_listed(shelf.home.dataset(adapter.dataset_id))]
        with opened(paths) as found:
            # Asked once they are open: the row comes first, then the files are deleted.
            now = store.adapters.get(adapter.name)
            if now.state is AdapterState.RETIRED:
                _retire(copy, now)
                return ""
            if len(found) == len(paths):
                files.put(found)
                return missing
    return ""


def _missing(shelf: Shelf, adapter: Adapter) -> str:
    """What is wrong with the weights of an adapter that may serve; fetched, if machines share them."""
    if adapter.state not in (AdapterState.CANDIDATE, AdapterState.PROMOTED):
        return ""
    try:
        shelf.adapter(adapter)
    except AtlesError as error:
        return str(error)
    return ""


def _retire(copy: Store, adapter: Adapter) -> None:
    """It was retired since the database was copied, and its files are going: the copy is to say so, too."""
    with copy.transaction():
        copy.adapters.retire(adapter.name, adapter.reason)
        version, active = copy.adapters.active()
        if active == adapter.name:
            copy.adapters.point(release.served(copy)[-1], "retire", adapter.reason, version)
