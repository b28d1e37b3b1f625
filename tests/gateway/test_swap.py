"""Promotions and rollbacks while clients ask: no request fails, and each is answered by one adapter, which it names."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from atles.errors import AtlesError
from atles.gateway.adapters import open_adapters
from atles.gateway.server import Gateway
from atles.layout import Home
from atles.pipeline import release
from atles.records import AdapterState
from atles.settings import Settings
from atles.store import Store
from tests.fakes import FakePrograms
from tests.fakes.process import until
from tests.gateway.conftest import Client, FakeMemory, add_promoted

REQUESTS, AT_ONCE, SWAPS = 1_000, 16, 20


@pytest.fixture
def gateway(home: Home, store: Store, fake: FakePrograms, tmp_path: Path) -> Iterator[Gateway]:
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    for name in ("one", "two"):
        add_promoted(store, name)
        home.adapter(name).mkdir(parents=True)
        (home.adapter(name) / "adapter_model.safetensors").write_text(name)
    settings = replace(
        Settings(),
        gateway=replace(Settings().gateway, port=0),
        serve=replace(Settings().serve, gguf=str(tmp_path / "base.gguf")),
    )
    memory, adapters = FakeMemory(), open_adapters(home, settings, store)
    running = Gateway(home, settings, store, memory, adapters)  # type: ignore[arg-type]
    running.start()
    yield running
    running.stop()


def answered(client: Client, number: int, model: str = "atles") -> tuple[int, str, str]:
    """Status, and the adapter that answered, by the gateway's word and by its own."""
    answer = client.ask(f"question {number}", model=model)
    by = answer.headers.get("x-atles-adapter", "")
    return answer.status, by, json.loads(answer.body).get("model", answer.body.decode())


@pytest.mark.slow
def test_no_request_fails_while_adapters_are_promoted_and_rolled_back(gateway: Gateway, store: Store) -> None:
    seen: list[tuple[int, str, str]] = []
    done = threading.Event()

    def swap() -> None:
        for number in range(SWAPS):
            _, active = store.adapters.active()
            if active and number % 3 == 2:
                release.rollback(store)
            else:
                release.promote(store, "two" if active == "one" else "one")
            until(lambda: len(seen) >= min(REQUESTS, (number + 1) * REQUESTS // SWAPS), "the clients' share")  # noqa: B023
        done.set()

    client = Client(gateway.url)
    swapping = threading.Thread(target=swap)
    swapping.start()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: seen.append(answered(client, number)), range(REQUESTS)))
    swapping.join()
    assert done.is_set() and len(seen) == REQUESTS
    assert Counter(status for status, _, _ in seen) == {200: REQUESTS}
    assert all(named == itself for _, named, itself in seen)
    assert {named for _, named, _ in seen} >= {"one", "two"}


def test_what_is_promoted_is_loaded_before_anybody_asks(gateway: Gateway, store: Store) -> None:
    client = Client(gateway.url)
    assert answered(client, 1)[1] == "base"
    release.promote(store, "one")
    until(lambda: answered(client, 2, "atles:one")[1] == "one", "it is served")
    began = time.monotonic()
    until(lambda: answered(client, 3)[1] == "one", "it answers")
    assert time.monotonic() - began < 10


def test_a_retired_adapter_answers_no_more(gateway: Gateway, store: Store) -> None:
    client = Client(gateway.url)
    assert answered(client, 1, "atles:one")[1] == "one"
    store.adapters.retire("one", "it saw what was forgotten since")
    status, _, words = answered(client, 2, "atles:one")
    assert status == 404 and "forgotten" in words
    assert store.adapters.get("one").state is AdapterState.RETIRED


def test_a_server_that_was_killed_is_started_again_for_the_same_request(gateway: Gateway, fake: FakePrograms) -> None:
    fake.modes("serve", "dies", "ok")
    client = Client(gateway.url)
    assert answered(client, 1)[0] == 200
    assert answered(client, 2)[:2] == (200, "base"), "its server died at this question"
    assert len(fake.runs("serve")) == 2


def test_a_client_cannot_switch_the_adapter_off(gateway: Gateway) -> None:
    answer = Client(gateway.url).ask("hi", model="atles:one", lora=[{"id": 0, "scale": 0}])
    assert answer.status == 400 and answer.error["code"] == "no_lora"


def test_an_adapter_that_there_is_not(gateway: Gateway) -> None:
    status, _, words = answered(Client(gateway.url), 1, "atles:nobody")
    assert status == 404 and "atles adapters" in words


def test_serve_by_must_name_a_server(home: Home, store: Store) -> None:
    settings = replace(Settings(), serve=replace(Settings().serve, by="big"))
    with pytest.raises(AtlesError, match=r"serve\.by"):
        open_adapters(home, settings, store)
