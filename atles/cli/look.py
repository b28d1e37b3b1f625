"""`status` and `logs`: what the daemon does, seen from outside."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import NOT_RUNNING, Command, Failure, Scope
from atles.cli.show import answer, clean, console, count, duration, facts, shortened, styled
from atles.errors import AtlesError, ConfigError, StoreError
from atles.insights.status import status as status_of
from atles.pipeline.room import size

if TYPE_CHECKING:
    from rich.console import RenderableType

_FOLLOW_SECONDS = 0.25
# Keys of jobs that name neither a step nor a session.
_CALLED = {"at once": "a training, asked for", "now": "a training, asked for", "rebuild": "a training, done anew"}


@click.command(cls=Command)
@click.option("--watch", is_flag=True, help="Stay and refresh, until Ctrl-C.")
@click.pass_obj
def status(scope: Scope, watch: bool) -> None:
    """What the daemon does and has done.

    Exit code 0 if it runs, 3 if it does not. Where that cannot be told: 2 for settings that are wrong,
    1 for a store that cannot be used.

    \b
      atles status
      atles status --watch
      atles status --json | jq .queue.waiting
    """
    if watch and scope.json:
        raise click.UsageError("--watch is for people, --json for programs: choose one")
    try:
        with scope.store() as store:
            queue, settings = scope.queue(store), scope.settings()
            if watch:
                _watch(lambda: status_of(scope.home, store, queue, settings))
            seen = status_of(scope.home, store, queue, settings)
    except (ConfigError, StoreError):
        raise  # says nothing about the daemon, which may well run
    except AtlesError as error:  # there is no home
        raise Failure(str(error), NOT_RUNNING) from error
    answer(scope, seen, status_view)
    if not seen["is_running"]:
        raise click.exceptions.Exit(NOT_RUNNING)


def _watch(look: Callable[[], dict[str, Any]]) -> None:
    from rich.console import Group
    from rich.live import Live

    with Live(
        console=console(),
        get_renderable=lambda: Group(*status_view(look())),
        screen=True,
        auto_refresh=True,
        refresh_per_second=2,
    ):
        while True:
            time.sleep(1)


def status_view(seen: dict[str, Any]) -> "Iterator[RenderableType]":
    stats, queue = seen["stats"], seen["queue"]
    if seen["is_running"]:
        up = duration(round(stats["uptime_hours"] * 3600))
        daemon = styled(f"running, pid {seen['pid']}, up {up}", "green")
    else:
        daemon = styled("not running; `atles start` starts it", "yellow")
    work = count(queue["waiting"], "job") + " waiting" if queue["waiting"] else "nothing waits"
    if queue["running"]:
        work += f"; at work on {', '.join(map(_called, queue['running']))}"
    if seen["inbox"]:
        work += f"; {count(seen['inbox'], 'file')} not taken in yet"
    rows: list[tuple[str, Any]] = [
        ("Home", seen["home"]),
        ("Daemon", daemon),
        *([("Gateway", f"{seen['gateway']}/v1")] if seen["gateway"] else []),
        (
            "Learned",
            f"{count(stats['sessions_processed'], 'session')}, {count(stats['total_messages'], 'message')}, "
            f"{count(stats['total_memory_items'], 'memory item')}",
        ),
        ("Queue", work),
        ("Training", _training(seen)),
        *_disk(seen["disk"]),
        *([("Database", styled(f"nothing is learned: {seen['damage']}", "red"))] if seen["damage"] else []),
        ("Adapter", _adapter(seen)),
        ("Dead letters", _trouble(len(queue["dead"]), "`atles sessions retry --all` tries again")),
        ("Quarantine", _trouble(seen["quarantine"], "`atles sessions` says why")),
    ]
    yield facts(*rows)
    yield from _dead(queue["dead"])


def _called(job: str) -> str:
    return _CALLED.get(job, job)


def leftovers(left: dict[str, Any]) -> "Iterator[RenderableType]":
    """What `drain` leaves: what is learned, and what could not be."""
    yield (
        f"Nothing is left to do. {count(left['stats']['sessions_processed'], 'session')} learned; "
        f"{left['active_adapter'] or 'the base model'} answers."
    )
    if left["quarantine"]:
        yield f"{count(left['quarantine'], 'file')} in quarantine; `atles sessions` says why."
    if left["dead"]:
        yield f"{count(len(left['dead']), 'job')} failed; `atles sessions retry --all` tries again:"
        yield from _dead(left["dead"])


def at_work(seen: dict[str, Any]) -> str:
    """What is left and how far a training is, on one line."""
    waiting = seen["queue"]["waiting"] + len(seen["queue"]["running"]) + seen["inbox"]
    return f"{count(waiting, 'job')} to do" + (f"; {_training(seen)}" if seen["progress"] else "")


def _dead(jobs: list[dict[str, Any]]) -> "Iterator[RenderableType]":
    for job in jobs:
        yield styled(f"  {job['job']}: {job['error']}", "red")


def _adapter(seen: dict[str, Any]) -> str:
    return seen["active_adapter"] or "none yet; the base model answers"


def _disk(seen: dict[str, Any]) -> "Iterator[tuple[str, Any]]":
    """Only where it says something: there is seldom too little room."""
    if seen["state"] != "ok":
        says = {"no training": "no training begins", "no learning": "nothing is learned, though all is recorded"}
        yield "Disk", styled(f"{size(seen['free'])} free: {says[seen['state']]}; see `atles prune`", "red")


def _trouble(number: int, way_out: str) -> Any:
    return styled(f"{number}; {way_out}", "red") if number else "none"


def _training(seen: dict[str, Any]) -> str:
    """`train ━━━━━╌╌╌╌╌ 12/60, loss 1.234, 230 tokens/s, 1 min 33 s left`."""
    event = seen["progress"]
    if not event:
        return "none at the moment" if seen["trains"] else "off (train.enabled)"
    parts = []
    if event.get("steps"):
        done = round(event["step"] / event["steps"] * 16)
        parts.append(f"{'━' * done}{'╌' * (16 - done)} {event['step']}/{event['steps']}")
    elif event.get("message"):
        parts.append(shortened(str(event["message"]), 40))
    if event.get("loss") is not None:
        parts.append(f"loss {event['loss']:.3f}")
    if event.get("eta_seconds") is not None:
        parts.append(f"{duration(round(event['eta_seconds']))} left")
    return f"{event.get('phase', 'working')} {', '.join(parts)}"


@click.command(cls=Command, with_json=False)
@click.option("-f", "--follow", is_flag=True, help="Stay and show what is added, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="Last lines to show.")
@click.pass_obj
def logs(scope: Scope, follow: bool, lines: int) -> None:
    """The daemon's log. Times are in UTC.

    \b
      atles logs -n 200
      atles logs -f
    """
    path = scope.home.log
    if not path.exists():
        raise AtlesError(f"there is no log {path}; it begins with the first `atles start`")
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in deque(file, lines):
            click.echo(clean(line), nl=False)
        position = file.tell()
    if follow:
        for text in _added(path, position):
            click.echo(clean(text), nl=False)


def _added(path: Path, position: int) -> Iterator[str]:
    """What is written to a file from a position on, also when it is rotated. Never ends."""
    file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115  # it is replaced within the loop
    file.seek(position)
    while True:
        text = file.read()
        if text:
            yield text
            continue
        try:
            rotated = not os.path.samestat(path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            rotated = False  # between the two renames of a rotation
        if rotated:
            file.close()
            file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115
        else:
            time.sleep(_FOLLOW_SECONDS)
