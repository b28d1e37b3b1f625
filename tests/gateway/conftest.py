"""A real gateway on a port of its own, with a fake model server behind it."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from atles.capture.journal import read
from atles.errors import AtlesError, UnknownAdapter
from atles.gateway.server import Gateway
from atles.layout import Home
from atles.pipeline.injected import MARK_BEGIN, MARK_END
from atles.records import Adapter, AdapterState, Dataset, Verdict
from atles.settings import ModelServer, Settings
from atles.store import Store
from atles.store.adapters import BASE
from tests.gateway.upstream import FakeUpstream

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"


@dataclass
class FakeMemory:
    """Remembers what a test says, by user; notes what it was asked."""

    known: dict[str, str] = field(default_factory=dict)
    wishes: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    def before(self, question: str, user: str) -> list[dict[str, str]]:
        self.asked.append((question, user))
        if self.error:
            raise self.error
        known, wishes = self.known.get(user, ""), self.wishes
        block = f"{MARK_BEGIN}\n- {known}\n{MARK_END}\n\n" if known else ""
        system = [{"role": "system", "content": f"{MARK_BEGIN}\n- {wishes}\n{MARK_END}"}] if wishes else []
        return [*system, {"role": "user", "content": block + question}]


@dataclass
class FakeLease:
    url: str
    adapter: str
    released: int = 0

    def release(self) -> None:
        self.released += 1

    def failed(self) -> None:
        self.release()


@dataclass
class FakeAdapters:
    """Serves everything from one URL. `go` holds a lease back, `error` refuses it."""

    url: str
    names: frozenset[str] = frozenset()
    leases: list[FakeLease] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    error: AtlesError | None = None
    closed: bool = False
    key: str = ""

    def __post_init__(self) -> None:
        self.go.set()

    def lease(self, adapter: str) -> FakeLease:
        assert self.go.wait(20)
        if self.error:
            raise self.error
        if adapter != BASE and adapter not in self.names:
            raise UnknownAdapter(f"there is no adapter {adapter!r}")
        lease = FakeLease(self.url, adapter)
        self.leases.append(lease)
        return lease

    def current(self, wanted: str) -> FakeLease:
        return self.lease(wanted)

    def follow(self, wanted: str) -> None:
        pass

    def model(self, adapter: str) -> str:
        return "the-base" if adapter == BASE else ""

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Answer:
    """What the gateway answered. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.document["choices"][0]["message"]["content"]

    @property
    def error(self) -> Any:
        return self.document["error"]


class Client:
    """A client of the gateway, as plain as HTTP is. `name` is what it calls itself."""

    def __init__(self, url: str, name: str = "test", **headers: str) -> None:
        self.address = url.removeprefix("http://")
        self.headers = {"User-Agent": name} | {it.replace("_", "-"): value for it, value in headers.items()}

    def begin(self, method: str, path: str, body: Any = None, timeout: float = 30, **headers: str) -> Any:
        """Send a request; the response, whose body is not read yet. `close()` hangs up."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent = {"Content-Type": "application/json", **sent}
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        response.connection = connection  # type: ignore[attr-defined]  # lives as long as the response
        return response

    def send(self, method: str, path: str, body: Any = None, timeout: float = 30, **headers: str) -> Answer:
        response = self.begin(method, path, body, timeout, **headers)
        try:
            heads = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, heads, response.read())
        finally:
            response.connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("POST", path, body, **headers)

    def ask(self, *words: str, model: str = "m", path: str = CHAT, **more: Any) -> Answer:
        """Ask with a history: the user's words and the assistant's by turns."""
        return self.post(path, chat(*words, model=model, **more))


def chat(*words: str, model: str = "m", **more: Any) -> dict[str, Any]:
    """The body of a request whose messages are the user's and the assistant's by turns."""
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(words)]
    return {"model": model, "messages": messages, **more}


class Running:
    """A gateway that runs, and what is around it."""

    def __init__(self, gateway: Gateway, home: Home, store: Store, memory: FakeMemory, adapters: FakeAdapters) -> None:
        self.gateway, self.home, self.store, self.memory, self.adapters = gateway, home, store, memory, adapters
        self.client = Client(gateway.url)

    @property
    def url(self) -> str:
        return self.gateway.url

    def journals(self) -> dict[str, list[dict[str, Any]]]:
        return journals(self.home)

    def recorded(self) -> list[tuple[str, str]]:
        """Role and content of every message in the one journal that there is."""
        (messages,) = self.journals().values()
        return [(it["role"], it["content"]) for it in messages]

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def journals(home: Home) -> dict[str, list[dict[str, Any]]]:
    """The messages of each open session, as they lie on the disk."""
    found = {}
    for path in sorted(home.open_sessions.glob("*.jsonl")):
        recorded = read(path.read_bytes())
        found[recorded.session_id] = recorded.messages
    return found


def add_promoted(store: Store, name: str) -> None:
    """An adapter that may serve; it does not yet."""
    store.examples.add_dataset(Dataset(name, f"/{name}", 0, 0, (), ()), [])
    store.adapters.add(Adapter(name, "base", name, f"/{name}", AdapterState.CANDIDATE, "new", "2026", {}))
    store.adapters.judge(name, Verdict(True, "better", {}))


@pytest.fixture
def home(short_home: Home) -> Home:
    return short_home


@pytest.fixture
def store(sqlite: Store) -> Store:
    """One kind is enough: the gateway asks the store, and the store's own tests are run over both."""
    return sqlite


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def start(home: Home, store: Store, upstream: FakeUpstream) -> Iterator[Callable[..., Running]]:
    """Starts a gateway with these settings of [gateway]; `models` are [models.NAME]."""
    running: list[Gateway] = []

    def start(models: dict[str, dict[str, Any]] | None = None, **given: Any) -> Running:
        gateway = replace(Settings().gateway, **{"port": 0, "upstream": upstream.url, **given})
        servers = {name: ModelServer(name, **it) for name, it in (models or {}).items()}
        settings = replace(Settings(), gateway=gateway, models=servers)
        memory, adapters = FakeMemory(), FakeAdapters(upstream.url)
        begun = Gateway(home, settings, store, memory, adapters)  # type: ignore[arg-type]
        begun.start()
        running.append(begun)
        return Running(begun, home, store, memory, adapters)

    yield start
    for gateway in running:
        gateway.stop()


@pytest.fixture
def gateway(start: Callable[..., Running]) -> Running:
    return start()
