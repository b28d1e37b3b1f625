"""What the engine takes through its queue: sessions per second of 1, 2 and 4 workers, CPU, how soon a job starts.

    python -m bench scale [--scale-rounds 3]

Steps wait instead of working (program.py); queue, worker, transactions and commits are the real ones. PostgreSQL is a
server of our own that waits for the disk at every commit. Needs Linux.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import sessions, stores
from bench.figures import Figure, say
from bench.scale import cost, speed
from bench.scale.team import Supply


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--scale-rounds", type=int, default=3, help="rounds of 1, 2 and 4 workers [%(default)s]")
    parser.add_argument("--scale-sessions", type=int, default=80, help="of each worker in a round [%(default)s]")
    parser.add_argument("--scale-idle", type=int, default=600, help="sessions whose steps do nothing [%(default)s]")
    parser.add_argument("--scale-starts", type=int, default=200, help="sessions that come one by one [%(default)s]")
    parser.add_argument("--scale-from", type=Path, default=sessions.TOPICAL_CHAT, metavar="FILE", help="Topical-Chat")


def measure(options: argparse.Namespace) -> list[Figure]:
    if not sys.platform.startswith("linux"):
        raise RuntimeError("processes are measured through /proc, which only Linux has")
    supply = Supply(options.scale_from)
    with tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch, ExitStack() as opened:
        sqlite, postgresql = (
            opened.enter_context(stores.place(kind, Path(scratch) / kind / "home")) for kind in stores.KINDS
        )
        say(f"scale: {supply.source}")
        return [
            *speed.figures(postgresql, supply, options.scale_rounds, options.scale_sessions),
            *cost.figures(postgresql, supply, options.scale_idle, options.scale_starts, workers=1),
            *cost.figures(sqlite, supply, options.scale_idle, options.scale_starts),
            *cost.files(postgresql, supply, options.scale_starts),
            *cost.files(sqlite, supply, options.scale_starts),
        ]
