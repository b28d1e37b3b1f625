"""MemoryProcessor: what a session adds to memory, and what memory adds to a question."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atles.layout import Home
from atles.pipeline import extract
from atles.pipeline.dataset import rejected_answers
from atles.records import Message, Preference, Recalled, Session, Topic
from atles.store import Store

_DEFAULT_TOPICS = 8
_MAX_CHARACTERS = 300  # of one remembered message in a prompt
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_STOP_WORDS = frozenset(
    """a about again all also am an and any are as at be been but by can could did do does for from get go got had has
    have he her here him his how i if in into is it its just know let like me more my no not now of off on one or our
    out please remember remind say she so some tell than that the their them then there these they this to too up us
    was we were what when where which who whom whose why will with would yes you your""".split()
)


class MemoryProcessor:
    """Turns sessions into memory. `memory_db_path` defaults to the home's `atles.db`.

    memory = MemoryProcessor("atles_memory/atles.db")
    memory.process_session(session)          # the JSON object of a session file
    memory.recall("Where do I live?")
    """

    def __init__(
        self,
        memory_db_path: str | Path | None = None,
        *,
        store: Store | None = None,
        topics: int = _DEFAULT_TOPICS,
        heldout_every: int = 5,
    ) -> None:
        self.store = store or Store(Path(memory_db_path) if memory_db_path else Home().database)
        self._topics = topics
        self._heldout_every = heldout_every

    def process_session(self, session: Session | Mapping[str, Any]) -> dict[str, Any]:
        """Extract, then store. Running it again on the same session changes nothing.

        Returns `memory_items_created` (topics and preferences that were not stored before),
        `insights_extracted` (topics) and `patterns_identified` (preferences).
        """
        if not isinstance(session, Session):
            session = Session.of(session)
        topics = self._extract_topics(session.messages)
        preferences = self._identify_preferences(session.messages)
        created = self._store_in_memory(session, topics, preferences)
        return {
            "memory_items_created": created,
            "insights_extracted": [topic.text for topic in topics],
            "patterns_identified": [preference.text for preference in preferences],
        }

    def _extract_topics(self, turns: Sequence[Message]) -> list[Topic]:
        return extract.topics(turns, self._topics)

    def _identify_preferences(self, turns: Sequence[Message]) -> list[Preference]:
        return extract.preferences(turns)

    def _store_in_memory(self, session: Session, topics: Sequence[Topic], preferences: Sequence[Preference]) -> int:
        with self.store.transaction():
            # In the pipeline the session is stored already; a library user hands it over here.
            self.store.sessions.add(session, self._heldout_every)
            return self.store.memories.put(session, topics, preferences, rejected_answers(session.messages))

    def recall(self, query: str, k: int = 4) -> list[Recalled]:
        """The `k` stored messages that bear most on the query, best first; none if nothing does.

        FTS5 over the content words (any of them), then two priors measured on LoCoMo: longer messages say more,
        and a question seldom holds its answer.
        """
        words = dict.fromkeys(word.lower() for word in _WORD.findall(query))
        content = [word for word in words if word not in _STOP_WORDS] or list(words)
        if not content or k < 1:
            return []
        found = self.store.memories.search(" OR ".join(f'"{word}"' for word in content), 200)
        if not found:
            return []
        best = max(hit.score for hit in found) or 1.0
        ranked: dict[str, tuple[float, Recalled]] = {}
        for hit in found:
            score = hit.score / best
            score += 0.3 * min(len(hit.text.split()), 30) / 30
            score -= 0.15 * hit.text.rstrip().endswith("?")
            ranked.setdefault(hit.text.casefold(), (score, hit))
        return [hit for _, hit in sorted(ranked.values(), key=lambda pair: -pair[0])[:k]]


def with_memory(question: str, recalled: Sequence[Recalled]) -> list[dict[str, str]]:
    """The chat messages that put what was recalled before a question."""
    messages = [{"role": "user", "content": question}]
    if recalled:
        lines = [f"- {hit.timestamp[:10]} {hit.role}: {_shortened(hit.text)}" for hit in recalled]
        heading = "What you know from earlier chats with this user:"
        messages.insert(0, {"role": "system", "content": "\n".join([heading, *lines])})
    return messages


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
