"""Finished sessions on their way to `sessions/completed_*.json`. Knows files and failures, not messages.

Nothing here raises into the host. A session that cannot be written (no folder, read-only, disk full) waits
in this process and is tried again: at the next call of any tracker, every few seconds, and at exit.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from atles.layout import Home, make_folder, take_name, write_anew

if TYPE_CHECKING:
    import logging

RETRY_SECONDS = 3.0

_waiting: "list[Finished]" = []
_delivering = threading.Lock()  # held by whoever works on _waiting
_starting = threading.Lock()
_thread: threading.Thread | None = None
_exiting = False
_complained: set[tuple[str, int | None]] = set()


class Finished:
    """A session that ended: the text of its file, and the journal that the file replaces."""

    __slots__ = ("home", "journal", "session_id", "text")

    def __init__(self, home: Home, session_id: str, text: str, journal: Path | None) -> None:
        self.home = home
        self.session_id = session_id
        self.text = text
        self.journal = journal

    def write(self) -> Path:
        path = hand_over(self.home, self.session_id, self.text)
        if self.journal is not None:
            self.journal.unlink(missing_ok=True)
        return path


def hand_over(home: Home, session_id: str, text: str) -> Path:
    """Write a completed file. Raises OSError.

    Once a completed file has its name it belongs to the daemon, which may be reading it: it is never
    overwritten, by whichever process. A second file for the same session gets a name of its own, and the daemon
    compares them.
    """
    path = home.completed(session_id)
    make_folder(path.parent)
    path = write_anew(path, text)
    _announce(path)
    return path


def bring_in(home: Home, file: Path, name: str) -> Path:
    """Move a file into sessions/, under that name or the next that is free; which. Raises OSError."""
    make_folder(home.sessions)
    path = take_name(file, home.sessions / name)
    _announce(path)
    return path


def _announce(path: Path) -> None:
    """Tell the daemon of a file at once. What came by a hard link was neither closed there nor moved in, which are the
    events that it waits for (`monitor`)."""
    with suppress(OSError):  # the daemon was faster; or it finds it by looking
        if sys.platform == "linux" and path.is_file():
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def deliver(finished: Finished) -> Path | None:
    """Write a finished session now, or None: it waits then."""
    try:
        path = finished.write()
    except OSError as error:
        complain(finished.home, error)
        _waiting.append(finished)
        _keep_trying()
        return None
    settled(finished.home)
    return path


def retry(patience: float = 0) -> None:
    """Write what waits, oldest first; of each home up to the first failure, so that a host's call stays short.

    Where another thread is at it already, this waits for `patience` seconds and then leaves it to that thread.
    """
    if not _waiting or not _delivering.acquire(timeout=patience):
        return
    broken: set[Path] = set()
    try:
        for finished in _waiting.copy():
            if finished.home.root in broken:
                continue
            try:
                finished.write()
            except OSError as error:
                complain(finished.home, error)
                broken.add(finished.home.root)
            else:
                _waiting.remove(finished)
                settled(finished.home)
    finally:
        _delivering.release()


def last_try() -> None:
    """At exit: write what waits, and say what could not be written."""
    global _exiting
    _exiting = True
    retry(patience=RETRY_SECONDS)
    for finished in _waiting:
        kept = finished.journal is not None and os.path.exists(finished.journal)  # noqa: PTH110  # never raises
        fate = f"its journal {finished.journal} is left for the daemon" if kept else "it is lost"
        log().error("session %s could not be written before exit: %s", finished.session_id, fate)


def complain(home: Home, error: OSError) -> None:
    """Log a failure, once per cause and home until writing works again."""
    cause = (str(home.root), error.errno)
    if cause not in _complained:
        _complained.add(cause)
        log().warning("cannot write below %s (%s); kept in memory, written later", home.root, error)


def settled(home: Home) -> None:
    """Writing works (again)."""
    if not _complained:
        return
    causes = {cause for cause in _complained.copy() if cause[0] == str(home.root)}
    if causes:
        _complained.difference_update(causes)
        log().warning("writing below %s works again", home.root)


def log() -> "logging.Logger":
    import logging  # costs more than all the rest of the tracker, and is seldom needed

    return logging.getLogger("atles.tracker")


def _keep_trying() -> None:
    global _thread
    with _starting:
        if _exiting or (_thread is not None and _thread.is_alive()):
            return
        thread = threading.Thread(target=_until_empty, name="atles-outbox", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the host is out of threads, or ending: its next call tries again
            log().warning("cannot retry in the background: %s", error)
        else:
            _thread = thread


def _until_empty() -> None:
    global _thread
    while True:
        time.sleep(RETRY_SECONDS)
        retry()
        with _starting:
            if not _waiting:
                _thread = None
                return


def forget() -> None:
    """In a forked child: what waits is the parent's to write, and its locks may be held for ever."""
    global _delivering, _starting, _thread
    _waiting.clear()
    _delivering, _starting, _thread = threading.Lock(), threading.Lock(), None
