"""The sessions/ folder: what lies there is stored and queued, then moved to processed/; or set aside, with the reason.

Knows files and the order of commits; what happens to a session afterwards is the caller's `first_job`.
"""

import json
import logging
import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from atles.capture import session_file
from atles.capture.quarantine import put_away, set_aside
from atles.errors import InvalidSession, SessionConflict
from atles.layout import Home, make_folder, numbered, sync_folder, write_anew
from atles.queue import NewJob, Queue
from atles.records import Arrival, Session
from atles.store import Store

log = logging.getLogger("atles.inbox")

_ID = re.compile(rb'"session_id"\s*:\s*(?:"[^"]|[-\d])')  # as it stands in a file that says whose it is


class Inbox:
    """Takes session files. `settle_seconds`: how long a file that cannot be parsed may still be being written.

    `scrub` takes out what must not be stored; what it changed is changed in the file, too, unless `keep_raw`.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        queue: Queue,
        first_job: Callable[[Session, int], NewJob],
        *,
        heldout_every: int,
        settle_seconds: float,
        scrub: Callable[[Session], Session],
        keep_raw: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._home, self._store, self._queue, self._first_job = home, store, queue, first_job
        self._heldout_every, self._settle_seconds, self._clock = heldout_every, settle_seconds, clock
        self._scrub, self._keep_raw = scrub, keep_raw
        self._stuck: dict[Path, _Stuck] = {}  # dealt with, but still in the folder

    def take(self, path: Path) -> Arrival | None:
        """Store and queue one file, in one transaction; then move it away. None if nothing could be taken (yet).

        Taking a file twice changes nothing, so a crash between the commit and the move is harmless.
        """
        try:
            state = path.stat()
            stuck = self._stuck.get(path)
            if stuck and stuck.version == _version(state):
                self._move(path, stuck.target, stuck.reason, stuck.content)
                return None
            if not stat.S_ISREG(state.st_mode):  # reading a pipe would wait for whoever writes into it
                self._set_aside(path, "it is no file")
                return None
            data = path.read_bytes()
        except FileNotFoundError:
            if self._leads_nowhere(path):
                self._set_aside(path, "it is a link, and what it leads to is not there")
            return None  # or it was taken by an earlier event
        except OSError as error:
            log.error("cannot read %s: %s; it stays where it is", path.name, error)
            return None
        try:
            came = session_file.parse(data, path.name)
            session = self._scrub(came)
            with self._store.transaction():
                arrival, revision = self._store.sessions.add(session, self._heldout_every)
                if arrival is not Arrival.SAME:
                    self._queue.put(self._first_job(session, revision))
        except InvalidSession as error:
            # abs(): a file from the future is no file being written.
            if abs(self._clock() - state.st_mtime) < self._settle_seconds:
                return None
            self._set_aside(path, str(error))
            return None
        except SessionConflict as error:
            self._set_aside(path, str(error))
            return None
        log.info("session %s: %s, %d messages", session.session_id, arrival, len(session.messages))
        # By its session's name, whatever it was called: what is forgotten is looked for there.
        target = self._home.processed / self._home.completed(session.session_id).name
        self._move(path, target, content=self._kept(data, came, session, arrival))
        return arrival

    def _leads_nowhere(self, path: Path) -> bool:
        """Whether it is a link, and the file that is meant has had its time to come."""
        try:
            return abs(self._clock() - path.lstat().st_mtime) >= self._settle_seconds
        except FileNotFoundError:
            return False

    def _kept(self, data: bytes, came: Session, session: Session, arrival: Arrival) -> str | None:
        """What the file is to hold from now on; None if that is what it holds. The words that came are gone with it."""
        stored = session if arrival is Arrival.NEW else self._store.sessions.get(session.session_id).session
        if any(message.is_forgotten for message in stored.messages):
            session = stored  # its client has sent again what was forgotten since
        elif self._keep_raw:
            session = came
        if session is came and _ID.search(data):
            return None
        return json.dumps(session.as_json(), ensure_ascii=False, indent=2)  # its id, too: its name is another one now

    def waiting(self) -> bool:
        """Whether files are there that were not taken yet."""
        return any(path not in self._stuck for path in self._home.sessions.glob("completed_*.json"))

    def _set_aside(self, path: Path, reason: str) -> None:
        log.warning("quarantined %s: %s", path.name, reason)
        self._move(path, self._home.quarantine / path.name, reason)

    def _move(self, path: Path, wanted: Path, reason: str = "", content: str | None = None) -> None:
        """Move a file away, under that name or with a number after it, with other content if some is given, and with
        the reason beside it if there is one; or remember that it could not be."""
        try:
            if reason:
                set_aside(path, wanted, reason)
            elif content is not None:
                _replace(path, wanted, content)
            else:
                make_folder(wanted.parent)
                put_away(path, wanted)
        except OSError as error:
            if path.exists():
                if path not in self._stuck:
                    log.error("cannot move %s to %s/: %s; it is dealt with, and the move is tried again",
                              path.name, wanted.parent.name, error)  # fmt: skip
                self._stuck[path] = _Stuck(_version(path.stat()), wanted, reason, content)
                return
        self._stuck.pop(path, None)


@dataclass(frozen=True, slots=True)
class _Stuck:
    """A file that was dealt with and cannot be moved to where it belongs."""

    version: tuple[int, int]
    target: Path
    reason: str
    content: str | None = field(repr=False)


def _replace(path: Path, wanted: Path, content: str) -> None:
    """Write this under that name, or the next that is free, and delete the file."""
    make_folder(wanted.parent)
    # It is there already where a kill came just before the file itself was deleted.
    target = next(it for it in numbered(wanted) if not os.path.lexists(it) or _holds(it, content))
    written = None
    if os.path.lexists(target):
        sync_folder(wanted.parent)
    else:
        written = write_anew(target, content)
    try:
        path.unlink(missing_ok=True)
    except OSError:
        if written:  # or every further try would leave one more
            with suppress(OSError):
                written.unlink()
        raise


def _holds(path: Path, content: str) -> bool:
    """Whether that is all that is in a file."""
    try:
        return path.read_bytes() == content.encode("utf-8", "backslashreplace")
    except OSError:
        return False


def _version(state: os.stat_result) -> tuple[int, int]:
    """Tells whether a file has been written anew."""
    return state.st_mtime_ns, state.st_size
