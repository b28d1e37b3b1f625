"""`memory`: what was learned from sessions for later chats."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Group, Scope
from atles.cli.show import answer, count, shortened, table, when

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Group)
def memory() -> None:
    """List and show what is remembered.

    Without a command: the list.
    """


@memory.command("list")
@click.pass_obj
def list_(scope: Scope) -> None:
    """Topics and preferences by session, newest first."""
    with scope.store() as store:
        document = store.memories.list()
    answer(scope, document, _list_view)


def _list_view(memories: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    if not memories:
        yield "Nothing is remembered yet; it comes with the first session."
        return
    yield table(
        "id", "session", "preferences", "topics",
        rows=(
            (it["id"], it["session_id"], "; ".join(it["preferences"]) or "-", shortened(", ".join(it["topics"]), 60))
            for it in memories
        ),
        right=("id",),
    )  # fmt: skip


@memory.command("show")
@click.argument("memory_id", metavar="ID")
@click.pass_obj
def show(scope: Scope, memory_id: str) -> None:
    """What one session taught, and which message said it. ID is a memory's number or a session's id."""
    with scope.store() as store:
        document = store.memories.get(memory_id)
    answer(scope, document, _show_view)


def _show_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"Memory {it['id']}: {it['session_id']}, {count(it['message_count'], 'message')}, {when(it['timestamp'])}"
    if it["preferences"]:
        yield ""
        yield table(
            "preference", "message", "in the user's words",
            rows=((found["text"], found["message"] + 1, found["quote"]) for found in it["data"]["preferences"]),
            right=("message",),
        )  # fmt: skip
    if it["topics"]:
        yield ""
        yield table(
            "topic", "messages",
            rows=(
                (found["text"], ", ".join(str(position + 1) for position in found["messages"]))
                for found in it["data"]["topics"]
            ),
        )  # fmt: skip
