"""kill -9 of a gateway under load: what a client saw the end of is in a session, and is there once."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
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
from tests.chaos.traffic import Ledger, Talker
from tests.fakes.process import ROOT, until
from tests.gateway.conftest import CHAT, journals
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
        home, store, LeaseQueue(store.database, "test", 60), jobs.first_job,
        heldout_every=5, settle_seconds=0, scrub=lambda session: session,
    )  # fmt: skip
    for path in sorted(home.sessions.glob("completed_*.json")):
        assert inbox.take(path) in (Arrival.NEW, Arrival.GROWN, Arrival.SAME)
    return store


def test_what_a_client_saw_the_end_of_survives_and_is_there_once(home: Home, tmp_path: Path) -> None:
    ledger, chance = Ledger(), random.Random(20261126)
    with FakeUpstream(fresh) as upstream:
        gateway = Killable(home, upstream, tmp_path / "errors")
        talkers = [Talker(gateway, number, ledger) for number in range(CLIENTS)]
        for talker in talkers:
            talker.start()
        seen = 0
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.2, 1.2))
            gateway.kill()
            gateway.start()
            done = len(ledger.turns)
            assert done >= seen
            seen = done
        until(lambda: len(ledger.turns) > seen, "and it answers", 30)
        for talker in talkers:
            talker.stop()
        for talker in talkers:
            talker.join(30)
            assert talker.error is None
        assert gateway.terminate() == 0
    finished = ledger.turns
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
