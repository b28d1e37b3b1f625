"""`install` and `uninstall`: the daemon as a service, which the system starts, and starts again.

Knows what people are to be told. What a service is made of, and who keeps it, is in `atles.upkeep`.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from atles.cli.command import USAGE, Command, Failure, Scope
from atles.cli.service import run_command
from atles.cli.show import answer, clean
from atles.daemon import STOP_SECONDS
from atles.errors import AtlesError
from atles.insights.status import owner
from atles.layout import make_folder
from atles.settings import Settings
from atles.upkeep import service
from atles.upkeep.launchd import Launchd
from atles.upkeep.service import Keeper, Service
from atles.upkeep.systemd import SYSTEM_UNITS, Systemd

PLATFORM = sys.platform

_WITHOUT = (
    "where there are no services, as in a container, use `atles start`, or `atles run` as what the container runs"
)
_name = click.option("--name", default="atles", show_default=True, help="The service's name: one for each home.")
_system = click.option("--system", is_flag=True, help="For the machine instead of your login. Needs root.")


@click.command(cls=Command)
@_name
@_system
@click.option("--now", is_flag=True, help="Start it, too.")
@click.option("--print", "only_print", is_flag=True, help="Show the definition, and change nothing.")
@click.pass_obj
def install(scope: Scope, name: str, system: bool, now: bool, only_print: bool) -> None:
    """Make a service of this home's daemon, for systemd (Linux) or launchd (macOS).

    It begins when you log in, or with --system when the machine starts; it begins anew after a failure,
    and is watched. What you give here by --config and --set belongs to it. The ATLES_* environment does
    not: secrets go into HOME/atles.env (systemd) or HOME/atles.toml, for you alone.

    With --system it runs as the owner of the home, and can write nowhere else.

    \b
      atles install --now
      atles install --print
      atles --home ~/work_chats install --name atles-work
      sudo atles --home /srv/atles install --system
    """
    settings = scope.settings()  # a setting that is wrong is said here, not by a service that does not start
    keeper, what = _keeper(system), _service(scope, settings, name, system)
    file, definition = keeper.file(name), keeper.definition(what)
    if only_print:
        shown = definition.decode("utf-8", "replace")
        if scope.json:
            answer(scope, {"file": str(file), "definition": shown}, lambda _: ())
        else:
            click.echo(clean(shown), nl=False)  # to be copied: a line that is broken to fit is another line
        return
    _needs_root(system)
    commands = " && ".join(map(shlex.join, keeper.begin(name)))
    running = owner(scope.home)
    if running and now and not file.exists():
        raise Failure(f"a daemon (pid {running['pid']}) works on {what.home} already: `atles stop` first")
    if not system:
        make_folder(scope.home.daemon)  # a home of the machine is there already, and its folders are not root's
    anew = service.install(keeper, what)
    if now:
        try:
            service.begin(keeper, name, anew=anew)
        except AtlesError as error:
            raise Failure(f"{file} is written, but {error}; {_WITHOUT}") from error
    document = {
        "name": name,
        "file": str(file),
        "home": str(what.home),
        "started": now,
        "pid": (running or {}).get("pid"),
    }
    when = "when the machine starts" if system else "when you log in"

    def view(_: Any) -> Iterator[str]:
        yield f"{file} is written: ATLES on {what.home}."
        if now:
            yield f"It runs, and begins again {when}."
        else:
            yield f"Begin now, and {when}:  {commands}"
        if running and not anew:
            yield f"Before that, end the daemon that runs on this home (pid {running['pid']}):  atles stop"
        if isinstance(keeper, Systemd) and not system:
            yield "To let it run while you are not logged in, too:  loginctl enable-linger"
        yield f"How it is:  {shlex.join(keeper.look(name))}"

    answer(scope, document, view)


@click.command(cls=Command)
@_name
@_system
@click.pass_obj
def uninstall(scope: Scope, name: str, system: bool) -> None:
    """End a service and delete its definition. The home, and all that was learned, stay as they are."""
    keeper = _keeper(system)
    _needs_root(system)
    trouble = service.remove(keeper, name)
    document = {"name": name, "file": str(keeper.file(name)), "trouble": trouble}

    def view(_: Any) -> Iterator[str]:
        yield f"{document['file']} is deleted. The home stays as it is."
        if trouble:
            yield f"If the daemon still runs, `atles stop` ends it: {trouble}"

    answer(scope, document, view)


def _keeper(system: bool) -> Keeper:
    """Who keeps services here. Raises Failure where that is nobody we know."""
    if PLATFORM == "darwin":
        if system:
            raise Failure("on macOS ATLES is a service of your login; leave out --system", USAGE)
        return Launchd(Path.home() / "Library" / "LaunchAgents", os.getuid())
    if PLATFORM != "linux":
        raise Failure(f"ATLES makes services for systemd and launchd only, not on {PLATFORM}; {_WITHOUT}")
    if system:
        return Systemd(SYSTEM_UNITS, system=True)
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Systemd(Path(config) / "systemd" / "user")


def _service(scope: Scope, settings: Settings, name: str, system: bool) -> Service:
    home = scope.home.root.resolve()
    outside = [Path(it) for it in (settings.model.folder, settings.store.artifacts) if Path(it).is_absolute()]
    user = _owner(home) if system else ""
    return Service(name, home, tuple(run_command(scope)), STOP_SECONDS, tuple(outside), user)


def _owner(home: Path) -> str:
    """The user whose home it is, who the service runs as. Raises Failure if that is nobody, or root."""
    try:
        uid = home.stat().st_uid
    except FileNotFoundError:
        make = shlex.join(["sudo", "install", "-d", "-m", "700", "-o", "USER", str(home)])
        raise Failure(f"there is no {home} yet; make it for the user whom the service is to run as: `{make}`") from None
    if uid == 0:
        give = shlex.join(["sudo", "chown", "-R", "USER", str(home)])
        raise Failure(f"{home} belongs to root, and ATLES needs no such rights; give it to another user: `{give}`")
    try:
        return home.owner()
    except KeyError:
        return str(uid)  # a user without a name, as containers have them


def _needs_root(system: bool) -> None:
    if system and os.geteuid() != 0:
        again = shlex.join(["sudo", sys.executable, "-m", "atles", *sys.argv[1:]])
        raise Failure(f"--system needs root: `{again}`; or leave it out, for a service of your login")
