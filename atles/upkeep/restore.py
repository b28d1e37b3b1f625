"""A home from a backup: verified before a byte is written, and there under its name when it is whole."""

import json
import os
import shutil
import tomllib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atles.errors import AtlesError, ConfigError
from atles.insights.status import owner
from atles.layout import Home, make_folder, private, sync_folder, write_atomic
from atles.pipeline import room
from atles.pipeline.lanes import open_queue
from atles.records import canonical_json
from atles.settings import Settings
from atles.store import Store
from atles.store.database import SCHEMA_VERSION
from atles.store.tables import tables_of
from atles.upkeep.archive import MANIFEST, explained, members, verified
from atles.upkeep.carry import wait_again
from atles.upkeep.check_data import data_again
from atles.upkeep.settings_file import change

_PIECE = 1 << 20
_WHOLE = "whole.json"  # beside a home that only has to be moved to its place
_ELSEWHERE = ("url", "artifacts")  # of [store]
_WHY = "they lead to where the original is, and a copy must not write there"


@dataclass(frozen=True, slots=True)
class Restored:
    """What is in the home now, by the manifest of the backup; and what its owner has to know."""

    home: Path
    made_at: str
    counts: dict[str, int]
    notes: Sequence[str]


def restore(file: Path, home: Home) -> Restored:
    """Make a home of a backup. Raises AtlesError where the backup is damaged, or the home holds something; OSError.
    Then nothing has changed; or, in a folder that cannot be another one, doing it again finishes it."""
    root = home.root.resolve()  # a link to it stays what it is
    home = Home(root)
    if running := owner(home):
        raise AtlesError(f"a daemon (pid {running['pid']}) works on {home.root}; choose another --home")
    stays = root.is_mount() or _is_here(root)
    part = Home(root / ".restoring" if stays else root.with_name(f".{root.name}.restoring"))
    begun = stays and (part.root / _WHOLE).exists()
    if not begun:
        _empty(home)
    manifest = verified(file)
    if manifest["schema"] > SCHEMA_VERSION:
        raise AtlesError(f"{file} was made by a newer ATLES ({manifest['atles']}); upgrade ATLES to restore it")
    notes = _begun(part, home, manifest) if begun else _made(file, part, home, manifest, stays)
    if stays:
        _move_in(part, home)
    return Restored(root, manifest["made_at"], manifest["counts"], notes)


def _made(file: Path, part: Home, home: Home, manifest: dict[str, Any], stays: bool) -> list[str]:
    """Make it, and give it its name if it can have that; what its owner has to know."""
    make_folder(home.root.parent)
    shutil.rmtree(part.root, ignore_errors=True)  # of one that was killed
    _room(part, manifest)
    try:
        _unpack(file, part, manifest)
        notes = _mended(part, manifest)
        if hasattr(os, "sync"):  # once for all: a home has many small files, and each would wait for the disk
            os.sync()
        _remove_empty(home, part)
        if stays:
            write_atomic(part.root / _WHOLE, canonical_json({"manifest": manifest, "notes": notes}))
        else:
            if home.root.exists():
                home.root.rmdir()
            part.root.rename(home.root)
            sync_folder(home.root.parent)
    except BaseException:
        shutil.rmtree(part.root, ignore_errors=True)
        raise
    return notes


def _begun(part: Home, home: Home, manifest: dict[str, Any]) -> list[str]:
    """What an earlier try had to say that was interrupted while it moved a whole home to its place."""
    said = json.loads((part.root / _WHOLE).read_bytes())
    if said["manifest"] != manifest:
        raise AtlesError(
            f"the backup of {said['manifest']['made_at']} is half restored in {home.root}: restore that one again to "
            "finish it, or empty the folder"
        )
    return said["notes"]


