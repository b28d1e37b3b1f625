"""`forget`: delete for good what was said, everywhere, and let no model serve that has seen it."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Scope, queue_of
from atles.cli.show import answer, count
from atles.errors import AtlesError
from atles.insights.status import owner
from atles.pipeline.forget import Forgotten, forget_memories, forget_messages, forget_session
from atles.pipeline.jobs import forget_everywhere, made_again
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
    whole = [store.sessions.get(name).session.session_id for name in dict.fromkeys(sessions)]
    rows = [store.sessions.message(name) for name in dict.fromkeys(messages)]
    known = [store.memories.get(name) for name in dict.fromkeys(memories)]
    if not yes:
        _ask([*(f"session {name}" for name in whole), *(row["text"] for row in rows), *(it.text for it in known)])
    with store.transaction():
        done = [forget_session(store, name) for name in whole]
        done += [forget_messages(store, [row["rowid"] for row in rows]), forget_memories(store, known)]
        names = sorted({name for it in done for name in it.sessions})
        retired = forget_everywhere(scope.home, store, names)
        queue_of(store).put(*made_again(store, names, retired))
        _, active = store.adapters.active()
    store.database.settle()
    answer(scope, _document(scope, done, names, retired, active), _view)


def _document(
    scope: Scope, done: Sequence[Forgotten], sessions: Sequence[str], retired: Sequence[str], active: str
) -> dict[str, Any]:
    return {
        "memories": sum(it.memories for it in done),
        "messages": sum(it.messages for it in done),
        "sessions": list(sessions),
        "retired": list(retired),
        "serves": active or None,
        "daemon_runs": owner(scope.home) is not None,
    }


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
    if done["sessions"] and not done["daemon_runs"]:
        yield "Training data follows at the next `atles start` or `atles drain`."
