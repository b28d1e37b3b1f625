"""`worker`: learns beside other machines, from the sessions in one PostgreSQL store."""

import os
from collections.abc import Sequence
from contextlib import ExitStack

import click

from atles import log as logs
from atles.cli.command import Command, Scope
from atles.cli.foreground import until_told
from atles.errors import AtlesError
from atles.pipeline import lanes
from atles.pipeline.crew import Crew
from atles.pipeline.progress import ProgressNote
from atles.settings import RULES, listed
from atles.store import open_store
from atles.upkeep.clocks import Clocks
from atles.upkeep.disk import DiskWatch
from atles.upkeep.errands import errands
from atles.upkeep.heap import share_one_arena
from atles.upkeep.house import Chore, House
from atles.upkeep.notify import Supervisor
from atles.upkeep.pulse import Part, Pulse
from atles.upkeep.retention import pruning

_STOP_SECONDS = 15.0


@click.command(cls=Command, with_json=False)
@click.option(
    "--steps", default=",".join(lanes.STEPS), show_default=True, metavar="STEP,…", help="What it does, of these four."
)
@click.option("--label", "labels", multiple=True, metavar="NAME", help="What this machine can, as gpu; repeatable.")
@click.option("--hands", default=1, show_default=True, type=click.IntRange(1, 64), help="Sessions at once.")
@click.pass_obj
def worker(scope: Scope, steps: str, labels: tuple[str, ...], hands: int) -> None:
    """Work off a cluster's queue on this machine; Ctrl-C ends it.

    Any number of workers learn from one PostgreSQL store (store.url), beside the daemons that record
    the sessions. Each takes the next job that it can do, so a machine with more --hands does more.
    A training runs on one machine at a time, and only where its label is (train.needs). What a worker
    was doing when it died begins again on another within a minute.

    \b
      atles worker
      atles worker --steps memory,data --hands 4
      atles worker --steps train --label gpu
      atles cluster status
    """
    settings, chosen = scope.settings(), listed(steps)
    if unknown := sorted(set(chosen) - set(lanes.STEPS)):
        raise click.UsageError(f"there is no step {unknown[0]!r}; the steps are {', '.join(lanes.STEPS)}")
    if not chosen:
        raise click.UsageError(f"name at least one step of {', '.join(lanes.STEPS)}")
    can = _labels(labels)
    if not settings.store.url:
        raise AtlesError(
            "workers share a PostgreSQL store, and store.url names none; `atles migrate --to postgresql://…` moves "
            "this home there. On one machine `atles start` does everything"
        )
    wait = until_told()
    share_one_arena()
    home = scope.home.create()
    logs.configure(home, settings.log, console=True, file=False)  # several may share a home, and a log has one writer
    with ExitStack() as undo:
        store = open_store(home, settings)
        undo.callback(store.close)
        progress = ProgressNote(home, lambda event: None)
        crew = Crew(home, settings, store, on_progress=progress, does=chosen, labels=can, hands=hands)
        beat, supervisor = settings.queue.lease_seconds / 3, Supervisor(os.environ)
        pulse = Pulse(
            [Part(f"lane {it.lane}", lambda worker=it: not worker.join(0)) for it in crew.workers],
            lambda: crew.queue.next_due(lanes.LEARN), crew.stop_word, supervisor,
        )  # fmt: skip
        clocks = Clocks(crew.queue.clock_was_set)
        house = House(
            [
                Chore("feeling the pulse", pulse.seconds or beat, pulse.look),
                Chore("renewing leases", beat, crew.renew),
                Chore("looking at the clock", beat, clocks.look),
                Chore("looking at the disk", beat, DiskWatch(crew.context.room).look),
                pruning(home, store, settings.retention, clocks),
            ],
            crew.stop_word,
        )
        away = errands(store, crew.context.shelf, crew.tuner, crew.stop_word)
        undo.pop_all()
    crew.start()
    house.start()
    away.start()
    supervisor.tell("READY=1", f"STATUS=works for {store.database.name}")
    click.echo(f"an ATLES worker (pid {os.getpid()}) does {', '.join(chosen)} for {store.database.name}")
    wait()
    supervisor.tell("STOPPING=1")
    ended = [crew.stop(_STOP_SECONDS), house.join(_STOP_SECONDS), away.join(_STOP_SECONDS)]
    progress.clear()
    if all(ended):  # a connection that is closed under a thread's feet takes the process with it
        store.close()
    logs.close()


def _labels(given: Sequence[str]) -> list[str]:
    """What the machine can. Raises UsageError for a label that no setting could ask for."""
    (holds, message), *_ = ((holds, message) for key, holds, message in RULES if key == "daemon.labels")
    for label in given:
        if not holds(label):
            raise click.UsageError(f"--label {message}, not {label!r}")
    return listed(",".join(given))
