"""What recall costs at 10,000, 100,000 and 1,000,000 turns: CPU of a question and of indexing, and room on the disk.

One store of one user grows from size to size through the public `MemoryProcessor`, without an embedder; at each size,
questions are asked about turns it holds. A message is one of Topical-Chat (measuring only; nothing of it is kept) with
three words in ten exchanged for words drawn as often as they are used, so that all messages differ and words stay as
common as they are in English. New words do not come in as a history grows: a common word is as common as in the first
turns, which is the harder case for looking up.
"""

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atles.pipeline.memory import MemoryProcessor
from atles.pipeline.recall import STOP_WORDS
from atles.settings import ScrubSettings, Settings
from atles.store.turns import words
from bench.figures import Figure, percentile, say
from bench.sessions import EXAMPLES, TOPICAL_CHAT

_TURNS = 10  # of a session
_BATCH = 500  # sessions that are indexed at once, in one transaction
_EXCHANGED = 0.3  # of a message's words
_QUESTIONS = 60  # per size
_RECALLED = 5
_BEGIN = datetime(2016, 1, 1, 9, tzinfo=UTC)
_TARGETS = {10_000: 3.0, 100_000: 15.0, 1_000_000: 60.0}  # CPU ms, p50
_ASKED = (
    "what did I say about {} and {}?",
    "when did we talk about {} and {}?",
    "do you remember the {} and the {} {}?",
    "who told me about {} with the {}?",
    "how many {} were there at the {} {}?",
)


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--scale-turns", type=_sizes, default=tuple(_TARGETS), metavar="N,N", help="sizes  [10000,100000,1000000]"
    )
    parser.add_argument("--scale-from", type=Path, default=TOPICAL_CHAT, metavar="FILE", help="a Topical-Chat file")


def measure(options: argparse.Namespace) -> list[Figure]:
    texts, source = _texts(options.scale_from)
    session = _maker(texts)
    figures: list[Figure] = []
    costs, made = [], 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "atles.db"
        memory = MemoryProcessor(path)
        for size in options.scale_turns:
            cpu, before = 0.0, made
            while made * _TURNS < size:
                upto = min(made + _BATCH, -(-size // _TURNS))
                batch = [session(number) for number in range(made, upto)]
                began = time.process_time()
                memory.index(batch)
                cpu += time.process_time() - began
                made = upto
            if made == before:
                continue
            costs.append((1000 * cpu / (made - before) / _TURNS, before * _TURNS, made * _TURNS))
            say(f"{size:,} turns: indexed, {costs[-1][0]:.3f} CPU s per 1,000")
            figures += _ask(memory, [_question(session, made, n) for n in range(_QUESTIONS)], size)
        memory.store.close()  # the last connection writes the log into the file
        megabytes = path.stat().st_size / 1e6
        bare = MemoryProcessor(Path(folder) / "bare.db", settings=Settings(scrub=ScrubSettings(level="off")))
        batch = [session(number) for number in range(2 * _BATCH)]
        began = time.process_time()
        bare.index(batch)
        unscrubbed = 1000 * (time.process_time() - began) / len(batch) / _TURNS
        bare.store.close()
    cost, low, high = costs[min(1, len(costs) - 1)]
    size = 1000 * megabytes / made / _TURNS
    return [
        *figures,
        Figure("indexing, per 1,000 turns", cost, "CPU s", 0.05, f"from {low:,} to {high:,} turns"),
        Figure("indexing, per 1,000 turns, without scrubbing", unscrubbed, "CPU s", note="the first 10,000 turns"),
        Figure("database, per 1,000 turns", size, "MB", 0.7, f"{megabytes:,.0f} MB in all; from {source}"),
    ]


def _ask(memory: MemoryProcessor, questions: list[str], size: int) -> list[Figure]:
    memory.recall(questions[0], _RECALLED)  # what is loaded once does not count
    spent, empty = [], 0
    for question in questions:
        began = time.process_time()
        hits = memory.recall(question, _RECALLED)
        spent.append(1000 * (time.process_time() - began))
        empty += not hits
    note = f"{len(questions)} questions" + f", {empty} without an answer" * (empty > 0)
    return [
        Figure(f"question at {size:,} turns, p50", percentile(spent, 0.5), "CPU ms", _TARGETS.get(size), note),
        Figure(f"question at {size:,} turns, p95", percentile(spent, 0.95), "CPU ms"),
    ]


def _question(session: Callable[[int], dict[str, Any]], sessions: int, number: int) -> str:
    """A question in words of some turn that is stored."""
    drawn = random.Random(f"question {number} of {sessions}")
    form = _ASKED[number % len(_ASKED)]
    while True:
        turn = drawn.choice(session(drawn.randrange(sessions))["messages"])
        said = [word for word in dict.fromkeys(words(turn["content"])) if word not in STOP_WORDS and len(word) > 2]
        if len(said) >= form.count("{}"):
            return form.format(*drawn.sample(said, form.count("{}")))


def _maker(texts: list[str]) -> Callable[[int], dict[str, Any]]:
    """Makes the session of a number: the same one whenever it is asked for."""
    split = [text.split() for text in texts]
    pool = list(itertools.chain.from_iterable(split))

    def make(number: int) -> dict[str, Any]:
        drawn = random.Random(number)
        begin = _BEGIN + timedelta(minutes=30 * number)
        messages = []
        for place in range(_TURNS):
            text = " ".join(drawn.choice(pool) if drawn.random() < _EXCHANGED else word for word in drawn.choice(split))
            messages.append(
                {
                    "role": "assistant" if place % 2 else "user",
                    "content": text,
                    "timestamp": (begin + timedelta(seconds=20 * place)).isoformat(),
                }
            )
        return {"session_id": f"scale_{number:07d}", "start_time": messages[0]["timestamp"], "messages": messages}

    return make


def _texts(file: Path) -> tuple[list[str], str]:
    """What the messages are made from, and in words where it comes from."""
    found = list(_topical_chat(file) if file.exists() else _examples())
    source = file.name if file.exists() else f"examples/sessions, because {file} is not there"
    return [text for text in found if text.strip()], f"{len(found):,} messages of {source}"


def _topical_chat(file: Path) -> Iterator[str]:
    for conversation in json.loads(file.read_text("utf-8")).values():
        yield from (turn["message"] for turn in conversation["content"])


def _examples() -> Iterator[str]:
    for path in sorted(EXAMPLES.glob("*.json")):
        yield from (message["content"] for message in json.loads(path.read_text("utf-8"))["messages"])


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(size) for size in text.split(",")}))
