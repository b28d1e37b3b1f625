"""Notices completed session files: at once where the system tells, and by looking every few seconds anyway.
Knows file names, never what is in them.

A file is handed on when its writer has closed it or moved it in, so a file still being written is not read
early. The look around catches what no event told of (files from before the start, network folders, a lost
watch); it may come upon a half-written file, so the callback decides whether a file has settled.
"""

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from atles.layout import is_session_file, make_folder

_log = logging.getLogger(__name__)

if sys.platform == "linux":
    from watchdog.observers.inotify import InotifyFullEmitter
    from watchdog.observers.inotify_c import InotifyConstants

    _EVENTS: list[type[FileSystemEvent]] = [FileClosedEvent, FileMovedEvent]

    class _ArrivalEmitter(InotifyFullEmitter):
        """Closed after writing, and moved in; nothing else.

        watchdog's own filter for moves takes in files that are moved *out*, and holds each of them, and all
        that follow, for half a second in case it reappears: every file put away would delay the next.
        """

        def get_event_mask_from_filter(self) -> int:  # type: ignore[override]  # watchdog 6 says int, 7 Mask
            kinds = InotifyConstants
            return kinds.IN_CLOSE_WRITE | kinds.IN_MOVED_TO | kinds.IN_DELETE_SELF

    def _new_observer() -> BaseObserver:
        return BaseObserver(_ArrivalEmitter)

else:
    # These systems do not tell when a file is closed.
    _EVENTS = [FileCreatedEvent, FileModifiedEvent, FileMovedEvent]

    def _new_observer() -> BaseObserver:
        return Observer()


class Monitor:
    """Calls `on_file` for each completed file, oldest first, always on one thread of its own.

    A file may be offered more than once. An error in `on_file` is logged and does not stop the monitor; the
    file is offered again by the next look.
    """

    def __init__(self, folder: Path, on_file: Callable[[Path], None], poll_seconds: float = 5.0) -> None:
        self._folder = folder
        self._on_file = on_file
        self._poll_seconds = poll_seconds
        # A path to look at, or None: look at everything.
        self._wakes: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._watch: _Watch | None = None
        self._troubles: set[str] = set()  # logged once each

    def start(self) -> None:
        """Watch from now on. Raises OSError if the folder cannot be made."""
        make_folder(self._folder)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="atles-monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when the call of `on_file` in progress, if any, has ended; there is none after that."""
        self._stopping.set()
        self._wakes.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def alive(self) -> bool:
        """False if its thread has ended though nobody stopped it."""
        thread = self._thread
        return thread is None or thread.is_alive()

    def _run(self) -> None:
        try:
            self._look()
            next_look = time.monotonic() + self._poll_seconds
            while not self._stopping.is_set():
                try:
                    path = self._wakes.get(timeout=max(0.0, next_look - time.monotonic()))
                except queue.Empty:
                    path = None
                if path is not None:
                    self._offer(path)
                # Also in the midst of many events, which may hide that others were lost.
                if path is None or time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + self._poll_seconds
        finally:
            if self._watch is not None:
                self._watch.close()
                self._watch = None

    def _look(self) -> None:
        try:
            self._keep_watch()
            files = self._present()
        except OSError as error:
            self._warn_once(f"cannot look into {self._folder}: {error}")
            return
        for path in files:
            self._offer(path)

    def _offer(self, path: Path) -> None:
        try:
            there = path.exists() or path.is_symlink()  # it may have been taken at an earlier offer
            if there and not self._stopping.is_set():
                self._on_file(path)
        except Exception:  # noqa: BLE001
            # A worker loop: one bad file must not keep the others waiting, and the traceback shows the bug.
            _log.exception("%s could not be taken in; it stays where it is", path)

    def _present(self) -> list[Path]:
        found: list[tuple[int, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if is_session_file(entry.name):
                    try:
                        found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path))
                    except FileNotFoundError:
                        continue  # taken away meanwhile
        return [Path(path) for _, path in sorted(found)]

    def _keep_watch(self) -> None:
        """Watch the folder, also when it was removed or replaced since the last look."""
        if not self._folder.is_dir():
            make_folder(self._folder)
            _log.warning("%s was gone; made again", self._folder)
        if self._watch is not None:
            if self._watch.alive():
                return
            self._watch.close()
            self._watch = None
        try:
            self._watch = _Watch(self._folder, self._wakes)
        except OSError as error:
            self._warn_once(f"no file events ({error}); looking every {self._poll_seconds:g} s only")
        else:
            self._troubles.clear()

    def _warn_once(self, trouble: str) -> None:
        if trouble not in self._troubles:
            self._troubles.add(trouble)
            _log.warning("%s", trouble)


class _Watch(FileSystemEventHandler):
    """The system's file events for one folder, put into a queue as paths."""

    def __init__(self, folder: Path, wakes: "queue.SimpleQueue[Path | None]") -> None:
        self._folder = folder
        self._identity = folder.stat()
        self._wakes = wakes
        self._observer = _new_observer()
        self._observer.schedule(self, str(folder), event_filter=_EVENTS)
        self._observer.start()

    def dispatch(self, event: FileSystemEvent) -> None:
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        if is_session_file(path.name):
            self._wakes.put(path)

    def alive(self) -> bool:
        """False once the folder was removed or replaced: its events come no more."""
        emitters = all(emitter.is_alive() for emitter in self._observer.emitters)
        return emitters and os.path.samestat(self._identity, self._folder.stat())

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()
