"""SessionTracker: what a chat application calls. Knows what is said in a session; never breaks its host.

    with SessionTracker() as tracker:
        tracker.log_message("user", "Hello")
        tracker.log_message("assistant", "Hi there!")

Every message is journaled as it comes, so a host that is killed loses none: the daemon closes the session
later. Whatever goes wrong with the disk is logged (logger `atles.tracker`, once per cause), kept in memory
and written when that works again. Standard library only, and little of it, so that the import is cheap.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from atles.capture import outbox
from atles.capture.open_session import OpenSession, as_json, tidy
from atles.capture.outbox import Finished
from atles.clock import timestamp
from atles.layout import Home, default_home


class SessionTracker:
    """Records one session at a time: one tracker per conversation. Any thread may call any method.

    `auto_start_daemon` starts the home's background daemon, once per process; it outlives the host.
    """

    def __init__(self, auto_start_daemon: bool = False, home: Path | str | None = None) -> None:
        # Absolute: a host that changes its folder in mid-session keeps writing to the same place.
        self.home = Home(Path(home if home is not None else default_home()).absolute())
        self._current: OpenSession | None = None
        self._lock = threading.RLock()  # re-entrant: a host's log handler or signal handler may log a message
        _trackers.add(self)
        if auto_start_daemon:
            _start_daemon(self.home)

    def start_session(self, session_id: str | None = None, metadata: Mapping[str, Any] | None = None) -> str:
        """Begin a session and return its id; a session in progress is ended first.

        With the id of a session that never ended (its host was killed, and the daemon has not closed it
        yet) that session goes on: its messages so far count, and its start time stays. The id of an *ended*
        session is another matter: a second file under it is learned only if it repeats all of the first.
        """
        with self._lock:
            self.end_session()
            self._current = session = OpenSession.begin(self.home, session_id, metadata)
            _in_progress.add(self)
            session.flush()
            return session.session_id

    def log_message(self, role: str, content: Any, metadata: Mapping[str, Any] | None = None, **extra: Any) -> None:
        """Add a message; without a session, one is started.

        `content` is text, a list of parts, None or any JSON value. Other keys of the message (`tool_calls`,
        `tool_call_id`, `name`, a `timestamp` of your own) are kept as they are given.
        """
        message = {"role": role, "content": content, "timestamp": timestamp(), **extra}
        if metadata is not None:
            message["metadata"] = metadata
        text = as_json(message)
        with self._lock:
            session = self._current or self._begin()
            session.add(text)
            session.flush()
        outbox.retry()

    def set_metadata(self, key: str, value: Any) -> None:
        """Set one item of the session's metadata; without a session, one is started."""
        item = tidy({key: value})
        with self._lock:
            session = self._current or self._begin()
            session.set_metadata(item)
            session.flush()
        outbox.retry()

    def end_session(self) -> Path | None:
        """Hand the session over to the daemon and return its file.

        None if there is no session, or if it cannot be written yet: then it is kept and written later.
        """
        with self._lock:
            session, self._current = self._current, None
            _in_progress.discard(self)
        outbox.retry()
        return outbox.deliver(session.finished()) if session is not None else None

    def get_current_session_id(self) -> str | None:
        session = self._current
        return session.session_id if session is not None else None

    def get_message_count(self) -> int:
        session = self._current
        return len(session.messages) if session is not None else 0

    def __enter__(self) -> "SessionTracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_session()

    def _begin(self) -> "OpenSession":
        self.start_session()
        assert self._current is not None
        return self._current

    def _forget(self) -> None:
        """In a forked child: the session is the parent's, and a thread that is gone may hold the lock."""
        self._lock = threading.RLock()
        self._current = None


# The tracker of the process, for hosts that hold one conversation at a time.


def get_tracker(auto_start: bool = False) -> SessionTracker:
    """The process-wide tracker of the default home."""
    global _default
    with _making_default:
        if _default is None:
            _default = SessionTracker()
    if auto_start:
        _start_daemon(_default.home)
    return _default


def track_user_message(content: Any, metadata: Mapping[str, Any] | None = None) -> None:
    get_tracker().log_message("user", content, metadata)


def track_assistant_message(content: Any, metadata: Mapping[str, Any] | None = None) -> None:
    get_tracker().log_message("assistant", content, metadata)


def start_tracked_session(session_id: str | None = None, metadata: Mapping[str, Any] | None = None) -> str:
    return get_tracker().start_session(session_id, metadata)


def end_tracked_session() -> Path | None:
    return get_tracker().end_session()


def mark_session_complete(
    session_id: str, session_data: Mapping[str, Any], home: Path | str | None = None
) -> Path | None:
    """Hand over a session that the host recorded itself, as `{"messages": […], "metadata": {…}, …}`.

    None if it cannot be written yet: then it is kept and written later.
    """
    now = timestamp()
    data = {"start_time": now, "end_time": now, "messages": [], "metadata": {}, **session_data}
    text = as_json({**data, "session_id": str(session_id)}) + "\n"
    root = Path(home if home is not None else default_home()).absolute()
    outbox.retry()
    return outbox.deliver(Finished(Home(root), str(session_id), text, journal=None))


_trackers: "weakref.WeakSet[SessionTracker]" = weakref.WeakSet()
_in_progress: set[SessionTracker] = set()  # keeps a tracker alive until its session ends, if need be at exit
_default: SessionTracker | None = None
_making_default = threading.Lock()
_daemons_started: set[str] = set()


def _start_daemon(home: Home) -> None:
    """`atles start` for this home, without waiting for it; a failure is logged."""
    root = str(home.root)
    if root in _daemons_started:
        return
    _daemons_started.add(root)
    import subprocess
    import sys

    command = [sys.executable, "-m", "atles", "--home", root, "start"]
    try:
        # No pipes: the daemon would inherit them. Its own session: Ctrl-C in the host is not meant for it.
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        threading.Thread(target=_reap, args=(process, command), name="atles-start", daemon=True).start()
    except (OSError, RuntimeError) as error:  # RuntimeError: the host is out of threads
        outbox.log().warning("cannot start the daemon of %s: %s", root, error)


def _reap(process: Any, command: list[str]) -> None:
    if process.wait() != 0:
        outbox.log().warning("`%s` failed with exit code %d", " ".join(command), process.returncode)


def _at_exit() -> None:
    for tracker in list(_in_progress):
        tracker.end_session()
    outbox.last_try()


def _after_fork() -> None:
    global _making_default
    _making_default = threading.Lock()
    _in_progress.clear()
    for tracker in _trackers:
        tracker._forget()
    outbox.forget()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)
