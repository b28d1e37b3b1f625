"""Exercises in answering from memory: invented people's notes as `with_memory` puts them, questions, and answers.

A small base model hardly reads what is put before a question. It practises that once, on these, and each of its
adapters begins from there. Nothing in them is about a user.
"""

import json
import random
from importlib.resources import files
from typing import Any

from atles.pipeline.injected import with_memory
from atles.records import Recalled

_SEED = 0


def exercises(most: int | None = None) -> list[dict[str, Any]]:
    """Conversations as `{"id", "messages"}`, the questions on the same notes one after another; always the same.

    `most`: only so many notes.
    """
    order = random.Random(_SEED)
    found = []
    lines = (files("atles") / "data" / "reading.jsonl").read_text("utf-8").split("\n")
    for number, line in enumerate(list(filter(None, lines))[:most]):
        exercise = json.loads(line)
        notes = [_note(*note) for note in order.sample(exercise["told"], len(exercise["told"]))]
        for place, (ask, answer) in enumerate(exercise["asks"]):
            messages = [*with_memory(ask, notes), {"role": "assistant", "content": answer}]
            found.append({"id": f"reading{number}.{place}", "messages": messages})
    return found


def _note(date: str, role: str, text: str) -> Recalled:
    since, _, until = date.partition(", until ")
    return Recalled("", "", role, text, since, 0.0, valid_to=until or None)
