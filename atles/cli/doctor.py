"""`doctor`: whether this machine and this home are fit for ATLES.

Each check stands alone, and none imports torch: that would take seconds and tell no more.
"""

import ctypes
import os
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles import wheel
from atles.cli.command import FAILED, Command, Scope
from atles.cli.show import answer, count, styled, table
from atles.errors import AtlesError
from atles.insights.status import owner
from atles.layout import Home
from atles.pipeline.room import Room, size
from atles.serving.gguf import base_gguf
from atles.settings import Settings
from atles.upkeep.privacy import exposed

if TYPE_CHECKING:
    from rich.console import RenderableType

SERVE_PACKAGES = ("xllamacpp", "gguf", "safetensors", "numpy")
TRAIN_PACKAGES = ("torch", "transformers", "peft", "gguf", "safetensors", "accelerate")
_OK, _WARN, _FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `fix` is what to do about it."""

    check: str
    state: str
    detail: str
    fix: str = ""


@click.command(cls=Command)
@click.pass_obj
def doctor(scope: Scope) -> None:
    """Check this machine and this home, and say what to do.

    Changes nothing. Exit code 1 if something has to be done before ATLES can work.
    """
    findings = list(examine(scope))
    answer(scope, [asdict(finding) for finding in findings], _view)
    if any(finding.state == _FAIL for finding in findings):
        raise click.exceptions.Exit(FAILED)


def _view(findings: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    rows: list[tuple[Any, ...]] = []
    for it in findings:
        mark = styled(it["state"], {_OK: "green", _WARN: "yellow", _FAIL: "red"}[it["state"]])
        rows.append((mark, it["check"], it["detail"]))
        if it["fix"]:
            rows.append(("", "", styled(f"-> {it['fix']}", "bold")))
    yield table("", "check", "finding", rows=rows)


def examine(scope: Scope) -> Iterator[Finding]:
    yield _python()
    yield _sqlite()
    try:
        settings = scope.settings()
        yield Finding("settings", _OK, "valid")
    except AtlesError as error:
        settings = Settings()
        yield Finding("settings", _FAIL, str(error), "`atles config init` writes a file with every setting")
    yield _packages(settings)
    yield _base_model(settings, scope.home)
    yield _model_server(settings, scope.home)
    yield _folder(scope.home)
    yield _privacy(scope)
    yield _disk(settings, scope.home)
    yield _file_events(settings)
    yield _daemon(scope.home)
    if scope.home.database.exists():
        yield from _contents(scope)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    state = _OK if sys.version_info >= (3, 11) else _FAIL
    return Finding("python", state, found, "" if state == _OK else "use Python 3.11 or newer")


def _sqlite() -> Finding:
    try:
        with sqlite3.connect(":memory:") as database:
            database.execute("create virtual table t using fts5(body)")
            database.execute("create table s (x integer) strict")
    except sqlite3.OperationalError as error:
        fix = "use a Python whose SQLite is 3.37 or newer and has FTS5, such as python.org's or uv's"
        return Finding("sqlite", _FAIL, f"{sqlite3.sqlite_version}: {error}", fix)
    return Finding("sqlite", _OK, f"{sqlite3.sqlite_version} with FTS5")


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
    return Finding("training", _OK, ", ".join(f"{name} {version}" for name, version in versions.items()))


def _model_server(settings: Settings, home: Home) -> Finding:
    if settings.serve.by or not settings.gateway.enabled:
        return Finding("model server", _OK, settings.serve.by or "the gateway is off")
    fix = "`pip install 'atles[serve]'`, or gateway.upstream for another server"
    missing = [name for name in SERVE_PACKAGES if not find_spec(name)]
    if missing:
        return Finding("model server", _WARN, f"{', '.join(missing)} not installed", fix)
    try:
        found = base_gguf(settings.model.base, Path(settings.model.folder or home.models), settings.serve.gguf)
    except AtlesError as error:
        return Finding("model server", _WARN, str(error), fix)
    return Finding("model server", _OK, f"llama.cpp, {found.name}")


def _base_model(settings: Settings, home: Home) -> Finding:
    base, models = settings.model.base, Path(settings.model.folder or home.models)
    if base == wheel.BASE:
        if (models / base).exists() or wheel.gguf():
            return Finding("base model", _OK, base)
        fix = f"{wheel.INSTALL}, or set model.base to hf:<repo> or a folder"
        return Finding("base model", _needed(settings), f"{base} is not installed", fix)
    if base.startswith("hf:"):
        return Finding("base model", _OK, f"{base}, fetched at first use")
    if (Path(base) / "config.json").is_file():
        return Finding("base model", _OK, base)
    fix = f"set model.base to {wheel.BASE}, hf:<repo>, or a folder with a config.json"
    return Finding("base model", _needed(settings), f"{base} is no model folder", fix)


def _needed(settings: Settings) -> str:
    return _FAIL if settings.train.enabled else _WARN


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _folder(home: Home) -> Finding:
    root = home.root.resolve()
    if not os.access(_existing(root), os.W_OK | os.X_OK):
        return Finding(
            "home", _FAIL, f"{root} cannot be written", "change its owner or rights, or choose another --home"
        )
    return Finding("home", _OK, f"{root}{'' if root.exists() else ' (not there yet; `atles start` makes it)'}")


def _privacy(scope: Scope) -> Finding:
    found = exposed(scope.home, scope.config)
    if found:
        places = shlex.join(map(str, found))
        return Finding("privacy", _WARN, f"others on this machine can read {places}", f"`chmod -R go-rwx {places}`")
    return Finding("privacy", _OK, "nobody else can read it")


def _disk(settings: Settings, home: Home) -> Finding:
    room = Room(home, settings.disk)
    seen = room.seen()
    if seen["state"] == "ok":
        return Finding("disk", _OK, f"{size(seen['free'])} free")
    fix = "make room; `atles prune --dry-run` shows what ATLES can give back"
    if seen["state"] == "no training":
        return Finding("disk", _WARN, f"no training begins: {room.no_training()}", fix)
    return Finding("disk", _FAIL, f"nothing is learned, though all is recorded: {room.no_learning()}", fix)


def _file_events(settings: Settings) -> Finding:
    look = f"sessions are then found every {settings.daemon.poll_seconds:g} s only"
    try:
        limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text("ascii"))
    except (OSError, ValueError):
        return Finding("file events", _OK, "this system sets no limit")
    descriptor = ctypes.CDLL(None).inotify_init()
    if descriptor < 0:
        fix = f"`sudo sysctl fs.inotify.max_user_instances={max(512, 2 * limit)}`; {look}"
        return Finding("file events", _WARN, f"all {limit} inotify instances are taken", fix)
    os.close(descriptor)
    return Finding("file events", _OK, f"inotify, {limit} instances allowed")


def _daemon(home: Home) -> Finding:
    running = owner(home)
    if running:
        return Finding("daemon", _OK, f"runs, pid {running['pid']}")
    if home.owner.exists():
        return Finding("daemon", _WARN, "an earlier one was killed; nothing is lost", "`atles start` takes its work up")
    return Finding("daemon", _OK, "does not run; `atles start` starts it")


def _contents(scope: Scope) -> Iterator[Finding]:
    """What lies in the home and should not."""
    try:
        with scope.store() as store:
            dead = len(scope.queue(store).dead())
    except AtlesError as error:
        yield Finding("database", _FAIL, str(error), "restore it from a backup, or move it away to begin anew")
        return
    home = scope.home
    kinds: tuple[tuple[str, int, Callable[[int], str], str], ...] = (
        ("dead letters", dead, lambda n: f"{count(n, 'job')} failed for good", "`atles sessions` says why"),
        (
            "quarantine",
            sum(1 for _ in home.quarantine.glob("*.reason.txt")),
            lambda n: f"{count(n, 'file')} set aside",
            "`atles sessions` says why",
        ),
        (
            "stale files",
            sum(1 for _ in home.sessions.glob(".*.tmp")),
            lambda n: f"{count(n, 'unfinished file')} in sessions/",
            f"left by a writer that was killed: `rm {home.sessions}/.*.tmp`",
        ),
    )
    for check, number, say, fix in kinds:
        yield Finding(check, _WARN, say(number), fix) if number else Finding(check, _OK, "none")
