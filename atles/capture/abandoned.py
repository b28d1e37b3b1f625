"""Sessions whose host was killed or went quiet: their journals become completed files.
Knows journals and time, never what is learned.

A kill between any two operations here is harmless. A journal is first renamed aside, and a tracker that
goes on notices that (see `journal.Journal.flush`); what was renamed aside is finished by the next call;
and the file of a session that was written twice holds nothing new for the daemon.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from atles.capture.journal import Recorded, read
from atles.capture.outbox import hand_over
from atles.clock import new_id, timestamp
from atles.layout import Home, write_atomic

_TAKEN = ".closing"
_log = logging.getLogger(__name__)


def close_abandoned(home: Home, idle_seconds: float, now: Callable[[], float] = time.time) -> list[Path]:
    """Complete every session that nothing was added to for `idle_seconds`; returns the completed files.

    What cannot be written is logged and tried again by the next call.
    """
    completed: list[Path] = []
    for taken in [*sorted(home.open_sessions.glob(f"*{_TAKEN}")), *_take(home, now() - idle_seconds)]:
        try:
            path = _close(home, taken)
        except OSError as error:
            _log.warning("the abandoned session in %s cannot be closed yet: %s", taken, error)
            continue
        if path is not None:
            completed.append(path)
    return completed


def _take(home: Home, before: float) -> Iterator[Path]:
    """Rename each journal last written before that moment, and give its new path."""
    for path in sorted(home.open_sessions.glob("*.jsonl")):
        # A name of its own: the session may go on, and be abandoned once more, before this one is closed.
        taken = path.with_name(f"{path.stem}.{new_id()}{_TAKEN}")
        try:
            if path.stat().st_mtime > before:
                continue
            path.rename(taken)
        except FileNotFoundError:
            continue  # its tracker ended the session just now
        except OSError as error:
            _log.warning("the abandoned session in %s cannot be closed yet: %s", path, error)
            continue
        yield taken


def _close(home: Home, taken: Path) -> Path | None:
    """The completed file, or None where there is nothing to learn from."""
    data = taken.read_bytes()
    written = taken.stat().st_mtime
    completed = None
    if data.strip():
        try:
            recorded = read(data)
        except ValueError as error:
            _quarantine(home, taken, f"the journal of an abandoned session cannot be read: {error}")
            return None
        if recorded.torn:
            _log.warning("%d torn lines skipped in the journal of %s", recorded.torn, recorded.session_id)
        if recorded.messages:
            completed = hand_over(home, recorded.session_id, _text(recorded, written))
            _log.info("session %s: abandoned, %d messages", recorded.session_id, len(recorded.messages))
    taken.unlink(missing_ok=True)
    return completed


def _text(recorded: Recorded, written: float) -> str:
    session = {
        "session_id": recorded.session_id,
        "start_time": recorded.start_time,
        "end_time": timestamp(datetime.fromtimestamp(written, UTC)),
        "messages": recorded.messages,
        "metadata": {**recorded.metadata, "closed_by": "idle"},
    }
    return json.dumps(session, ensure_ascii=False) + "\n"


def _quarantine(home: Home, taken: Path, reason: str) -> None:
    home.quarantine.mkdir(parents=True, exist_ok=True)
    # The reason first: a kill in between leaves the journal where the next call finds it.
    write_atomic(home.quarantine / f"{taken.name}.reason.txt", reason + "\n")
    taken.replace(home.quarantine / taken.name)
    _log.warning("%s is in %s: %s", taken.name, home.quarantine, reason)
