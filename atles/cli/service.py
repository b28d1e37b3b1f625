"""`start`, `stop` and `restart`: the daemon as a process of its own. Knows pids and the lock, not the daemon's work."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Any

import click

from atles.cli.command import Command, Failure, Scope
from atles.cli.show import answer, duration
from atles.daemon import STOP_SECONDS
from atles.insights.status import alive, owner
from atles.layout import Home, make_folder, private
from atles.upkeep.check_files import database
from atles.upkeep.finding import OK

_LOOK_SECONDS = 0.05
_END_SECONDS = 5.0  # between a daemon's last step and the end of its process

_timeout = click.option(
    "--timeout", default=STOP_SECONDS, show_default=True, help="Seconds to wait for it to finish its work."
)


@click.command(cls=Command)
@click.pass_obj
def start(scope: Scope) -> None:
    """Run the daemon in the background, until `atles stop`.

    Returns when it works, or says why it does not. If it runs already, that is fine too.

    \b
      atles start
      atles start --home ~/chats --set train.min_new_examples=32
    """
    running = _owner(scope.home, STOP_SECONDS)
    _tell(scope, *(_already(scope, running) if running else _start(scope)))


@click.command(cls=Command)
@_timeout
@click.pass_obj
def stop(scope: Scope, timeout: float) -> None:
    """End the daemon, after the short steps that it is doing.

    A training stops at its checkpoint and goes on at the next start. Waits until the home is free
    and the process is gone.
    """
    _tell(scope, _stop(scope, timeout), None)


@click.command(cls=Command)
@_timeout
@click.pass_obj
def restart(scope: Scope, timeout: float) -> None:
    """Stop the daemon, if it runs, and start it again.

    The settings are read anew; what the earlier start was given by --set or --config has to be given
    again.
    """
    scope.settings()  # a setting that is wrong must not cost the daemon that runs
    _stop(scope, timeout)
    _tell(scope, *_start(scope))


def _tell(scope: Scope, sentence: str, pid: int | None) -> None:
    document = {"is_running": pid is not None, "pid": pid, "home": str(scope.home.root.resolve()), "message": sentence}
    answer(scope, document, lambda said: [said["message"]])


def _already(scope: Scope, running: dict[str, Any]) -> tuple[str, int]:
    return f"ATLES runs already on {scope.home.root} (pid {running['pid']})", running["pid"]


def run_command(scope: Scope) -> list[str]:
    """`atles run`, from any folder, with the home and the settings that this command was given."""
    words = [sys.executable, "-P", "-m", "atles", "--home", str(scope.home.root.resolve())]
    if scope.config:
        words += ["--config", str(scope.config.resolve())]
    for override in scope.overrides:
        words += ["--set", override]
    return [*words, "run", "--quiet"]


def _start(scope: Scope) -> tuple[str, int]:
    """Start `atles run` in a session of its own, and wait for its first line."""
    home = scope.home
    settings = scope.settings()  # a setting that is wrong is said here, as by every command
    if not settings.store.url and (lost := database(home)).state != OK:
        click.echo(f"{lost.detail}: {lost.fix}", err=True)
    make_folder(home.daemon)
    # It logs to daemon.log; this file is for what comes before that, and for a crash of Python itself.
    last_words = home.last_words
    with open(last_words, "wb", opener=private) as errors:
        daemon = subprocess.Popen(
            run_command(scope),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    assert daemon.stdout is not None  # it was opened as a pipe
    with daemon.stdout:
        ready = daemon.stdout.readline()
    if ready:
        gateway = (owner(home) or {}).get("gateway")
        clients = f"; OpenAI clients: base_url={gateway}/v1" if gateway else ""
        return f"ATLES runs on {home.root} (pid {daemon.pid}){clients}", daemon.pid
    code = daemon.wait()
    if running := _owner(home, STOP_SECONDS):  # somebody else has started one at the same moment
        return _already(scope, running)
    reason = last_words.read_text("utf-8", "replace").strip().removeprefix("atles: ")
    raise Failure(f"the daemon did not start: {reason or f'it ended with code {code}; see {home.log}'}")


def _stop(scope: Scope, timeout: float) -> str:
    """Ask the daemon to end and wait until its lock is free; what happened, in words."""
    home, began = scope.home, time.monotonic()
    running = _owner(home, timeout)
    if not running:
        return f"ATLES does not run on {home.root}"
    if running["embedded"]:
        raise Failure(f"the daemon is part of the program with pid {running['pid']}: end it there, with stop_daemon()")
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(running["pid"], signal.SIGTERM)
    while time.monotonic() - began < timeout:
        now = owner(home)
        if not now or now["pid"] not in (running["pid"], None):
            _wait_for_end(running["pid"])
            return f"ATLES stopped (pid {running['pid']}, after {duration(time.monotonic() - began)})"
        time.sleep(_LOOK_SECONDS)
    raise Failure(
        f"the daemon (pid {running['pid']}) is still at work after {timeout:g} s; wait for it with a longer --timeout, "
        f"or `kill -9 {running['pid']}`: no session is lost, its work is taken up at the next start"
    )


def _wait_for_end(pid: int) -> None:
    """Wait until the process is gone, which gives its lock back before that: a disk that it has a file or its folder on
    cannot be unmounted sooner. Not for ever: by now the pid may be somebody else's."""
    deadline = time.monotonic() + _END_SECONDS
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _owner(home: Home, timeout: float) -> dict[str, Any] | None:
    """Who works on a home, once that says so: it may be just starting. Raises Failure if it does not."""
    deadline = time.monotonic() + timeout
    while (running := owner(home)) and not running["pid"]:
        if time.monotonic() > deadline:
            raise Failure(f"a process works on {home.root} and does not say which it is; try again in a moment")
        time.sleep(_LOOK_SECONDS)
    return running
