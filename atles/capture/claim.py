"""A session file that is moved away is claimed first: it gets a name that its writer does not know, so nobody puts
another in its place, and who claimed it can see whether it still is what was read. Knows names, never contents.

The name is a session file's, too. So who is killed in between leaves a file that is found and taken like any other.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from atles.clock import new_id
from atles.layout import file_name

NAME_BYTES = 255  # of one name, on all common file systems
_MARK = re.compile(r"\.[0-9a-z]{26}\.taken(?=\.json\Z)")

Version = tuple[int, int, int, int]


def version(state: os.stat_result) -> Version:
    """Tells whether a file was replaced or written anew."""
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size


def seen(path: Path) -> Version:
    """The version of what is there: of the file that a link leads to, if it leads to one. Raises OSError."""
    try:
        return version(path.stat())
    except OSError:
        return version(path.lstat())


def claim(path: Path) -> Path:
    """Give a file in sessions/ a name that nobody else knows; which. Raises OSError."""
    if _MARK.search(path.name):
        return path
    mark = f".{new_id()}.taken.json"
    mine = path.with_name(fitting(path.name, len(mark)).removesuffix(".json") + mark)
    path.rename(mine)
    return mine


def unclaimed(name: str) -> str:
    """The name that a file had before it was claimed."""
    return _MARK.sub("", name)


def give_back(mine: Path, path: Path) -> Path:
    """Give a claimed file its name again; which it has now: the one that it was claimed by, where another file came
    meanwhile. It is taken under that name, too."""
    if mine == path:
        return path
    # By a link only: it takes nobody's place, and is no event that has the file offered again at once.
    with suppress(OSError, NotImplementedError):
        os.link(mine, path, follow_symlinks=False)
        mine.unlink(missing_ok=True)
        return path
    return mine


def fitting(name: str, more: int) -> str:
    """A file's name, so short that as many bytes fit behind it; as layout's names of sessions are."""
    if len(os.fsencode(name)) + more <= NAME_BYTES:
        return name
    begin = "completed_" if name.startswith("completed_") else ""
    ending = Path(name).suffix if len(os.fsencode(Path(name).suffix)) <= 8 else ""
    return begin + file_name(name.removeprefix(begin).removesuffix(ending)) + ending
