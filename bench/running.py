"""An ATLES process on a home, seen from outside: its CPU time, memory, files and threads. Needs Linux."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from bench.figures import ROOT

_STOP_SECONDS = 60.0


class Running:
    """`python -m MODULE ARGUMENT…`, started; it is ready once it prints its first line, and ends at SIGTERM.

    Raises RuntimeError with what it said if it ends instead.
    """

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout  # it was opened as a pipe
        self.said = self._process.stdout.readline().strip()
        if not self.said:
            self._process.wait(_STOP_SECONDS)
            raise RuntimeError(f"`{module} {' '.join(arguments)}` did not start: {self.errors()}")
        self.pid = self._process.pid
        # The clock of another process's CPU time, all its threads, in ns; /proc/<pid>/stat counts in steps of 10 ms.
        self._clock = (~self.pid << 3) | 2

    def errors(self) -> str:
        """The end of what it wrote to stderr."""
        return self._log.read_text("utf-8", "replace")[-2000:]

    def alive(self) -> bool:
        return self._process.poll() is None

    def cpu_seconds(self) -> float:
        """User and system time that the process has used so far."""
        return time.clock_gettime(self._clock)

    def memory_mb(self) -> dict[str, float]:
        """Resident set now and at its peak, and the proportional set, in MB (10^6 bytes)."""
        status = _kilobytes(f"/proc/{self.pid}/status")
        shares = _kilobytes(f"/proc/{self.pid}/smaps_rollup")
        return {
            name: value * 1024 / 1e6
            for name, value in (("rss", status["VmRSS"]), ("peak", status["VmHWM"]), ("pss", shares["Pss"]))
        }

    def open_files(self) -> int:
        """Files, sockets and pipes that it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def settings(**values: str) -> Sequence[str]:
    """Settings as the command line takes them: `train_enabled="false"` is `--set train.enabled=false`."""
    return [part for name, value in values.items() for part in ("--set", f"{name.replace('_', '.', 1)}={value}")]


def _kilobytes(file: str) -> dict[str, int]:
    """The lines `Name:  123 kB` of a file in /proc."""
    found = {}
    for line in Path(file).read_text().splitlines():
        name, _, rest = line.partition(":")
        if rest.endswith(" kB"):
            found[name] = int(rest.split()[0])
    return found
