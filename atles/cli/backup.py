"""`backup` and `restore`: a home in one file, and a home from it."""

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Scope
from atles.cli.show import answer, count, duration, styled, when
from atles.errors import AtlesError
from atles.pipeline.room import size
from atles.upkeep import backup as made
from atles.upkeep.restore import restore as bring_back

if TYPE_CHECKING:
    from rich.console import RenderableType

_ENDINGS = (".tar.gz", ".tgz")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE|FOLDER")
@click.option("--no-processed", is_flag=True, help="Without the session files that were learned.")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="In a FOLDER: delete all but the newest N backups.")
@click.pass_obj
def backup(scope: Scope, file: Path, no_processed: bool, keep: int | None) -> None:
    """Write this home to FILE (.tar.gz), while its daemon works.

    In it are sessions (also those that are not learned yet), the database, training data, adapters, logs
    and the settings without passwords. Not in it are base models, which can be made again, and
    atles.env. It holds chats: keep it as you keep those.

    In a FOLDER the backup is called atles-HOST-HOME-…-DATE-TIME.tar.gz, and no other file is touched;
    with --keep, older ones of this home are deleted once it is there.

    \b
      atles backup ~/atles.tar.gz
      atles backup /mnt/backups --keep 14
    """
    into_folder = file.is_dir()
    if not into_folder and not file.name.endswith(_ENDINGS):
        raise click.UsageError(f"{file} is no folder, and a backup's name ends with {' or '.join(_ENDINGS)}")
    if keep and not into_folder:
        raise click.UsageError(f"--keep is for a folder of backups, and {file} is none")
    began = time.monotonic()
    with scope.store() as store:
        try:
            done = made.backup(
                scope.home, scope.settings(), store, file, scope.config or scope.home.config, processed=not no_processed
            )
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            place = file if into_folder else file.parent
            raise AtlesError(
                f"no backup was made: {error.strerror}; it needs room for itself in {place} and, while it is made, for "
                f"a copy of the database in {scope.home.work}"
            ) from error
    gone = made.rotate(scope.home, done.path, keep) if keep else []
    document = {**asdict(done), "path": str(done.path), "seconds": round(time.monotonic() - began, 3), "deleted": gone}
    answer(scope, document, _made_view)


def _made_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"{it['path']} ({size(it['bytes'])}, {duration(it['seconds'])}): {_counted(it['counts'])}."
    if it["deleted"]:
        yield f"Deleted: {', '.join(it['deleted'])}."
    for what in it["left_out"]:
        yield styled(f"Not in it: {what}", "yellow")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_obj
def restore(scope: Scope, file: Path) -> None:
    """Make a home of the backup FILE.

    The home (--home) must not be there yet, or be empty. Every byte of the backup is verified before
    anything is written, and the home is there when it is whole. What was being learned when the backup
    was made is learned at the next start.

    \b
      atles --home ~/atles_again restore ~/atles.tar.gz
      atles --home ~/atles_again doctor
    """
    done = bring_back(file, scope.home)
    notes = list(done.notes)
    if os.environ.get("ATLES_STORE_URL"):
        notes.append("ATLES_STORE_URL in the environment names a store, and would win: unset it to use this one.")
    answer(scope, {**asdict(done), "home": str(done.home), "notes": notes}, _restored_view)


def _restored_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"{it['home']} is as it was on {when(it['made_at'])}: {_counted(it['counts'])}."
    yield from it["notes"]
    yield f"`atles --home {it['home']} start` goes on there."


def _counted(counts: dict[str, int]) -> str:
    nouns = {"sessions": "session", "memories": "memory", "adapters": "adapter", "files": "file"}
    plural = {"memories": "memories"}
    return ", ".join(count(counts[key], noun, plural.get(key)) for key, noun in nouns.items())
