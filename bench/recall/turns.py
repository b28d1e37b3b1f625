"""What recall costs at 10,000, 100,000 and 1,000,000 turns: CPU of a question and of indexing, and room on the disk.

One store of one user grows from size to size through the public `MemoryProcessor`, without an embedder; at each size,
questions are asked about turns it holds. What is said in them stands in made.py.
"""

import argparse
import tempfile
import time
from pathlib import Path

from atles.pipeline.memory import MemoryProcessor
from atles.settings import ScrubSettings, Settings
from bench.figures import Figure, percentile, say
from bench.recall.made import TURNS, maker, question, texts
from bench.sessions import TOPICAL_CHAT

_BATCH = 500  # sessions that are indexed at once, in one transaction
_QUESTIONS = 60  # per size
_RECALLED = 5
_TARGETS = {10_000: 3.0, 100_000: 15.0, 1_000_000: 60.0}  # CPU ms, p50


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--turns", type=_sizes, default=tuple(_TARGETS), metavar="N,N", help="sizes  [10000,100000,1000000]"
    )
    parser.add_argument("--turns-from", type=Path, default=TOPICAL_CHAT, metavar="FILE", help="a Topical-Chat file")


def measure(options: argparse.Namespace) -> list[Figure]:
    said, source = texts(options.turns_from)
    session = maker(said)
    figures: list[Figure] = []
    costs, made = [], 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "atles.db"
        memory = MemoryProcessor(path)
        for size in options.turns:
            cpu, before = 0.0, made
            while made * TURNS < size:
                upto = min(made + _BATCH, -(-size // TURNS))
                batch = [session(number) for number in range(made, upto)]
                began = time.process_time()
                memory.index(batch)
                cpu += time.process_time() - began
                made = upto
            if made == before:
                continue
            costs.append((1000 * cpu / (made - before) / TURNS, before * TURNS, made * TURNS))
            say(f"{size:,} turns: indexed, {costs[-1][0]:.3f} CPU s per 1,000")
            figures += _ask(memory, [question(session, made, n) for n in range(_QUESTIONS)], size)
        memory.store.close()  # the last connection writes the log into the file
        megabytes = path.stat().st_size / 1e6
        bare = MemoryProcessor(Path(folder) / "bare.db", settings=Settings(scrub=ScrubSettings(level="off")))
        batch = [session(number) for number in range(2 * _BATCH)]
        began = time.process_time()
        bare.index(batch)
        unscrubbed = 1000 * (time.process_time() - began) / len(batch) / TURNS
        bare.store.close()
    cost, low, high = costs[min(1, len(costs) - 1)]
    size = 1000 * megabytes / made / TURNS
    return [
        *figures,
        Figure("indexing, per 1,000 turns", cost, "CPU s", 0.05, f"from {low:,} to {high:,} turns"),
        Figure("indexing, per 1,000 turns, without scrubbing", unscrubbed, "CPU s", note="the first 10,000 turns"),
        Figure("database, per 1,000 turns", size, "MB", 0.7, f"{megabytes:,.0f} MB in all; from {source}"),
    ]


def _ask(memory: MemoryProcessor, questions: list[str], size: int) -> list[Figure]:
    memory.recall(questions[0], _RECALLED)  # what is loaded once does not count
    spent, empty = [], 0
    for asked in questions:
        began = time.process_time()
        hits = memory.recall(asked, _RECALLED)
        spent.append(1000 * (time.process_time() - began))
        empty += not hits
    note = f"{len(questions)} questions" + f", {empty} without an answer" * (empty > 0)
    return [
        Figure(f"question at {size:,} turns, p50", percentile(spent, 0.5), "CPU ms", _TARGETS.get(size), note),
        Figure(f"question at {size:,} turns, p95", percentile(spent, 0.95), "CPU ms"),
    ]


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(size) for size in text.split(",")}))
