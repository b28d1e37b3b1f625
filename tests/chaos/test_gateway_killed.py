"""kill -9 of a gateway under load: what a client saw the end of is in a session, and is there once."""

import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from atles.capture.abandoned import close_abandoned
from atles.capture.inbox import Inbox
from atles.layout import Home
from atles.pipeline import jobs
from atles.pipeline.dataset import turns
from atles.queue.leases import LeaseQueue
from atles.records import Arrival
from atles.store import Store
from tests.fakes.process import ROOT, until
from tests.gateway.conftest import CHAT, Client, chat, journals
from tests.gateway.upstream import FakeUpstream, answers, events, pieces

pytestmark = pytest.mark.slow

KILLS = 20
CLIENTS = 6


class Killable:
    """A gateway that is started again and again; `url` is where it answers now."""

    def __init__(self, home: Home, upstream: FakeUpstream, errors: Path) -> None:
        self.url = ""
        self._errors = open(errors, "a")  # noqa: SIM115
        self._command = [sys.executable, "-m", "tests.fakes.gateway", str(home.root), upstream.url]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        assert self.url, "it starts"

    def kill(self) -> None:
        self.url = ""
        self._process.kill()
        self._ended()

    def terminate(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        status = self._process.wait(30)
        if self._process.stdout:
            self._process.stdout.close()
        return status


@dataclass
class Talker(threading.Thread):
    """A client that has one conversation after the other and repeats what it saw no end of."""

    gateway: Killable
    number: int
    stop: threading.Event
    finished: list[tuple[str, str]] = field(default_factory=list)  # questions and their answers
    talks: int = 0
    again: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        chance = random.Random(self.number)
        while not self.stop.is_set():
            self.talks += 1
            words: list[str] = []
            for turn in range(chance.randint(1, 6)):
                words.append(f"client {self.number}, talk {self.talks}, turn {turn}")
                answer = self.ask(words, stream=chance.random() < 0.7)
                if answer is None:
                    return
                self.finished.append((words[-1], answer))
                words.append(answer)

    def ask(self, words: list[str], stream: bool) -> str | None:
        """The answer, from whichever gateway gives it to the end; None when the test is over."""
        while not self.stop.is_set():
            url = self.gateway.url
            if not url:
                time.sleep(0.02)
                continue
            try:
                answer = Client(url, f"client {self.number}").post(CHAT, chat(*words, stream=stream))
            except (OSError, http.client.HTTPException):
                self.again += 1
                continue
            if answer.status == 200 and (not stream or answer.body.endswith(b"data: [DONE]\n\n")):
                return said(answer.body) if stream else answer.text
            self.again += 1
        return None


def said(stream: bytes) -> str:
    chunks = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: {")]
    return "".join(it["delta"].get("content", "") for chunk in chunks for it in chunk["choices"])


async def fresh(request, sent):
    """No two answers are the same, so that none can stand for another."""
    text = f"answer {id(sent)} {time.monotonic_ns()} to {sent.asked}"
    if sent.stream:
        return await pieces(events(CHAT, text), pause=random.random() * 0.002)(request, sent)
    return await answers(text)(request, sent)


def take_all(home: Home) -> Store:
    """What the daemon does with what it finds."""
    close_abandoned(home, 0, now=lambda: time.time() + 3600)
    store = Store(home.database)
    inbox = Inbox(
        home, store, LeaseQueue(store.database, "test"), jobs.first_job,
        heldout_every=5, settle_seconds=0, scrub=lambda session: session,
    )  # fmt: skip
    for path in sorted(home.sessions.glob("completed_*.json")):
        assert inbox.take(path) in (Arrival.NEW, Arrival.GROWN, Arrival.SAME)
    return store


def test_what_a_client_saw_the_end_of_survives_and_is_there_once(home: Home, tmp_path: Path) -> None:
    stop, chance = threading.Event(), random.Random(20261126)
    with FakeUpstream(fresh) as upstream:
        gateway = Killable(home, upstream, tmp_path / "errors")
        talkers = [Talker(gateway, number, stop) for number in range(CLIENTS)]
        for talker in talkers:
            talker.start()
        seen = 0
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.2, 1.2))
            gateway.kill()
            gateway.start()
            done = sum(len(talker.finished) for talker in talkers)
            assert done >= seen
            seen = done
        until(lambda: sum(len(talker.finished) for talker in talkers) > seen, "and it answers", 30)
        stop.set()
        for talker in talkers:
            talker.join(30)
        assert gateway.terminate() == 0
    finished = [turn for talker in talkers for turn in talker.finished]
    assert len(finished) > KILLS * CLIENTS
    assert sum(talker.again for talker in talkers) > KILLS, "kills hit answers on their way"
    assert "Traceback" not in (tmp_path / "errors").read_text()

    store = take_all(home)
    assert not any(home.quarantine.iterdir())
    assert journals(home) == {}
    assert not any(home.sessions.glob("completed_*.json"))
    sessions = [store.sessions.get(row["session_id"]).session for row in store.sessions.list()]
    there = Counter(message.text for session in sessions for message in session.messages)
    for question, answer in finished:
        assert (there[question], there[answer]) == (1, 1), question
    # Of an answer that nobody saw the end of there may be one, too; what stands is what its client saw.
    stand = Counter((turn.question, turn.answer) for session in sessions for turn in turns(session.messages))
    assert [turn for turn in finished if stand[turn] != 1] == []
    # No conversation was torn in two.
    of_talk: dict[str, set[str]] = {}
    for session in sessions:
        for message in session.messages:
            if message.role == "user":
                of_talk.setdefault(message.text.rpartition(", turn")[0], set()).add(session.session_id)
    assert [talk for talk, ids in of_talk.items() if len(ids) > 1] == []
    store.close()
