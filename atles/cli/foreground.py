"""`run` and `drain`: the daemon in this process.

Knows signals, and who wants to hear of the daemon. `run` draws nothing and so never imports rich: what it imports
stays in memory all day.
"""

import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import click

from atles.capture.inbox import unread
from atles.cli.command import FAILED, Command, Scope
from atles.daemon import LearningDaemon
from atles.errors import AtlesError
from atles.insights.status import owner, status
from atles.pipeline.jobs import at_once
from atles.pipeline.room import Room
from atles.upkeep.heap import share_one_arena
from atles.upkeep.notify import Supervisor

_LOOK_SECONDS = 0.5


@click.command(cls=Command, with_json=False)
@click.option("--quiet", is_flag=True, help="Log to daemon.log only, not to stderr.")
@click.pass_obj
def run(scope: Scope, quiet: bool) -> None:
    """Run the daemon in this terminal; Ctrl-C ends it.

    It finishes the short steps first; a training stops at its checkpoint and goes on at the next start.
    A second Ctrl-C ends it at once, which loses no session either. For systemd, Docker and the like
    this is the command to call: SIGTERM does what Ctrl-C does, and systemd hears when it works
    (Type=notify, WatchdogSec). `atles install` writes such a service.

    \b
      atles run
      atles run --set train.enabled=false       memory only
    """
    settings, wait = scope.settings(), until_told()
    share_one_arena()
    faulthandler.enable()  # whoever is ended by a watchdog (SIGABRT) says where each thread was
    supervisor = Supervisor(os.environ)
    daemon = LearningDaemon(
        scope.home, settings, console=not quiet, embedded=False, gateway=True, supervisor=supervisor
    )
    daemon.start()
    # `atles start` waits for this line, and reads no other.
    clients = f"; OpenAI clients: base_url={daemon.gateway_url}/v1" if daemon.gateway_url else ""
    click.echo(f"ATLES runs on {daemon.home.root.resolve()} (pid {os.getpid()}){clients}")
    supervisor.tell("READY=1", f"STATUS=learning on {daemon.home.root.resolve()}{clients}")
    wait()
    supervisor.tell("STOPPING=1", "STATUS=finishing the short steps")
    daemon.stop()


def until_told() -> Callable[[], None]:
    """What waits for SIGTERM or Ctrl-C, from now on; after it, a second Ctrl-C ends the process at once."""
    # A pipe, which the signal itself writes to: a signal that comes just before the wait is not lost.
    # A Python handler would run only when the wait is over.
    arrived, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _: None)

    def wait() -> None:
        os.read(arrived, 1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return wait


@click.command(cls=Command)
@click.pass_obj
def drain(scope: Scope) -> None:
    """Work until nothing is left to do, then end.

    If a daemon runs on this home, waits until that one is idle. Exit code 1 if a step failed for good
    (`atles sessions retry` tries it again), the disk has no room for what is left, or a session file cannot be read.

    \b
      atles ingest chats/ && atles drain && atles ask "What do I like?"
    """
    from atles.cli.look import leftovers
    from atles.cli.show import answer

    home, settings = scope.home, scope.settings()
    if owner(home):
        with scope.store() as store:
            room = Room(home, settings.disk)
            if settings.train.enabled:
                scope.queue(store).put(at_once())

            def look() -> dict[str, Any]:
                return status(home, store, scope.queue(store), settings)

            with _shown(look):
                while not _idle(seen := look(), unread(home)):
                    if damage := (owner(home) or {}).get("damage"):
                        raise AtlesError(f"not all can be learned: {damage}")
                    if full := room.stuck(scope.queue(store).open()):
                        raise AtlesError(f"not all can be learned: {full}; the daemon goes on when there is room")
                    time.sleep(_LOOK_SECONDS)
            final = seen
    else:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # Without a terminal to draw on, the log is the progress.
        daemon = LearningDaemon(home, settings, console=not sys.stderr.isatty(), embedded=False)
        try:
            daemon.start()
            with _shown(daemon.get_status):
                daemon.drain()
            final = daemon.get_status()
        finally:
            daemon.stop()
    left = {key: final[key] for key in ("stats", "active_adapter", "quarantine")} | {"dead": final["queue"]["dead"]}
    answer(scope, left, leftovers)
    if files := unread(home):
        raise AtlesError("; ".join(f"cannot read {name} in sessions/: {why}" for name, why in files.items()))
    if left["dead"]:
        raise click.exceptions.Exit(FAILED)


def _idle(seen: dict[str, Any], unread: Collection[str]) -> bool:
    return not (seen["queue"]["waiting"] or seen["queue"]["running"] or seen["inbox"] > len(unread))


@contextmanager
def _shown(look: Any) -> Iterator[None]:
    """Live progress on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.live import Live
    from rich.spinner import Spinner

    from atles.cli.look import at_work
    from atles.cli.show import console

    spinner = Spinner("dots")

    def draw() -> Spinner:
        spinner.update(text=at_work(look()))
        return spinner

    with Live(console=console(stderr=True), get_renderable=draw, refresh_per_second=5, transient=True):
        yield
