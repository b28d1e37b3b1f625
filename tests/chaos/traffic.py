"""What is said while processes are killed, and what of it was handed over: as files, by SessionTrackers, by clients of
the gateway. Knows what a chat application may rely on, nothing of what is learned.
"""

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from atles.capture.outbox import hand_over
from atles.layout import Home
from tests.fakes.process import ROOT
from tests.gateway.conftest import CHAT, Client, chat
from tests.samples import document

Said = tuple[str, str]  # role and words, or question and answer
_CROWD = 40  # session files that wait; with more of them, no step would come to its turn between two kills


@dataclass
class Ledger:
    """What must be there in the end, once, and nothing else. Used from any thread."""

    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)  # handed over whole: id -> document
    begun: dict[str, list[Said]] = field(default_factory=dict)  # whose host was killed: id -> what it had said by then
    turns: list[Said] = field(default_factory=list)  # that a client of the gateway saw the end of
    files: list[str] = field(default_factory=list)  # in processed/, one for each time that a session was handed over

    @property
    def handed_over(self) -> int:
        return len(self.sessions) + len(self.begun)


def conversation(number: int) -> dict[str, Any]:
    """A session of its own kind for each number: plain, with facts that end others', with a secret, corrected, long."""
    at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    return document(f"file_{number:05}", *_KINDS[number % len(_KINDS)](number), start_time=at.isoformat())


def _moved(n: int) -> list[str]:
    return [f"u: I live in Northwick {n} now.", f"a: Good to know that you live in Northwick {n}."]


def _secret(n: int) -> list[str]:
    return [f"u: The token for door {n} is sk-proj-abcdefghijklmnopqrstuvwxyz{n:010}ABCD", f"a: Door {n} has a token."]


def _corrected(n: int) -> list[str]:
    wrong = [f"u: What colour is the shed number {n}?", f"a: Shed number {n} is red."]
    return [*wrong, f"u: No, shed number {n} is green.", f"a: Sorry! Shed number {n} is green."]


def _wish(n: int) -> list[str]:
    return [f"u: Please keep answers to question {n} short.", f"a: Answers to question {n} will be short."]


def _long(n: int) -> list[str]:
    turns = [
        (f"u: What lies in drawer {turn} of desk {n}?", f"a: Pen {turn * n} \U0001f58a does.") for turn in range(8)
    ]
    return [line for turn in turns for line in turn]


def _plain(n: int) -> list[str]:
    return [f"u: What colour is the boat number {n}?", f"a: Boat number {n} is of colour {n * 7}."]


_KINDS = (_moved, _secret, _corrected, _wish, _long, _plain, _plain)


def crowded(home: Home) -> bool:
    """Whether so many session files wait that no more should come."""
    return sum(1 for _ in home.sessions.iterdir()) > _CROWD


