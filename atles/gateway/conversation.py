"""A conversation that goes on: its messages as a tree, in the journal of an open session. Nothing of other ones.

The journal is a list that only grows. Where a message follows another than the one before it (its client had an answer
made again, or changed a question), it notes which: `metadata.parent`, a position. `pipeline/standing.py` reads the
branch that stands.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from atles.capture.open_session import OpenSession, as_json
from atles.gateway.chain import SYSTEM, Key, chain, follow, own, root
from atles.gateway.said import Said

_MOST_ENDS = 16  # places where a part may end; each is compared whole
_LONGEST_ID = 200  # of an answer; model servers make them up


@dataclass(eq=False)
class Conversation:
    """By position: each message's role, key and own hash, and the position of the one that it follows; of system
    messages no keys. `at` has the position of each key; -1: it is in the session that this one continues.

    `first` is the position of the first question that was answered here, -1 before that. What stands before it, its
    client brought along, as examples of answers or a greeting, and other conversations may begin likewise.
    """

    session: OpenSession
    user: str
    client: str
    root: Key
    roles: list[str] = field(default_factory=list)
    keys: list[Key | None] = field(default_factory=list)
    owns: list[Key | None] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    at: dict[Key, int] = field(default_factory=dict)
    first: int = -1
    answers: int = 0
    used: float = 0.0
    busy: int = 0  # answers on their way
    ending: bool = False  # with the last of them
    alone: bool = False  # its client sends what is new and no history
    ids: dict[str, int] = field(default_factory=dict)  # of answers -> their positions
    entries: set[Key] = field(default_factory=set)  # by which it is found

    @property
    def id(self) -> str:
        return self.session.session_id

    @property
    def only_begun(self) -> bool:
        """Whether there is nothing yet but answers to the first question."""
        return self.first >= 0 and all(parent == self.first for parent in self.parents[self.first + 1 :])

    def begins_with(self, key: Key) -> bool:
        """Whether the first question that was answered here has this key."""
        return self.first >= 0 and self.keys[self.first] == key

    @classmethod
    def of_journal(cls, session: OpenSession) -> "Conversation | None":
        """The conversation that a gateway left in a journal; None where that is somebody else's."""
        metadata = session.metadata
        user, client, name = (metadata.get(key, "") for key in ("gateway", "client", "named"))
        if "gateway" not in metadata or not all(isinstance(it, str) for it in (user, client, name)):
            return None
        found = cls(session, user, client, root(user, name), alone=metadata.get("alone") is True)
        after, first = metadata.get("after"), metadata.get("first")
        begin = above = bytes.fromhex(after) if isinstance(after, str) else found.root
        if after:
            found.at[above] = -1
        for position, text in enumerate(session.messages):
            message = json.loads(text)
            parent, it = _parent(message, position), None
            if message.get("role") not in SYSTEM:
                if parent != position - 1:
                    above = (found.keys[parent] if 0 <= parent < position else None) or begin
                it = own({"role": "", **message})
                above = follow(above, it)
            found._note(str(message.get("role")), above if it else None, it, parent)
            if answer_id := _noted(message).get("answer"):
                found.ids[str(answer_id)] = position
        if isinstance(first, int) and 0 <= first < len(found.keys):
            found.first, found.answers = first, found.roles[first:].count("assistant")
        return found

    def join(self, said: Sequence[Said], owns: Sequence[Key], named: bool) -> tuple[int, Key]:
        """How many of a request's messages are known here, and the key of the one that its others follow."""
        keys = chain(self.root, owns)
        known = next((n for n in range(len(keys), 0, -1) if keys[n - 1] in self.at), 0)
        above = keys[known - 1] if known else self.root
        answered = next((n for n in range(len(said), 0, -1) if said[n - 1]["role"] == "assistant"), 0)
        if answered:
            self._is_alone(False)
        if answered > known and (at := self.where(owns[:answered])) is not None:
            return answered, self.keys[at] or above
        if named and not answered and (self.alone or not known) and (last := self.last) is not None:
            self._is_alone(True)
            return 0, last
        return known, above

    @property
    def last(self) -> Key | None:
        """The key of the newest message."""
        return self.keys[-1] if self.keys else None

    def _is_alone(self, alone: bool) -> None:
        if alone is not self.alone:
            self.alone = alone
            self.session.set_metadata({"alone": alone})  # so that it is known after a restart

    def where(self, part: Sequence[Key]) -> int | None:
        """The position of the answer with which a part of this conversation ends; None where it is no part of it.

        Its client may have left out what was before the part, and messages within it.
        """
        ends = (at for at in range(len(self.owns) - 1, -1, -1) if self.owns[at] == part[-1])
        return next((at for at in islice(ends, _MOST_ENDS) if self._holds(at, part)), None)

    def _holds(self, at: int, part: Sequence[Key]) -> bool:
        left = len(part)
        while at >= 0 and left:
            if self.owns[at] == part[left - 1]:
                left -= 1
            at = min(self.parents[at], at - 1)
        return not left

    def append(self, said: Said, it: Key | None, above: Key | None, now: str, answer_id: str = "") -> None:
        """Add a message after that of the key `above`; a system message without a key. `flush` writes it."""
        before = len(self.keys) - 1
        parent = self.at.get(above, -1) if above is not None else before
        if it is not None and not any(self.keys):
            parent = before  # the first after the system messages
        noted: dict[str, int | str] = {} if parent == before else {"parent": parent}
        if 0 < len(answer_id) <= _LONGEST_ID:
            noted["answer"] = answer_id
        message = {**said, "timestamp": now} | ({"metadata": noted} if noted else {})
        self.session.add(as_json(message))
        self._note(said["role"], follow(above or self.root, it) if it else None, it, parent)
        if "answer" in noted:
            self.ids[answer_id] = len(self.keys) - 1

    def _note(self, role: str, key: Key | None, it: Key | None, parent: int) -> None:
        self.roles.append(role)
        self.keys.append(key)
        self.owns.append(it)
        self.parents.append(parent)
        if key is not None:
            self.at[key] = len(self.keys) - 1


def _noted(message: Mapping[str, Any]) -> Mapping[str, Any]:
    noted = message.get("metadata")
    return noted if isinstance(noted, Mapping) else {}


def _parent(message: Mapping[str, Any], position: int) -> int:
    parent = _noted(message).get("parent")
    return parent if type(parent) is int else position - 1
