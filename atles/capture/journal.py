"""A session in progress, as it lies in `sessions/open`. Knows the lines, not when a session ends.

    {"session_id": …, "start_time": …, "metadata": {…}, "pid": …}
    {"message": {…}}
    {"metadata": {"key": value}}

A line *begins* with its newline and is one write. So a line that a full disk or a kill cut short lacks at
least its closing brace, every reader can tell that it is torn, and the next line starts afresh.

There is no fsync: a journal protects from a host that is killed, whose writes the kernel keeps. Surviving
power loss would cost the host milliseconds with every message; the completed file is what gets synced.
"""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from atles.layout import Home, file_name, make_folder

# Not blocking: where somebody put a pipe, the host would wait for its reader.
_APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def journal_path(home: Home, session_id: str) -> Path:
    return home.open_sessions / f"{file_name(session_id)}.jsonl"


class Journal:
    """One session's journal, as its tracker writes it.

    The file is opened for each flush: a host with a thousand open sessions holds no descriptor, and nothing
    is shared with a forked child.
    """

    def __init__(self, path: Path, *, begun: bool) -> None:
        self.path = path
        self._begun = begun  # its header is on file
        self._waiting: deque[str] = deque()

    def add(self, line: str) -> None:
        self._waiting.append(line)

    def flush(self, everything: Callable[[], Iterable[str]]) -> None:
        """Write the lines that wait. Raises OSError; what is not on file then waits for the next flush.

        Where the file is gone, because its folder is, or because the daemon took it for abandoned and closed
        the session, a new one is begun with `everything`: a longer session with the same beginning.
        """
        try:
            self._write()
        except FileNotFoundError:
            make_folder(self.path.parent)
            self._waiting = deque(everything())
            self._begun = False
            self._write()

    def _write(self) -> None:
        descriptor = os.open(self.path, _APPEND if self._begun else _APPEND | os.O_CREAT, 0o600)
        try:
            while self._waiting:
                line = ("\n" + self._waiting[0]).encode("utf-8", "backslashreplace")
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                self._waiting.popleft()
                self._begun = True
            # The daemon renames a journal before it reads it. So a line written after it was read is seen
            # here: the path no longer leads to the file that was written.
            if not os.path.samestat(os.fstat(descriptor), self.path.stat()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        finally:
            os.close(descriptor)


class Recorded:
    """What a journal holds."""

    def __init__(self, session_id: str, start_time: str, metadata: dict[str, Any]) -> None:
        self.session_id = session_id
        self.start_time = start_time
        self.metadata = metadata
        self.messages: list[dict[str, Any]] = []
        self.torn = 0  # lines that could not be read


def read(data: bytes) -> Recorded:
    """Everything of a journal that can be read. Raises ValueError where no line says which session it is."""
    import json

    entries: list[dict[str, Any]] = []
    torn = 0
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            entry = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            torn += 1
        else:
            entries.append(entry if isinstance(entry, dict) else {})
    header = next((entry for entry in entries if isinstance(entry.get("session_id"), str)), None)
    if header is None:
        raise ValueError(f"none of its {len(entries) + torn} lines names a session")
    metadata = header.get("metadata")
    recorded = Recorded(
        header["session_id"], str(header.get("start_time")), metadata if isinstance(metadata, dict) else {}
    )
    for entry in entries:
        if entry is header:
            continue
        if isinstance(entry.get("message"), dict):
            recorded.messages.append(entry["message"])
        elif isinstance(entry.get("metadata"), dict):
            recorded.metadata.update(entry["metadata"])
        else:
            torn += 1
    recorded.torn = torn
    return recorded
