"""`forget`: delete for good what was said, everywhere, and let no model serve that has seen it."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Scope
from atles.cli.show import answer, count
from atles.errors import AtlesError
from atles.insights.status import owner
from atles.pipeline.erase import erase, mark
from atles.pipeline.shelf import open_shelf
from atles.store import Store
from atles.store.adapters import BASE

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Command)
@click.option("--session", "sessions", metavar="ID", multiple=True, help="Everything said in a session.")
@click.option("--message", "messages", metavar="ID", multiple=True, help="One message.")
@click.option("--memory", "memories", metavar="ID", multiple=True, help="A memory, and the messages that said it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(
    scope: Scope, sessions: tuple[str, ...], messages: tuple[str, ...], memories: tuple[str, ...], yes: bool
) -> None:
    """Delete for good what was said: in memory, training data, logs and models.

    Messages keep their place in their sessions, without their words, so an application that sends its
    history again does not bring them back. Adapters that saw them are deleted; the newest that did not
    serves at once, or the base model, and the daemon trains a new one without them.

    \b
      atles forget --session s-2026-03-01
      atles forget --memory 3f2a9c --memory 77b1
    """
    if not (sessions or messages or memories):
        raise click.UsageError("say what to forget: --session, --message or --memory")
    with scope.store() as store:
        delete(scope, store, sessions, messages, memories, yes)


def delete(
    scope: Scope,
    store: Store,
    sessions: Iterable[str] = (),
    messages: Iterable[str] = (),
    memories: Iterable[str] = (),
    yes: bool = False,
) -> None:
    """Forget these, everywhere, and say what that came to. All of them, or, where one is unknown, none."""
    marked = mark(store, sessions, messages, memories)
    if not yes:
        _ask(marked.texts)
    document = erase(open_shelf(scope.home, scope.settings()), store, scope.queue(store), marked)
    answer(scope, {**document, "home": str(scope.home.root), "daemon_runs": owner(scope.home) is not None}, _view)


def _ask(texts: Iterable[str]) -> None:
    if not sys.stdin.isatty():
        raise AtlesError("this deletes for good, and nobody is there to ask: say --yes")
    for text in texts:
        click.echo(f"  {text}")
    click.confirm("Forget this for good?", abort=True)


def _view(done: dict[str, Any]) -> "Iterator[RenderableType]":
    memories, messages = count(done["memories"], "memory", "memories"), count(done["messages"], "message")
    yield f"Forgotten: {memories}, and the words of {messages}."
    if done["retired"]:
        serves = "the base model" if done["serves"] in (None, BASE) else done["serves"]
        yield f"Deleted: {', '.join(done['retired'])}, which saw it. {serves} answers now; a new one will be trained."
    if "not_deleted" in done:
        yield f"Copies that machines share are not deleted yet, the daemons try it again: {done['not_deleted']}"
    if done["set_aside"]:
        files = ", ".join(done["set_aside"])
        yield f"Left in {done['home']}, as they came: {files}; delete them if you need them no more."
    if done["on_their_way"]:
        files = ", ".join(done["on_their_way"])
        yield f"It leaves these in {done['home']} when they are taken in, a chat that goes on when it ends: {files}"
    if done["copies"]:
        files = ", ".join(done["copies"])
        yield f"Older copies in {done['home']} still hold it: {files}; delete them if you need them no more."
    if done["sessions"] and not done["daemon_runs"]:
        yield "Training data follows at the next `atles start` or `atles drain`."
