"""Which conversation a request goes on with. Knows messages and journals, nothing of HTTP.

Clients send the whole history with every request and no name for it. A request goes on with the conversation in which
the last of its messages that is known was said. What is known are the questions that were answered here and their
answers, not what a client brought along: examples and greetings begin many conversations. A client that cuts its
history off is known by its last answer, as long as all that it sends is in that conversation. The same first question
of the same client within ten minutes is an answer made again.

A conversation lies in the journal of an open session (`capture/open_session.py`) before its answer is sent on.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from atles.capture.open_session import OpenSession
from atles.clock import new_id, timestamp
from atles.gateway.at_hand import AtHand, owned
from atles.gateway.chain import SYSTEM, Key, chain, client_hash, follow, own, pair, root
from atles.gateway.conversation import Conversation
from atles.gateway.said import Said
from atles.layout import Home, NoPlainFile, file_name, read_plain

_AGAIN_SECONDS = 600.0  # within which the same first question is a first answer made again
_AGAIN_MOST = 8  # answers to one first question; more is no user
_QUIET_SECONDS = 60.0  # after which a new conversation of the same client ends its last one


class Added(NamedTuple):
    """What an exchange added: where its answer stands, and whether it is time to learn from the conversation."""

    position: int
    learn: bool


class Archive(Protocol):
    """The sessions that are finished."""

    def holds(self, session_id: str) -> bool:
        """Whether a session of that id is stored."""
        ...

    def ending_with(self, keys: Sequence[str]) -> tuple[str, str] | None:
        """A session whose last message has one of these keys, and which; the earlier in `keys` the better."""
        ...


@dataclass(slots=True)
class Place:
    """Where a request belongs, until its answer is there: it is given back by `leave`."""

    conversation: Conversation
    system: list[Said]
    spoken: list[Said]
    owns: list[Key]
    named: bool
    above: Key | None  # what it follows, where its client said so
    asked_at: str


class Conversations:
    """All conversations of a gateway. For one thread. `end` is given sessions that have ended."""

    def __init__(
        self,
        home: Home,
        archive: Archive,
        end: Callable[[OpenSession], None],
        learn_every: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home, self._archive, self._end, self._learn_every, self._clock = home, archive, end, learn_every, clock
        self._unwritten: dict[str, Conversation] = {}  # whose journals could not be written
        self._at_hand = AtHand(home, self._unwritten.keys(), clock)

    def find(self, said: Sequence[Said], user: str, client: str, name: str = "", after: str = "") -> Place:
        """Where a request belongs: in a new conversation, if it goes on with none. `leave` it in the end.

        `name` is what the client calls the session, `after` the id of the answer that it goes on with, where it says.
        """
        client = client_hash(client)
        system = [it for it in said if it["role"] in SYSTEM]
        spoken = [it for it in said if it["role"] not in SYSTEM]
        owns = [own(it) for it in spoken]
        above = None
        if name:
            found = self._at_hand.with_name(user, name)
        elif after:
            found, above = self._after(after, user)
        else:
            found = self._by_history(spoken, owns, user, client)
        found = found or self._begin(spoken, owns, user, client, name)
        found.busy += 1
        self._at_hand.use(found, client)
        return Place(found, system, spoken, owns, bool(name), above, timestamp())

    def leave(self, place: Place) -> None:
        """The request is over, whether its answer was added or not."""
        found = place.conversation
        found.busy -= 1
        if found.ending and not found.busy:
            self.end(found.id)

    def add(self, place: Place, answer: Said, answer_id: str = "") -> Added:
        """Record what an exchange adds to its conversation, in its journal; done again it adds nothing."""
        found, before = place.conversation, len(place.conversation.keys)
        if not found.keys:
            for it in place.system:
                found.append(it, None, None, place.asked_at)
        known, above = (0, place.above) if place.above else found.join(place.spoken, place.owns, place.named)
        if found.first < 0 and known < len(place.spoken):
            # Written before the question: with it alone in the journal, this is found again after a kill.
            found.first = before = len(found.keys) + len(place.spoken) - known - 1
            found.session.set_metadata({"first": found.first})
        said, owns = [*place.spoken, answer][known:], [*place.owns, own(answer)][known:]
        for it, hashed in zip(said, owns, strict=True):
            below = follow(above, hashed)
            if below not in found.at:
                when, id = (timestamp(), answer_id) if it is answer else (place.asked_at, "")
                found.append(it, hashed, above, when, id)
            above = below
        new, at = len(found.keys) > before, found.at[above]
        self._at_hand.entries.enter_from(found, before)
        self._at_hand.note_answer(found, at, answer_id)
        found.answers += 1
        if found.session.metadata.get("chain") != above.hex():
            found.session.set_metadata({"chain": above.hex()})
        self._at_hand.use(found, found.client)
        self._write(found)
        return Added(at, new and bool(self._learn_every) and found.answers % self._learn_every == 0)

    def end(self, id: str, user: str | None = None) -> bool:
        """End a conversation, once its last answer is there; whether it was open. Its client may go on with it: that is
        another session then, which continues it."""
        found = self._at_hand.get(id, user)
        if found is None:
            return False
        found.ending = True
        if not found.busy:
            if found.keys:
                self._end(found.session)
            self._unwritten.pop(id, None)
            self._at_hand.put_away(found, ended=bool(found.keys))
        return True

    def settle(self) -> bool:
        """Write what could not be written before; whether all is."""
        for found in list(self._unwritten.values()):
            self._write(found)
        return not self._unwritten

    def _write(self, found: Conversation) -> None:
        if found.session.flush():
            self._unwritten.pop(found.id, None)
        else:
            self._unwritten[found.id] = found

    def take_up_all(self) -> int:
        """After a start: the conversations that an earlier process left open; how many."""
        return self._at_hand.all_of_journals()

    def answered(self, answer_id: str) -> tuple[str, int] | None:
        """Where an answer stands, by the id that its client was given: session and position."""
        return self._at_hand.answered(answer_id)

    def open(self, name: str, owner: str, user: str | None = None) -> Conversation | None:
        """The open conversation of that id, or that `owner` calls so; of anybody's, or of one user's."""
        found = self._at_hand.get(name, user)
        return found or (self._at_hand.with_name(owner, name) if user in (None, owner) else None)

    def forget(self, found: Conversation) -> None:
        """Drop an open conversation that no answer is on its way to, and its journal, so that nobody learns of it."""
        self._unwritten.pop(found.id, None)
        self._at_hand.put_away(found)
        found.session.journal.path.unlink(missing_ok=True)
        for path in self._home.sessions.glob(f"completed_{file_name(found.id)}*.json"):
            # Handed over, and not taken in yet; another session's name may begin likewise, or it is somebody else's.
            with suppress(FileNotFoundError, NoPlainFile, ValueError, LookupError, TypeError):
                if json.loads(read_plain(path))["session_id"] == found.id:
                    path.unlink()

    # --- finding ---

    def _after(self, answer_id: str, user: str) -> tuple[Conversation | None, Key | None]:
        id, position = self._at_hand.answered(answer_id) or ("", 0)
        found = self._at_hand.get(id, user) if id else None
        return (found, found.keys[position]) if found and position < len(found.keys) else (None, None)

    def _by_history(self, spoken: Sequence[Said], owns: Sequence[Key], user: str, client: str) -> Conversation | None:
        keys = chain(root(user, ""), owns)
        answered = max((n for n, it in enumerate(spoken) if it["role"] == "assistant"), default=0)
        for n in range(len(keys) - 1, -1, -1):
            if found := self._said(keys[n], user, client):
                return found
            if n and n == answered and (found := self._cut(owns[: n + 1], user, client)):
                return found
        return None

    def _said(self, key: Key, user: str, client: str) -> Conversation | None:
        """The conversation in which the message of a key was said; rather one of this client's."""
        with_key = self._at_hand.with_entry(key, user)
        found = [it for it in with_key if not it.begins_with(key) or self._is_again(it, client)]
        return max(found, key=lambda it: (it.client == client, it.used), default=None)

    def _is_again(self, found: Conversation, client: str) -> bool:
        recent = self._clock() - found.used < _AGAIN_SECONDS
        return found.client == client and recent and found.only_begun and found.answers < _AGAIN_MOST

    def _cut(self, part: Sequence[Key], user: str, client: str) -> Conversation | None:
        """The conversation of which this is a part that ends with an answer. Of several none: it must not get into
        somebody else's."""
        entry = pair(root(user, ""), client, *part[-2:])
        found = [it for it in self._at_hand.with_entry(entry, user) if it.where(part) is not None]
        return found[0] if len(found) == 1 else None

    # --- beginning ---

    def _begin(self, spoken: Sequence[Said], owns: Sequence[Key], user: str, client: str, name: str) -> Conversation:
        before = self._at_hand.latest(client)
        if before and not before.busy and self._clock() - before.used > _QUIET_SECONDS:
            self.end(before.id)
        keys = chain(root(user, name), owns)
        metadata: dict[str, Any] = {"source": "gateway", "gateway": user, "client": client}
        metadata |= ({"user": user} if user else {}) | ({"named": name} if name else {})
        known = 0
        if earlier := self._finished(spoken, keys):
            metadata["continues"], known = earlier
            metadata["after"] = keys[known - 1].hex()
        id = owned(user, name)
        if not name or self._is_taken(id):
            id = f"session_{new_id()}"
        found = Conversation(OpenSession.begin(self._home, id, metadata), user, client, root(user, name))
        found.at.update(dict.fromkeys(keys[:known], -1))
        return self._at_hand.remember(found)

    def _finished(self, spoken: Sequence[Said], keys: Sequence[Key]) -> tuple[str, int] | None:
        """The finished session that a history begins with, and how many of the messages are in it."""
        answers = [n for n in range(len(keys), 0, -1) if spoken[n - 1]["role"] == "assistant"]
        for n in answers:
            if id := self._at_hand.entries.away(keys[n - 1]):
                return id, n
        found = self._archive.ending_with([keys[n - 1].hex() for n in answers]) if answers else None
        return (found[0], keys.index(bytes.fromhex(found[1])) + 1) if found else None

    def _is_taken(self, id: str) -> bool:
        """Whether a session is or was called that, whose messages differ. In the order in which a session goes: from
        its journal to the folder, from there into the archive."""
        return self._at_hand.takes(id) or self._home.completed(id).exists() or self._archive.holds(id)
