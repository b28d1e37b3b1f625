"""A gateway over a home that has learned something, and a client for its JSON API."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from atles.errors import AtlesError
from atles.gateway.models import Lease
from atles.gateway.server import Gateway
from atles.layout import Home
from atles.pipeline import curate
from atles.settings import GatewaySettings, Settings
from atles.store import Store
from tests.fakes import FakePrograms
from tests.gateway.upstream import FakeUpstream
from tests.pipeline.conftest import SETTINGS, Pipeline
from tests.samples import chat, document

CHAT = "/v1/chat/completions"
OPEN = replace(SETTINGS, gateway=GatewaySettings(port=0))


class NoServer:
    """Adapters of a machine without a model server."""

    def lease(self, adapter: str) -> Lease:
        raise AtlesError("no model server is installed")

    current = lease

    def model(self, adapter: str) -> str:
        return ""

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Answer:
    """What came back; `json` of a body that is some."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def refused(self) -> str:
        """The code of the one error shape, whose other keys are checked."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["message"]
        return error["code"]


@dataclass
class Client:
    """Requests to a gateway, over TCP or its socket."""

    url: str
    socket: Path | None = None
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(
        self, method: str, path: str, body: Any = None, *, data: bytes | None = None, **headers: str
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
        if self.key:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        if body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self._connection()
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Any:
        """A document that must be there."""
        answer = self("GET", path, **headers)
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        answer = self("POST", path, body, **headers)
        assert answer.status == 200, answer.body
        return answer.json

    def _connection(self) -> http.client.HTTPConnection:
        if self.socket is None:
            return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        return connection


@dataclass
class Served:
    """A gateway and what it serves. `woken` are the lanes that were told of new jobs."""

    gateway: Gateway
    pipeline: Pipeline
    woken: list[str]

    @property
    def store(self) -> Store:
        return self.pipeline.store

    @property
    def home(self) -> Home:
        return self.pipeline.home

    @property
    def admin(self) -> Client:
        """Over the socket."""
        return Client(self.gateway.url, self.home.socket)

    @property
    def anybody(self) -> Client:
        """Over TCP, without a key."""
        return Client(self.gateway.url)

    def chat(self, *words: str, client: "Client | None" = None, **headers: str) -> Answer:
        """Ask the model server behind, with a history: the user's words and the assistant's by turns."""
        messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(words)]
        answer = (client or self.anybody)("POST", CHAT, {"model": "m", "messages": messages}, **headers)
        assert answer.status == 200, answer.body
        return answer

    def arrived(self) -> None:
        """What was handed over is learned."""
        eventually(lambda: list(self.home.sessions.glob("completed_*.json")))
        for path in self.home.sessions.glob("completed_*.json"):
            assert self.pipeline.inbox.take(path)
        self.pipeline.work_off()

    def keyed(self, user: str, *, admin: bool = False) -> Client:
        """Over TCP, with a new key."""
        _, key = self.store.keys.add(f"key {len(self.store.keys.list())}", user, admin)
        return Client(self.gateway.url, key=key)


def serve(pipeline: Pipeline, settings: Settings = OPEN) -> Iterator[Served]:
    woken: list[str] = []
    gateway = Gateway(pipeline.home, settings, pipeline.store, pipeline.memory, NoServer(), woken.append)
    gateway.start()
    try:
        yield Served(gateway, pipeline, woken)
    finally:
        gateway.stop()


def eventually(true: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


ANN = document(
    "ann 1", "u: My name is Ann. I live in Leeds.", "a: Nice to meet you, Ann.", "u: When is bell practice?",
    "a: Bell practice is on Mondays.", metadata={"user": "ann"},
)  # fmt: skip
BEN = document(
    "ben/1 ü", "u: I play the tuba. I live in York.", "a: A tuba in York!", metadata={"user": "ben"}
)  # fmt: skip


@pytest.fixture(name="served")
def a_home_of_two(home: Home, fake: FakePrograms) -> Iterator[Served]:
    """With sessions and memories of two users."""
    pipeline = Pipeline(home, fake, OPEN)
    pipeline.arrive(ANN, BEN)
    pipeline.work_off()
    curate.add(pipeline.store, "The boiler was serviced in May.", level="secrets", user="ann")
    yield from serve(pipeline)
    pipeline.store.close()


@pytest.fixture(name="trained")
def a_home_that_trained(home: Home, fake: FakePrograms) -> Iterator[Served]:
    """With sessions of one user, and an adapter that was promoted."""
    pipeline = Pipeline(home, fake, OPEN)
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    yield from serve(pipeline)
    pipeline.store.close()


@pytest.fixture(name="chatting")
def a_home_with_a_model_server(home: Home, fake: FakePrograms, upstream: FakeUpstream) -> Iterator[Served]:
    """With nothing learned, and a model server behind."""
    settings = replace(SETTINGS, gateway=GatewaySettings(port=0, upstream=upstream.url, learn_every=0))
    pipeline = Pipeline(home, fake, settings)
    yield from serve(pipeline, settings)
    pipeline.store.close()
