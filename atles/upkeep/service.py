"""The daemon as a service: its definition, written for whoever starts services here, and taken away again.

Knows files and commands; the formats are in `systemd` and `launchd`. What the daemon does is known to none of them.
"""

import re
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atles.errors import AtlesError
from atles.layout import write_atomic

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


@dataclass(frozen=True)
class Service:
    """What is to run: `command`, which works on `home` and writes to the folders `writes`, too. All paths are absolute.

    `stop_seconds` is how long it may take to end; `user` is who it runs as, where that is not who installs it.
    """

    name: str
    home: Path
    command: tuple[str, ...]
    stop_seconds: float
    writes: tuple[Path, ...] = ()
    user: str = ""

    def __post_init__(self) -> None:
        """Raises AtlesError for what no definition can hold."""
        if not _NAME.match(self.name):
            raise AtlesError(f"{self.name!r} is no name for a service: letters, digits, - _ . and at most 100 of them")
        for text in (*self.command, *map(str, self.writes)):
            if any(ord(character) < 32 or ord(character) == 127 for character in text):
                raise AtlesError(f"{text!r} holds a control character, and no service can be told that; rename it")


class Keeper(ABC):
    """Who starts services on this machine, and starts them again. Commands are lists of words, for `run`."""

    @abstractmethod
    def file(self, name: str) -> Path:
        """Where a service's definition lies."""

    @abstractmethod
    def definition(self, service: Service) -> bytes:
        """What the file says."""

    @abstractmethod
    def home_of(self, definition: bytes) -> str | None:
        """The home that a definition of ours works on; None if it is somebody else's."""

    @abstractmethod
    def begin(self, name: str) -> Sequence[Sequence[str]]:
        """The commands that start a service, now and whenever it should run."""

    @abstractmethod
    def end(self, name: str) -> Sequence[Sequence[str]]:
        """The commands that end a service for good, while its definition is there."""

    def gone(self) -> Sequence[Sequence[str]]:
        """The commands that follow when a definition was deleted."""
        return []

    @abstractmethod
    def look(self, name: str) -> Sequence[str]:
        """The command that shows how a service is."""


def install(keeper: Keeper, service: Service) -> bool:
    """Write the service's definition; whether there was an older one of it. Raises OSError, and AtlesError if another
    service has the name."""
    file = keeper.file(service.name)
    older = _found(keeper, service.name)
    if older not in (None, str(service.home)):
        raise AtlesError(
            f"{file} is there already and works on {older}; choose another --name, or `atles uninstall` it"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, keeper.definition(service), exported=True)  # it is read by others, and holds no secret
    return older is not None


def begin(keeper: Keeper, name: str, *, anew: bool) -> None:
    """Start the service, now and whenever it should run. `anew`: it may run by an older definition.

    Raises AtlesError.
    """
    if anew:
        try:
            run(keeper.end(name))
        except AtlesError:
            pass  # it did not run; what is wrong with the keeper shows now
    run(keeper.begin(name))


def remove(keeper: Keeper, name: str) -> str:
    """End the service and delete its definition; why it could not be ended, or "".

    Raises OSError, and AtlesError if there is no such service, or it is not one of ours.
    """
    if _found(keeper, name) is None:
        raise AtlesError(f"there is no {keeper.file(name)}; --name and --system say which service is meant")
    trouble = ""
    try:
        run(keeper.end(name))
    except AtlesError as error:
        trouble = str(error)
    keeper.file(name).unlink()
    if not trouble:
        run(keeper.gone())
    return trouble


def _found(keeper: Keeper, name: str) -> str | None:
    """The home of the service that has the name, or None. Raises AtlesError if the service is not one of ours."""
    file = keeper.file(name)
    try:
        home = keeper.home_of(file.read_bytes())
    except FileNotFoundError:
        return None
    if home is None:
        raise AtlesError(f"{file} was not written by `atles install`, and is left alone; choose another --name")
    return home


def run(commands: Iterable[Sequence[str]]) -> None:
    """Run commands, one after the other. Raises AtlesError at the first that fails, with its own words."""
    for command in commands:
        said = shlex.join(command)
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            raise AtlesError(f"`{said}` cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            words = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise AtlesError(f"`{said}` failed: {words}")
