"""Which conversation a request goes on with, and what it adds. Knows messages and journals, nothing of HTTP.

Clients send the whole history with every request and no id. So every message has a key that hashes it and the key of
the message before it; the longest beginning that is known says where the new messages belong. Where that is not the
last message that was recorded, the client made an answer again or changed a question: the new message notes whom it
follows (`metadata.parent`, its position), and the pipeline reads the branch that stands (`pipeline/branches.py`).

A conversation lies in the journal of an open session (`capture/open_session.py`) before its answer is sent on.
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from atles.capture.journal import journal_path
from atles.capture.open_session import OpenSession, as_json
from atles.clock import new_id, timestamp
from atles.gateway.said import Said
from atles.layout import Home

_MOST_OPEN = 256  # conversations in memory; others are found again on the disk
_MOST_ENDS = 100_000  # last messages of others, by which a conversation is found again
_MOST_ANSWERS = 10_000  # ids of answers, for feedback
_AGAIN_SECONDS = 600.0  # within which the same first question is a first answer made again
_AGAIN_MOST = 8  # answers to one first question; more is no user
_QUIET_SECONDS = 60.0  # after which a new conversation of the same client ends its last one
# What chat interfaces ask a model for themselves: titles, tags, what to search for.
_TASK = re.compile(r"\s*### Task:\s")

Key = bytes


@dataclass
class Conversation:
    """A conversation that goes on. `keys` are those of its messages, by position; None for system messages."""

    session: OpenSession
    user: str
    client: str
    root: Key
    keys: list[Key | None] = field(default_factory=list)
    at: dict[Key, int] = field(default_factory=dict)  # the position of each key; -1: in the session it continues
    answers: int = 0
    used: float = 0.0

    @property
    def id(self) -> str:
        return self.session.session_id

    @property
    def last(self) -> Key | None:
        return self.keys[-1] if self.keys else None


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
        self._open: OrderedDict[str, Conversation] = OrderedDict()  # by id, the longest unused first
        self._by_key: dict[Key, Conversation] = {}
        self._ends: OrderedDict[Key, str] = OrderedDict()  # the last message of those put away -> id
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()  # user and the client's name for it -> id
        self._latest: dict[str, str] = {}  # client -> id
        self._answered: OrderedDict[str, tuple[str, int]] = OrderedDict()  # answer's id -> session and position

    def find(self, said: Sequence[Said], user: str, client: str, name: str = "") -> Conversation:
        """The conversation that a request goes on with; a new one, where it goes on with none.

        `name` is what the client calls the session, where it does.
        """
        keys = _keys(_root(user, name), said)
        found = self._by_name(user, name, client) if name else self._by_history(said, keys, user, client)
        found = found or self._begin(keys, user, client, name)
        found.used = self._clock()
        self._open[found.id] = found
        self._open.move_to_end(found.id)
        self._latest[client] = found.id
        while len(self._open) > _MOST_OPEN:
            self._put_away(next(iter(self._open.values())))
        return found

    def _by_name(self, user: str, name: str, client: str) -> Conversation | None:
        return self._take_up(self._named.get((user, name)) or _owned(user, name), user, client)

    def _by_history(self, said: Sequence[Said], keys: Sequence[Key], user: str, client: str) -> Conversation | None:
        roles = [it["role"] for it in said if it["role"] not in _SYSTEM]
        answered = roles.index("assistant") if "assistant" in roles else len(roles)
        for key in reversed(keys[answered:]):
            if found := self._by_key.get(key):
                return found
            if (id := self._ends.get(key)) and (found := self._take_up(id, user, client)):
                return found
        again = self._by_key.get(keys[0]) if len(keys) == 1 else None
        if again and again.client == client and again.answers < _AGAIN_MOST and len(again.at) == again.answers + 1:
            return again if self._clock() - again.used < _AGAIN_SECONDS else None
        return None

    def _take_up(self, id: str, user: str, client: str) -> Conversation | None:
        """An open conversation: from memory, or else from its journal."""
        if found := self._open.get(id):
            return found if found.user == user else None
        session = OpenSession.of_journal(self._home, journal_path(self._home, id))
        if session is None or session.metadata.get("gateway") != user:
            return None
        return self._remember(session, user, client)

    def _begin(self, keys: Sequence[Key], user: str, client: str, name: str) -> Conversation:
        before = self._open.get(self._latest.get(client, ""))
        if before and self._clock() - before.used > _QUIET_SECONDS:
            self.end(before.id)
        metadata: dict[str, Any] = {"source": "gateway", "gateway": user} | ({"user": user} if user else {})
        id, known = f"session_{new_id()}", 0
        if name:
            metadata["named"] = name
            if not self._archive.holds(_owned(user, name)):
                id = _owned(user, name)
        if len(keys) > 1 and (earlier := self._finished(keys)):
            metadata["continues"], known = earlier
            metadata["after"] = keys[known - 1].hex()
        found = Conversation(OpenSession.begin(self._home, id, metadata), user, client, _root(user, name))
        found.at.update(dict.fromkeys(keys[:known], -1))
        self._name(found)
        return found

    def _finished(self, keys: Sequence[Key]) -> tuple[str, int] | None:
        """The finished session that a history begins with, and how many of the messages are in it."""
        for length in range(len(keys), 0, -1):
            if id := self._ends.get(keys[length - 1]):
                return id, length
        found = self._archive.ending_with([key.hex() for key in reversed(keys)])
        return (found[0], keys.index(bytes.fromhex(found[1])) + 1) if found else None

    def _remember(self, session: OpenSession, user: str, client: str) -> Conversation:
        found = Conversation(session, user, client, _root(user, session.metadata.get("named", "")))
        above = found.root
        if after := session.metadata.get("after"):
            above = bytes.fromhex(after)
            found.at[above] = -1
        first = above
        for position, text in enumerate(session.messages):
            message = json.loads(text)
            parent = (message.get("metadata") or {}).get("parent", position - 1)
            if message["role"] in _SYSTEM:
                self._note(found, None)
                continue
            if parent != position - 1:
                above = (found.keys[parent] if parent >= 0 else None) or first
            above = _key(above, message)
            self._note(found, above)
            found.answers += message["role"] == "assistant"
        found.used = self._clock()
        self._open[found.id] = found
        self._name(found)
        return found

    def _name(self, found: Conversation) -> None:
        if name := found.session.metadata.get("named"):
            _put(self._named, (found.user, name), found.id, _MOST_ENDS)

    def add(self, found: Conversation, said: Sequence[Said], answer: Said, answer_id: str = "") -> Added:
        """Record what an exchange adds to its conversation, in its journal; done again it adds nothing."""
        now, spoken = timestamp(), [it for it in said if it["role"] not in _SYSTEM]
        if not found.keys:
            for it in said:
                if it["role"] in _SYSTEM:
                    self._append(found, it, None, now)
        at, messages = -1, [*spoken, answer]
        keys = _keys(found.root, messages)
        if found.session.metadata.get("named") and len(spoken) == 1 and found.last and keys[0] not in found.at:
            at, keys = len(found.keys) - 1, _keys(found.last, messages)  # a client that leaves the history to us
        known = next((n for n in range(len(keys), 0, -1) if keys[n - 1] in found.at), 0)
        at = found.at[keys[known - 1]] if known else at
        for it, key in zip(messages[known:], keys[known:], strict=True):
            self._append(found, it, key, now, at if any(found.keys) else None)
            at = len(found.keys) - 1
        found.answers += 1
        found.session.set_metadata({"chain": keys[-1].hex()})
        found.session.flush()
        if answer_id:
            _put(self._answered, answer_id, (found.id, at), _MOST_ANSWERS)
        return Added(at, bool(self._learn_every) and found.answers % self._learn_every == 0)

    def _append(self, found: Conversation, said: Said, key: Key | None, now: str, parent: int | None = None) -> None:
        message = {**said, "timestamp": now}
        if parent is not None and parent != len(found.keys) - 1:
            message["metadata"] = {"parent": parent}
        found.session.add(as_json(message))
        self._note(found, key)

    def _note(self, found: Conversation, key: Key | None) -> None:
        found.keys.append(key)
        if key is not None:
            found.at[key] = len(found.keys) - 1
            self._by_key[key] = found

    def end(self, id: str, user: str | None = None) -> bool:
        """End a conversation; whether it was open. Its client may go on with it: that is another session then, which
        continues it."""
        found = self._open.get(id)
        if found is None or (user is not None and found.user != user):
            return False
        if found.keys:
            self._end(found.session)
        self._put_away(found)
        return True

    def _put_away(self, found: Conversation) -> None:
        """Out of memory; as long as its journal is open, it is found again."""
        self._open.pop(found.id, None)
        for key in found.at:
            if self._by_key.get(key) is found:
                del self._by_key[key]
        if found.last:
            _put(self._ends, found.last, found.id, _MOST_ENDS)
        if self._latest.get(found.client) == found.id:
            del self._latest[found.client]

    def take_up_all(self) -> int:
        """After a start: the conversations that an earlier process left open; how many."""
        count = 0
        for path in sorted(self._home.open_sessions.glob("*.jsonl")):
            session = OpenSession.of_journal(self._home, path)
            if session and isinstance(user := session.metadata.get("gateway"), str):
                self._remember(session, user, "")
                count += 1
        return count

    def answered(self, answer_id: str) -> tuple[str, int] | None:
        """Where an answer stands, by the id that its client was given: session and position."""
        return self._answered.get(answer_id)


def _put(into: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    into[key] = value
    if len(into) > most:
        into.popitem(last=False)


_SYSTEM = ("system", "developer")


def is_task(said: Sequence[Said]) -> bool:
    """Whether a chat interface asks for itself, not for its user."""
    last = said[-1]
    return last["role"] == "user" and isinstance(last["content"], str) and bool(_TASK.match(last["content"]))


def _owned(user: str, session_id: str) -> str:
    """What a session that its client names is called: two users may choose one name."""
    return f"{user}:{session_id}" if user else session_id


def _root(user: str, session_id: str) -> Key:
    return blake2b(f"{user}\0{session_id}".encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _keys(root: Key, said: Sequence[Said]) -> list[Key]:
    keys = [root]
    for it in said:
        if it["role"] not in _SYSTEM:
            keys.append(_key(keys[-1], it))
    return keys[1:]


def _key(above: Key, said: Mapping[str, Any]) -> Key:
    """What a message is known by: what it says, and after what. White space at its ends does not count, nor how a
    client writes plain text."""
    content = said.get("content")
    if isinstance(content, list) and all(isinstance(it, dict) and it.get("type") == "text" for it in content):
        content = "\n".join(str(it.get("text", "")) for it in content)
    if isinstance(content, str) or content is None:
        content = (content or "").strip()
    calls = [call.get("function") for call in said.get("tool_calls") or () if isinstance(call, dict)]
    text = json.dumps([said["role"], content, calls, said.get("tool_call_id")], ensure_ascii=True)
    return blake2b(above + text.encode("ascii"), digest_size=12).digest()