def _move_in(part: Home, home: Home) -> None:
    """Move what is whole out of a folder of the home, which itself cannot be given another one. Raises AtlesError where
    something else is in its place; OSError."""
    left = [it for it in part.root.iterdir() if it.name != _WHOLE]
    for path in sorted(left, key=lambda it: it == part.database):  # what makes it a home, last
        target = home.root / path.name
        if target.exists():
            raise AtlesError(f"{target} has come since the restore began; move it away, and restore again to finish it")
        path.rename(target)
    (part.root / _WHOLE).unlink()
    part.root.rmdir()
    sync_folder(home.root)


def _empty(home: Home) -> None:
    """Raise AtlesError where a home holds something."""
    held = [it for it in home.root.rglob("*") if not it.is_dir() and it != home.lock and ".restoring" not in it.parts]
    if held:
        raise AtlesError(
            f"{home.root} holds something already ({held[0].relative_to(home.root)}), and nothing is mixed into it; "
            "choose another --home, or move it away"
        )


def _is_here(folder: Path) -> bool:
    """Whether it is the working folder: in its place a new one would not be where the shell is."""
    try:
        return folder == Path.cwd()
    except FileNotFoundError:  # that was deleted
        return False


def _remove_empty(home: Home, part: Home) -> None:
    """Take the empty folders of a home away. Raises OSError if one is no longer empty."""
    home.lock.unlink(missing_ok=True)
    disks_own = home.root / "lost+found"  # where a disk is mounted
    for folder in sorted((it for it in home.root.rglob("*") if part.root not in (it, *it.parents)), reverse=True):
        if folder != disks_own:
            folder.rmdir()


def _room(part: Home, manifest: dict[str, Any]) -> None:
    needed, free = sum(it["size"] for it in manifest["files"]), room.free_bytes(part.root.parent)
    if needed > free:
        raise AtlesError(f"the backup takes {room.size(needed)}, and {room.size(free)} are free; make room there")


def _unpack(file: Path, part: Home, manifest: dict[str, Any]) -> None:
    sizes = {it["path"]: it["size"] for it in manifest["files"]}
    with explained(file):
        for head, body in members(file):
            if head.name == MANIFEST:
                continue
            if sizes.get(head.name) != head.size:
                raise AtlesError(f"{file} has changed since it was verified; do it again")
            path = part.root / head.name
            make_folder(path.parent)
            with open(path, "xb", opener=private) as target:
                shutil.copyfileobj(body, target, _PIECE)
            written = int(head.mtime * 1e9)
            os.utime(path, ns=(written, written))  # retention goes by it


def _mended(part: Home, manifest: dict[str, Any]) -> list[str]:
    """Let the copy go on by itself: what was worked on waits, what is missing is made again, and nothing of it leads to
    where the original is."""
    part.create()
    notes = []
    with closing(Store(part.database)) as store:
        if wrong := tables_of(store).damage():
            raise AtlesError(f"the database in the backup is damaged ({wrong}); take an older backup")
        queue = open_queue(store, Settings())
        with store.transaction():
            wait_again(queue)
            if again := data_again(part, store, queue):
                queue.put(*again)
                notes.append(f"The training data of {len(again)} sessions is made again at the next start.")
        store.database.settle()
    notes += _settings(part.config)
    if manifest["store"] != "sqlite":
        notes.append(
            "The original's store is in PostgreSQL, this one is a SQLite file; `atles migrate --to postgresql://…` "
            "moves it to an empty database or another --schema."
        )
    notes += [f"Not in the backup: {it}" for it in manifest["left_out"]]
    return notes


def _settings(config: Path) -> list[str]:
    if not config.exists():
        return []
    try:
        said = tomllib.loads(config.read_text("utf-8")).get("store", {})
        if not said.keys() & set(_ELSEWHERE):
            return []
        change(config, "store", dict.fromkeys(_ELSEWHERE), f"Commented out by `atles restore`: {_WHY}.")
    except (ConfigError, ValueError) as error:
        aside = config.with_name(f"{config.name}.original")
        config.rename(aside)
        return [
            f"The settings are in {aside.name}, and not in force: {error}. Take [store] out, then rename that file."
        ]
    return [f"store.url and store.artifacts are commented out in {config.name}: {_WHY}."]
