"""The file of a backup: a .tar.gz of plain files, the last of which, manifest.json, has the SHA-256 of all others.

Knows bytes and names, never what is in a home. Reads and writes in pieces: a backup may be larger than the memory.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import Any, BinaryIO, Self

from atles.errors import AtlesError
from atles.layout import private, sync_folder, take_name

MANIFEST = "manifest.json"
FORMAT = 1
_PIECE = 1 << 20
_LARGEST_MANIFEST = 1 << 28
_LEVEL = 1  # of compression: most of it are weights, which no level makes smaller


class Writer:
    """A new backup. It has its name once `finish` has been called, and is whole then; else nothing is left of it.
    `anew`: it takes no other file's place; if there is one of that name, it gets the next (`…-2.tar.gz`)."""

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        self.path, self._anew = path, anew
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
        self._files: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        try:
            self._file = open(self._temporary, "wb", opener=private)  # closed by `__exit__`
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path.parent)) from error  # nobody knows the other name
        self._zip = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self._file)
        self._tar = tarfile.open(fileobj=self._zip, mode="w|", format=tarfile.PAX_FORMAT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._tar, self._zip, self._file):
            with suppress(OSError, ValueError):  # where the disk is full, or they are closed
                stream.close()
        self._temporary.unlink(missing_ok=True)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    @property
    def size(self) -> int:
        """Bytes of the files so far."""
        return sum(it["size"] for it in self._files.values())

    def add(self, name: str, file: BinaryIO) -> None:
        """Add an open file, as long as it is now: what is appended meanwhile is left out."""
        state = os.fstat(file.fileno())
        self._add(name, file, state.st_size, state.st_mtime)

    def add_bytes(self, name: str, data: bytes) -> None:
        self._add(name, io.BytesIO(data), len(data), time.time())

    def finish(self, about: Mapping[str, Any]) -> int:
        """Write the manifest, with what is to be said about the backup; the size of the file in bytes."""
        manifest = {"format": FORMAT, **about, "files": list(self._files.values())}
        self.add_bytes(MANIFEST, json.dumps(manifest, indent=1).encode())
        self._tar.close()
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        if self._anew:
            self.path = take_name(self._temporary, self.path, mark="-", ending=".tar.gz")
        else:
            os.replace(self._temporary, self.path)
            sync_folder(self.path.parent)
        return size

    def _add(self, name: str, file: BinaryIO, size: int, written: float) -> None:
        head = tarfile.TarInfo(name)
        head.size, head.mtime, head.mode = size, written, 0o600
        body = _Body(file, size)
        self._tar.addfile(head, body)  # pyright: ignore[reportArgumentType]  # it needs `read` alone
        self._files[name] = {"path": name, "size": size, "sha256": body.digest.hexdigest()}


class _Body:
    """So many bytes of a file, and their hash. One that got shorter meanwhile is filled up with line ends: the log is
    cut where a crash left half a line, and whoever rewrites a session file in place writes it once more."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left, self.digest = file, size, hashlib.sha256()

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        data = self._file.read(size)
        data += b"\n" * (size - len(data))
        self._left -= len(data)
        self.digest.update(data)
        return data


def verified(path: Path) -> dict[str, Any]:
    """The manifest of a backup in which every byte is what it was. Raises AtlesError, OSError."""
    found: dict[str, dict[str, Any]] = {}
    manifest: dict[str, Any] | None = None
    with explained(path):
        for head, file in members(path):
            if manifest is not None:
                raise _damaged(path, f"{head.name} comes after its manifest")
            if head.name == MANIFEST:
                if head.size > _LARGEST_MANIFEST:
                    raise _damaged(path, "its manifest is far too large")
                manifest = _manifest(path, file.read())
                continue
            if head.name in found:
                raise _damaged(path, f"{head.name} is in it twice")
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
            found[head.name] = {"path": head.name, "size": head.size, "sha256": digest.hexdigest()}
    if manifest is None:
        raise _damaged(path, "it has no manifest: it is cut off, or no backup")
    said = {it["path"]: it for it in manifest["files"]}
    for name in sorted(said.keys() | found.keys()):
        if said.get(name) != found.get(name):
            raise _damaged(path, f"{name} is not what it was when the backup was made")
    return manifest


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """The files in a backup, in order, each to be read before the next is asked for. Raises AtlesError for what is no
    plain file with a name below the home; OSError."""
    with explained(path), gzip.open(path) as zip, tarfile.open(fileobj=zip, mode="r|") as tar:
        for head in tar:
            if not _safe(head.name):
                raise _damaged(path, f"the name {head.name!r} leads out of the home")
            file = tar.extractfile(head) if head.isreg() else None
            if file is None:
                raise _damaged(path, f"{head.name} is no plain file")
            yield head, file  # pyright: ignore[reportReturnType]  # it is one, by another name
        while zip.read(_PIECE):
            pass  # to its end, where its checksum is


def _manifest(path: Path, data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        if manifest["format"] > FORMAT:
            raise AtlesError(f"{path} was made by a newer ATLES ({manifest['atles']}); upgrade ATLES to restore it")
        for it in manifest["files"]:
            _ = it["path"], it["size"], it["sha256"]
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(path, f"its manifest makes no sense: {error!r}") from error
    return manifest


def _safe(name: str) -> bool:
    """Whether a name stays below the folder that it is put into, on any system."""
    windows, here = PureWindowsPath(name), PurePosixPath(name)
    outside = windows.drive or windows.root or here.is_absolute() or ".." in (*windows.parts, *here.parts)
    return bool(name) and "\0" not in name and not outside and str(here) == name and name != "."


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What goes wrong while a backup is read, as AtlesError."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, f"it cannot be read to its end: {error}") from error


def _damaged(path: Path, why: str) -> AtlesError:
    return AtlesError(f"{path} cannot be restored: {why}; take another backup")
