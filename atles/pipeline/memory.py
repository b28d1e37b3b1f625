"""MemoryProcessor: what a session adds to memory, and what memory adds to a question."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import mul
from pathlib import Path
from typing import Any

from atles.clock import now
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline import forget, injected, learn, rating
from atles.pipeline import recall as recalling
from atles.pipeline.aspects import asked as asked_aspects
from atles.pipeline.aspects import aspects
from atles.pipeline.extract import Extractor, RuleExtractor
from atles.pipeline.scrub import scrub_session
from atles.pipeline.standing import without_left
from atles.records import Extraction, Memory, MemoryType, Recalled, Session
from atles.serving.embedder import Embedder
from atles.settings import Settings
from atles.store import Store
from atles.store.sessions import StoredSession, moment

_WIDER = 4  # times as many messages are looked at as are wanted: what holds no more falls behind
_HOLDS, _IS_OVER = 0.1, 1.0  # what a message's memory adds to its score, and takes from it
_SIDE = 1.0  # score of a fact on the side of life that is asked for, as a share of the best
_MOST_RECENT = 200  # facts that are looked at for that
_UNASKED = 2.7  # score from which on a memory bears on a question that does not speak of the user
_OF_USER = re.compile(
    r"\b(?:i|i['’]?m|me|my|mine|we|us|our|ours|ich|mir|mich|meine?[mnrs]?|wir|uns|unsere?|je|j['’]|moi|mon|ma|mes|nous|yo|"
    r"mi|mis|nosotros)\b",
    re.IGNORECASE,
)
_SLOTS = {"home": "home", "employer": "work"}
_APART = (MemoryType.TOPIC, MemoryType.SUMMARY)  # claims that are stored with their session


class MemoryProcessor:
    """Turns sessions into memory. `memory_db_path` defaults to the home's `atles.db`.

    memory = MemoryProcessor("atles_memory/atles.db")
    memory.process_session(session)          # the JSON object of a session file
    memory.recall("Where do I live?")

    Who finds facts is the `extractor`; without one, the rules. With an `embedder`, what is found is ordered by meaning,
    too, as far as messages were embedded (`embed_pending`).
    """

    def __init__(
        self,
        memory_db_path: str | Path | None = None,
        *,
        store: Store | None = None,
        settings: Settings | None = None,
        extractor: Extractor | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.store = store or Store(Path(memory_db_path) if memory_db_path else Home().database)
        self.settings = settings or Settings()
        self._extractor = extractor or RuleExtractor(self.settings.memory.topics)
        self._embedder = embedder
        self.weights: Mapping[str, float] | None = None  # of recall; None: those that ship

    @property
    def embeds(self) -> bool:
        return self._embedder is not None

    def close(self) -> None:
        """Stop what runs beside; the store is its owner's to close."""
        if self._embedder:
            self._embedder.close()

    # --- what a session adds ---

    def process_session(self, session: Session | Mapping[str, Any]) -> dict[str, Any]:
        """Store, extract and reconcile. Running it again on the same session changes nothing.

        Returns `memory_items_created` (memories and topics that were not stored before), `insights_extracted` (topics),
        `patterns_identified` (preferences), and what else `remember` says. Raises EndpointError from an extractor that
        needs a model server.
        """
        session = self.prepare(session if isinstance(session, Session) else Session.of(session))
        self.store.sessions.add(session, self.settings.train.heldout_every)
        stored = self.store.sessions.get(session.session_id)
        return self.remember(stored, self.extract(stored))

    def prepare(self, session: Session) -> Session:
        """The session as it may be stored: without what ATLES put into it, and scrubbed."""
        return scrub_session(injected.without(session), self.settings.scrub.level)[0]

    def extract(self, stored: StoredSession) -> Extraction:
        """What the session says. May be slow and holds no lock. Raises EndpointError."""
        return self._extractor.extract(self.prepare(without_left(stored.session)))

    def remember(self, stored: StoredSession, extraction: Extraction) -> dict[str, Any]:
        """Reconcile what a stored session says with what is remembered, and make its messages searchable."""
        store, session = self.store, stored.session
        with store.transaction():
            self._rewrite(stored)
            store.turns.index(stored.number)
            claims = [claim for claim in extraction.claims if claim.type not in _APART]
            learned = learn.learn(store, stored, claims, type(self._extractor).__name__)
            rating.turn_down(store, stored)
            topics = learn.topics(extraction.claims)
            new_topics = store.memories.put_topics(stored.user, stored.number, topics)
            refused = dict(learned.refused + Counter(extraction.refused))
            preferences = [claim.text for claim in claims if claim.type is MemoryType.PREFERENCE]
            store.memories.put_session(
                session.session_id, len(session.messages), list(topics.values()), preferences, _data(extraction)
            )
            forgotten = [forget.asked(store, stored, request) for request in extraction.forget]
            left = store.memories.session(session.session_id)  # without what it asked to forget
        return {
            "memory_items_created": len(learned.created) + new_topics,
            "insights_extracted": left["topics"],
            "patterns_identified": left["preferences"],
            "memories": len(learned.created),
            "confirmed": learned.confirmed,
            "ended": learned.ended,
            "ended_in": sorted(learned.ended_in),
            "taken_back": learned.taken_back,
            "refused": refused,
            "forgotten": sum(it.messages for it in forgotten),
            "forgotten_in": sorted({name for it in forgotten for name in it.sessions}),
        }

    def index(self, sessions: Iterable[Session | Mapping[str, Any]]) -> int:
        """Store sessions and make their messages searchable, without reading facts out of them; how many messages.

        For large histories and for a user's first look: milliseconds per thousand messages. All or nothing.
        """
        store = self.store
        with store.transaction():
            numbers = []
            for session in sessions:
                session = self.prepare(session if isinstance(session, Session) else Session.of(session))
                store.sessions.add(session, self.settings.train.heldout_every)
                numbers.append(store.sessions.number(session.session_id))
            # After all of them: FTS5 writes out what it has gathered whenever another table is written to.
            return sum(map(store.turns.index, numbers))

    def _rewrite(self, stored: StoredSession) -> None:
        """Scrub what was stored under another `scrub.level`, or by a version that did not scrub."""
        clean = self.prepare(stored.session)
        if clean is stored.session:
            return
        old = {message.id: message.raw for message in stored.session.messages}
        rows = {row["id"]: row["rowid"] for row in self.store.sessions.message_rows(stored.number)}
        changed = {message.id: rows[message.id] for message in clean.messages if message.raw != old[message.id]}
        self.store.turns.remove_messages(changed.values())
        self.store.sessions.rewrite(clean, changed)

    def fade(self) -> int:
        """End what was neither said nor used for `memory.fade_days`; how many."""
        days = self.settings.memory.fade_days
        if not days:
            return 0
        at, before = now(), now() - timedelta(days=days)
        faded = self.store.memories.fading(before.isoformat(timespec="seconds"))
        with self.store.transaction():
            for memory_id in faded:
                self.store.memories.end(memory_id, at.isoformat(timespec="seconds"), "", "faded")
        return len(faded)

    def embed_pending(self, limit: int = 256) -> int:
        """Embed messages that are not yet, `limit` at most; how many. Raises ProgramFailed."""
        if self._embedder is None:
            return 0
        waiting = self.store.vectors.pending(limit)
        if waiting:
            vectors = self._embedder.embed([text for _, text in waiting])
            self.store.vectors.put(list(zip([rowid for rowid, _ in waiting], vectors, strict=True)))
        return len(waiting)

    # --- what memory adds ---

    def recall(
        self,
        query: str,
        k: int = 5,
        budget_tokens: int | None = None,
        user: str | None = None,
        at: str | None = None,
    ) -> list[Recalled]:
        """The `k` memories and stored messages that bear most on the question, best first; none if nothing does.

        Together they take at most `budget_tokens`, by estimate. `user` is whose memory: it may be left out where there
        is one. `at` is a time (ISO 8601): what was known then. What holds now comes before what held once.
        Raises AtlesError for a time that is none, and where it is not clear whose memory is meant.
        """
        until = moment(at)
        if at and not until:
            raise AtlesError(f"{at!r} is no time in the past; write it as 2026-05-31 or 2026-05-31T18:00:00+02:00")
        number = self.store.sessions.user(user)
        if number is None or k < 1:
            return []
        asked = recalling.understand(query)
        candidates, worth = recalling.look_up(self.store.turns, asked, number, until)
        ranked = recalling.rank(
            asked, candidates, worth, now(), self._cosines(query, candidates), self.weights, k=_WIDER * k
        )
        found = [*self._turns(ranked, until), *self._written(asked, number, until)]
        best = max((hit.score for hit in found), default=1.0)
        # A fact on the side that is asked for may have been found by its words, too, far behind other messages.
        on_side = {hit.message_id: hit for hit in self._on_that_side(query, number, until, best)}
        found = [max(hit, on_side.pop(hit.message_id, hit), key=lambda it: it.score) for hit in found]
        found += on_side.values()
        return _fitting(sorted(found, key=lambda hit: -hit.score), k, budget_tokens)

    def _turns(self, ranked: Sequence[recalling.Ranked], until: str | None) -> Iterable[Recalled]:
        """Ranked messages, with what is remembered of each: whether that still holds moves them."""
        known = self.store.memories.of_messages(it.turn.rowid for it in ranked)
        for it in ranked:
            turn, memories = it.turn, [memory for memory in known.get(it.turn.rowid, ()) if _held(memory, until)]
            hit = Recalled(turn.session_id, turn.id, turn.role, turn.text, turn.timestamp, it.score, why=it.why)
            over = [memory for memory in known.get(turn.rowid, ()) if not _held(memory, until)]
            if memories:
                first = memories[0]
                text, why = (first.text, "changed by you") if first.edited else (turn.text, "still holds")
                yield replace(
                    hit, score=hit.score + _HOLDS, kind=first.type, memory_id=first.id, text=text, why=(*it.why, why)
                )
            elif over:
                last = max(over, key=lambda memory: memory.valid_to or "")
                yield replace(
                    hit, score=hit.score - _IS_OVER, kind=last.type, memory_id=last.id, valid_to=last.valid_to,
                    why=(*it.why, f"held until {(last.valid_to or '')[:10]}"),
                )  # fmt: skip
            else:
                yield hit

    def _written(self, asked: recalling.Query, user: int, until: str | None) -> Iterable[Recalled]:
        """Memories that no message holds: written, changed or imported by hand."""
        words = set(asked.words)
        for memory in self.store.memories.by_hand(user):
            held = words & set(recalling.understand(memory.text).words)
            if held and _held(memory, until):
                why = (f"says {', '.join(f'‘{word}’' for word in sorted(held))}", "written by you")
                yield Recalled(
                    "", "", "user", memory.text, memory.valid_from, 1 + len(held) / len(words), memory.type, memory.id,
                    memory.valid_to, why,
                )  # fmt: skip

    def _on_that_side(self, query: str, user: int, until: str | None, best: float) -> Iterable[Recalled]:
        """Facts on the side of life that is asked for, whatever their words: "where do I live?", "in the halls now"."""
        sides = asked_aspects(query)
        if not sides:
            return
        for memory in self.store.memories.newest(user, _MOST_RECENT, until):
            held = sides & aspects(memory.text).keys() | {side for side in sides if _SLOTS.get(side) == memory.slot}
            sources = self.store.memories.sources(memory) if held else ()
            if not sources:
                continue
            row = sources[-1]
            yield Recalled(
                row["session_id"], row["id"], memory.said_by, memory.text, memory.valid_from, _SIDE * best, memory.type,
                memory.id, why=(f"on {', '.join(sorted(held))}", "still holds"),
            )  # fmt: skip

    def _cosines(self, query: str, candidates: Sequence[recalling.Candidate]) -> list[float] | None:
        """How alike in meaning each candidate is; None without vectors. Whatever is not embedded yet is average."""
        if self._embedder is None or not candidates:
            return None
        vectors = self.store.vectors.of(it.turn.rowid for it in candidates)
        if not vectors:
            return None
        (asked,) = self._embedder.embed([query])
        alike = {rowid: cosine(asked, vector) for rowid, vector in vectors.items()}
        average = sum(alike.values()) / len(alike)
        return [alike.get(it.turn.rowid, average) for it in candidates]

    def preferences(self, user: str | None = None) -> list[Memory]:
        """How the user wants to be answered, newest first."""
        number = self.store.sessions.user(user)
        return list(self.store.memories.of_user(number, MemoryType.PREFERENCE)) if number is not None else []

    def used(self, recalled: Iterable[Recalled]) -> None:
        """Note that these were put before a question: what is used does not fade."""
        with self.store.transaction():
            self.store.memories.used(hit.memory_id for hit in recalled if hit.memory_id)

    def before(self, question: str, user: str | None = None) -> list[dict[str, str]]:
        """The question as chat messages, with what is known put before it."""
        settings = self.settings.memory
        recalled = self.recall(question, settings.recall, settings.recall_tokens, user) if settings.recall else []
        # What bears on a question much less than the best does only distracts, the smaller the model the more.
        least = settings.recall_share * recalled[0].score if recalled else 0.0
        recalled = [hit for hit in recalled if hit.score >= least] or recalled[:1]
        if recalled and recalled[0].score < _UNASKED and not _OF_USER.search(question):
            recalled = []  # a general question, and what bears on it little would only distract
        asked = self.preferences(user)[: settings.preferences] if settings.preferences else []
        return injected.with_memory(question, recalled, [memory.text for memory in asked])


