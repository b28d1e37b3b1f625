"""How old a home's files and folders are, what they weigh, and how they go. Programs are at work there: what goes
meanwhile is left out."""

import heapq
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

from atles.layout import names

UNFINISHED_SECONDS = 3600.0  # whoever still writes a `.tmp` file has touched it in this time
ASIDE = ".deleted-"  # how the name of a folder on its way out begins: nobody takes what is left of it for whole
_IN_MEMORY = 10_000  # names: a home has the files of years


def listed(folder: Path) -> Iterator[tuple[float, int, str]]:
    """When each JSON file in a folder was written (Unix time), its bytes and its name."""
    for name in names(folder):
        if name.endswith(".json"):
            for it in _states(folder / name):
                yield it.st_mtime, it.st_size, name


def oldest(folder: Path) -> Iterator[tuple[float, int, str]]:
    """The same, the oldest first; some of them in memory at a time."""
    last = (-math.inf, 0, "")
    while some := heapq.nsmallest(_IN_MEMORY, (it for it in listed(folder) if it > last)):
        yield from some
        last = some[-1]


def last_written(path: Path) -> float:
    """When a file, or something in a folder, was written last (Unix time); of what is gone, never."""
    return max((it.st_mtime for it in _states(path)), default=math.inf)


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(it.st_size for it in _states(path) if S_ISREG(it.st_mode))


def _states(path: Path) -> Iterator[os.stat_result]:
    """Of a file, or of a folder and all in it."""
    for it in (path, *(path.rglob("*") if path.is_dir() else ())):
        with suppress(FileNotFoundError):
            yield it.lstat()


def remover(*paths: Path) -> Callable[[], None]:
    """Deletes files one after the other, and folders as a whole."""

    def remove() -> None:
        for path in paths:
            if not path.is_dir():
                path.unlink(missing_ok=True)
                continue
            aside = path if path.name.startswith(ASIDE) else path.with_name(ASIDE + path.name)
            with suppress(FileNotFoundError):  # somebody else deletes it at this moment
                if aside != path:
                    path.rename(aside)
                shutil.rmtree(aside)

    return remove
