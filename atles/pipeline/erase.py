"""Forgetting for good, from the words in the store to the adapters that saw them. Knows the order, not who asks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atles.errors import ArtifactError
from atles.layout import Home
from atles.pipeline import copies
from atles.pipeline.forget import forget
from atles.pipeline.forget_files import on_their_way, set_aside
from atles.pipeline.jobs import forget_everywhere, made_again
from atles.pipeline.shelf import Shelf
from atles.queue import Queue
from atles.records import Memory
from atles.store import Store
from atles.store.database import Row


@dataclass(frozen=True, slots=True)
class Marked:
    """What is to be forgotten: ids of sessions, rows of messages, memories."""

    sessions: Sequence[str]
    messages: Sequence[Row]
    memories: Sequence[Memory]

    @property
    def texts(self) -> list[str]:
        """Each of them in words, to ask people by."""
        return [
            *(f"session {name}" for name in self.sessions),
            *(row["text"] for row in self.messages),
            *(memory.text for memory in self.memories),
        ]


def mark(
    store: Store, sessions: Iterable[str] = (), messages: Iterable[str] = (), memories: Iterable[str] = ()
) -> Marked:
    """Find all of them, or raise AtlesError; of messages and memories the beginning of an id is enough."""
    return Marked(
        [store.sessions.get(name).session.session_id for name in dict.fromkeys(sessions)],
        [store.sessions.message(name) for name in dict.fromkeys(messages)],
        [store.memories.get(name) for name in dict.fromkeys(memories)],
    )


def erase(shelf: Shelf, store: Store, queue: Queue, marked: Marked) -> dict[str, Any]:
    """Forget it everywhere, and say what that came to. Raises OSError where files cannot be changed: then all of it is
    still in the store, though some files may have lost it, and doing it again completes it.

    `set_aside` and `copies` are files that still hold it, by their names in the home: whoever asks decides about them.
    `on_their_way` are those of the same sessions that lose it when they are taken in.
    `not_deleted` says why what is shared could not be deleted yet, where that is so: the daemons try it again.
    """
    with store.transaction():
        done = forget(
            store,
            sessions=marked.sessions,
            messages=[row["rowid"] for row in marked.messages],
            memories=marked.memories,
        )
        names = sorted(done.sessions)
        retired = forget_everywhere(shelf.home, store, names)
        queue.put(*made_again(store, names, retired))
        _, active = store.adapters.active()
    store.database.settle()
    said = {
        "memories": done.memories,
        "messages": done.messages,
        "sessions": names,
        "retired": retired,
        "serves": active or None,
        "set_aside": _named(shelf.home, set_aside(shelf.home, names)),
        "on_their_way": _named(shelf.home, on_their_way(shelf.home, names)),
        "copies": _named(shelf.home, copies.holding(shelf.home, store, names, [it.id for it in marked.memories])),
    }
    try:
        shelf.withdraw(store.adapters.list())  # not in the transaction: others would wait for the network
    except ArtifactError as error:
        return said | {"not_deleted": str(error)}
    return said


def _named(home: Home, files: Iterable[Path]) -> list[str]:
    return [str(file.relative_to(home.root)) for file in files]
