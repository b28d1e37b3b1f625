"""`doctor`: whether this machine is fit for ATLES, and what is wrong in this home (`upkeep/doctor.py`).

Each check stands alone, and none imports torch: that would take seconds and tell no more.
"""

import ctypes
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles import wheel
from atles.cli.command import FAILED, Command, Scope
from atles.cli.show import answer, styled, table
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline.room import Room, size
from atles.serving.gguf import base_gguf
from atles.settings import Settings
from atles.upkeep.doctor import examine as of_home
from atles.upkeep.finding import FAIL, OK, REPAIRED, WARN, Finding, checked

if TYPE_CHECKING:
    from rich.console import RenderableType

SERVE_PACKAGES = ("xllamacpp", "gguf", "safetensors", "numpy")
TRAIN_PACKAGES = ("torch", "transformers", "peft", "gguf", "safetensors", "accelerate")
_COLOURS = {OK: "green", WARN: "yellow", FAIL: "red", REPAIRED: "cyan"}


@click.command(cls=Command)
@click.option("--repair", is_flag=True, help="Mend what can be mended, and say what was done.")
@click.pass_obj
def doctor(scope: Scope, repair: bool) -> None:
    """Check this machine and this home, and say what to do.

    Changes nothing without --repair. With it, what ATLES can make again is made again: search index,
    training data, logs, jobs that got lost, rights of files. What may be the only copy of something is
    moved, never deleted. A daemon may run meanwhile.

    Exit code 1 if something has to be done before ATLES works as it should.

    \b
      atles doctor
      atles doctor --repair && atles drain
    """
    found = (finding.repaired() if repair else finding for finding in examine(scope))
    findings = [finding.as_json() for finding in found]
    answer(scope, findings, _view)
    if any(finding["state"] == FAIL for finding in findings):
        raise click.exceptions.Exit(FAILED)


def _view(findings: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    rows: list[tuple[Any, ...]] = []
    for it in findings:
        mark = styled(it["state"], _COLOURS[it["state"]])
        rows.append((mark, it["check"], it["detail"]))
        if it["fix"]:
            rows.append(("", "", styled(f"-> {it['fix']}", "bold")))
    yield table("", "check", "finding", rows=rows)


def examine(scope: Scope) -> Iterator[Finding]:
    yield checked("python", _python)
    yield checked("sqlite", _sqlite)
    try:
        settings = scope.settings()
        yield Finding("settings", OK, "valid")
    except AtlesError as error:
        settings = Settings()
        yield Finding("settings", FAIL, str(error), _mend(scope, str(error)))
    yield checked("training", lambda: _packages(settings))
    yield checked("base model", lambda: _base_model(settings, scope.home))
    yield checked("model server", lambda: _model_server(settings, scope.home))
    yield checked("home", lambda: _folder(scope.home))
    yield checked("disk", lambda: _disk(settings, scope.home))
    yield checked("file events", lambda: _file_events(settings))
    yield from of_home(scope.home, settings, scope.config, time.time())


def _mend(scope: Scope, said: str) -> str:
    """What to do about settings that are wrong: in their file, on the command line, or in the environment."""
    if scope.config and not scope.config.exists():
        return "`atles config init` writes that file, with every setting"
    return "mend that line" if str(scope.config or scope.home.config) in said else "mend that setting"


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    state = OK if sys.version_info >= (3, 11) else FAIL
    return Finding("python", state, found, "" if state == OK else "use Python 3.11 or newer")


def _sqlite() -> Finding:
    try:
        with sqlite3.connect(":memory:") as database:
            database.execute("create virtual table t using fts5(body)")
            database.execute("create table s (x integer) strict")
    except sqlite3.OperationalError as error:
        fix = "use a Python whose SQLite is 3.37 or newer and has FTS5, such as python.org's or uv's"
        return Finding("sqlite", FAIL, f"{sqlite3.sqlite_version}: {error}", fix)
    return Finding("sqlite", OK, f"{sqlite3.sqlite_version} with FTS5")


def _packages(settings: Settings) -> Finding:
    versions: dict[str, str] = {}
    for name in TRAIN_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    missing = [name for name in TRAIN_PACKAGES if name not in versions]
    if missing:
        fix = "`pip install 'atles[train]'`, or set train.enabled = false to use the memory alone"
        return Finding("training", _needed(settings), f"{', '.join(missing)} not installed", fix)
    return Finding("training", OK, ", ".join(f"{name} {version}" for name, version in versions.items()))


def _model_server(settings: Settings, home: Home) -> Finding:
    if settings.serve.by or not settings.gateway.enabled:
        return Finding("model server", OK, settings.serve.by or "the gateway is off")
    fix = "`pip install 'atles[serve]'`, or gateway.upstream for another server"
    missing = [name for name in SERVE_PACKAGES if not find_spec(name)]
    if missing:
        return Finding("model server", WARN, f"{', '.join(missing)} not installed", fix)
    try:
        found = base_gguf(settings.model.base, Path(settings.model.folder or home.models), settings.serve.gguf)
    except AtlesError as error:
        return Finding("model server", WARN, str(error), fix)
    return Finding("model server", OK, f"llama.cpp, {found.name}")


def _base_model(settings: Settings, home: Home) -> Finding:
    base, models = settings.model.base, Path(settings.model.folder or home.models)
    if base == wheel.BASE:
        if (models / base).exists() or wheel.gguf():
            return Finding("base model", OK, base)
        fix = f"{wheel.INSTALL}, or set model.base to hf:<repo> or a folder"
        return Finding("base model", _needed(settings), f"{base} is not installed", fix)
    if base.startswith("hf:"):
        return Finding("base model", OK, f"{base}, fetched at first use")
    if (Path(base) / "config.json").is_file():
        return Finding("base model", OK, base)
    fix = f"set model.base to {wheel.BASE}, hf:<repo>, or a folder with a config.json"
    return Finding("base model", _needed(settings), f"{base} is no model folder", fix)


def _needed(settings: Settings) -> str:
    return FAIL if settings.train.enabled else WARN


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _folder(home: Home) -> Finding:
    root = home.root.resolve()
    if not os.access(_existing(root), os.W_OK | os.X_OK):
        return Finding(
            "home", FAIL, f"{root} cannot be written", "change its owner or rights, or choose another --home"
        )
    return Finding("home", OK, f"{root}{'' if root.exists() else ' (not there yet; `atles start` makes it)'}")


def _disk(settings: Settings, home: Home) -> Finding:
    room = Room(home, settings.disk)
    seen = room.seen()
    if seen["state"] == "ok":
        return Finding("disk", OK, f"{size(seen['free'])} free")
    fix = "make room; `atles prune --dry-run` shows what ATLES can give back"
    if seen["state"] == "no training":
        return Finding("disk", WARN, f"no training begins: {room.no_training()}", fix)
    return Finding("disk", FAIL, f"nothing is learned, though all is recorded: {room.no_learning()}", fix)


def _file_events(settings: Settings) -> Finding:
    look = f"sessions are then found every {settings.daemon.poll_seconds:g} s only"
    try:
        limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text("ascii"))
    except (OSError, ValueError):
        return Finding("file events", OK, "this system sets no limit")
    descriptor = ctypes.CDLL(None).inotify_init()
    if descriptor < 0:
        fix = f"`sudo sysctl fs.inotify.max_user_instances={max(512, 2 * limit)}`; {look}"
        return Finding("file events", WARN, f"all {limit} inotify instances are taken", fix)
    os.close(descriptor)
    return Finding("file events", OK, f"inotify, {limit} instances allowed")
