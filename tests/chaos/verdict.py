"""Whether every session that was handed over is stored and learned exactly once, by count and by content.

Knows what must be there (a `Ledger`), nothing of kills. What a session is to come to, a home that nobody killed says
(`unkilled.py`); where everything lies, `agree.py` knows.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atles.layout import Home
from atles.pipeline.dataset import turns
from atles.pipeline.lanes import open_queue
from atles.pipeline.memory import MemoryProcessor
from atles.records import Session, Step
from atles.settings import Settings
from atles.store import Store, open_store
from atles.store.sessions import StoredSession
from tests.chaos.agree import disagreements, log_lines
from tests.chaos.traffic import Ledger, Said
from tests.chaos.unkilled import Learned, learn

_TALK = re.compile(r"client \d+, talk \d+")


@dataclass(frozen=True)
class Verdict:
    """`lost` and `duplicated` are in words, as is whatever else is `wrong`."""

    lost: Sequence[str]
    duplicated: Sequence[str]
    wrong: Sequence[str]

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.wrong)


def judge(home: Home, ledger: Ledger, settings: Settings, kills: int = 0) -> Verdict:
    """Look at a home in which nothing is left to do. `kills` may each have left a temporary file."""
    store = open_store(home, settings)
    try:
        return _Judge(home, store, ledger, settings).judge(kills)
    finally:
        store.close()


def learned_once(home: Home, sessions: Sequence[dict[str, Any]], kills: int = 1) -> None:
    """The same for session files that were dropped under their own names, as an assertion."""
    files = [home.completed(session["session_id"]).name for session in sessions]
    verdict = judge(home, Ledger({it["session_id"]: it for it in sessions}, files=files), Settings(), kills)
    assert verdict == Verdict([], [], [])


class _Judge:
    def __init__(self, home: Home, store: Store, ledger: Ledger, settings: Settings) -> None:
        self.home, self.store, self.ledger, self.settings = home, store, ledger, settings
        stored = [store.sessions.get(row["session_id"]) for row in store.sessions.list()]
        self.stored = {it.session.session_id: it for it in sorted(stored, key=lambda it: it.number)}
        self.unkilled = self._learned_unkilled()

    def judge(self, kills: int) -> Verdict:
        lost = [*self._lost(), *self._lost_turns()]
        duplicated = [*self._twice()]
        wrong = [
            *self._strangers(), *self._unfinished(), *self.unkilled.differs(Learned.of(self.store)),
            *disagreements(self.home, self.store, self.stored, self.ledger.files, kills),
        ]  # fmt: skip
        return Verdict(lost, duplicated, wrong)

    # --- sessions ---

    def _lost(self) -> Iterator[str]:
        memory = MemoryProcessor(store=self.store, settings=self.settings)
        for name, document in self.ledger.sessions.items():
            expected = _said(memory.prepare(Session.of(document)))
            if name not in self.stored:
                yield f"{name} is not stored"
            elif (found := _said(self.stored[name].session)) != expected:
                yield f"{name}: {len(found)} messages are stored, and not the {len(expected)} that were handed over"
        for name, said in self.ledger.begun.items():
            found = _said(self.stored[name].session) if name in self.stored else []
            # The message that its host was about to log when it was killed may be there or not.
            if found[: len(said)] != said or len(found) > len(said) + 1:
                yield f"{name}, whose host was killed: {len(found)} messages are stored of {len(said)}"

    def _lost_turns(self) -> Iterator[str]:
        stand = Counter(
            (turn.question, turn.answer) for it in self._of_gateway() for turn in turns(it.session.messages)
        )
        there = Counter(message.text for it in self._of_gateway() for message in it.session.messages)
        for question, answer in self.ledger.turns:
            if (there[question], there[answer], stand[question, answer]) != (1, 1, 1):
                yield (
                    f"“{question}”: stored {there[question]} times, its answer {there[answer]} times, "
                    f"and {stand[question, answer]} times as what stands"
                )

    def _twice(self) -> Iterator[str]:
        talks: dict[str, set[str]] = {}
        for it in self._of_gateway():
            for message in it.session.messages:
                if message.role == "user" and (talk := _TALK.match(message.text)):
                    talks.setdefault(talk[0], set()).add(it.session.session_id)
        yield from (f"{talk} was torn into {len(ids)} sessions" for talk, ids in talks.items() if len(ids) > 1)
        logged = Counter((line["session_id"], line["revision"]) for line in log_lines(self.home))
        ended = Counter(name for it in self.unkilled.memories.values() if it.valid_to for name, _ in it.sources)
        for (name, _), n in logged.items():
            # When a memory ends, the data of the session that said it is made and logged again; and once more where a
            # session that grew too late to keep its place says that it ended earlier.
            if n > 1 + 2 * ended[name]:
                yield f"{name}: {n} lines in the master log"
        came = Counter(self.ledger.files)
        files = Counter(_first_name(path.name) for path in self.home.processed.iterdir())
        yield from (
            f"{name}: {files[name]} times in processed/, not {n}" for name, n in came.items() if files[name] > n
        )

    def _strangers(self) -> Iterator[str]:
        known = {*self.ledger.sessions, *self.ledger.begun, *(it.session.session_id for it in self._of_gateway())}
        yield from (f"{name} was never handed over" for name in self.stored if name not in known)

    def _of_gateway(self) -> Iterator[StoredSession]:
        return (it for it in self.stored.values() if it.session.metadata.get("source") == "gateway")

    # --- what was learned ---

    def _unfinished(self) -> Iterator[str]:
        queue = open_queue(self.store, self.settings)
        yield from (f"{job.key} is a dead letter: {job.error}" for job in queue.dead())
        yield from (f"{job.key} is still {job.state}" for job in queue.open())
        for name, it in self.stored.items():
            done = self.store.logs.steps(name, it.revision)
            if missing := {Step.MEMORY, Step.DATA, Step.LOG} - done.keys():
                yield f"{name}: the steps {', '.join(sorted(missing))} of revision {it.revision} are not recorded"
            yield from (f"{name}: {step}: {row['error']}" for step, row in done.items() if row["error"])
            if it.waiting_for:
                yield f"{name} waits for {it.waiting_for} for ever"
        if self.settings.memory.rerank != "off" and (left := len(self.store.vectors.pending(1000))):
            yield f"{left} messages are not embedded"

    def _learned_unkilled(self) -> Learned:
        documents = []
        for name, it in self.stored.items():
            document = it.session.as_json()
            # A message's id is that of the words as they came, before they were scrubbed.
            came = self.ledger.sessions.get(name, document)["messages"]
            messages = [{**stored, **said} for stored, said in zip(document["messages"], came, strict=False)]
            documents.append({**document, "messages": messages})
        with tempfile.TemporaryDirectory() as folder:
            return learn(Path(folder), documents, self.settings)


def _said(session: Session) -> list[Said]:
    return [(message.role, message.text) for message in session.messages]


def _first_name(name: str) -> str:
    """Under which a file came: `completed_x.2.json` is the second `completed_x.json`."""
    return re.sub(r"\.\d+\.json$", ".json", name)
