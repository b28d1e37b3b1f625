"""Forgetting: a hard delete of words, wherever the database holds them. Knows the store, never how it was asked for.

A forgotten message keeps its place and its id, without its words: so a client that sends its history again does not
bring them back. What was said of it (memories, topics, examples, vectors) goes, and what it had replaced holds again.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from atles.clock import timestamp
from atles.pipeline.extract.words import DAYS
from atles.pipeline.recall import MONTHS, STOP_WORDS, idf
from atles.pipeline.reconcile import folded
from atles.records import ForgetRequest, Memory
from atles.store import Store
from atles.store.sessions import StoredSession, rowids, user_of
from atles.store.turns import said

_RARE = 12  # messages: a name that more of them hold is more than the user can mean
_LONG = 7  # letters of a word that is known by its beginning
_ENOUGH = 0.6  # of what the message holds that holds most of the request's words
_WORD = re.compile(r"[^\W_]+")
# Words of a request to forget that do not name what is to be forgotten.
_ASKING = frozenset(
    """anything ask asked bit business confessed confided conversation delete everything fact forget forgotten ignore
    info information item memory mention mentioned name part please record records remove said something
    strike stuff talked telling thing things told whole wipe""".split()
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is gone: how many messages lost their words, how many memories, and in which sessions."""

    messages: int
    memories: int
    sessions: tuple[str, ...]


def forget(
    store: Store, *, sessions: Iterable[str] = (), messages: Iterable[int] = (), memories: Iterable[Memory] = ()
) -> Forgotten:
    """Forget all that was said in sessions, messages (rowids), and memories with the words that said them; with every
    memory that only these words said. Raises AtlesError if there is no session of a name."""
    with store.transaction():
        gone = list(memories)
        rowids_ = sorted(
            {
                *messages,
                *(row["rowid"] for it in sessions for row in store.sessions.message_rows(store.sessions.number(it))),
                *(row["rowid"] for memory in gone for row in store.memories.sources(memory)),
            }
        )
        for user in sorted(set(map(user_of, rowids_))):  # all of them before anything else is locked
            store.sessions.lock(user)
        for memory in gone:
            store.memories.delete(memory.id)
        if not rowids_:
            return Forgotten(0, len(gone), ())
        store.turns.remove_messages(rowids_)
        store.vectors.remove(rowids_)
        store.feedback.remove(rowids_)
        touched = {memory.id: memory for found in store.memories.of_messages(rowids_).values() for memory in found}
        touched_sessions = store.sessions.forget_messages(rowids_, timestamp())
        store.memories.drop_messages(rowids_)
        deleted = len(gone)
        for memory in touched.values():
            if not memory.edited and not store.memories.sources(memory):
                store.memories.delete(memory.id)
                deleted += 1
        for session_id in touched_sessions:
            store.examples.blank(session_id)
            store.logs.forget(session_id)
            _prune(store, session_id)
        store.memories.drop_idle_topics()
        store.turns.wipe()
        store.memories.wipe()
    return Forgotten(len(rowids_), deleted, tuple(touched_sessions))


def _prune(store: Store, session_id: str) -> None:
    """Keep of a session's own row what its remaining words still say."""
    stored = store.sessions.get(session_id)
    left = f" {folded(' '.join(message.text for message in stored.session.messages))} "

    def kept(text: str) -> bool:
        return f" {folded(text)} " in left

    row = store.memories.session_or_none(session_id)
    if row is None:
        return
    topics = [text for text in row["topics"] if kept(text)]
    data = {kind: [it for it in items if kept(it["text"])] for kind, items in row["data"].items()}
    store.memories.put_topics(stored.user, stored.number, {folded(text): text for text in topics})
    preferences = [text for text in row["preferences"] if kept(text)]
    store.memories.put_session(session_id, row["message_count"], topics, preferences, data)


def asked(store: Store, stored: StoredSession, request: ForgetRequest) -> Forgotten:
    """Do what the user asked for in a chat: forget what the words of the request name, or what was said just before.

    The request itself and the answers to what is forgotten go, too: they repeat it.
    """
    rows = {row["position"]: row for row in store.sessions.message_rows(stored.number)}
    if set(_words(request.about)) - _ASKING:
        chosen = _named(store, stored.user, request.about, rows[request.message]["rowid"])
    else:
        before = [n for n in sorted(rows) if n < request.message and rows[n]["role"] == "user"]
        chosen = {rows[before[-1]]["rowid"]} if before else set()
    chosen |= {rows[request.message]["rowid"]}
    return forget(store, messages=chosen | _answers(store, chosen))


def _named(store: Store, user: int, about: str, request: int) -> set[int]:
    """Messages before the request that hold most of what it names: all of its names, and of its words, by how rare each
    is, _ENOUGH of what any message holds. Where it names a month, those of that month, if there are any."""
    first, _ = rowids(user)
    words = [word for word in _words(about) if word not in _ASKING]

    def holding(word: str) -> set[int]:
        found = set(store.turns.with_word(word, first, request - 1))
        # "pregnancy" means "pregnant", too
        return found | set(store.turns.with_start(word[:-2], first, request - 1)) if len(word) >= _LONG else found

    then = set().union(*(holding(said(None, MONTHS[word], None)) for word in words if word in MONTHS))
    held = {word: holding(word) for word in words if word not in MONTHS or not then}
    held = {word: found & then for word, found in held.items() if found & then} or held
    worth: dict[int, float] = {}
    for found in held.values():
        for place in found:
            worth[place] = worth.get(place, 0.0) + idf(len(found), request - first)
    best = max(worth.values(), default=0.0)
    chosen = {place for place, value in worth.items() if value >= best * _ENOUGH}
    capital = {word.lower() for word in _WORD.findall(about) if word[0].isupper()}
    for word, found in held.items():
        if word in DAYS or len(found) > _RARE:
            continue
        if word in capital or _is_name(store, word, {first + place for place in found}):
            chosen |= found
    return {first + place for place in chosen}


def _is_name(store: Store, word: str, messages: set[int]) -> bool:
    """Whether somebody writes the word with a capital inside a sentence: users seldom do, assistants do."""
    inside = re.compile(rf"[\w,;] {re.escape(word.capitalize())}\b")
    return any(inside.search(turn.text) for turn in store.turns.get(messages))


def _answers(store: Store, messages: set[int]) -> set[int]:
    """The assistant's direct answers to messages of the user."""
    return {row["rowid"] for row in store.sessions.answers_to(sorted(messages))}


def _words(text: str) -> list[str]:
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in STOP_WORDS]
