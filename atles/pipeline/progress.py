"""How far a training is: kept in a small file for other processes, said in the log now and then."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from atles.layout import Home, private

log = logging.getLogger("atles.progress")

_FILE_SECONDS = 0.5
_LOG_SECONDS = 20.0


class ProgressNote:
    """Call it with the progress events of a program: phase, step, steps, loss, tokens_per_second, eta_seconds."""

    def __init__(self, home: Home, also: Callable[[Mapping[str, Any]], None]) -> None:
        self._path = home.progress
        self._also = also
        self._filed = self._logged = 0.0
        self.clear()

    def __call__(self, event: Mapping[str, Any]) -> None:
        self._also(event)
        now = time.monotonic()
        if now - self._filed >= _FILE_SECONDS:
            self._filed = now
            # No fsync: it is worth nothing after a crash.
            temporary = self._path.with_suffix(".tmp")
            with open(temporary, "w", encoding="utf-8", opener=private) as file:
                json.dump({**event, "at": time.time()}, file)
            temporary.replace(self._path)
        if now - self._logged >= _LOG_SECONDS and "steps" in event:
            self._logged = now
            log.info("%s", describe(event))

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def describe(event: Mapping[str, Any]) -> str:
    """`train: step 12 of 60, loss 1.234, 230 tokens/s, 93 s left`."""
    parts = []
    if "steps" in event:
        parts.append(f"step {event.get('step', 0)} of {event['steps']}")
    if event.get("loss") is not None:
        parts.append(f"loss {event['loss']:.3f}")
    if event.get("tokens_per_second"):
        parts.append(f"{event['tokens_per_second']:.0f} tokens/s")
    if event.get("eta_seconds") is not None:
        parts.append(f"{event['eta_seconds']:.0f} s left")
    return f"{event.get('phase', 'working')}: {', '.join(parts) or 'begins'}"
