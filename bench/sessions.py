"""The sessions that the daemon is measured with: from a Topical-Chat file if there is one, else from examples/.

The Topical-Chat data is licensed for measuring only. What is made of it lies in a temporary folder that goes away.
"""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.figures import ROOT

MESSAGES = 6
TOPICAL_CHAT = ROOT.parent / "shared/data/topical_chat_test_freq.json"
EXAMPLES = ROOT / "examples/sessions"
BEGIN = datetime(2026, 9, 1, 9, tzinfo=UTC)


def make(file: Path, count: int) -> tuple[list[dict[str, Any]], str]:
    """`count` sessions of six messages, and in words where they come from."""
    if file.exists():
        chats, source = list(_topical_chat(file)), file.name
    else:
        chats, source = list(_examples()), f"examples/sessions, repeated under new ids, because {file} is not there"
    used = min(count, len(chats))
    sessions = [_session(number, chat) for number, chat in enumerate(itertools.islice(itertools.cycle(chats), count))]
    return sessions, f"{used} different chats of {source}"


def _topical_chat(file: Path) -> Iterator[list[tuple[str, str]]]:
    for conversation in json.loads(file.read_text("utf-8")).values():
        texts = [turn["message"] for turn in conversation["content"]]
        yield from _cut([("assistant" if number % 2 else "user", text) for number, text in enumerate(texts)])


def _examples() -> Iterator[list[tuple[str, str]]]:
    for path in sorted(EXAMPLES.glob("*.json")):
        messages = json.loads(path.read_text("utf-8"))["messages"]
        yield from _cut([(message["role"], message["content"]) for message in messages])


def _cut(messages: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for first in range(0, len(messages) - MESSAGES + 1, MESSAGES):
        yield messages[first : first + MESSAGES]


def _session(number: int, chat: list[tuple[str, str]]) -> dict[str, Any]:
    begin = BEGIN + timedelta(minutes=10 * number)
    times = [(begin + timedelta(seconds=20 * step)).isoformat() for step in range(len(chat))]
    return {
        "session_id": f"bench_{number:05d}",
        "start_time": times[0],
        "end_time": times[-1],
        "messages": [
            {"role": role, "content": text, "timestamp": at} for (role, text), at in zip(chat, times, strict=True)
        ],
        "metadata": {},
    }
