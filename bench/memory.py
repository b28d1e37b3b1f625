"""What memory keeps of invented people: found, right, replaced, never stored; and whether it feeds on itself.

    python -m bench memory --people DIR      a folder of the form of bench/people

Every session goes through the public `MemoryProcessor`, with rules alone; then what is stored is held against the
probes.
"""

import argparse
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atles.pipeline.injected import MARK_END
from atles.pipeline.memory import MemoryProcessor
from atles.records import Memory, MemoryType
from atles.store import Store
from bench.figures import Figure, say
from bench.people import HERE, KINDS, Person, Probe, load

_WORLD = (MemoryType.FACT, MemoryType.CORRECTION)
_ROUNDS = 100
_RECALLED = 5
_TAUGHT = ("fact", "update", "correction", "preference", "procedure")


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--people", type=Path, default=HERE, metavar="DIR", help="invented people  [bench/people]")
    parser.add_argument("--misses", action="store_true", help="memory: also print each probe that failed")


@dataclass
class Counts:
    """What was counted over all people: (right, of) by name."""

    shares: dict[str, list[int]] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    memories: int = 0
    sessions: int = 0
    cpu: float = 0.0

    def add(self, name: str, right: bool, what: str = "", *, bad: bool = False) -> None:
        """Count a case; where `bad` is set, a "right" one is the failure."""
        share = self.shares.setdefault(name, [0, 0])
        share[0] += right
        share[1] += 1
        if right is bad and what:
            self.misses.append(f"{name}: {what}")

    def percent(self, name: str) -> float:
        right, of = self.shares.get(name, (0, 0))
        return 100 * right / of if of else 0.0

    def note(self, name: str) -> str:
        right, of = self.shares.get(name, (0, 0))
        return f"{right} of {of}"


def measure(options: argparse.Namespace) -> list[Figure]:
    found = load(options.people)
    if found.problems:
        raise RuntimeError(f"{options.people} is not of the form: {'; '.join(found.problems[:5])}")
    counts, feedback = Counts(), 0
    for person in found.people:
        with tempfile.TemporaryDirectory() as folder:
            memory = MemoryProcessor(Path(folder) / "atles.db")
            _teach(memory, person, counts)
            _examine(memory, person, counts)
            feedback += _feed_back(memory, person)
            memory.store.close()
        say(f"{person.name}: done")
    if options.misses:
        print("\n".join(counts.misses))
    return [*_figures(counts), Figure(
        f"memories that {_ROUNDS} rounds of its own context added, all people", feedback, "", 0,
    )]  # fmt: skip


def _teach(memory: MemoryProcessor, person: Person, counts: Counts) -> None:
    began = time.process_time()
    for session in person.sessions:
        counts.refused.update(memory.process_session(session)["refused"])
    counts.cpu += time.process_time() - began
    counts.sessions += len(person.sessions)


def _examine(memory: MemoryProcessor, person: Person, counts: Counts) -> None:
    user = memory.store.sessions.user()
    assert user is not None  # the sessions were just stored
    everything = memory.store.memories.of_user(user, ended=True)
    valid = [it for it in everything if it.valid_to is None]
    texts = _stored_texts(memory.store)
    counts.memories += len(valid)
    for probe in person.probes:
        name, what = probe.kind, f"{probe.id}: {probe.ask}"
        if probe.kind in _TAUGHT:
            counts.add(f"found: {name}", _is_found(probe, valid, memory.store), what)
        if probe.kind == "update":
            old = [it.text for it in valid if it.type in _WORLD and probe.wrong(it.text) and not probe.right(it.text)]
            new = any(probe.right(it.text) for it in valid)
            if new or old:
                counts.add("update: only the new form is valid, of those stored", new and not old, f"{what} {old}")
            counts.add("update: only the new form is valid, of all", new and not old)
        if probe.kind == "distractor":
            stored = [it.text for it in everything if probe.wrong(it.text)]
            counts.add("distractor stored as the user's", bool(stored), f"{what} {stored}", bad=True)
        if probe.kind in ("secret", "forget"):
            left = [text for text in texts if probe.wrong(text)]
            counts.add(f"{name} left anywhere in the store", bool(left), f"{what} {left[:2]}", bad=True)
        if probe.kind in ("fact", "update", "correction", "procedure"):
            for ask in (probe.ask, *probe.paraphrases):
                hits = memory.recall(ask, _RECALLED)
                right = any(probe.expect and probe.expect.search(hit.text) for hit in hits)
                counts.add(f"recall@{_RECALLED}: {name}", right, f"{probe.id}: {ask}")
    _precision(person, valid, counts)


