"""A daemon in a process of its own, to be killed and looked into."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from atles.layout import Home
from atles.queue.leases import LeaseQueue
from atles.store import Store
from tests.fakes import FakePrograms

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0  # seconds; for a machine that is busy with something else


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for something; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.02)
    return value


class DaemonProcess:
    """A started daemon with fake programs. `overrides` are settings; `by` is the command that is to start it."""

    def __init__(self, home: Home, fake: FakePrograms, *overrides: str, by: Sequence[str] = ()) -> None:
        self.home, self.fake = home, fake
        self._errors = open(fake.control / "daemon.stderr", "a+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*by, sys.executable, "-m", "tests.fakes.daemon", str(home.root), str(fake.control), *overrides],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            umask=0,  # what it writes is private by its own doing
        )  # fmt: skip
        assert self.process.stdout
        self.started = self.process.stdout.readline() == "started\n"

    @property
    def pid(self) -> int:
        return self.process.pid

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.ended()

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end; the exit status."""
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
            self._errors.close()

    def __enter__(self) -> "DaemonProcess":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.kill()


def idle(home: Home) -> bool:
    """Whether a home's sessions are all learned and logged, as seen from another process."""
    store = Store(home.database)
    try:
        arrived = not any(home.sessions.glob("completed_*.json"))
        return arrived and not LeaseQueue(store.database, "test", 60).open()
    finally:
        store.close()


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
