"""`keys`: who may use the gateway, and as whom."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Group, Scope
from atles.cli.show import answer, table, when
from atles.errors import AtlesError

if TYPE_CHECKING:
    from rich.console import RenderableType

_LONGEST = 100  # characters of a name


@click.command(cls=Group)
def keys() -> None:
    """Make, list and remove keys of the gateway.

    Programs on this machine need none until the first one is made; others always do. Without a
    command: the list.
    """


@keys.command("list")
@click.pass_obj
def list_(scope: Scope) -> None:
    """All keys, oldest first: whose memory each sees. The keys themselves are stored nowhere."""
    with scope.store() as store:
        document = [asdict(key) for key in store.keys.list()]
    answer(scope, document, _list_view)


def _list_view(found: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    if not found:
        yield "No key; programs on this machine need none, and no others come in."
        return
    yield table(
        "id", "name", "user", "may", "created",
        rows=((it["id"], it["name"], it["user"], "everything" if it["admin"] else "their own",
               when(it["created_at"])) for it in found),
    )  # fmt: skip


@keys.command("add")
@click.argument("name")
@click.option("--user", default="", help="Whose memory and sessions it sees; else those without a user's name.")
@click.option("--admin", is_flag=True, help="Also all users' things, adapters and training.")
@click.pass_obj
def add(scope: Scope, name: str, user: str, admin: bool) -> None:
    """Make a key named NAME, for an application or a device. It is shown once.

    \b
      atles keys add phone
      atles keys add anns-laptop --user ann
    """
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise click.UsageError(f"a name has 1 to {_LONGEST} characters that can be printed")
    with scope.store() as store:
        key, text = store.keys.add(name, user, admin)
    answer(scope, {**asdict(key), "key": text}, _added_view)


def _added_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield it["key"]
    yield f"This is the key of {it['name']}. Only its hash is stored: it cannot be shown again."


@keys.command("remove")
@click.argument("name")
@click.pass_obj
def remove(scope: Scope, name: str) -> None:
    """Remove the key of this NAME or id. A running gateway refuses it within two seconds."""
    with scope.store() as store:
        if not store.keys.remove(name):
            raise AtlesError(f"there is no key {name!r}; `atles keys` lists them")
        left = len(store.keys.list())
    answer(scope, {"removed": name, "left": left}, _removed_view)


def _removed_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"{it['removed']} is removed."
    if not it["left"]:
        yield "It was the last one: within two seconds programs on this machine need no key, and others cannot come in."
