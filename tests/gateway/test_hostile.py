"""What a hostile or an unlucky client can try, and must not get away with."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from atles.gateway.adapters import _BuiltIn
from atles.gateway.server import Gateway
from atles.layout import Home
from atles.pipeline.standing import standing
from atles.records import AdapterState, Message
from atles.settings import Settings
from atles.store import Store
from tests.gateway.conftest import CHAT, Client, FakeLease, FakeMemory, Running, add_promoted, chat
from tests.gateway.upstream import FakeUpstream, answers, waits


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/load_lora_adapter", {"model": "atles", "lora_name": "atles-1", "lora_path": "/evil"}),
        ("POST", "/v1/unload_lora_adapter", {"lora_name": "atles-1"}),
        ("POST", "/v1//unload_lora_adapter/", {"lora_name": "atles-1"}),
        ("POST", "/v1/slots", {"model": "atles"}),
        ("DELETE", "/v1/chat/completions", {"model": "atles"}),
    ],
)
def test_nobody_manages_the_server_of_our_adapters(
    gateway: Running, upstream: FakeUpstream, method: str, path: str, body: dict[str, str]
) -> None:
    assert gateway.client.send(method, path, body).status in (403, 404)
    assert not upstream.requests


def test_what_is_forgotten_while_its_file_waits_is_not_learned(
    start: Callable[..., Running], upstream: FakeUpstream, home: Home
) -> None:
    gateway = start(learn_every=1)
    _, key = gateway.store.keys.add("ann", "ann")
    time.sleep(2.1)  # a gateway knows of the first key within two seconds
    client = Client(gateway.url, Authorization=f"Bearer {key}")
    session = client.ask("my pin is 1234").headers["x-atles-session"]
    for _ in range(100):
        if list(home.sessions.glob("completed_*.json")):
            break
        time.sleep(0.02)
    assert client.post("/api/forget", {"sessions": [session]}).status == 200
    assert not list(home.sessions.glob("completed_*.json")) and not gateway.journals()


def test_an_adapter_that_was_retired_while_it_was_loaded_does_not_answer(
    home: Home, store: Store, upstream: FakeUpstream
) -> None:
    loaded = threading.Event()

    class Slow:
        def lease(self, adapter: str) -> FakeLease:
            assert loaded.wait(20)
            return FakeLease(upstream.url, adapter)

        def warm(self, adapter: str) -> None: ...
        def drop(self, adapter: str) -> None: ...
        def close(self) -> None: ...
        def ready(self, adapter: str) -> bool:
            return False

    def may_serve(name: str) -> bool:
        return not name or store.adapters.get(name).state is not AdapterState.RETIRED

    add_promoted(store, "one")
    store.adapters.point("one", "promote", "", store.adapters.active()[0])
    settings = replace(Settings(), gateway=replace(Settings().gateway, port=0))
    running = Gateway(home, settings, store, FakeMemory(), _BuiltIn(Slow(), may_serve=may_serve))  # type: ignore[arg-type]
    running.start()
    seen: dict[str, tuple[int, str]] = {}

    def ask(model: str) -> None:
        answer = Client(running.url).ask("hi", model=model)
        seen[model] = answer.status, answer.headers.get("x-atles-adapter", "")

    asking = [threading.Thread(target=ask, args=(model,)) for model in ("atles", "atles:one")]
    for thread in asking:
        thread.start()
    time.sleep(0.3)
    store.adapters.point("", "rollback", "", store.adapters.active()[0])
    store.adapters.retire("one", "forgotten")
    loaded.set()
    for thread in asking:
        thread.join()
    running.stop()
    assert seen == {"atles": (200, "base"), "atles:one": (404, "")}


def test_the_secret_of_our_own_servers_address_is_told_to_nobody(
    start: Callable[..., Running], upstream: FakeUpstream
) -> None:
    upstream.reply(waits(answers("late")))
    gateway = start(timeout_seconds=0.3)
    answer = gateway.client.ask("hi", model="atles:base")
    assert answer.status == 504 and upstream.url.encode() not in answer.body


def test_a_history_that_repeats_itself_holds_nobody_up(gateway: Running) -> None:
    messages = chat(*["a", "b"] * 8000)["messages"]
    ask = lambda said: gateway.client.post(CHAT, {"model": "m", "messages": said}, X_Atles_Session="long")  # noqa: E731
    assert ask([*messages, {"role": "user", "content": "c"}]).status == 200
    began = time.monotonic()
    assert ask([{"role": "user", "content": "z"}, *messages, {"role": "user", "content": "c"}]).status == 200
    assert time.monotonic() - began < 4


def test_an_id_that_a_server_gave_to_two_answers_rates_neither(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(answers("one", id="chatcmpl-7"), answers("two", id="chatcmpl-7"))
    gateway.client.ask("first question")
    gateway.client.ask("other question")
    answer = gateway.client.post("/api/feedback", {"id": "chatcmpl-7", "rating": "down"})
    assert (answer.status, answer.error["code"]) == (409, "ambiguous")


def test_a_client_that_sends_no_history_is_known_as_such_after_a_restart(
    start: Callable[..., Running], upstream: FakeUpstream
) -> None:
    upstream.reply(*(answers(f"answer {n}") for n in range(9)))
    first = start()
    turns = ["light on", "what time is it", "music", "thanks"]
    for text in turns:
        first.client.post(CHAT, chat(text), X_Atles_Session="kitchen")
    first.gateway.stop()
    again = start()
    again.client.post(CHAT, chat("light on"), X_Atles_Session="kitchen")
    (messages,) = again.journals().values()
    stood = standing([Message(str(at), at, it) for at, it in enumerate(messages)])
    assert [it.text for it in stood if it.role == "user"] == [*turns, "light on"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Atles_User": "Jos\xe9"},
        {"Authorization": "Bearer atles_\xff_x"},
        {"Authorization": f"Bearer atles_{'x' * 20_000}"},
        {"Origin": "http://["},
    ],
)
def test_odd_headers_are_answered_in_the_known_shape(gateway: Running, headers: dict[str, str]) -> None:
    for path, body in ((CHAT, chat("hi")), ("/v1/models", None)):
        answer = gateway.client.send("POST" if body else "GET", path, body, **headers)
        assert answer.status in (200, 401, 403)
        assert isinstance(json.loads(answer.body), dict)
    assert gateway.client.get("/healthz").status == 200
