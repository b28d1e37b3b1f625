"""The folder in work/ where a backup puts its copy of the database. Its lock is held while the backup is made, so that
everybody can see what one left that was killed, and take that away at once: it holds all that was ever said."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from atles.clock import new_id
from atles.layout import make_folder, names

_BEGINS = "backup-"
_LOCK = ".lock"


@contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """A folder of one's own, deleted at the end. Raises OSError."""
    while True:
        folder = work / f"{_BEGINS}{new_id()}"
        make_folder(folder)
        lock = _lock(folder)
        with suppress(Timeout, FileNotFoundError):  # somebody takes it away before it is locked
            lock.acquire()
            if (folder / _LOCK).exists():
                break
            lock.release()
    try:
        yield folder
    finally:
        _delete(folder, lock)


def is_scratch(folder: Path) -> bool:
    """Whether it is such a folder, and has a lock; those of earlier versions had none."""
    return folder.name.startswith(_BEGINS) and (folder / _LOCK).exists()


def in_use(folder: Path) -> bool:
    """Whether a backup is being made there."""
    lock = _lock(folder)
    try:
        lock.acquire()
    except (Timeout, OSError):  # somebody else's is not ours to take away
        return True
    lock.release()
    return False


def folders(work: Path) -> list[Path]:
    """All of them, also those of earlier versions."""
    return [work / name for name in sorted(names(work)) if name.startswith(_BEGINS)]


def running(work: Path) -> bool:
    """Whether a backup of this home is being made."""
    return any(in_use(it) for it in _all(work))


def killed(work: Path) -> list[Path]:
    """The folders that nobody uses any more."""
    return [it for it in _all(work) if not in_use(it)]


def take_away(folder: Path) -> None:
    """Delete a folder, with its lock held; unless it is in use. Raises OSError."""
    if not is_scratch(folder):
        return  # somebody else was faster; and locking it would make it again
    lock = _lock(folder)
    with suppress(Timeout):
        lock.acquire()
        _delete(folder, lock)


def _all(work: Path) -> list[Path]:
    return [it for it in folders(work) if is_scratch(it)]


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / _LOCK, blocking=False, mode=0o600)


def _delete(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    if folder.exists():  # where an open file cannot be deleted (Windows); or what cannot be deleted says so now
        shutil.rmtree(folder)
