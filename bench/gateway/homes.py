"""Homes for the gateway: one that remembers 100,000 turns, and what a home has recorded in the end. Knows no HTTP."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from atles.capture.journal import read
from atles.layout import Home
from atles.pipeline.memory import MemoryProcessor
from atles.store.database import SCHEMA_VERSION
from bench.figures import say
from bench.recall.made import TURNS, Maker

_BATCH = 500  # sessions that are indexed at once


def remembering(home: Home, cache: Path, session: Maker, source: str, turns: int) -> None:
    """Give a home a store with so many turns, made when it is first wanted."""
    digest = hashlib.sha256(f"{source} {TURNS}".encode()).hexdigest()[:12]
    kept = cache / f"turns-{turns}-{digest}-schema-{SCHEMA_VERSION}.db"
    if not kept.exists():
        say(f"gateway: {turns:,} turns are stored, once, in {kept}")
        cache.mkdir(parents=True, exist_ok=True)
        making = kept.with_suffix(".part")
        making.unlink(missing_ok=True)
        memory = MemoryProcessor(making)
        for first in range(0, turns // TURNS, _BATCH):
            memory.index(session(number) for number in range(first, min(first + _BATCH, turns // TURNS)))
        memory.store.close()  # the last connection writes the log into the file
        making.replace(kept)
    shutil.copyfile(kept, home.create().database)


def answered(home: Home) -> set[str]:
    """Every question that lies in a home's sessions, in progress or completed, with an answer after it."""
    found: set[str] = set()
    for path in home.open_sessions.glob("*.jsonl"):
        found |= _answered(read(path.read_bytes()).messages)
    for path in home.sessions.glob("completed_*.json"):
        found |= _answered(json.loads(path.read_text("utf-8"))["messages"])
    return found


def _answered(messages: Iterable[dict[str, Any]]) -> set[str]:
    found, asked = set(), ""
    for message in messages:
        if message["role"] == "user":
            asked = message["content"]
        elif message["role"] == "assistant" and message["content"] and asked:
            found.add(asked)
            asked = ""
    return found
