"""A session in progress, in memory and in its journal. Knows what was said so far, not when it ends."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from atles.capture import outbox
from atles.capture.journal import Journal, Recorded, journal_path, read
from atles.capture.outbox import Finished
from atles.capture.plain import plain
from atles.clock import compact, new_id, timestamp
from atles.layout import Home, read_plain


class OpenSession:
    """Messages are kept as JSON text: what is journaled now is what the completed file will hold."""

    def __init__(self, home: Home, session_id: str, earlier: Recorded | None, journal: Journal) -> None:
        self.home = home
        self.session_id = session_id
        self.start_time = earlier.start_time if earlier else timestamp()
        self.metadata: dict[str, Any] = dict(earlier.metadata) if earlier else {}
        self.messages = [as_json(message) for message in earlier.messages] if earlier else []
        self.journal = journal

    @classmethod
    def begin(cls, home: Home, session_id: str | None, metadata: Mapping[str, Any] | None) -> "OpenSession":
        """A new session; or the one of this id that a killed host left open."""
        while not session_id:
            drawn = f"session_{compact(timestamp())}_{new_id()[-8:]}"
            taken = os.path.exists(journal_path(home, drawn))  # noqa: PTH110  # never raises, unlike Path.exists
            session_id = None if taken else drawn
        session_id = str(session_id)
        path = journal_path(home, session_id)
        earlier = _left_open(path)
        session = cls(home, session_id, earlier, Journal(path, begun=earlier is not None))
        given = tidy(metadata or {})
        session.metadata.update(given if isinstance(given, dict) else {"metadata": given})
        lines = session.everything() if earlier is None else [as_json({"metadata": session.metadata})]
        for line in lines:
            session.journal.add(line)
        return session

    @classmethod
    def of_journal(cls, home: Home, path: Path) -> "OpenSession | None":
        """The session that a journal holds, to go on with; None if there is none."""
        earlier = _left_open(path)
        return cls(home, earlier.session_id, earlier, Journal(path, begun=True)) if earlier else None

    def add(self, text: str) -> None:
        """Add a message, as JSON; `flush` writes it."""
        self.messages.append(text)
        self.journal.add(f'{{"message": {text}}}')

    def set_metadata(self, item: Mapping[str, Any]) -> None:
        """Change items of the metadata; `flush` writes them."""
        self.metadata.update(item)
        self.journal.add(as_json({"metadata": item}))

    def everything(self) -> Iterator[str]:
        """The lines of a whole journal."""
        yield as_json(
            {
                "session_id": self.session_id,
                "start_time": self.start_time,
                "metadata": self.metadata,
                "pid": os.getpid(),
            }
        )
        for text in self.messages:
            yield f'{{"message": {text}}}'

    def flush(self) -> bool:
        """Write what is not on file yet; whether that worked. What did not waits for the next call."""
        try:
            self.journal.flush(self.everything)
        except OSError as error:
            outbox.complain(self.home, error)
            return False
        outbox.settled(self.home)
        return True

    def finished(self) -> Finished:
        times = {"start_time": self.start_time, "end_time": timestamp()}
        head = as_json({"session_id": self.session_id, **times})
        messages = ",\n".join(self.messages)
        text = f'{head[:-1]}, "messages": [\n{messages}\n], "metadata": {as_json(self.metadata)}}}\n'
        return Finished(self.home, self.session_id, text, self.journal.path)


def tidy(value: Any) -> Any:
    """The value as plain JSON data, with a warning where that changed it."""
    odd: list[str] = []
    data = plain(value, odd)
    if odd:
        outbox.log().warning("kept as text, because JSON cannot hold it: %s", ", ".join(sorted(set(odd))))
    return data


def as_json(value: Any) -> str:
    import json

    return json.dumps(tidy(value), ensure_ascii=False)


def _left_open(path: Path) -> Recorded | None:
    """The journal that a killed host left under this id, if there is one."""
    try:
        recorded = read(read_plain(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        # Not overwritten: this session's lines follow what is there, and readers skip what they cannot read.
        outbox.log().warning("cannot take up %s again: %s", path, error)
        return None
    if recorded.torn:
        outbox.log().warning("%d torn lines skipped in %s", recorded.torn, path)
    return recorded
