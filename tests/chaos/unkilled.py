"""What the same sessions come to in a home that nobody kills: the measure for what came of them elsewhere."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from atles.clock import new_id
from atles.layout import Home
from atles.records import Memory
from atles.settings import Settings
from atles.store import Store
from atles.store.turns import words
from tests.fakes import FakePrograms
from tests.pipeline.conftest import Pipeline

_SHOWN = 5  # differences of a kind
_WORDS = 1000  # that are looked for, at most


@dataclass(frozen=True)
class Learned:
    """What was learned, without the times at which it was."""

    messages: dict[str, tuple[tuple[str, str], ...]]  # session -> (id, words)
    examples: dict[str, frozenset[tuple[str, str]]]  # session -> (id, what was turned down)
    sessions: dict[str, tuple[Any, ...]]  # session -> topics, preferences, and what it said by type
    memories: dict[str, Memory]
    found: dict[str, frozenset[str]]  # some words -> messages that the index finds by them

    @classmethod
    def of(cls, store: Store) -> "Learned":
        rows = store.sessions.list()
        stored = {row["session_id"]: store.sessions.get(row["session_id"]) for row in rows}
        ids = {
            row["rowid"]: row["id"] for it in stored.values() for row in store.sessions.message_rows(it.number)
        }  # fmt: skip
        said = {word for it in stored.values() for message in it.session.messages for word in words(message.text)}
        some = sorted(said)[:: len(said) // _WORDS + 1]
        user = store.sessions.user("")
        if user is None:
            return cls({}, {}, {}, {}, {})
        first, last = store.turns.span(user)
        return cls(
            {name: tuple((it.id, it.text) for it in one.session.messages) for name, one in stored.items()},
            {name: frozenset((it.id, it.rejected) for it in store.examples.of_session(name)) for name in stored},
            {
                name: (row["topics"], row["preferences"], row["message_count"], row["data"])
                for name in stored
                if (row := store.memories.session_or_none(name))
            },
            {it.id: _timeless(store, it) for it in store.memories.of_user(user, ended=True)},
            {word: frozenset(ids[first + at] for at in store.turns.with_word(word, first, last)) for word in some},
        )

    def differs(self, found: "Learned") -> Iterator[str]:
        """In words, in what `found` is not as this."""
        for field in fields(self):
            expected, other = getattr(self, field.name), getattr(found, field.name)
            wrong = [key for key in expected.keys() | other.keys() if expected.get(key) != other.get(key)]
            for key in sorted(wrong)[:_SHOWN]:
                here, there = _differing(other.get(key), expected.get(key))
                yield f"{field.name} of {key}: {_short(here)}, not {_short(there)}"
            if len(wrong) > _SHOWN:
                yield f"{field.name}: {len(wrong) - _SHOWN} more"


def _differing(one: Any, other: Any) -> tuple[Any, Any]:
    """Of two memories what is not the same in both."""
    if not (isinstance(one, Memory) and isinstance(other, Memory)):
        return one, other
    pairs = [(it.name, getattr(one, it.name), getattr(other, it.name)) for it in fields(Memory)]
    differ = [it for it in pairs if it[1] != it[2]]
    return (one.text, {name: value for name, value, _ in differ}), {name: value for name, _, value in differ}


def _short(value: Any) -> str:
    return textwrap.shorten(repr(value), 200)


def _timeless(store: Store, memory: Memory) -> Memory:
    sources = tuple(sorted((row["session_id"], row["id"]) for row in store.memories.sources(memory)))
    return replace(memory, created_at="", last_used_at=None, uses=0, sources=sources)


def learn(folder: Path, sessions: Sequence[dict[str, Any]], settings: Settings) -> Learned:
    """Learn the sessions one after the other in a new home, without training."""
    plain = replace(
        settings,
        train=replace(settings.train, enabled=False),
        memory=replace(settings.memory, rerank="off"),
        store=replace(
            settings.store, schema=f"unkilled_{new_id()}"
        ),  # on PostgreSQL; SQLite's file lies in the new home
    )
    pipeline = Pipeline(Home(folder / "home").create(), FakePrograms(folder / "control"), plain)
    try:
        for session in sessions:
            pipeline.arrive(session)
        pipeline.work_off()
        return Learned.of(pipeline.store)
    finally:
        pipeline.store.close()
