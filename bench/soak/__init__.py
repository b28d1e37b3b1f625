"""A day's sessions as fast as the daemon takes them: whether memory, files and the cost of a session stay flat.

    python -m bench soak [--soak-sessions 20000] [--store postgresql]

A real `atles run` on a fresh home, without training and gateway: its steps memory, data and log are real. The sessions
are those of ten made-up users (lives.py) and arrive as files, no more at once than a window. Needs Linux.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench import stores
from bench.figures import Figure, say
from bench.sessions import TOPICAL_CHAT
from bench.soak import lives
from bench.soak.replay import replay
from bench.soak.tables import figures


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--soak-sessions", type=int, default=20_000, metavar="N", help="sessions [%(default)s]")
    parser.add_argument("--store", choices=stores.KINDS, default=stores.KINDS[0], help="[%(default)s]")
    parser.add_argument("--soak-window", type=int, default=400, metavar="N", help="on their way at once [%(default)s]")
    parser.add_argument("--soak-every", type=float, default=5, metavar="S", help="seconds between samples [5]")
    parser.add_argument("--soak-set", action="append", default=[], metavar="KEY=VALUE", help="a setting; repeatable")
    parser.add_argument("--soak-samples", type=Path, metavar="FILE", help="write the samples there, a JSON line each")
    parser.add_argument("--soak-from", type=Path, default=TOPICAL_CHAT, metavar="FILE", help="a Topical-Chat file")


def measure(options: argparse.Namespace) -> list[Figure]:
    if not sys.platform.startswith("linux"):
        raise RuntimeError("the daemon is measured through /proc, which only Linux has")
    total = options.soak_sessions
    make, source = lives.maker(options.soak_from, total)
    with (
        tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch,
        stores.place(options.store, Path(scratch) / "home") as place,
    ):
        note = "; ".join([place.name, source, *options.soak_set])
        say(f"soak: {total:,} sessions on {note}")
        given = [part for setting in options.soak_set for part in ("--set", setting)]
        outcome = replay(place, make, total, given, window=options.soak_window, every=options.soak_every)
    if options.soak_samples:
        outcome.write(options.soak_samples)
    return figures(outcome, total, note)
