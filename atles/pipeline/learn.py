"""Puts a session's claims into memory: compares each with what is remembered, and stores what that changes.

Running it again on the same session changes nothing; on a session that has grown, or is read by another extractor, what
it no longer says is taken back.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from atles.clock import timestamp
from atles.pipeline.aspects import aspects
from atles.pipeline.reconcile import content, folded, kin, reconcile, sides
from atles.records import Claim, Memory, MemoryType, content_id
from atles.store import Store
from atles.store.database import Row
from atles.store.sessions import StoredSession

_MOST_LIKE = 20  # memories that share words with a claim and are compared with it
_MOST_RECENT = 200  # and of the user's newest, those on the same side of life
_WORDS_ASKED = 12  # of a claim, in the search for these
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class Learned:
    """What a session changed: the ids of new memories, and how many were confirmed, ended, taken back or refused."""

    created: list[str] = field(default_factory=list)
    confirmed: int = 0
    ended: int = 0
    taken_back: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    ended_in: set[str] = field(default_factory=set)  # sessions that said what holds no more


def learn(store: Store, stored: StoredSession, claims: Sequence[Claim], extractor: str) -> Learned:
    """Reconcile claims (no topics, no summaries) with the memories of the session's user, in one transaction."""
    learned = Learned()
    with store.transaction():
        rows = {row["position"]: row for row in store.sessions.message_rows(stored.number)}
        said_before = store.memories.of_messages(row["rowid"] for row in rows.values())
        _take_back(store, stored, claims, learned)
        for claim in sorted(claims, key=lambda it: it.messages[0]):
            # Of a forgotten message only its place is left.
            messages = [rows[position] for position in claim.messages if position in rows and rows[position]["text"]]
            if not messages or any(_says(memory, claim) for memory in said_before.get(messages[0]["rowid"], ())):
                continue
            _learn(store, stored.user, claim, [row["rowid"] for row in messages], messages[0], extractor, learned)
    return learned


def _learn(
    store: Store, user: int, claim: Claim, sources: Sequence[int], message: Row, extractor: str, learned: Learned
) -> None:
    at = message["timestamp"]
    decision = reconcile(claim, at, related(store, user, claim))
    if decision.action == "refuse":
        learned.refused[decision.reason] += 1
        return
    if decision.memory:
        store.memories.add_sources(decision.memory.id, sources)
        store.memories.held_from(decision.memory.id, at)
        learned.confirmed += 1
        return
    memory = Memory(
        id=content_id(user, claim.type, folded(claim.text), message["id"]),
        type=claim.type,
        text=claim.text,
        said_by=claim.said_by,
        confidence=claim.confidence,
        slot=claim.slot,
        value=claim.value,
        valid_from=at,
        valid_to=decision.until,
        replaced_by=decision.by,
        ended_how="replaced" if decision.by else "",
        count=len(sources),
        pinned=False,
        edited=False,
        extractor=extractor,
        created_at=timestamp(),
        last_used_at=None,
        uses=0,
    )
    store.memories.add(memory, user, folded(claim.text), sources, memory.ended_how)
    learned.created.append(memory.id)
    for old, how in decision.ends:
        store.memories.end(old.id, at, memory.id, how)
        learned.ended += 1
        learned.ended_in |= {source["session_id"] for source in store.memories.sources(old)}


def related(store: Store, user: int, claim: Claim) -> list[Memory]:
    """The memories that a claim is compared with: of its slot, of its words, and of some of its words."""
    # What it takes the place of, then the longest words; a number also as the beginning of a word ("144" in "144Hz").
    said = sorted(set(_WORD.findall(claim.text.lower())), key=lambda word: (not content(word), -len(word), word))
    words = list(dict.fromkeys([*_WORD.findall(claim.replaces.lower()), *said]))
    asked, numbers = ([it for it in words[:_WORDS_ASKED] if it.isdigit() is digits] for digits in (False, True))
    found = [
        *store.memories.in_slot(user, claim.slot),
        *store.memories.same_words(user, folded(claim.text)),
        *store.memories.like(user, asked, numbers, _MOST_LIKE),
    ]
    if concerned := sides(claim):
        found += [it for it in store.memories.newest(user, _MOST_RECENT) if concerned & aspects(it.text).keys()]
    return list({memory.id: memory for memory in found}.values())


def _take_back(store: Store, stored: StoredSession, claims: Sequence[Claim], learned: Learned) -> None:
    """What the session said when it was read before, and says no more."""
    for memory in store.memories.of_session(stored.number):
        if memory.edited or memory.pinned or any(_says(memory, claim) for claim in claims):
            continue
        store.memories.drop_sources(memory.id, stored.number, stored.user)
        if not store.memories.sources(memory):
            store.memories.delete(memory.id)
            learned.taken_back += 1


def _says(memory: Memory, claim: Claim) -> bool:
    if not kin(memory.type, claim.type):
        return False
    return memory.edited or folded(memory.text) == folded(claim.text) or content(claim.text) <= content(memory.text)


def topics(claims: Iterable[Claim]) -> dict[str, str]:
    """The session's key phrases, folded -> as written."""
    return {folded(claim.text): claim.text for claim in claims if claim.type is MemoryType.TOPIC}
