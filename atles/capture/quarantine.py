"""The quarantine/ folder: files that were set aside, each with its reason beside it, and their way back.

Knows names and the order of writing, never what is in a file.
"""

from collections.abc import Iterator
from contextlib import suppress
from os.path import lexists
from pathlib import Path
from stat import S_ISREG

from atles.capture.claim import fitting
from atles.capture.outbox import bring_in
from atles.layout import Home, NoPlainFile, make_folder, numbered, read_plain, same_file, take_name, write_atomic

_REASON = ".reason.txt"
_MORE = 60  # bytes of a name for a number, the reason's ending, and what it is called until it is written


def set_aside(file: Path, wanted: Path, reason: str) -> None:
    """Move a file to quarantine/, under that name or the next that is free, with the reason beside it. Raises OSError;
    the file is then where it was."""
    make_folder(wanted.parent)
    wanted = wanted.with_name(fitting(wanted.name, _MORE))
    # It is there already where a kill came just before it lost its old name.
    target = next(it for it in numbered(wanted) if not lexists(it) or same_file(file, it))
    write_atomic(_reason(target), reason + "\n")  # first, so that no file lies there unexplained
    try:
        taken = put_away(file, target)
    except OSError:
        with suppress(OSError):
            _reason(target).unlink()
        raise
    if taken != target:  # another process took that name just now
        write_atomic(_reason(taken), reason + "\n")


def put_away(file: Path, wanted: Path) -> Path:
    """Give a file that name, or the next that is free, and take the rights of others from it; which. Raises OSError."""
    target = take_name(file, wanted)
    make_private(target)
    return target


def make_private(file: Path) -> None:
    """Take the rights of others from a file. Raises OSError."""
    state = file.lstat()
    # What a link leads to, or what has another name elsewhere, is not ours to change.
    if S_ISREG(state.st_mode) and state.st_nlink == 1:
        with suppress(PermissionError):  # whoever wrote it may be another user
            file.chmod(0o600)


def reasons(home: Home) -> Iterator[tuple[str, str]]:
    """The name of each file that was set aside, and why. Raises OSError."""
    for path in sorted(home.quarantine.glob(f"*{_REASON}")):
        with suppress(FileNotFoundError, NoPlainFile):  # somebody else's; or it goes at this moment
            yield path.name.removesuffix(_REASON), read_plain(path).decode("utf-8", "replace").strip()


def file_of(name: str) -> str:
    """The name of a file that was set aside, of its own or its reason's path."""
    return Path(name).name.removesuffix(_REASON)


def restore(home: Home, name: str) -> Path:
    """Move a session file back to sessions/, to be tried again: under its name, or the next that is free. Raises
    FileNotFoundError, OSError."""
    target = bring_in(home, home.quarantine / name, name)
    explained_no_more(home, name)
    return target


def explained_no_more(home: Home, name: str) -> None:
    """Delete the reason of a file that is no longer here. Raises OSError."""
    _reason(home.quarantine / name).unlink(missing_ok=True)


def _reason(file: Path) -> Path:
    return file.with_name(file.name + _REASON)