def cosine(one: bytes, other: bytes) -> float:
    """Of two vectors of signed bytes and length 127."""
    return sum(map(mul, array("b", one), array("b", other))) / 127**2


def _held(memory: Memory, until: str | None) -> bool:
    return memory.valid_to is None or (until is not None and memory.valid_to > until)


def _fitting(hits: Sequence[Recalled], k: int, budget_tokens: int | None) -> list[Recalled]:
    """The first `k` that fit into the budget together."""
    chosen: list[Recalled] = []
    left = budget_tokens
    taken: set[str] = set()
    for hit in hits:
        cost = recalling.tokens(hit.text)
        if (left is not None and cost > left) or (hit.memory_id and hit.memory_id in taken):
            continue
        taken.add(hit.memory_id)
        chosen.append(hit)
        left = None if left is None else left - cost
        if len(chosen) == k:
            break
    return chosen


def _data(extraction: Extraction) -> dict[str, Any]:
    """What a session's row says of its memories, for people and other programs."""
    return {
        kind.value + ("" if kind is MemoryType.SUMMARY else "s"): [
            {"text": claim.text, "messages": claim.messages, "confidence": round(claim.confidence, 3)}
            for claim in extraction.claims
            if claim.type is kind
        ]
        for kind in MemoryType
    }
