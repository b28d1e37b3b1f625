"""launchd as the keeper of the daemon on macOS: a property list, and `launchctl`."""

import plistlib
from collections.abc import Sequence
from pathlib import Path
from xml.parsers.expat import ExpatError

from atles.layout import Home
from atles.upkeep.service import Keeper, Service


class Launchd(Keeper):
    """The launchd of the user with the number `uid`; `agents` is the folder that it reads."""

    def __init__(self, agents: Path, uid: int) -> None:
        self._agents, self._domain = agents, f"gui/{uid}"

    def file(self, name: str) -> Path:
        return self._agents / f"{name}.plist"

    def definition(self, service: Service) -> bytes:
        # What it says before it has a log, or when Python itself crashes.
        last_words = str(Home(service.home).last_words)
        return plistlib.dumps(
            {
                "Label": service.name,
                "ProgramArguments": list(service.command),
                "WorkingDirectory": str(service.home),
                "RunAtLoad": True,
                "KeepAlive": {"SuccessfulExit": False},  # `atles stop` ends it; anything else is a failure
                "ExitTimeOut": round(service.stop_seconds),
                "StandardOutPath": last_words,
                "StandardErrorPath": last_words,
                "Umask": 0o077,
            },
            sort_keys=False,
        )

    def home_of(self, definition: bytes) -> str | None:
        try:
            arguments = plistlib.loads(definition)["ProgramArguments"]
            return arguments[arguments.index("--home") + 1] if "atles" in arguments else None
        except (plistlib.InvalidFileException, ExpatError, ValueError, LookupError, TypeError):
            return None

    def begin(self, name: str) -> Sequence[Sequence[str]]:
        return [["launchctl", "bootstrap", self._domain, str(self.file(name))]]

    def end(self, name: str) -> Sequence[Sequence[str]]:
        return [["launchctl", "bootout", f"{self._domain}/{name}"]]

    def look(self, name: str) -> Sequence[str]:
        return ["launchctl", "print", f"{self._domain}/{name}"]
