"""A proxy in a process of its own, seen from outside: its CPU time and memory, with its children's. Needs Linux."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from bench.figures import ROOT

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_STOP_SECONDS = 30.0


class Program:
    """Started with a pipe for its standard input; when that is closed, or a signal comes, it ends."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        url: str = "",
        ready: str = "",
        seconds: float = 30.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """It prints its URL, unless `url` is given; then it is ready once it answers at `ready`."""
        self.name, self.url = name, url
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stderr=errors, text=True,
                stdout=errors if url else subprocess.PIPE,
            )  # fmt: skip
        if not url:
            assert self._process.stdout  # it was opened as a pipe
            self.url = self._process.stdout.readline().strip()
        if not self.url or (ready and not self._answers(ready, seconds)):
            self.stop()
            raise RuntimeError(f"{name} did not start: {log.read_text('utf-8', 'replace')[-2000:]}")

    def _answers(self, url: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with opener.open(url, timeout=5) as answer:
                    return answer.status == 200
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        return False

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_seconds(self) -> float:
        """User and system time of the process, its children and those of them that ended."""
        spent = 0.0
        for pid in self._family():
            try:
                # The clock of another process's CPU time, all its threads, in ns; /proc/<pid>/stat has steps of 10 ms.
                spent += time.clock_gettime((~pid << 3) | 2)
                spent += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15])) / _TICKS
            except OSError:
                continue  # it ended just now
        return spent

    def rss_mb(self) -> float:
        """Resident memory, in MB (10^6 bytes); pages that processes share count in each of them."""
        kilobytes = 0
        for pid in self._family():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            kilobytes += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
        return kilobytes * 1024 / 1e6

    def _family(self) -> Iterator[int]:
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for file in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    waiting += map(int, file.read_text().split())
                except OSError:
                    continue

    def stop(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        if self._process.stdout is None:  # a stranger, who does not watch its input
            self._process.terminate()
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
