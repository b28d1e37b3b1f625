"""By what conversations are found: keys of messages, and pairs of an answer and what it answered. No messages.

Of a conversation that is in memory the entry leads to it; of another that may lie in a journal, to its id.
"""

from collections import OrderedDict
from collections.abc import Sequence

from atles.gateway.chain import Key, pair
from atles.gateway.conversation import Conversation

_MOST_AWAY = 20_000


class Entries:
    def __init__(self) -> None:
        self._here: dict[Key, list[Conversation]] = {}
        self._away: OrderedDict[Key, str] = OrderedDict()

    def here(self, entry: Key) -> Sequence[Conversation]:
        """The conversations in memory that have this entry."""
        return self._here.get(entry, ())

    def away(self, entry: Key) -> str | None:
        """The id of a conversation that had this entry and is not in memory."""
        return self._away.get(entry)

    def enter(self, found: Conversation, entry: Key) -> None:
        if entry not in found.entries:
            found.entries.add(entry)
            self._here.setdefault(entry, []).append(found)

    def enter_from(self, found: Conversation, position: int) -> None:
        """The messages from a position on."""
        for at in range(position, len(found.keys)):
            key, above = found.keys[at], found.parents[at]
            if key is None:
                continue
            self.enter(found, key)
            if found.roles[at] == "assistant" and above >= 0 and (asked := found.owns[above]):
                # For a client that cuts its history off.
                self.enter(found, pair(found.root, found.client, asked, found.owns[at] or b""))

    def put_away(self, found: Conversation) -> None:
        """It leaves the memory."""
        for entry in found.entries:
            self._here[entry].remove(found)
            if not self._here[entry]:
                del self._here[entry]
            if not found.begins_with(entry):  # one question alone is no sign, later on
                self._away[entry] = found.id
                self._away.move_to_end(entry)
        while len(self._away) > _MOST_AWAY:
            self._away.popitem(last=False)
        found.entries.clear()
