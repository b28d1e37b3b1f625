"""What `from atles import SessionTracker` costs a host application, beyond starting Python.

    python -m bench import [--rounds 40]

Each round starts three interpreters in turn: one that does nothing, one that imports, one that also tracks a
session; the cost is the difference within the round. Bytecode is cached, as it is in any installation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from bench.figures import ROOT, Figure, percentile, spread

TARGET_MS = 50

IMPORT = "from atles import SessionTracker"
TRACK = """
import sys, time
from atles import SessionTracker
imported = time.perf_counter()
tracker = SessionTracker(home=sys.argv[1])
tracker.log_message("user", "Hello")
first = time.perf_counter()
for _ in range(1000):
    tracker.log_message("assistant", "Hi there!")
logged = time.perf_counter()
tracker.end_session()
print((first - imported) * 1e3, logged - first, (time.perf_counter() - logged) * 1e3, len(sys.modules))
"""


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--rounds", type=int, default=40, help="interpreters started of each kind [%(default)s]")


def measure(options: argparse.Namespace) -> list[Figure]:
    wall, cpu, bare, tracked = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": f"{scratch}/bytecode"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for number in range(-1, options.rounds):  # the first round compiles, and does not count
            nothing = _cost("pass", environment)
            importing = _cost(IMPORT, environment)
            answer = subprocess.run(
                [sys.executable, "-c", TRACK, f"{scratch}/home{number}"],
                cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
            )  # fmt: skip
            if number >= 0:
                bare.append(nothing[0])
                wall.append(importing[0] - nothing[0])
                cpu.append(importing[1] - nothing[1])
                tracked.append([float(value) for value in answer.stdout.split()])
    first, message, end, _ = (percentile(column, 0.5) for column in zip(*tracked, strict=True))
    return [
        *spread("import, CPU", cpu, "ms", TARGET_MS, f"n={options.rounds}, beyond a bare interpreter"),
        *spread("import, wall", wall, "ms", TARGET_MS, f"the bare interpreter takes {percentile(bare, 0.5):.0f} ms"),
        Figure("first message of a session", first, "ms", note="makes the folder and the journal"),
        Figure("each message after it", message, "ms", note="mean of 1,000; journaled"),
        Figure("end_session after 1,001 messages", end, "ms"),
    ]


def _cost(code: str, environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU milliseconds of an interpreter that runs `code`, from start to end."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code!r} ended with code {process.returncode}")
    return seconds * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3
