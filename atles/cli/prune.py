"""`prune`: what the retention settings let go, shown or deleted now."""

import time
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import FAILED, Command, Scope
from atles.cli.show import answer, count, styled, table
from atles.pipeline.room import size
from atles.upkeep import retention

if TYPE_CHECKING:
    from rich.console import RenderableType

_CALLED = {
    "work": "leftovers of programs",
    "datasets": "datasets",
    "adapters": "weights of adapters",
    "logs": "logs of sessions",
    "processed": "session files, learned",
    "quarantine": "session files, set aside",
}


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.pass_obj
def prune(scope: Scope, dry_run: bool) -> None:
    """Delete now what is too old or too much, by the [retention] settings.

    The daemon does it every hour. Sessions stay in the database, and adapters that may serve stay
    whole. What the database does not have is never deleted. Exit code 1 if something that should go
    could not be deleted.

    \b
      atles prune --dry-run
      atles --set retention.processed_days=30 prune
    """
    settings = scope.settings().retention
    with scope.store() as store:
        if dry_run:
            found = list(retention.doomed(scope.home, store, settings, time.time()))
            gone, kept = [it for it in found if not (it.stays or it.error)], [it for it in found if it.stays]
            failed = [(it, it.error) for it in found if it.error]
        else:
            done = retention.prune(scope.home, store, settings, time.time())
            gone, failed, kept = done.gone, done.failed, done.kept
    document = {
        "dry_run": dry_run,
        "bytes": sum(it.bytes for it in gone),
        "items": [it.as_json() for it in gone],
        "failed": [it.as_json() | {"error": error} for it, error in failed],
        "kept": [it.as_json() | {"stays": it.stays} for it in kept],
    }
    answer(scope, document, _view)
    if failed:
        raise click.exceptions.Exit(FAILED)


def _view(document: dict[str, Any]) -> "Iterator[RenderableType]":
    if not document["items"]:
        yield "Nothing is too old or too much." if not document["failed"] else "Nothing could be deleted."
    else:
        rows: list[tuple[Any, ...]] = []
        for (kind, why), items in _grouped(document["items"]):
            which = items[0]["name"] if len(items) == 1 else f"{items[0]['name']} …"
            rows.append((_CALLED[kind], len(items), size(sum(it["bytes"] for it in items)), which))
            rows.append(("", "", "", why))  # in a column of its own there is no room for a setting's name
        yield table("what", "number", "size", "which, and why", rows=rows, right=("number", "size"))
        yield ""
        all_of = f"{count(len(document['items']), 'thing')}, {size(document['bytes'])}"
        yield f"{all_of} would go; nothing was deleted." if document["dry_run"] else f"Deleted: {all_of}."
    for it in document["failed"]:
        yield styled(f"{it['name']} could not be deleted: {it['error']}", "red")
    for it in document["kept"]:
        yield styled(f"{it['name']} stays: {it['stays']}", "yellow")


def _grouped(items: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], list[dict[str, Any]]]]:
    """By kind and reason, in the order in which they come."""

    def key(it: dict[str, Any]) -> tuple[str, str]:
        return it["kind"], it["why"]

    order = list(dict.fromkeys(map(key, items)))
    return ((of, list(group)) for of, group in groupby(sorted(items, key=lambda it: order.index(key(it))), key))
