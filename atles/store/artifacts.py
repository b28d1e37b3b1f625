"""Folders of files that several machines share, below one folder or URL. One is there whole, or not at all:

    <root>/<kind>/<name>/…          its files
    <root>/<kind>/<name>.json       its manifest, written last and deleted first

Knows fsspec (a folder, s3://, gs://, memory:// …) and checksums, nothing of what the files are for.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from atles.config import masked
from atles.errors import ArtifactError
from atles.layout import make_folder, private, sync_folder

_LOCAL = ("file", "local")
_OURS = (*_LOCAL, "memory", "s3", "s3a")  # what atles[cluster] brings along


class Artifacts:
    """`url` is a folder or what fsspec takes as one. Where it is empty nothing is shared, and no call does anything.

    Endpoints and credentials are found as fsspec and its packages find them: in the environment and in their own files.
    Everything raises ArtifactError where the place cannot be used, and OSError where this machine's disk cannot.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") or url

    def check(self) -> None:
        """Raise ArtifactError if a package is missing for the place, without going there."""
        if self.url:
            _ = self._place

    def publish(self, kind: str, name: str, folder: Path, files: Sequence[str]) -> None:
        """Share files of a folder, named from there. Sharing the same again does nothing; other files under a name that
        is in use are refused. The last file is also put in place last where they are fetched."""
        if not self.url:
            return
        manifest = {"files": [_described(folder, file) for file in files]}
        there = self._manifest(kind, name)
        if there == manifest:
            return
        if there is not None:
            raise ArtifactError(
                "conflict", f"{self._at(kind, name)} holds other files than {folder}; give one of them another name"
            )
        fs, root = self._place
        with self._explained(f"{folder} cannot be shared as {self._at(kind, name)}"):
            for file in files:
                fs.put_file(str(folder / file), f"{root}/{kind}/{name}/{file}")
            # Renamed into place, as a folder that machines share shows a file while it is written.
            new = f"{root}/{kind}/{name}/.manifest.{os.urandom(4).hex()}.tmp"
            fs.pipe_file(new, json.dumps(manifest, indent=1).encode())
            fs.mv(new, f"{root}/{kind}/{name}.json")

    def fetch(self, kind: str, name: str, folder: Path) -> bool:
        """Bring files into a folder, each checked; whether there are any of that name. Those that are there already are
        not fetched again, other files in the folder stay."""
        manifest = self._manifest(kind, name) if self.url else None
        if manifest is None:
            return False
        make_folder(folder.parent)
        # One at a time: a second process that wants the same finds it there.
        with FileLock(folder.parent / ".fetch.lock", mode=0o600):
            if all(_is(folder, entry) for entry in manifest["files"]):
                return True
            for left in folder.parent.glob(unfinished(Path("*")).name):  # of a process that died
                shutil.rmtree(left)
            part = unfinished(folder)
            try:
                for entry in manifest["files"]:
                    self._download(kind, name, entry, part)
                _put_in_place(part, folder, [entry["path"] for entry in manifest["files"]])
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return True

    def remove(self, kind: str, name: str) -> None:
        """Share it no more, and delete what is left of it. Done again it changes nothing."""
        if not self.url:
            return
        fs, root = self._place
        with self._explained(f"{self._at(kind, name)} cannot be deleted"):
            for path in (f"{root}/{kind}/{name}.json", f"{root}/{kind}/{name}"):
                try:
                    fs.rm(path, recursive=True)
                except FileNotFoundError:
                    pass  # it is gone

    def names(self, kind: str) -> Mapping[str, bool]:
        """What lies there, and whether it is whole: what is not is being shared or deleted, or who did so died."""
        if not self.url:
            return {}
        fs, root = self._place
        with self._explained(f"{self.url}/{kind} cannot be listed"):
            try:
                paths = fs.ls(f"{root}/{kind}", detail=False)
            except FileNotFoundError:
                paths = []  # nothing was ever shared
        found = [PurePosixPath(path).name for path in paths]
        return {name.removesuffix(".json"): f"{name.removesuffix('.json')}.json" in found for name in found}

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the root's path in it."""
        protocol = self.url.partition("://")[0] if "://" in self.url else "file"
        try:
            from fsspec.core import url_to_fs  # loaded where it is used: it takes megabytes

            options = {"auto_mkdir": True} if protocol in _LOCAL else {}
            return url_to_fs(self.url, use_listings_cache=False, **options)
        except ImportError as error:
            help = "run `pip install 'atles[cluster]'`" if protocol in _OURS else str(error)
            raise ArtifactError("missing_packages", f"store.artifacts = {self.url} needs a package: {help}") from error
        except ValueError as error:
            raise ArtifactError("refused", f"store.artifacts = {self.url} cannot be used: {error}") from error

    def _manifest(self, kind: str, name: str) -> dict[str, Any] | None:
        fs, root = self._place
        with self._explained(f"{self._at(kind, name)} cannot be read"):
            try:
                data = fs.cat_file(f"{root}/{kind}/{name}.json")
            except FileNotFoundError:
                return None
        try:
            manifest = json.loads(data)
            for entry in manifest["files"]:
                path = PurePosixPath(entry["path"])
                if path.is_absolute() or ".." in path.parts or not (entry["size"] >= 0 and entry["sha256"]):
                    raise ValueError(f"an entry for {path}")
        except (ValueError, LookupError, TypeError) as error:
            raise self._damaged(kind, name, f"its manifest makes no sense: {error!r}") from error
        return manifest

    def _download(self, kind: str, name: str, entry: Mapping[str, Any], part: Path) -> None:
        fs, root = self._place
        target = part / entry["path"]
        make_folder(target.parent)
        with open(target, "wb", opener=private):
            pass  # the libraries would make it for everybody to read
        with self._explained(f"{self._at(kind, name)} cannot be fetched"):
            try:
                fs.get_file(f"{root}/{kind}/{name}/{entry['path']}", str(target))
            except FileNotFoundError as error:
                raise self._damaged(kind, name, f"its file {entry['path']} is missing") from error
        if not _is(part, entry):
            raise self._damaged(kind, name, f"its file {entry['path']} is not what was shared (wrong size or sha256)")
        with target.open("rb") as file:
            os.fsync(file.fileno())

    def _damaged(self, kind: str, name: str, what: str) -> ArtifactError:
        place = self._at(kind, name)
        return ArtifactError(
            "damaged",
            f"{place} is damaged: {what}; delete {place}.json, and a daemon whose machine still has it shares it anew",
        )

    def _at(self, kind: str, name: str) -> str:
        return f"{self.url}/{kind}/{name}"

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Whatever a storage library raises, as an ArtifactError that shows no password."""
        try:
            yield
        except ArtifactError:
            raise
        except Exception as error:  # each storage has a library with errors of its own
            kind, help = _meaning(error)
            said = masked(f"{type(error).__name__}: {error}")
            raise ArtifactError(kind, f"{what}: {said}; {help}") from error


def unfinished(folder: Path) -> Path:
    """Where what is fetched for a folder lies until it is whole."""
    return folder.with_name(f".{folder.name}.part")


def _described(folder: Path, file: str) -> dict[str, Any]:
    path = folder / file
    return {"path": file, "size": path.stat().st_size, "sha256": _digest(path)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is(folder: Path, entry: Mapping[str, Any]) -> bool:
    path = folder / entry["path"]
    return path.is_file() and path.stat().st_size == entry["size"] and _digest(path) == entry["sha256"]


def _put_in_place(part: Path, folder: Path, files: Sequence[str]) -> None:
    for inner in {(part / file).parent for file in files}:
        sync_folder(inner)
    if folder.exists():
        for file in files:
            make_folder((folder / file).parent)
            os.replace(part / file, folder / file)
        sync_folder(folder)
    else:
        part.rename(folder)
    sync_folder(folder.parent)


def _meaning(error: Exception) -> tuple[str, str]:
    """The kind of an ArtifactError, and the way out."""
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "refused", "see which credentials this machine has for it, and what they allow"
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "full", "make room there"
    if isinstance(error, FileNotFoundError):
        return "missing", "see whether the folder or bucket exists"
    return "unreachable", "see whether this machine reaches it; what is in the queue is tried again"
