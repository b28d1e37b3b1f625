"""The open conversations: the newest in memory, all of them in their journals. Not which one a request belongs to."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from atles.capture.journal import journal_path
from atles.capture.open_session import OpenSession
from atles.gateway.chain import Key
from atles.gateway.conversation import Conversation
from atles.gateway.entries import Entries
from atles.layout import Home

log = logging.getLogger("atles.gateway")

_MOST_OPEN = 256  # in memory
_MOST_NAMED = 100_000  # names that clients chose
_MOST_ANSWERS = 10_000  # ids of answers
_MOST_ENDED = 10_000


class AtHand:
    """`unwritten` are the ids of conversations that must not leave the memory yet."""

    def __init__(self, home: Home, unwritten: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._home, self._unwritten, self._clock = home, unwritten, clock
        self._open: OrderedDict[str, Conversation] = OrderedDict()  # by id, the longest unused first
        self._ended: OrderedDict[str, None] = OrderedDict()  # ids of those whose files are being written
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()  # user and the client's name for it -> id
        self._answered: OrderedDict[str, tuple[str, int]] = OrderedDict()  # answer's id -> session and position
        self._latest: dict[str, str] = {}  # client -> id
        self.entries = Entries()

    def get(self, id: str, user: str | None) -> Conversation | None:
        """An open conversation of this user's (None: of anybody's): from memory, or else from its journal."""
        found = self._open.get(id)
        if found is None and id not in self._ended:
            found = self._of_journal(journal_path(self._home, id))
        if found is None or found.id != id or user not in (None, found.user):
            return None
        return found if id in self._open else self.remember(found)

    def _of_journal(self, path: Path) -> Conversation | None:
        session = OpenSession.of_journal(self._home, path)
        try:
            return Conversation.of_journal(session) if session else None
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            log.warning("%s is no journal of a gateway's: %s", path, error)
            return None

    def all_of_journals(self) -> int:
        """Take up the conversations that an earlier process left open; how many."""
        count = 0
        for path in sorted(self._home.open_sessions.glob("*.jsonl"), key=_written):
            if found := self._of_journal(path):
                self.remember(found)
                self._make_room()
                count += 1
        return count

    def with_entry(self, entry: Key, user: str) -> Sequence[Conversation]:
        """The user's conversations that are found by an entry."""
        if not self.entries.here(entry) and (id := self.entries.away(entry)):
            self.get(id, user)
        return self.entries.here(entry)

    def with_name(self, user: str, name: str) -> Conversation | None:
        """By the client's name for it, or by its id, which every answer tells."""
        for id in (self._named.get((user, name)), owned(user, name), name):
            if id and (found := self.get(id, user)):
                return found
        return None

    def latest(self, client: str) -> Conversation | None:
        """The one that a client used last."""
        return self._open.get(self._latest.get(client, ""))

    def takes(self, id: str) -> bool:
        """Whether an open session is called that, or was a moment ago."""
        if id in self._open or id in self._ended:
            return True
        return any(self._home.open_sessions.glob(f"{journal_path(self._home, id).stem}.*"))

    def answered(self, answer_id: str) -> tuple[str, int] | None:
        """Where an answer stands: session and position."""
        return self._answered.get(answer_id)

    # --- coming and going ---

    def remember(self, found: Conversation) -> Conversation:
        """Into memory, with all by which it is found."""
        metadata = found.session.metadata
        found.used = self._clock()
        self._open[found.id] = found
        if name := metadata.get("named"):
            _put(self._named, (found.user, name), found.id, _MOST_NAMED)
        if after := metadata.get("after"):
            self.entries.enter(found, bytes.fromhex(after))
        if found.first >= 0:
            self.entries.enter_from(found, found.first)
        for answer_id, position in found.ids.items():
            self.note_answer(found, position, answer_id)
        return found

    def note_answer(self, found: Conversation, position: int, answer_id: str) -> None:
        if answer_id:
            here = (found.id, position)
            # Ollama draws one of 999 ids: what names two answers names none.
            one = self._answered.get(answer_id, here) == here
            _put(self._answered, answer_id, here if one else ("", 0), _MOST_ANSWERS)

    def use(self, found: Conversation, client: str) -> None:
        """It is the client's newest now; the longest unused one makes room."""
        if found.client != client and self._latest.get(found.client) == found.id:
            del self._latest[found.client]
        found.client, found.used = client, self._clock()
        self._latest[client] = found.id
        self._open.move_to_end(found.id)
        self._make_room()

    def _make_room(self) -> None:
        while len(self._open) > _MOST_OPEN:
            free = (it for it in self._open.values() if not it.busy and it.id not in self._unwritten)
            if (longest := next(free, None)) is None:
                return
            self.put_away(longest)

    def put_away(self, found: Conversation, *, ended: bool = False) -> None:
        """Out of memory. As long as its journal is open it is found again, unless it has ended."""
        del self._open[found.id]
        self.entries.put_away(found)
        if self._latest.get(found.client) == found.id:
            del self._latest[found.client]
        if ended:
            _put(self._ended, found.id, None, _MOST_ENDED)


def owned(user: str, name: str) -> str:
    """What a session that its client names is called: two users may choose one name."""
    return f"{user}:{name}" if user else name


def _put(into: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    into[key] = value
    into.move_to_end(key)
    if len(into) > most:
        into.popitem(last=False)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
