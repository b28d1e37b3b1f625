"""`train`: what the next training waits for, and not waiting for it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Scope
from atles.cli.show import answer
from atles.insights.training import training
from atles.pipeline.jobs import ask_to_train

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Command)
@click.option("--now", is_flag=True, help="Train on what is there, whatever the next training waits for.")
@click.pass_obj
def train(scope: Scope, now: bool) -> None:
    """What the next training waits for; with --now, nothing.

    A training begins by itself when enough is new (train.min_new_examples), within train.hours, while the
    machine is neither busy nor on its battery, and while minutes of train.minutes_per_day are left.
    """
    settings = scope.settings()
    with scope.store() as store:
        queued = now and ask_to_train(store, scope.queue(store), settings)
        document = training(scope.home, store, settings, queued=queued)
    answer(scope, document, _view)


def _view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    if it["mixed"]:
        yield f"No training begins: {it['mixed']}."
        return
    if it["no_room"]:
        yield f"No training begins before there is room: {it['no_room']}."
        return
    unjudged = (
        f"examples to judge by: {it['heldout']} of {it['heldout_needed']} are held out"
        if it["heldout"] < it["heldout_needed"]
        else ""
    )
    if it["queued"] and unjudged:
        yield f"A training waits even so, for {unjudged}."
        return
    if it["queued"]:
        yield (
            "A training begins now." if it["daemon_runs"] else "A training begins with `atles drain` or `atles start`."
        )
        return
    passing = [
        "for train.enabled = true" * (not it["enabled"]),
        f"for new examples: {it['new_examples']} of {it['needed']} are there" * (it["new_examples"] < it["needed"]),
        it["put_off"] and f"because {it['put_off']}",
    ]
    waits = [*filter(None, passing), *([f"for {unjudged}"] if unjudged else [])]
    yield "The next training waits " + "; ".join(waits) if waits else "Nothing holds a training back."
    if any(passing) and not unjudged:
        yield "`atles train --now` does not wait."
