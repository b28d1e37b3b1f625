"""`ingest`: hands session files over. Knows files; what a session is, `capture.session_file` says."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.capture import session_file
from atles.capture.outbox import hand_over
from atles.cli.command import FAILED, Command, Scope
from atles.cli.show import answer, count, styled
from atles.errors import InvalidSession
from atles.insights.status import owner

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Command)
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.pass_obj
def ingest(scope: Scope, paths: tuple[Path, ...]) -> None:
    """Hand over session files, and folders of them.

    Each file is checked and copied into the home; your own stay as they are. A file that is not a
    session is named with the reason, the others go on; then the exit code is 1. To give the same
    session twice does no harm: it is learned once.

    \b
      atles ingest my_chats/
      atles ingest a.json b.json && atles drain
    """
    home = scope.home
    taken: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    home.create()
    for path in _files(paths):
        try:
            session = session_file.parse(path.read_bytes(), path.name)
        except (InvalidSession, OSError) as error:
            refused.append({"file": str(path), "reason": str(error)})
        else:
            hand_over(home, session.session_id, json.dumps(session.as_json()) + "\n")
            taken.append({"file": str(path), "session_id": session.session_id, "messages": len(session.messages)})
    document = {"taken": taken, "refused": refused, "daemon_runs": owner(home) is not None}
    answer(scope, document, _view)
    if refused:
        raise click.exceptions.Exit(FAILED)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*.json") if file.is_file())
        else:
            yield path


def _view(document: dict[str, Any]) -> "Iterable[RenderableType]":
    for file in document["refused"]:
        yield styled(f"{file['file']}: {file['reason']}", "red")
    messages = sum(file["messages"] for file in document["taken"])
    said = f"{count(len(document['taken']), 'session')} handed over ({count(messages, 'message')})"
    if document["refused"]:
        said += f", {count(len(document['refused']), 'file')} refused"
    if document["taken"] and not document["daemon_runs"]:
        said += "; no daemon runs: `atles start` or `atles drain` learns them"
    yield f"{said}."
