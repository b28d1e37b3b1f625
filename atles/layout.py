"""Where everything lies below one home folder. The layout is a public contract: see docs/storage.md."""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

DEFAULT_HOME = "./atles_memory"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}\Z")


def default_home() -> Path:
    """`$ATLES_HOME`, else `./atles_memory`."""
    return Path(os.environ.get("ATLES_HOME") or DEFAULT_HOME)


def file_name(session_id: str) -> str:
    """A file name for any session id: the id itself where that is safe, else a readable part and a hash.

    Ids may hold `/`, `..`, NUL, 300 characters or half an emoji; two ids never share a name.
    """
    if _SAFE.match(session_id) and ".." not in session_id:
        return session_id
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", session_id)[:40].strip("_-")
    return f"{readable or 'session'}_{digest}"


def is_session_file(name: str) -> bool:
    """Whether a file of that name in `sessions/` is taken; others are their writers' own."""
    return name.startswith("completed_") and name.endswith(".json")


class Home:
    """The paths below one storage root. Creates nothing until `create()` is called."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_home()
        self.config = self.root / "atles.toml"
        self.secrets = self.root / "atles.env"
        self.database = self.root / "atles.db"
        self.migrated = self.root / "atles.db.migrated"  # the same, after it was moved to PostgreSQL
        self.training_data = self.root / "training_data"
        self.chat_data = self.training_data / "chat"
        self.datasets = self.training_data / "datasets"
        self.models = self.root / "models"
        self.adapters = self.root / "adapters"
        self.work = self.root / "work"
        self.progress = self.work / "progress.json"
        self.daemon = self.root / "learning_daemon"
        self.log = self.daemon / "daemon.log"
        self.last_words = self.daemon / "daemon.err"
        self.lock = self.daemon / "daemon.lock"
        self.owner = self.daemon / "daemon.json"
        self.socket = self.daemon / "api.sock"
        self.sessions = self.daemon / "sessions"
        self.open_sessions = self.sessions / "open"
        self.processed = self.sessions / "processed"
        self.quarantine = self.sessions / "quarantine"
        self.logs = self.daemon / "logs"
        self.master_log = self.logs / "master_log.jsonl"
        self.forgotten = self.daemon / "forgotten"
        self.stats = self.logs / "daemon_stats.json"

    def create(self) -> "Home":
        """Make the folders, for the owner alone: they hold chats. Raises OSError."""
        for folder in self.folders():
            make_folder(folder)
        return self

    def folders(self) -> tuple[Path, ...]:
        """All that are made from the beginning, those above others first."""
        return (
            self.training_data, self.chat_data, self.datasets, self.models, self.adapters, self.work,
            self.daemon, self.sessions, self.open_sessions, self.processed, self.quarantine, self.logs,
        )  # fmt: skip

    def adapter(self, name: str) -> Path:
        """An adapter's folder. Derived, never stored: a home may be moved, or named from another folder."""
        return self.adapters / name

    def dataset(self, dataset_id: str) -> Path:
        """A dataset's folder."""
        return self.datasets / dataset_id

    def completed(self, session_id: str) -> Path:
        """The file by which a finished session is handed over."""
        return self.sessions / f"completed_{file_name(session_id)}.json"

    def __repr__(self) -> str:
        return f"Home({str(self.root)!r})"


