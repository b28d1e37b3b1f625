"""`cluster`: the machines that learn from one PostgreSQL store, and what they do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Group, Scope
from atles.cli.show import answer, styled, table
from atles.errors import AtlesError
from atles.pipeline.lanes import STEPS

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.group(cls=Group, default="status")
def cluster() -> None:
    """The machines that learn from one PostgreSQL store."""


@cluster.command(cls=Command)
@click.pass_obj
def status(scope: Scope) -> None:
    """Who works for this store, at what, and what waits for whom.

    A job that waits for a label that no worker has is said: nobody would ever do it.
    """
    settings = scope.settings()
    if not settings.store.url:
        raise AtlesError(
            f"{scope.home.root} is a home of one machine (store.url is empty); `atles status` shows it, "
            "`atles migrate --to postgresql://…` makes it a cluster's"
        )
    from atles.insights.cluster import cluster as seen  # its driver is an extra
    from atles.queue.procrastinate import ProcrastinateQueue

    with scope.store() as store:
        queue = scope.queue(store)
        assert isinstance(queue, ProcrastinateQueue)  # store.url says so
        answer(scope, {"store": store.database.name, **seen(queue, settings.queue.lease_seconds)}, _view)


def _view(seen: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"Store: {seen['store']}"
    if not seen["workers"]:
        yield styled("Nobody works for it: `atles start` or `atles worker` does.", "yellow")
    else:
        yield table(
            "worker", "does", "labels", "at work on", "heard from",
            rows=[
                (
                    it["name"], ", ".join(it["steps"]) or "-", ", ".join(it["labels"]) or "-", it["doing"] or "-",
                    styled(f"{it['silent']:.0f} s ago", "yellow" if it["lost"] else ""),
                )
                for it in seen["workers"]
            ],
        )  # fmt: skip
    yield table(
        "queue", "waiting", "running", "dead",
        rows=[(it["queue"], *(str(it[state]) for state in ("waiting", "running", "dead"))) for it in seen["queues"]],
    ) if seen["queues"] else "No job waits."  # fmt: skip
    for name in seen["nobody_does"]:
        yield styled(f"Nobody does {name}: start `{_way_out(name)}` on a machine that can.", "yellow")


def _way_out(queue: str) -> str:
    kind, _, label = queue.partition("@")
    step = next((step for step, kinds in STEPS.items() if kind in kinds), kind)
    return f"atles worker --steps {step}" + (f" --label {label}" if label else "")
