"""What the daemon costs: memory and CPU at rest, how soon it notices a file, CPU per session.

    python -m bench daemon [--seconds 60] [--sessions 1000] [--sessions-from FILE]

A real `atles run` process without training, on a fresh home in a temporary folder, watched from outside: /proc for
its memory, its CPU clock, a connection to its database for what it has stored. Needs Linux.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import sessions
from bench.figures import Figure, percentile, say
from bench.running import Running, settings

RSS_TARGET_MB, IDLE_TARGET_PERCENT, NOTICE_TARGET_MS, SESSION_TARGET_MS = 40, 0.1, 100, 5
SPREAD, LEARNED = 120, 200  # files that come one by one; sessions learned before the second rest
SETTLE_SECONDS = 5.0
GIVE_UP_SECONDS = 600.0


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--seconds", type=float, default=60, help="how long it is watched at rest [%(default)g]")
    parser.add_argument("--sessions", type=int, default=1000, help="sessions dropped at once [%(default)s]")
    parser.add_argument(
        "--sessions-from", type=Path, default=sessions.TOPICAL_CHAT, metavar="FILE", help="Topical-Chat [%(default)s]"
    )


def measure(options: argparse.Namespace) -> list[Figure]:
    if not sys.platform.startswith("linux"):
        raise RuntimeError("the daemon is measured through /proc, which only Linux has")
    made, source = sessions.make(options.sessions_from, max(options.sessions, LEARNED))
    say(f"daemon: {source}")
    with tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch:
        with Daemon(Path(scratch) / "rest") as daemon:
            figures = rest(daemon, "after the start", options.seconds)
            figures += one_by_one(daemon, made[:SPREAD])
            daemon.drop(made[SPREAD:LEARNED])
            daemon.finish(LEARNED)
            figures += rest(daemon, f"after {LEARNED} sessions", options.seconds)
        with Daemon(Path(scratch) / "burst") as daemon:
            figures += at_once(daemon, made[: options.sessions], source)
    return figures


def rest(daemon: "Daemon", when: str, seconds: float) -> list[Figure]:
    say(f"daemon: {when}, at rest for {seconds:g} s")
    time.sleep(SETTLE_SECONDS)
    cpu, began = daemon.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    share = 100 * (daemon.cpu_seconds() - cpu) / (time.monotonic() - began)
    memory = daemon.memory_mb()
    return [
        Figure(f"RSS {when}", memory["rss"], "MB", RSS_TARGET_MB),
        Figure(f"PSS {when}", memory["pss"], "MB", note="shared pages divided among those who share them"),
        Figure(f"CPU at rest {when}", share, "% of a core", IDLE_TARGET_PERCENT, f"over {seconds:g} s"),
    ]


def one_by_one(daemon: "Daemon", made: list[dict[str, Any]]) -> list[Figure]:
    say(f"daemon: {len(made)} files, one by one")
    cpu, pause = daemon.cpu_seconds(), random.Random(0)
    latencies = []
    for session in made:
        time.sleep(pause.uniform(0.05, 0.45))
        latencies.append(daemon.notice_ms(session))
    daemon.finish(len(made))
    spent = 1e3 * (daemon.cpu_seconds() - cpu) / len(made)
    return [
        Figure("file closed -> queued, p50", percentile(latencies, 0.5), "ms", NOTICE_TARGET_MS, "atles 1.0: 2,800 ms"),
        Figure("file closed -> queued, p95", percentile(latencies, 0.95), "ms", note="from the rename to the commit"),
        Figure("file closed -> queued, max", max(latencies), "ms", note=f"n={len(made)}"),
        Figure("CPU per session, one by one", spent, "CPU-ms", note="all steps and files; a new one every 0.25 s"),
    ]


def at_once(daemon: "Daemon", made: list[dict[str, Any]], source: str) -> list[Figure]:
    say(f"daemon: {len(made)} sessions at once")
    time.sleep(SETTLE_SECONDS)
    files = daemon.stage(made)
    cpu, began = daemon.cpu_seconds(), time.monotonic()
    for file in files:
        daemon.hand_over(file)
    daemon.finish(len(made))
    seconds, spent = time.monotonic() - began, daemon.cpu_seconds() - cpu
    mean = statistics.mean(len(session["messages"]) for session in made)
    note = f"{len(made)} sessions of {mean:g} messages; {source}"
    return [
        Figure("CPU per session, at once", 1e3 * spent / len(made), "CPU-ms", SESSION_TARGET_MS, note),
        Figure("sessions learned and logged", len(made) / seconds, "per s", note="atles 1.0: 0.98 per s"),
        Figure(f"RSS after {len(made)} sessions", daemon.memory_mb()["rss"], "MB", RSS_TARGET_MB),
        Figure("peak RSS", daemon.memory_mb()["peak"], "MB"),
    ]


class Daemon:
    """A daemon process on `home`, seen from outside."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._inbox = home / "learning_daemon/sessions"
        self._stage = home.with_name(f"{home.name}-stage")  # on the same disk, so that a rename hands over

    def __enter__(self) -> "Daemon":
        self._stage.mkdir()
        off = settings(train_enabled="false", gateway_enabled="false")
        log = self.home.with_name(f"{self.home.name}.log")
        self._process = Running("atles", "--home", str(self.home), *off, "run", "--quiet", log=log)
        self.cpu_seconds, self.memory_mb = self._process.cpu_seconds, self._process.memory_mb
        self._database = sqlite3.connect(f"file:{self.home / 'atles.db'}?mode=ro", uri=True, isolation_level=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._process.stop()

    def stage(self, made: list[dict[str, Any]]) -> list[Path]:
        """Write session files where the daemon does not look."""
        files = []
        for session in made:
            files.append(self._stage / f"completed_{session['session_id']}.json")
            files[-1].write_text(json.dumps(session), "utf-8")
        return files

    def hand_over(self, file: Path) -> None:
        os.replace(file, self._inbox / file.name)

    def drop(self, made: list[dict[str, Any]]) -> None:
        for file in self.stage(made):
            self.hand_over(file)

    def notice_ms(self, session: dict[str, Any]) -> float:
        """From handing over one file until its first job is committed; looked for every half millisecond."""
        (file,) = self.stage([session])
        key = f"memory:{session['session_id']}#1"
        began = time.perf_counter()
        self.hand_over(file)
        while self._one("select count(*) from jobs where key = ?", key) == 0:
            if time.perf_counter() - began > GIVE_UP_SECONDS:
                raise RuntimeError(f"{file.name} was not queued in {GIVE_UP_SECONDS:g} s")
            time.sleep(0.0005)
        return (time.perf_counter() - began) * 1e3

    def finish(self, count: int) -> None:
        """Wait until `count` sessions are learned and their log files written."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while not self._finished(count):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{count} sessions were not learned in {GIVE_UP_SECONDS:g} s")
            time.sleep(0.05)
        dead = self._one("select count(*) from jobs where state = 'dead'")
        if dead:
            raise RuntimeError(f"{dead} jobs ended in the dead-letter list")

    def _finished(self, count: int) -> bool:
        logged = self._one("select count(*) from session_logs")
        return logged >= count and self._one("select count(*) from jobs where state in ('waiting', 'running')") == 0

    def _one(self, query: str, *values: str) -> int:
        with closing(self._database.execute(query, values)) as rows:
            return rows.fetchone()[0]
