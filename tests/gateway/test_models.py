"""Which server answers for a model's name."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from atles.errors import AtlesError
from atles.gateway.models import Models, Target
from atles.gateway.refusal import Refusal
from atles.settings import ModelServer, Settings
from atles.store import Store
from tests.gateway.conftest import FakeAdapters, add_promoted

UPSTREAM = "http://127.0.0.1:1/v1"


@pytest.fixture
def adapters() -> FakeAdapters:
    return FakeAdapters("http://127.0.0.1:9/v1", frozenset({"0001-aa"}))


@pytest.fixture
def models(store: Store, adapters: FakeAdapters) -> Iterator[Callable[..., Models]]:
    blocking = ThreadPoolExecutor(1)

    def models(upstream: str = UPSTREAM, key_env: str = "", **servers: dict[str, Any]) -> Models:
        gateway = replace(Settings().gateway, upstream=upstream, upstream_key_env=key_env)
        named = {name: ModelServer(name, **it) for name, it in servers.items()}
        return Models(replace(Settings(), gateway=gateway, models=named), store, adapters, blocking)

    yield models
    adapters.go.set()
    blocking.shutdown()


def resolve(models: Models, name: str) -> Target:
    return asyncio.run(models.resolve(name))


def refused(models: Models, name: str) -> Refusal:
    with pytest.raises(Refusal) as error:
        resolve(models, name)
    return error.value


def test_a_name_that_is_set_up_nowhere_is_the_upstreams(models: Callable[..., Models]) -> None:
    target = resolve(models(), "llama3:8b")
    assert (target.url, target.model, target.key, target.adapter) == (UPSTREAM, "llama3:8b", None, None)
    assert target.memory


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("gpt-5", "http://openai/v1"),
        ("gpt-5-mini", "http://mini/v1"),
        ("gpt-", "http://openai/v1"),
        ("big", "http://big/v1"),
        ("bigger", UPSTREAM),
        ("GPT-5", UPSTREAM),
        ("a[b]?", "http://odd/v1"),
        ("ab1", UPSTREAM),
        ("", UPSTREAM),
    ],
)
def test_more_of_a_name_is_more_to_the_point(models: Callable[..., Models], name: str, server: str) -> None:
    known = models(
        **{
            "gpt-*": {"url": "http://openai/v1/"}, "gpt-*-mini": {"url": "http://mini/v1"},
            "big": {"url": "http://big/v1"}, "a[b]?": {"url": "http://odd/v1"},
        }
    )  # fmt: skip
    assert resolve(known, name).url == server


def test_a_server_may_have_its_own_name_key_and_no_memory(
    models: Callable[..., Models], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIG_KEY", "sk-big")
    monkeypatch.setenv("UP_KEY", "sk-up")
    known = models(
        key_env="UP_KEY", big={"url": "http://big/v1", "model": "Qwen/7B", "api_key_env": "BIG_KEY", "memory": False}
    )
    target = resolve(known, "big")
    assert (target.model, target.key, target.memory) == ("Qwen/7B", "sk-big", False)
    assert resolve(known, "other").key == "sk-up"


def test_what_nobody_answers_is_refused_with_what_there_is(models: Callable[..., Models]) -> None:
    error = refused(models(upstream="", big={"url": "http://big/v1"}), "small")
    assert (error.status, error.code) == (404, "model_not_found")
    assert "'small'" in str(error)
    assert "known are atles, atles:0001-aa, atles:base, big." in str(error)


def test_requests_without_a_model_go_where_all_others_go(models: Callable[..., Models]) -> None:
    assert models(big={"url": "http://big/v1"}).elsewhere().url == UPSTREAM
    assert models(upstream="", big={"url": "http://big/v1"}).elsewhere().url == "http://big/v1"
    with pytest.raises(Refusal) as error:
        models(upstream="", big={"url": "http://big/v1"}, small={"url": "http://small/v1"}).elsewhere()
    assert error.value.code == "no_upstream"


def test_our_own_models_are_leased_and_given_back(models: Callable[..., Models], adapters: FakeAdapters) -> None:
    known = models()
    active, base, named = (resolve(known, name) for name in ("atles", "atles:base", "atles:0001-aa"))
    assert [lease.adapter for lease in adapters.leases][:2] == ["", ""], "nothing is promoted yet"
    assert (active.adapter, base.adapter) == ("", "")
    assert base.model == "the-base"
    assert base.key == "", "the client's credentials are not for it"
    del named
    base.release()
    assert [lease.released for lease in adapters.leases] == [0, 1, 0]


@pytest.fixture(autouse=True)
def _known_adapter(store: Store) -> None:
    add_promoted(store, "0001-aa")


def test_the_names_that_are_known_without_asking(models: Callable[..., Models]) -> None:
    known = models(**{"gpt-*": {"url": "http://x/v1"}, "big": {"url": "http://x/v1"}})
    assert list(known.names()) == ["atles", "atles:base", "atles:0001-aa", "big"]


def test_an_adapter_that_does_not_exist_is_not_found(models: Callable[..., Models]) -> None:
    error = refused(models(), "atles:0009-zz")
    assert (error.status, error.code) == (404, "model_not_found")


@pytest.mark.parametrize("name", ["atles", "atles:base", "atles:0001-aa"])
def test_one_that_cannot_be_served_now_is_unavailable(
    models: Callable[..., Models], adapters: FakeAdapters, name: str
) -> None:
    adapters.error = AtlesError("the model server does not start: no memory")
    error = refused(models(), name)
    assert (error.status, error.code) == (503, "model_unavailable")
    assert "no memory" in str(error)


def test_a_client_that_hangs_up_while_a_server_starts_leaves_no_lease(
    models: Callable[..., Models], adapters: FakeAdapters
) -> None:
    adapters.go.clear()

    async def hang_up() -> None:
        asking = asyncio.create_task(models().resolve("atles"))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        adapters.go.set()
        while not (adapters.leases and adapters.leases[0].released):
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(hang_up(), 10))
    assert [lease.released for lease in adapters.leases] == [1]
