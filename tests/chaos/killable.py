"""A daemon or worker of a chaos run: started, killed, started again, as systemd would; and what may not outlive it."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from atles.layout import Home
from tests.fakes import FakePrograms
from tests.fakes.process import PATIENCE, ROOT

LAUNCHER = "tests.chaos.launcher"
_URL = re.compile(r"base_url=(\S+)/v1")


class Killable:
    """One process, and those that follow it. `command` is one of `atles`, `settings` are given to it at each start.
    `url` is where its gateway answers now, "" while it does not."""

    def __init__(
        self, name: str, home: Home, fake: FakePrograms, command: Sequence[str], settings: Sequence[str]
    ) -> None:
        self.name, self.url, self.settings = name, "", settings
        self._home, self._fake, self._command = home, fake, command
        self.errors = fake.control / f"{name.replace(' ', '_')}.stderr"
        self.start()

    def start(self) -> None:
        """Start it, without waiting until it works."""
        sets = [part for setting in self.settings for part in ("--set", setting)]
        command = [sys.executable, "-m", LAUNCHER, str(self._fake.control), "--home", str(self._home.root), *sets]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATLES_")}
        self.began = threading.Event()
        with open(self.errors, "a") as errors:
            self.process = subprocess.Popen(
                [*command, *self._command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        threading.Thread(target=self._listen, args=(self.process, self.began), daemon=True).start()

    def _listen(self, process: "subprocess.Popen[str]", began: threading.Event) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                if process is self.process:
                    found = _URL.search(line)
                    self.url = found[1] if found else ""
                    began.set()

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        """kill -9; done again it changes nothing."""
        self.url = ""
        self.process.kill()
        self.process.wait(PATIENCE)

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.url = ""
        self.process.terminate()
        return self.process.wait(PATIENCE)


def children(control: Path) -> dict[int, int]:
    """The programs that work for a home, by the fakes' folder on their command line: pid -> parent's pid."""
    found = {}
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            command = (proc / "cmdline").read_bytes().split(b"\0")
            stat = (proc / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        state, parent = re.split(r"\s+", stat.rpartition(")")[2].strip())[:2]
        if str(control).encode() in command and LAUNCHER.encode() not in command and state != "Z":
            found[int(proc.name)] = int(parent)
    return found
