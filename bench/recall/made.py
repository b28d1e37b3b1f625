"""Histories of any length that differ in every message, and questions in words of what they hold. Knows no store.

A message is one of Topical-Chat (measuring only; nothing of it is kept) with three words in ten exchanged for words
drawn as often as they are used, so that all messages differ and words stay as common as they are in English. New words
do not come in as a history grows: a common word is as common as in the first turns, which is the harder case for
looking up.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atles.pipeline.recall import STOP_WORDS
from atles.store.turns import words
from bench.sessions import EXAMPLES

TURNS = 10  # of a session
_EXCHANGED = 0.3  # of a message's words
_BEGIN = datetime(2016, 1, 1, 9, tzinfo=UTC)
_ASKED = (
    "what did I say about {} and {}?",
    "when did we talk about {} and {}?",
    "do you remember the {} and the {} {}?",
    "who told me about {} with the {}?",
    "how many {} were there at the {} {}?",
)

Maker = Callable[[int], dict[str, Any]]


def question(session: Maker, sessions: int, number: int) -> str:
    """A question in words of some turn of the first `sessions`."""
    drawn = random.Random(f"question {number} of {sessions}")
    form = _ASKED[number % len(_ASKED)]
    while True:
        turn = drawn.choice(session(drawn.randrange(sessions))["messages"])
        said = [word for word in dict.fromkeys(words(turn["content"])) if word not in STOP_WORDS and len(word) > 2]
        if len(said) >= form.count("{}"):
            return form.format(*drawn.sample(said, form.count("{}")))


def maker(texts: list[str]) -> Maker:
    """Makes the session of a number: the same one whenever it is asked for."""
    split = [text.split() for text in texts]
    pool = list(itertools.chain.from_iterable(split))

    def make(number: int) -> dict[str, Any]:
        drawn = random.Random(number)
        begin = _BEGIN + timedelta(minutes=30 * number)
        messages = []
        for place in range(TURNS):
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


def texts(file: Path) -> tuple[list[str], str]:
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
