"""Which web pages may read what the gateway answers."""

from collections.abc import Callable

from atles.store import Store
from tests.gateway.conftest import CHAT, Running, chat

HERE, ELSEWHERE = "http://localhost:3000", "https://evil.example"


def test_a_page_of_this_machine_may_ask_and_read(gateway: Running) -> None:
    asked = gateway.client.send(
        "OPTIONS", CHAT, Origin=HERE, Access_Control_Request_Headers="authorization, content-type"
    )
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == HERE
    assert asked.headers["access-control-allow-headers"] == "authorization, content-type"
    answer = gateway.client.post(CHAT, chat("Hello"), Origin=HERE)
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == HERE
    assert "X-Atles-Session" in answer.headers["access-control-expose-headers"]


def test_a_page_of_another_site_may_do_neither(gateway: Running) -> None:
    asked = gateway.client.send("OPTIONS", CHAT, Origin=ELSEWHERE)
    assert asked.status == 403 and "access-control-allow-origin" not in asked.headers
    answer = gateway.client.post(CHAT, chat("Hello"), Origin=ELSEWHERE)
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    assert not gateway.journals()


def test_with_a_key_any_page_may(start: Callable[..., Running], store: Store) -> None:
    _, key = store.keys.add("page", "ann")
    gateway = start()
    assert gateway.client.send("OPTIONS", CHAT, Origin=ELSEWHERE).status == 204
    refused = gateway.client.post(CHAT, chat("Hello"), Origin=ELSEWHERE)
    assert refused.status in (401, 403)
    answer = gateway.client.post(CHAT, chat("Hello"), Origin=ELSEWHERE, Authorization=f"Bearer {key}")
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == ELSEWHERE
