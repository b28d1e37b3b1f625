"""The quarantine/ folder: files that were set aside, each with its reason beside it, and their way back.

Knows names and the order of writing, never what is in a file.
"""

from collections.abc import Iterator
from contextlib import suppress
from os.path import lexists
from pathlib import Path

from atles.capture.outbox import bring_in
from atles.layout import Home, make_folder, numbered, same_file, take_name, write_atomic

_REASON = ".reason.txt"


def set_aside(file: Path, wanted: Path, reason: str) -> None:
    """Move a file to quarantine/, under that name or the next that is free, with the reason beside it. Raises OSError;
    the file is then where it was."""
    make_folder(wanted.parent)
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
    if target.is_file() and not target.is_symlink():  # what a link leads to is not ours to change
        with suppress(PermissionError):  # whoever wrote it may be another user
            target.chmod(0o600)
    return target


def reasons(home: Home) -> Iterator[tuple[str, str]]:
    """The name of each file that was set aside, and why. Raises OSError."""
    for path in sorted(home.quarantine.glob(f"*{_REASON}")):
        yield path.name.removesuffix(_REASON), path.read_text("utf-8", "replace").strip()


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
