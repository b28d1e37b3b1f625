"""The sessions/ folder: what lies there is stored and queued, then moved to processed/; or set aside, with the reason.

Knows files and the order of commits; what happens to a session afterwards is the caller's `first_job`.
"""

import errno
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from stat import S_ISREG

from atles.capture import session_file
from atles.capture.claim import Version, claim, give_back, seen, unclaimed, version
from atles.capture.quarantine import make_private, put_away, set_aside
from atles.errors import InvalidSession, SessionConflict
from atles.layout import (
    Home,
    NoPlainFile,
    is_session_file,
    make_folder,
    names,
    numbered,
    open_plain,
    sync_folder,
    write_anew,
)
from atles.queue import NewJob, Queue
from atles.records import Arrival, Session
from atles.store import Store

log = logging.getLogger("atles.inbox")

MOST_BYTES = 256 << 20  # of a session file: reading it takes several times as much memory
_COMPARED_BYTES = 1 << 20  # a larger one is written anew without being looked at: that takes less memory
_ID = re.compile(rb'"session_id"\s*:\s*(?:"[^"]|[-\d])')  # as it stands in a file that says whose it is

_Content = Callable[[], Iterable[bytes]]  # gives it as often as asked, in pieces


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
        self.unread: dict[Path, str] = {}  # cannot be read, with the error

    def take(self, path: Path) -> Arrival | None:
        """Store and queue one file, in one transaction; then move it away. None if nothing could be taken (yet).

        Taking a file twice changes nothing, so a crash between the commit and the move is harmless. One that was
        replaced or written anew meanwhile is not moved: it is there to be taken again.
        """
        stuck = self._stuck.get(path)
        try:
            if stuck and stuck.version == seen(path) and self._still_stuck(path, stuck):
                return None
            with open_plain(path) as file:
                state = os.fstat(file.fileno())
                data = file.read(state.st_size) if state.st_size <= MOST_BYTES else None
        except OSError as error:
            self._unreadable(path, error)
            return None
        self.unread.pop(path, None)
        try:
            if data is None:
                raise InvalidSession(f"it is larger than {MOST_BYTES >> 20} MiB; a session file holds one conversation")
            came = session_file.parse(data, unclaimed(path.name))
            if len(data) > _COMPARED_BYTES and not self._keep_raw:
                data = b""  # nobody compares it, and it is large
            session = self._scrub(came)
            with self._store.transaction():
                arrival, revision = self._store.sessions.add(session, self._heldout_every)
                if arrival is not Arrival.SAME:
                    self._queue.put(self._first_job(session, revision))
        except InvalidSession as error:
            # abs(): a file from the future is no file being written.
            if abs(self._clock() - state.st_mtime) < self._settle_seconds:
                return None
            self._set_aside(path, version(state), str(error))
            return None
        except SessionConflict as error:
            self._set_aside(path, version(state), str(error))
            return None
        log.info("session %s: %s, %d messages", session.session_id, arrival, len(session.messages))
        # By its session's name, whatever it was called: what is forgotten is looked for there.
        target = self._home.processed / self._home.completed(session.session_id).name
        content = self._kept(data, came, session, arrival)
        if content is None and state.st_nlink > 1:
            content = partial(iter, [data])  # a file of its own: the other names are not ours
        self._move(path, version(state), target, content=content)
        return arrival

    def _still_stuck(self, path: Path, stuck: "_Stuck") -> bool:
        """Whether that is all there is to do now. What was learned is taken anew, where it can be moved at last: some
        of it may be forgotten by now."""
        if not (_lets_in(path.parent) and _lets_in(stuck.target.parent)):
            return True
        if stuck.reason:
            self._move(path, stuck.version, stuck.target, stuck.reason)
        return bool(stuck.reason)

    def _unreadable(self, path: Path, error: OSError) -> None:
        """Set aside what never can be read; what may be later stays, and is tried again at each look."""
        if isinstance(error, NoPlainFile):
            reason = "it is no file"
        elif error.errno == errno.ELOOP:
            reason = "it is a link that leads to itself"
        elif isinstance(error, FileNotFoundError):
            self.unread.pop(path, None)
            self._stuck.pop(path, None)
            if not self._leads_nowhere(path):
                return  # it was taken by an earlier event
            reason = "it is a link, and what it leads to is not there"
        else:
            if self.unread.get(path) != str(error):
                log.error("cannot read %s: %s; it stays where it is, and is tried again", path.name, error)
            self.unread[path] = str(error)
            return
        try:
            state = path.stat()
        except OSError:
            with suppress(FileNotFoundError):  # somebody took it away
                self._set_aside(path, version(path.lstat()), reason)
        else:
            if not S_ISREG(state.st_mode):  # else a file came in its place just now
                self._set_aside(path, version(state), reason)

    def _leads_nowhere(self, path: Path) -> bool:
        """Whether it is a link, and the file that is meant has had its time to come."""
        try:
            return abs(self._clock() - path.lstat().st_mtime) >= self._settle_seconds
        except FileNotFoundError:
            return False

    def _kept(self, data: bytes, came: Session, session: Session, arrival: Arrival) -> _Content | None:
        """What the file is to hold from now on; None if that is what it holds. What is no part of the session is gone
        with it, be it a word that was taken out or a field that nobody knows."""
        stored = session if arrival is Arrival.NEW else self._store.sessions.get(session.session_id).session
        if any(message.is_forgotten for message in stored.messages):
            session = stored  # its client has sent again what was forgotten since
        elif self._keep_raw:
            session = came
        if session is came and (_ID.search(data) if self._keep_raw else _says_just(data, came)):
            return None
        return partial(_written, session)

    def waiting(self) -> bool:
        """Whether files are there that were not taken yet, and may be."""
        there = self._home.sessions.glob("completed_*.json")
        return any(not (path in self._stuck or path in self.unread) for path in there)

    def _set_aside(self, path: Path, was: Version, reason: str) -> None:
        log.warning("quarantined %s: %s", path.name, reason)
        self._move(path, was, self._home.quarantine / unclaimed(path.name), reason)

    def _move(self, path: Path, was: Version, wanted: Path, reason: str = "", content: _Content | None = None) -> None:
        """Move a file away, under that name or with a number after it, with other content if some is given, and with
        the reason beside it if there is one; or remember that it could not be. If it is what it was."""
        mine = path
        try:
            mine = claim(path)
            if seen(mine) != was:
                give_back(mine, path)
                self._stuck.pop(path, None)
                log.info("%s was written anew meanwhile; it is taken again", path.name)
                return
            if reason:
                set_aside(mine, wanted, reason)
            elif content is not None:
                _replace(mine, wanted, content)
            else:
                make_folder(wanted.parent)
                put_away(mine, wanted)
        except OSError as error:
            left, known = give_back(mine, path), self._stuck.pop(path, None)
            if os.path.lexists(left):
                if not known:
                    log.error("cannot move %s to %s/: %s; it is dealt with, and the move is tried again",
                              path.name, wanted.parent.name, error)  # fmt: skip
                self._stuck[left] = _Stuck(was, wanted, reason)
                return
        self._stuck.pop(path, None)