def _is_found(probe: Probe, valid: Sequence[Memory], store: Store) -> bool:
    if probe.kind != "preference":
        return any(probe.expect is not None and probe.expect.search(it.text) for it in valid)
    wishes = [it for it in valid if it.type is MemoryType.PREFERENCE]
    if probe.request:
        return any(probe.request.search(it.text) for it in wishes)
    return any(row["session_id"] in probe.taught_in for it in wishes for row in store.memories.sources(it))


def _precision(person: Person, valid: Iterable[Memory], counts: Counts) -> None:
    """Of the valid memories that touch on a probe: whether they say what is right. Memories that no probe asks for
    cannot be judged by a program; how many there are is a figure of its own."""
    asked = [probe for probe in person.probes if probe.kind in ("fact", "update", "correction", "distractor")]
    for memory in valid:
        if memory.type not in _WORLD:
            continue
        right = any(probe.right(memory.text) for probe in asked if probe.kind != "distractor")
        wrong = any(probe.wrong(memory.text) for probe in asked) and not right
        if right or wrong:
            counts.add("precision of those that a probe asks for", right, memory.text)


def _stored_texts(store: Store) -> list[str]:
    """Every text in every table of the database, read as a stranger would."""
    store.database.close()
    with sqlite3.connect(store.database.path) as connection:
        tables = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        return [
            value if isinstance(value, str) else value.decode("utf-8", "ignore")
            for table in tables
            for row in connection.execute(f'select * from "{table}"')
            for value in row
            if isinstance(value, str | bytes)
        ]


def _feed_back(memory: MemoryProcessor, person: Person) -> int:
    """Ask with memory in front, and hand the whole conversation in as a session, again and again."""
    before = memory.store.memories.count()
    asks = [probe.ask for probe in person.probes if probe.kind in ("fact", "update")]
    for number in range(_ROUNDS):
        messages: list[dict[str, Any]] = list(memory.before(asks[number % len(asks)]))
        block, mark, question = messages[0]["content"].partition(MARK_END)
        if number % 2 and mark:  # a client that makes a system message of it
            messages = [{"role": "system", "content": block + mark}, {"role": "user", "content": question.strip()}]
        answer = next((line[2:] for line in block.splitlines() if line.startswith("- ")), "I do not know.")
        messages.append({"role": "assistant", "content": answer})
        memory.process_session({"session_id": f"round_{number}", "messages": messages, "metadata": {}})
    return memory.store.memories.count() - before


def _figures(counts: Counts) -> list[Figure]:
    figures = []
    for kind in KINDS:
        if f"found: {kind}" in counts.shares:
            name = f"found: {kind}"
            figures.append(Figure(name, counts.percent(name), "%", note=counts.note(name)))
    name = "precision of those that a probe asks for"
    figures.append(Figure(name, counts.percent(name), "%", note=counts.note(name)))
    for name, target, least in (
        ("update: only the new form is valid, of those stored", None, 80),
        ("update: only the new form is valid, of all", None, None),
        ("distractor stored as the user's", 2, None),
        ("secret left anywhere in the store", 0, None),
        ("forget left anywhere in the store", 0, None),
    ):
        figures.append(Figure(name, counts.percent(name), "%", target, counts.note(name), least))
    for kind in KINDS:
        name = f"recall@{_RECALLED}: {kind}"
        if name in counts.shares:
            figures.append(Figure(name, counts.percent(name), "%", note=f"{counts.note(name)} questions, no model"))
    refused = ", ".join(f"{n} {reason}" for reason, n in counts.refused.most_common())
    return [
        *figures,
        Figure("valid memories per session", counts.memories / counts.sessions, ""),
        Figure("refused per session", sum(counts.refused.values()) / counts.sessions, "", note=refused),
        Figure("CPU per session", 1000 * counts.cpu / counts.sessions, "ms"),
    ]
