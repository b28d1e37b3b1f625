"""Sessions whose host was killed or went quiet: their journals become completed files.
Knows journals and time, never what is learned.

A kill between any two operations here is harmless. A journal is first renamed aside, and a tracker that
goes on notices that (see `journal.Journal.flush`); what was renamed aside is finished by the next call;
and the file of a session that was written twice holds nothing new for the daemon.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from atles.capture.journal import Recorded, read
from atles.capture.outbox import hand_over
from atles.capture.quarantine import set_aside
from atles.clock import new_id, timestamp
from atles.layout import Home, NoPlainFile, read_plain

TAKEN = ".closing"
_log = logging.getLogger(__name__)


class Quiet:
    """How long nothing was added to files, in seconds that this process lived through.

    What lay there at the first look is as old as the clock says; from then on, neither a clock that is set nor a
    machine that slept makes a file older. So nobody's chat is closed at the moment of waking.
    """

    def __init__(self, wall: Callable[[], float] = time.time, awake: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._awake = wall, awake
        self._since: dict[Path, tuple[tuple[int, int], float]] = {}  # version, and since when it is so (awake)
        self._looked = -math.inf

    def seconds(self, paths: Iterable[Path]) -> Mapping[Path, float]:
        """Of all files that are watched: how long each has been as it is. One that is not there is left out."""
        here, now = self._awake(), self._wall()
        since: dict[Path, tuple[tuple[int, int], float]] = {}
        for path in paths:
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            version = state.st_mtime_ns, state.st_size
            known = self._since.get(path)
            if known and known[0] == version:
                since[path] = known
            else:  # at most since the last look, which saw it otherwise
                since[path] = version, max(here - max(0.0, now - state.st_mtime), self._looked)
        self._since, self._looked = since, here
        return {path: here - begin for path, (_, begin) in since.items()}


def close_abandoned(
    home: Home, idle_seconds: float, now: Callable[[], float] = time.time, quiet: Quiet | None = None
) -> list[Path]:
    """Complete every session that nothing was added to for `idle_seconds`; returns the completed files.

    Who calls this again and again hands over the same `quiet` each time; without one, the clock counts. What cannot be
    written is logged and tried again by the next call.
    """
    quiet = quiet or Quiet(now)
    completed: list[Path] = []
    for taken in [*sorted(home.open_sessions.glob(f"*{TAKEN}")), *_take(home, idle_seconds, quiet)]:
        try:
            path = _close(home, taken)
        except OSError as error:
            _log.warning("the abandoned session in %s cannot be closed yet: %s", taken, error)
            continue
        if path is not None:
            completed.append(path)
    return completed


def _take(home: Home, idle_seconds: float, quiet: Quiet) -> Iterator[Path]:
    """Rename each journal that nothing was added to for so long, and give its new path."""
    for path, seconds in quiet.seconds(sorted(home.open_sessions.glob("*.jsonl"))).items():
        if seconds < idle_seconds:
            continue
        # A name of its own: the session may go on, and be abandoned once more, before this one is closed.
        taken = path.with_name(f"{path.stem}.{new_id()}{TAKEN}")
        try:
            path.rename(taken)
        except FileNotFoundError:
            continue  # its tracker ended the session just now
        except OSError as error:
            _log.warning("the abandoned session in %s cannot be closed yet: %s", path, error)
            continue
        yield taken


def _close(home: Home, taken: Path) -> Path | None:
    try:
        return complete(home, taken)
    except (ValueError, NoPlainFile) as error:
        set_aside(taken, home.quarantine / taken.name, f"the journal of an abandoned session cannot be read: {error}")
        _log.warning("%s is in %s: %s", taken.name, home.quarantine, error)
        return None


def complete(home: Home, taken: Path) -> Path | None:
    """Hand over what a journal holds that nobody writes to any more, and delete it; the completed file, or None where
    there is nothing to learn from. Raises ValueError where none of its lines says which session it is; NoPlainFile;
    OSError."""
    data = read_plain(taken)
    written = taken.stat().st_mtime
    completed = None
    if data.strip():
        recorded = read(data)
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