def make_folder(folder: Path) -> None:
    """Make a folder, and those that are missing above it, for the owner alone, whatever the umask. One that is there
    keeps its rights. Raises OSError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        if folder.parent == folder:  # the working folder itself was deleted
            raise
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def private(path: str, flags: int) -> int:
    """The `opener` of `open()` for what is in a home: a file that it makes is for the owner alone, whatever the umask.

    The process may be somebody's application, so its umask is not ours to change.
    """
    return os.open(path, flags, 0o600)


def write_atomic(
    path: Path, data: bytes | str | Iterable[bytes | str], *, sync_name: bool = True, exported: bool = False
) -> None:
    """Write a file so that readers see the old content or the new, never a part, even after power loss.

    `data` may come in pieces; each is written before the next is asked for.
    The file is for the owner alone; or, if `exported` to a place that people chose, as the umask says.
    Who writes many files into a folder may leave out `sync_name` and call `sync_folder` once for all.
    Raises OSError (disk full, read-only); the old file is then unchanged and no temporary file is left.
    """
    with _written(path, [data] if isinstance(data, bytes | str) else data, exported) as temporary:
        os.replace(temporary, path)
    if sync_name:
        sync_folder(path.parent)


def write_anew(path: Path, data: bytes | str | Iterable[bytes | str]) -> Path:
    """The same, but never in the place of another file: under that name or the next that is free (see `take_name`);
    which. Raises OSError."""
    with _written(path, [data] if isinstance(data, bytes | str) else data, exported=False) as temporary:
        return take_name(temporary, path)


@contextmanager
def _written(path: Path, pieces: Iterable[bytes | str], exported: bool) -> Iterator[Path]:
    """A temporary file beside `path` with all of it, synced, to be given its name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "wb", opener=None if exported else private) as file:
            for piece in pieces:
                file.write(piece if isinstance(piece, bytes) else piece.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_unless_there(path: Path, text: str) -> None:
    """The same for a file that is likely to hold just that already. Raises OSError."""
    data = text.encode("utf-8", "backslashreplace")
    with suppress(FileNotFoundError, NoPlainFile):
        if read_plain(path) == data:
            sync_folder(path.parent)  # who wrote it may have been killed before
            return
    write_atomic(path, data)


class NoPlainFile(OSError):
    """What is there is a pipe, a folder or a device."""


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading that anybody may have put there. Nothing waits for a pipe's other end.

    Raises NoPlainFile; OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket; a device that is not there
            raise _no_plain(path) from error
        raise
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise _no_plain(path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: Path) -> bytes:
    """All that is in such a file. Raises NoPlainFile; OSError."""
    with open_plain(path) as file:
        return file.read()


def _no_plain(path: Path) -> NoPlainFile:
    return NoPlainFile(errno.EINVAL, "it is no plain file", str(path))


def names(folder: Path) -> Iterator[str]:
    """The names of what is in a folder, one at a time: there may be very many. None where the folder is not there.
    Raises OSError."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def numbered(path: Path, mark: str = ".", ending: str | None = None) -> Iterator[Path]:
    """A name, and the same with a number for when it is taken: `a.json`, `a.2.json`, `a.3.json`, …"""
    ending = path.suffix if ending is None else ending
    yield path
    for number in count(2):
        yield path.with_name(f"{path.name.removesuffix(ending)}{mark}{number}{ending}")


def take_name(file: Path, path: Path, *, mark: str = ".", ending: str | None = None) -> Path:
    """Give a file the name `path`, in any folder of the same disk, or the next that is free (see `numbered`); which.

    It takes no other's place, whoever else writes there: the name is a hard link, which is made only where nothing is.
    Where a file system has none (FAT, some shares), an empty file holds the name until the file comes. A kill in
    between leaves the file under both names, or that empty file. The new name is synced before the old one goes.
    Raises OSError; the file then has one name.
    """
    give = _link if S_ISREG(file.lstat().st_mode) else _rename
    for target in numbered(path, mark, ending):
        with suppress(FileExistsError):
            give(file, target)
            return target
    raise AssertionError  # there are more numbers than files


def _link(file: Path, target: Path) -> None:
    """Raises FileExistsError where another file has that name."""
    try:
        os.link(file, target)
    except FileNotFoundError:
        raise
    except FileExistsError:
        if not same_file(file, target):  # else somebody was killed, or is at it now, between this and what follows
            raise
    except OSError:  # it has no links; or the file is another user's (Linux's fs.protected_hardlinks)
        _rename(file, target)
        return
    elsewhere = file.parent != target.parent
    try:
        if elsewhere:  # or a power loss could keep the end of the old name without the new one
            sync_folder(target.parent)
        file.unlink(missing_ok=True)
    except OSError:
        with suppress(OSError):
            if same_file(file, target):  # else the old name went all the same
                target.unlink()
        raise
    if not elsewhere:
        sync_folder(target.parent)


def same_file(file: Path, other: Path) -> bool:
    """Whether two names are one file's. A link is another file than what it leads to."""
    try:
        return os.path.samestat(file.lstat(), other.lstat())
    except FileNotFoundError:
        return False


def _rename(file: Path, target: Path) -> None:
    """Raises FileExistsError where another file has that name."""
    if S_ISDIR(file.lstat().st_mode):  # goes over nothing but an empty folder
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        file.rename(target)
        sync_folder(target.parent)
        return
    os.close(private(str(target), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    try:
        os.replace(file, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in the folder durable. Without effect where folders cannot be opened (Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