@dataclass(frozen=True, slots=True)
class _Stuck:
    """A file that was dealt with and cannot be moved to where it belongs."""

    version: Version
    target: Path
    reason: str


def unread(home: Home) -> dict[str, str]:
    """The files that wait to be taken and cannot be read, each with the error. Raises OSError."""
    found: dict[str, str] = {}
    for name in names(home.sessions):
        if is_session_file(name):
            try:
                open_plain(home.sessions / name).close()
            except (FileNotFoundError, NoPlainFile):
                continue
            except OSError as error:
                if error.errno != errno.ELOOP:
                    found[name] = error.strerror or str(error)
    return found


def _lets_in(folder: Path) -> bool:
    """Whether files can be put into a folder."""
    try:
        make_folder(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _says_just(data: bytes, session: Session) -> bool:
    """Whether that is the session and nothing else, as the tracker or `json.dumps` writes it."""
    if len(data) > _COMPARED_BYTES:
        return False
    # No text in JSON has an end of line in it.
    flat = data.rstrip().replace(b",\n", b", ").replace(b"\n", b"")
    said = session.as_json()
    return any(flat == json.dumps(said, ensure_ascii=it).encode("utf-8", "backslashreplace") for it in (False, True))


def _written(session: Session) -> Iterator[bytes]:
    """A session's file, in pieces. Its id is in it: its name may be another one now."""
    for piece in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(session.as_json()):
        yield piece.encode("utf-8", "backslashreplace")


def _replace(path: Path, wanted: Path, content: _Content) -> None:
    """Write this under that name, or the next that is free, and delete the file."""
    make_folder(wanted.parent)
    # It is there already where a kill came just before the file itself was deleted.
    target = next(it for it in numbered(wanted) if not os.path.lexists(it) or _holds(it, content))
    if os.path.lexists(target):
        make_private(target)
        sync_folder(wanted.parent)
    else:
        write_anew(target, content())
    path.unlink(missing_ok=True)


def _holds(path: Path, content: _Content) -> bool:
    """Whether that is all that is in a file."""
    try:
        with open_plain(path) as file:
            return all(file.read(len(piece)) == piece for piece in content()) and not file.read(1)
    except OSError:
        return False
