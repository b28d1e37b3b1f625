"""`migrate`: a home's store from SQLite to PostgreSQL, or back. Knows where an address may come from, and shows how far
it is."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Scope
from atles.cli.show import answer, count
from atles.config import load_settings, masked
from atles.errors import AtlesError, ConfigError
from atles.passwords import brief
from atles.settings import SERVER_FORM, Settings, StoreSettings, is_server
from atles.upkeep.migrate import migrate as move

if TYPE_CHECKING:
    from rich.console import RenderableType

_URL = "ATLES_STORE_URL"
_SQLITE = "sqlite"


@click.command(cls=Command)
@click.option("--to", "to", metavar="URL|sqlite", help=f"postgresql://…, or sqlite for back.  [${_URL}]")
@click.option("--schema", metavar="NAME", help="The PostgreSQL schema for its tables.  [store.schema]")
@click.pass_obj
def migrate(scope: Scope, to: str | None, schema: str | None) -> None:
    """Move this home's store to PostgreSQL, or back to a SQLite file.

    Copies everything, compares both sides, and only then changes the settings file; the old store stays
    as it was, under another name. The daemon must be stopped. Interrupted, do it again: it goes on where
    it stopped.

    A password does not belong on the command line, where every user of the machine can read it: put it
    into PGPASSWORD or ~/.pgpass, or the whole address into the environment as ATLES_STORE_URL.

    \b
      createdb atles
      atles stop && atles migrate --to postgresql://me@db.example/atles
      atles stop && atles migrate --to sqlite
    """
    file = scope.config or scope.home.config
    settings, target = _ways(scope, to, schema)
    with _shown() as progress:
        done = move(scope.home, settings, target, file, progress=progress)
    document = {**asdict(done), "settings": str(file), "in_environment": _URL in os.environ}
    answer(scope, document, _view if target.url else _back_view)


def _ways(scope: Scope, to: str | None, schema: str | None) -> tuple[Settings, StoreSettings]:
    """The settings with the store that the home has, and the one that it is to have."""
    if to and masked(to) != to:
        raise ConfigError(
            "--to holds a password, and every user of this machine can read that on the command line; put it into "
            f"PGPASSWORD or ~/.pgpass, or the address into the environment as {_URL} and leave --to out"
        )
    if any(it.startswith(("store.url=", "store.schema=")) for it in scope.overrides):
        raise click.UsageError("--set does not say where a home's store is, but its settings file does; use --to")
    settings, in_environment = scope.settings(), os.environ.get(_URL, "")
    target = to or in_environment
    if not target:
        raise click.UsageError(f"say where to: --to postgresql://…, --to sqlite, or {_URL} in the environment")
    written = load_settings(scope.home, file=scope.config, environment={}).store  # by the file alone
    if target == _SQLITE:
        return settings, replace(settings.store, url="")
    if in_environment and in_environment != target:
        raise AtlesError(f"{_URL} in the environment names another store than --to, and would win; unset it first")
    if to and not is_server(to):
        raise ConfigError(f"--to {SERVER_FORM.replace('or empty', f'or {_SQLITE}')}; not {brief(to)!r}")
    chosen = load_settings(
        scope.home, file=scope.config, environment={_URL: target}, overrides=[f"store.schema={schema}"] * bool(schema)
    ).store
    return replace(settings, store=replace(settings.store, url=written.url, schema=written.schema)), chosen


@contextmanager
def _shown() -> Iterator[Callable[[str, int, int], None]]:
    """Progress on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from atles.cli.show import console

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what.replace("_", " "))
            bars.update(tasks[what], completed=done, total=total)

        yield show


def _view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"{_what(it)} are in {it['target']} now, and compared; {it['settings']} says so."
    if it["kept"]:
        yield f"The old store is kept as {it['kept']}; delete it when you are sure."
        yield (
            f"To go back without what is learned from now on: stop the daemon, take store.url out of {it['settings']}, "
            "and give that file its name atles.db again. To go back with it: `atles migrate --to sqlite`."
        )
    if it["in_environment"]:
        yield f"The settings file has the address without a password: {_URL} in the environment still comes first."
    yield "`atles start` goes on there; `atles worker` on other machines helps."


def _back_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"{_what(it)} are in {it['target']} now, and compared; {it['settings']} names no server any more."
    if it["in_environment"]:
        yield f"{_URL} is still in the environment, and would win: take it out before `atles start`."
    if it["kept"]:
        yield f"{it['kept']} stays as it was, and is closed to daemons and workers; drop its schema when you are sure."


def _what(it: dict[str, Any]) -> str:
    return f"{count(it['rows'], 'row')}, {count(it['jobs'] + it['dead'], 'job')}"