class Source(threading.Thread):
    """Something that hands sessions over until told to stop, about one every `pace` seconds while `there_is_room`."""

    def __init__(
        self, ledger: Ledger, seed: str, pace: float, there_is_room: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(daemon=True)
        self.ledger, self.pace, self.chance, self._room = ledger, pace, random.Random(seed), there_is_room
        self.stopping = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopping.wait(self.chance.uniform(0, 2 * self.pace)):
                if self._room():
                    self.one()
        except BaseException as error:
            self.error = error
            raise

    def one(self) -> None:
        """Hand one over."""
        raise NotImplementedError

    def stop(self) -> None:
        self.stopping.set()


class Files(Source):
    """Session files. Now and then one comes again, or with more said since."""

    def __init__(self, home: Home, ledger: Ledger, seed: str, pace: float) -> None:
        super().__init__(ledger, f"files {seed}", pace, lambda: not crowded(home))
        self._home, self.number = home, 0

    def one(self) -> None:
        earlier = [name for name in list(self.ledger.sessions)[-20:] if name.startswith("file_")]
        what = self.chance.random()
        if earlier and what < 0.1:
            session = self.ledger.sessions[self.chance.choice(earlier)]
        elif earlier and what < 0.2:
            known = self.ledger.sessions[self.chance.choice(earlier)]
            again = len(known["messages"]) // 2
            more = [{"role": "user", "content": f"And boat {again} of {known['session_id']}?"},
                    {"role": "assistant", "content": f"Boat {again} of {known['session_id']} is at sea."}]  # fmt: skip
            session = {**known, "messages": [*known["messages"], *more]}
        else:
            self.number += 1
            session = conversation(self.number)
        # The name is taken while a daemon has not moved the file that came before; then it gets another one.
        hand_over(self._home, session["session_id"], json.dumps(session))
        self.ledger.files.append(self._home.completed(session["session_id"]).name)
        self.ledger.sessions[session["session_id"]] = session


class Hosts(Source):
    """Chat applications that use a SessionTracker, each a process; `kill` is the end of one in mid-sentence."""

    def __init__(self, home: Home, ledger: Ledger, seed: str, pace: float) -> None:
        super().__init__(ledger, f"hosts {seed}", pace)
        self._home, self._seed, self._hosts_begun = home, seed, 0
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.one()
        except BaseException as error:
            self.error = error
            raise

    def one(self) -> None:
        """Follow one application to its end."""
        self._hosts_begun += 1
        command = [sys.executable, "-m", "tests.chaos.host", str(self._home.root), f"{self._seed}{self._hosts_begun}"]
        with subprocess.Popen(
            [*command, str(self.pace)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            self._process = process
            for line in process.stdout:
                # A killed one may have left half a line: what it says there, it has not said.
                if line.endswith("\n"):
                    self._note(json.loads(line))
            if process.wait() not in (0, -9):
                raise AssertionError(f"a SessionTracker's host ended with {process.returncode}")

    def _note(self, event: dict[str, Any]) -> None:
        name = event["session"]
        if "said" in event:
            self.ledger.begun.setdefault(name, []).append(tuple(event["said"]))
        elif "file" in event:
            said = self.ledger.begun.pop(name)
            self.ledger.sessions[name] = {
                "session_id": name, "messages": [{"role": role, "content": words} for role, words in said]
            }  # fmt: skip
            self.ledger.files.append(self._home.completed(name).name)
        else:
            self.ledger.begun[name] = []

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def stop(self) -> None:
        super().stop()
        if self._process and self._process.stdin:
            self._process.stdin.close()  # it ends its session, and then itself


class Answering(Protocol):
    """A gateway that is started again and again; `url` is where it answers now, "" while it does not."""

    url: str


class Talker(Source):
    """A client of the gateway that has one conversation after the other, and repeats what it saw no end of."""

    def __init__(
        self,
        gateway: Answering,
        number: int,
        ledger: Ledger,
        pace: float = 0,
        there_is_room: Callable[[], bool] = lambda: True,
        model: str = "m",
        seed: str = "",
        streams: float = 0.7,
    ) -> None:
        super().__init__(ledger, f"talker {number} {seed}", pace, there_is_room)
        self.gateway, self.number, self.model, self.streams = gateway, number, model, streams
        self.talks = self.again = self.finished = 0

    def one(self) -> None:
        self.talks += 1
        words: list[str] = []
        for turn in range(self.chance.randint(1, 6)):
            words.append(f"client {self.number}, talk {self.talks}, turn {turn}")
            answer = self.ask(words, stream=self.chance.random() < self.streams)
            if answer is None:
                return
            self.ledger.turns.append((words[-1], answer))
            self.finished += 1
            words.append(answer)

    def ask(self, words: list[str], stream: bool) -> str | None:
        """The answer, from whichever gateway gives it to the end; None when the test is over."""
        while not self.stopping.is_set():
            url = self.gateway.url
            if not url:
                time.sleep(0.02)
                continue
            try:
                client = Client(url, f"client {self.number}")
                answer = client.post(CHAT, chat(*words, model=self.model, stream=stream))
            except (OSError, http.client.HTTPException):
                self.again += 1
                continue
            if answer.status == 200 and (not stream or answer.body.endswith(b"data: [DONE]\n\n")):
                return _streamed(answer.body) if stream else answer.text
            self.again += 1
            time.sleep(0.02)
        return None


def _streamed(body: bytes) -> str:
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    return "".join(it["delta"].get("content", "") for chunk in chunks for it in chunk["choices"])
