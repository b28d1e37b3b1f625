"""One request through the gateway and back: forwarded as it came, recorded before it ends."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from atles.errors import AtlesError
from atles.gateway import models
from tests.fakes.process import until
from tests.gateway import conftest
from tests.gateway.conftest import CHAT, MESSAGES, RESPONSES, Client, Running, add_promoted, chat
from tests.gateway.upstream import (
    FakeUpstream,
    answers,
    event,
    events,
    hangs_up,
    html,
    pieces,
    sends,
    status,
    waits,
    zipped,
)

Start = Callable[..., Running]
APIS = [CHAT, RESPONSES, MESSAGES]


def asking(path: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    """A request with one question in any of the APIs."""
    if path == RESPONSES:
        return {"model": "m", "input": text, **more}
    return chat(text, max_tokens=9, **more)


def read_some(response: Any) -> bytes:
    """What is there; at least a byte, unless it is at its end."""
    return response.read1(1 << 20)


# --- forwarded as it came ---


@pytest.mark.parametrize("path", APIS)
def test_a_request_goes_up_and_its_answer_comes_down_byte_for_byte(
    gateway: Running, upstream: FakeUpstream, path: str
) -> None:
    body = json.dumps(asking(path, "Grüße 😀", temperature=0.1), indent=3).encode() + b"  \n"
    whole = b'{ "id":"x",  "choices": [],"output":[],"content":[], "odd": "\\u00fc" }\n'
    upstream.reply(sends(whole, X_Ratelimit_Remaining="7", Openai_Organization="org"))
    answer = gateway.client.post(f"{path}?a=b%20c&d", body, Content_Type="application/json", X_Custom="yes")
    assert upstream.last.body == body
    assert upstream.last.path == f"{path}?a=b%20c&d"
    assert upstream.last.headers["x-custom"] == "yes"
    assert (answer.status, answer.body) == (200, whole)
    assert answer.headers["x-ratelimit-remaining"] == "7"
    assert answer.headers["openai-organization"] == "org"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", APIS)
def test_a_stream_comes_down_byte_for_byte(gateway: Running, upstream: FakeUpstream, path: str) -> None:
    parts = events(path, "One two three", [("f", {"a": 1})] if path == CHAT else [])
    upstream.reply(pieces(parts, pause=0.001))
    answer = gateway.client.post(path, asking(path, stream=True))
    assert answer.body == b"".join(parts)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-served-by"] == "fake"
    assert upstream.last.stream


def test_a_stream_of_one_byte_at_a_time_comes_down_whole(gateway: Running, upstream: FakeUpstream) -> None:
    data = b"".join(events(CHAT, "Äh, 😀!"))
    upstream.reply(pieces((data[at : at + 1] for at in range(len(data))), pause=0.0001))
    assert gateway.client.ask("Hello", stream=True).body == data
    assert gateway.recorded() == [("user", "Hello"), ("assistant", "Äh, 😀!")]


@pytest.mark.parametrize("path", APIS)
def test_the_first_words_arrive_before_the_last_are_made(gateway: Running, upstream: FakeUpstream, path: str) -> None:
    parts = events(path, "One two three")
    upstream.reply(pieces(parts, wait_before=2))
    response = gateway.client.begin("POST", path, asking(path, stream=True))
    seen = b""
    while len(seen) < len(parts[0] + parts[1]):
        seen += read_some(response)
    assert seen == parts[0] + parts[1]
    assert not upstream.last.ended.is_set()
    assert gateway.journals() == {}
    upstream.go.set()
    assert seen + response.read() == b"".join(parts)
    assert len(gateway.recorded()) == 2


@pytest.mark.parametrize("path", APIS)
def test_a_plain_answer_is_in_the_journal_before_it_is_sent(
    gateway: Running, upstream: FakeUpstream, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, seen = gateway.gateway.conversations.add, []

    def slow(*given: Any) -> Any:
        time.sleep(0.2)
        added = add(*given)
        seen.append(time.monotonic())
        return added

    monkeypatch.setattr(gateway.gateway.conversations, "add", slow)
    response = gateway.client.begin("POST", path, asking(path))
    first = time.monotonic()
    assert seen and seen[0] <= first
    assert [text for _, text in gateway.recorded()] == ["Hello", "You said: Hello"]
    assert response.read()


@pytest.mark.parametrize("path", APIS)
def test_a_streamed_answer_is_in_the_journal_before_its_end_is_sent(
    gateway: Running, upstream: FakeUpstream, path: str
) -> None:
    """Whatever a client takes for the end: the last event that says something, or the end of the stream."""
    parts = events(path, "One two three")
    for length in range(1, len(parts) + 1):
        upstream.go.clear()
        upstream.reply(pieces(parts, wait_before=length))
        response = gateway.client.begin("POST", path, asking(path, f"question {length}", stream=True))
        seen = b""
        while len(seen) < len(b"".join(parts[:length])):
            seen += read_some(response)
        marks = (b"data: [DONE]", b"event: response.completed", b"event: message_stop")
        recorded = any(f"question {length}" in it["content"] for found in gateway.journals().values() for it in found)
        assert recorded is any(mark in seen for mark in marks), seen
        upstream.go.set()
        response.read()
    assert len(gateway.journals()) == len(parts)


def test_other_paths_pass_through_untouched(gateway: Running, upstream: FakeUpstream) -> None:
    embedded = gateway.client.post("/v1/embeddings", {"model": "e", "input": ["Hello"]})
    assert embedded.document["data"][0]["embedding"] == [0.5]
    part = b"--x\r\nContent-Disposition: form-data; name="
    form = part + b'"model"\r\n\r\nwhisper\r\n' + part + b'"file"; filename="a.wav"\r\n\r\n\x00\xff\r\n\r\n--x--\r\n'
    sound = bytes(range(256)) * 999
    upstream.reply(sends(sound, kind="audio/wav", X_More="1"))
    answer = gateway.client.post("/v1/audio/transcriptions", form, Content_Type="multipart/form-data; boundary=x")
    assert upstream.last.body == form
    assert upstream.last.headers["content-type"] == "multipart/form-data; boundary=x"
    assert (answer.body, answer.headers["content-type"], answer.headers["x-more"]) == (sound, "audio/wav", "1")
    assert answer.headers["content-length"] == str(len(sound))
    for method in ("GET", "DELETE", "PUT", "PATCH"):
        gateway.client.send(method, "/v1/files/file%2Fabc?limit=1")
        assert (upstream.last.method, upstream.last.path) == (method, "/v1/files/file%2Fabc?limit=1")
        assert upstream.last.body == b""
        assert "content-type" not in upstream.last.headers
    assert gateway.client.send("HEAD", "/v1/files/x").status == 200
    assert gateway.journals() == {}


def test_a_stream_of_another_path_comes_as_it_is_made(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(pieces([b"data: 1\n\n", b"data: 2\n\n"], wait_before=1))
    response = gateway.client.begin("POST", "/v1/completions", {"model": "m", "prompt": "x", "stream": True})
    assert read_some(response) == b"data: 1\n\n"
    upstream.go.set()
    assert response.read() == b"data: 2\n\n"


def test_a_compressed_answer_is_unpacked(gateway: Running, upstream: FakeUpstream) -> None:
    document = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Packed"}}]}
    upstream.reply(zipped(document))
    answer = gateway.client.ask("Hello")
    assert answer.document == document
    assert "content-encoding" not in answer.headers
    assert upstream.last.headers["accept-encoding"] == "identity"
    assert gateway.recorded()[1] == ("assistant", "Packed")
    assert gateway.client.post("/v1/embeddings", {"model": "e"}).document == document


def test_hop_by_hop_headers_stay_on_their_hop(gateway: Running, upstream: FakeUpstream) -> None:
    gateway.client.post(CHAT, asking(CHAT), X_Atles_User="ann", Cookie="a=b", TE="trailers", Keep_Alive="timeout=5")
    sent = upstream.last.headers
    assert sent["host"] == upstream.url.removeprefix("http://").removesuffix("/v1")
    assert sent["user-agent"] == "test"
    assert not [name for name in sent if name.startswith("x-atles")]
    assert not {"cookie", "te", "upgrade", "keep-alive"} & set(sent)


@pytest.mark.parametrize("path", ["/v1/../api/delete", "/v1/%2e%2e/api/delete", "/v1/x/../../api", "/v1/./x"])
def test_no_path_leads_out_of_v1(gateway: Running, upstream: FakeUpstream, path: str) -> None:
    """Model servers have other paths: Ollama deletes models at /api/delete."""
    assert gateway.client.post(path, {"model": "m"}).status == 404
    assert upstream.requests == []


def test_several_answers_to_one_request_are_recorded_as_the_first(gateway: Running, upstream: FakeUpstream) -> None:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": f"answer {n}"}, "finish_reason": "stop",
         "logprobs": {"content": []}} for n in (0, 1)
    ]  # fmt: skip
    upstream.reply(answers(choices=choices))
    answer = gateway.client.ask("Hello", n=2, logprobs=True)
    assert answer.document["choices"] == choices
    assert gateway.recorded() == [("user", "Hello"), ("assistant", "answer 0")]


# --- credentials ---


def test_the_clients_credentials_go_up(gateway: Running, upstream: FakeUpstream) -> None:
    gateway.client.post(CHAT, asking(CHAT), Authorization="Bearer sk-mine")
    assert upstream.last.headers["authorization"] == "Bearer sk-mine"
    gateway.client.post(MESSAGES, asking(MESSAGES), X_Api_Key="sk-ant", Anthropic_Version="2023-06-01")
    assert upstream.last.headers["x-api-key"] == "sk-ant"
    assert upstream.last.headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_a_key_of_the_gateways_stays_here(gateway: Running, upstream: FakeUpstream, header: str) -> None:
    _, key = gateway.store.keys.add("phone", "ann")
    value = f"Bearer {key}" if header == "Authorization" else key
    assert gateway.client.post(CHAT, asking(CHAT), **{header: value}).status == 200
    assert key not in repr(upstream.last.headers)
    assert gateway.client.post(CHAT, asking(CHAT), **{header: value, "api-key": key}).status == 200
    assert key not in repr(upstream.last.headers)


def test_a_key_of_the_gateways_in_an_odd_place_stays_here_too(gateway: Running, upstream: FakeUpstream) -> None:
    _, key = gateway.store.keys.add("phone", "ann")
    gateway.store.keys.remove("phone")
    gateway.client.post(CHAT, asking(CHAT), **{"Authorization": "Bearer sk-mine", "api-key": key})
    assert upstream.last.headers["authorization"] == "Bearer sk-mine"
    assert key not in repr(upstream.last.headers)


def test_a_server_with_a_key_of_its_own_gets_that(
    start: Start, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIG_KEY", "sk-big")
    gateway = start({"big": {"url": upstream.url, "api_key_env": "BIG_KEY"}})
    gateway.client.post(CHAT, asking(CHAT) | {"model": "big"}, Authorization="Bearer sk-mine")
    assert upstream.last.headers["authorization"] == "Bearer sk-big"
    gateway.client.post(MESSAGES, asking(MESSAGES) | {"model": "big"}, X_Api_Key="sk-mine")
    assert upstream.last.headers["x-api-key"] == "sk-big"
    assert "sk-mine" not in repr(upstream.last.headers)


def test_what_netrc_says_of_the_server_is_not_put_in(
    gateway: Running, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert gateway.client.post(CHAT, asking(CHAT), Authorization="Bearer sk-mine").status == 200
    assert upstream.last.headers["authorization"] == "Bearer sk-mine"
    assert gateway.client.ask("Hello").status == 200
    assert "authorization" not in upstream.last.headers


def test_a_proxy_of_the_environment_is_used_for_other_machines_only(
    start: Start, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", upstream.url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    models._proxy.cache_clear()  # a process's environment stays, but for tests
    gateway = start({"far": {"url": "http://models.example/v1"}})
    assert gateway.client.ask("Hello", model="far").status == 200
    assert upstream.last.path == f"http://models.example{CHAT}"
    assert gateway.client.ask("Hello").status == 200
    assert upstream.last.path == CHAT


# --- who answers ---


def test_our_own_models_answer_and_say_which_adapter_did(gateway: Running, upstream: FakeUpstream) -> None:
    add_promoted(gateway.store, "0001-aa")
    gateway.adapters.names = frozenset({"0001-aa"})
    answer = gateway.client.post(CHAT, chat("Hello", model="atles"), Authorization="Bearer sk-mine")
    assert answer.headers["x-atles-adapter"] == "base"
    assert upstream.last.document["model"] == "the-base"
    assert "authorization" not in upstream.last.headers
    answer = gateway.client.ask("Hello", model="atles:0001-aa", stream=True)
    assert answer.headers["x-atles-adapter"] == "0001-aa"
    assert upstream.last.document["model"] == "atles:0001-aa"
    assert "x-atles-adapter" not in gateway.client.ask("Hello").headers
    until(lambda: [it.released for it in gateway.adapters.leases] == [1, 1], "they are given back", 5)


def test_a_lease_is_given_back_whatever_happens(gateway: Running, upstream: FakeUpstream) -> None:
    for reply in (status(500), hangs_up(), html(), hangs_up(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")):
        upstream.reply(reply)
        assert gateway.client.ask("Hello", model="atles").status >= 500
    upstream.reply(pieces([b"data: {}\n\n"] * 5, wait_before=1))
    response = gateway.client.begin("POST", CHAT, chat("Hello", model="atles", stream=True))
    read_some(response)
    response.connection.close()
    response.close()
    until(lambda: {it.released for it in gateway.adapters.leases} == {1}, "they are given back", 5)


def test_the_list_of_models_is_ours_and_the_upstreams(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(sends(json.dumps({"object": "list", "data": [{"id": "llama"}, {"id": "atles"}]}).encode()))
    ids = [it["id"] for it in gateway.client.get("/v1/models").document["data"]]
    assert ids == ["atles", "atles:base", "llama"]
    for reply in (status(500), html(200), sends(b"[]"), sends(b'{"data": [{"id": 5}, 7]}'), hangs_up()):
        upstream.reply(reply)
        assert [it["id"] for it in gateway.client.get("/v1/models").document["data"]] == ids[:2]


# --- sessions ---


def test_every_answer_tells_its_session(gateway: Running) -> None:
    first = gateway.client.ask("Hello")
    second = gateway.client.ask("Hello", first.text, "And now?", stream=True)
    assert first.headers["x-atles-session"] == second.headers["x-atles-session"] == next(iter(gateway.journals()))
    assert gateway.recorded() == [
        ("user", "Hello"), ("assistant", "You said: Hello"), ("user", "And now?"), ("assistant", "You said: And now?"),
    ]  # fmt: skip
    assert "x-atles-session" not in gateway.client.post("/v1/embeddings", {"model": "e"}).headers


def test_a_client_may_name_its_session(gateway: Running) -> None:
    named = gateway.client.post(CHAT, asking(CHAT), X_Atles_Session="mine")
    assert named.headers["x-atles-session"] == "mine"
    gateway.client.post(CHAT, asking(CHAT, metadata={"session_id": "in the body"}))
    gateway.client.post(RESPONSES, asking(RESPONSES, conversation={"id": "conv_1"}))
    gateway.client.post(RESPONSES, asking(RESPONSES, conversation="conv_2"))
    assert sorted(gateway.journals()) == ["conv_1", "conv_2", "in the body", "mine"]


def test_a_response_goes_on_with_the_one_before_it(gateway: Running) -> None:
    first = gateway.client.post(RESPONSES, asking(RESPONSES, "one", stream=False)).document
    second = gateway.client.post(RESPONSES, asking(RESPONSES, "two", previous_response_id=first["id"])).document
    gateway.client.post(RESPONSES, asking(RESPONSES, "three", previous_response_id=second["id"], stream=True))
    assert [text for _, text in gateway.recorded()][::2] == ["one", "two", "three"]


def test_users_have_their_own_sessions(gateway: Running) -> None:
    for header in ({"X_Atles_User": "ann"}, {"X_Atles_User": "bob"}, {}):
        gateway.client.post(CHAT, asking(CHAT), X_Atles_Session="mine", **header)
    gateway.client.post(CHAT, asking(CHAT, user="carol"), X_Atles_Session="mine")
    assert sorted(gateway.journals()) == ["ann:mine", "bob:mine", "carol:mine", "mine"]


def test_what_an_interface_asks_for_itself_is_not_recorded_nor_helped_by_memory(
    gateway: Running, upstream: FakeUpstream
) -> None:
    gateway.memory.known[""] = "Ann lives in Oslo."
    answer = gateway.client.ask("### Task:\nGenerate a title for this chat")
    assert answer.text
    assert "Oslo" not in upstream.last.body.decode()
    assert gateway.journals() == {}
    assert gateway.memory.asked == []


@pytest.mark.parametrize("path", APIS)
def test_tools_round_trip(gateway: Running, upstream: FakeUpstream, path: str) -> None:
    upstream.reply(answers("", calls=[("weather", {"city": "Oslo"})]), answers("It rains."))
    first = gateway.client.post(path, asking(path, "Rain?", stream=path == CHAT))
    call = next(iter(gateway.journals().values()))[1]["tool_calls"][0]
    assert call["function"]["name"] == "weather"
    body = asking(path, "Rain?")
    if path == CHAT:
        body["messages"] += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "yes"},
        ]
    elif path == RESPONSES:
        result = {"type": "function_call_output", "call_id": call["id"], "output": "yes"}
        body["input"] = [{"role": "user", "content": "Rain?"}, *first.document["output"], result]
    else:
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "yes"}
        body["messages"] += [
            {"role": "assistant", "content": first.document["content"]}, {"role": "user", "content": [result]}
        ]  # fmt: skip
    gateway.client.post(path, body)
    (messages,) = gateway.journals().values()
    assert [(it["role"], it["content"] or "") for it in messages] == [
        ("user", "Rain?"), ("assistant", ""), ("tool", "yes"), ("assistant", "It rains."),
    ]  # fmt: skip


# --- memory ---


@pytest.mark.parametrize("path", APIS)
def test_memory_goes_up_and_is_never_recorded(gateway: Running, upstream: FakeUpstream, path: str) -> None:
    gateway.memory.known["ann"], gateway.memory.wishes = "Ann lives in Oslo.", "Be brief."
    upstream.reply(answers("In Oslo."))
    gateway.client.post(path, asking(path, "Where do I live?"), X_Atles_User="ann")
    sent = upstream.last.body.decode()
    assert "Ann lives in Oslo." in sent
    assert "Be brief." in sent
    assert upstream.last.document.keys() >= {"model"}
    assert gateway.recorded() == [("user", "Where do I live?"), ("assistant", "In Oslo.")]
    assert gateway.memory.asked == [("Where do I live?", "ann")]


def test_memory_can_be_left_out(start: Start, upstream: FakeUpstream) -> None:
    gateway = start({"private": {"url": upstream.url, "memory": False}})
    gateway.memory.known[""] = "Ann lives in Oslo."
    body = json.dumps(asking(CHAT)).encode()
    for value in ("off", "OFF", "false", "0", "no", " off "):
        gateway.client.post(CHAT, body, Content_Type="application/json", X_Atles_Memory=value)
        assert upstream.last.body == body
    gateway.client.ask("Hello", model="private")
    assert "Oslo" not in upstream.last.body.decode()
    gateway.client.post(CHAT, body, Content_Type="application/json", X_Atles_Memory="on")
    assert "Oslo" in upstream.last.body.decode()
    without = start(memory=False)
    without.memory.known[""] = "Ann lives in Oslo."
    without.client.ask("Hello")
    assert "Oslo" not in upstream.last.body.decode()


def test_a_chat_goes_on_when_memory_fails(gateway: Running, upstream: FakeUpstream) -> None:
    gateway.memory.error = AtlesError("the index is broken")
    assert gateway.client.ask("Hello").text == "You said: Hello"
    assert gateway.metric('atles_failures_total{code="memory_failed"}') == 1
    assert len(gateway.recorded()) == 2


# --- errors ---


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize("code", [400, 401, 403, 404, 429, 500, 503])
def test_the_model_servers_errors_come_down_as_they_are(
    gateway: Running, upstream: FakeUpstream, path: str, code: int
) -> None:
    upstream.reply(status(code, "as I said", Retry_After="17"))
    answer = gateway.client.post(path, asking(path))
    assert answer.status == code
    assert answer.error["message"] == "as I said"
    assert answer.headers["retry-after"] == "17"
    assert gateway.journals() == {}


def in_shape(answer: conftest.Answer, path: str, code: str) -> bool:
    """Whether an error is what clients of an API understand."""
    error = answer.error
    assert error["message"]
    if path == MESSAGES:
        return answer.document["type"] == "error" and set(error) == {"type", "message"}
    return error["code"] == code and set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", APIS)
def test_a_web_page_in_the_place_of_an_answer_is_an_error(gateway: Running, upstream: FakeUpstream, path: str) -> None:
    upstream.reply(html(429, Retry_After="17"))
    answer = gateway.client.post(path, asking(path))
    assert (answer.status, answer.headers["retry-after"]) == (429, "17")
    assert in_shape(answer, path, "upstream_failed")
    upstream.reply(html(200))
    answer = gateway.client.post(path, asking(path))
    assert answer.status == 502
    assert "Welcome to nginx" in answer.error["message"]


@pytest.mark.parametrize("path", APIS)
def test_a_server_that_is_not_there_is_an_error_that_says_where(
    gateway: Running, upstream: FakeUpstream, path: str
) -> None:
    upstream.stop()
    answer = gateway.client.post(path, asking(path))
    assert answer.status == 502
    assert in_shape(answer, path, "upstream_unreachable")
    assert upstream.url in answer.error["message"]
    assert "127.0.0.1:8765" not in answer.error["message"]


@pytest.mark.parametrize("path", APIS)
def test_a_server_that_is_silent_for_too_long_is_an_error(start: Start, upstream: FakeUpstream, path: str) -> None:
    gateway = start(timeout_seconds=0.3)
    upstream.reply(waits(answers()))
    answer = gateway.client.post(path, asking(path))
    assert answer.status == 504
    assert in_shape(answer, path, "upstream_timeout")
    assert "gateway.timeout_seconds" in answer.error["message"]
    assert upstream.last.cancelled.wait(5)


def test_a_slow_server_is_waited_for_as_long_as_it_says_something(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(timeout_seconds=0.4)
    parts = events(CHAT, "One two three four five")
    upstream.reply(pieces(parts, pause=0.15))
    assert gateway.client.ask("Hello", stream=True).body == b"".join(parts)


@pytest.mark.parametrize("path", APIS)
def test_a_stream_that_falls_silent_ends_with_an_error(start: Start, upstream: FakeUpstream, path: str) -> None:
    gateway = start(timeout_seconds=0.3)
    upstream.reply(pieces(events(path, "One two three"), wait_before=3))
    body = gateway.client.post(path, asking(path, stream=True)).body
    *_, last = [line for line in body.decode().splitlines() if line.startswith("data: ")]
    assert "broke off" in json.loads(last[6:])["error"]["message"]
    assert gateway.journals() == {}


def test_an_unknown_model_is_an_error_that_says_which_there_are(start: Start) -> None:
    gateway = start(upstream="")
    answer = gateway.client.ask("Hello", model="gpt-9")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "atles:base" in answer.error["message"]
    assert gateway.client.ask("Hello", model="atles:0009-zz").status == 404
    assert gateway.client.post("/v1/rerank", {"x": 1}).error["code"] == "no_upstream"


# --- clients that go ---


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_ends_the_request_upstream(
    gateway: Running, upstream: FakeUpstream, stream: bool
) -> None:
    upstream.reply(pieces(events(CHAT, "One two"), wait_before=1) if stream else waits(answers()))
    host, port = gateway.url.removeprefix("http://").split(":")
    body = json.dumps(chat("Hello", stream=stream)).encode()
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        until(lambda: upstream.requests, "it arrives", 5)
        if stream:
            assert connection.recv(1)
    assert upstream.last.cancelled.wait(5)
    assert gateway.journals() == {}
    assert gateway.metric("atles_requests_at_once") == 0


def test_a_client_that_goes_when_all_is_said_has_seen_it_all(gateway: Running, upstream: FakeUpstream) -> None:
    """It does not wait for [DONE], and its answer stands all the same."""
    parts = events(CHAT, "One two")
    upstream.reply(pieces(parts, wait_before=len(parts) - 1))
    response = gateway.client.begin("POST", CHAT, chat("Hello", stream=True))
    seen = b""
    while b'"finish_reason": "stop"' not in seen:
        seen += read_some(response)
    response.connection.close()
    response.close()
    until(gateway.journals, "it is recorded", 5)
    assert gateway.recorded() == [("user", "Hello"), ("assistant", "One two")]


def test_a_client_that_hangs_up_is_no_failure_of_the_model_server(
    gateway: Running, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.reply(pieces([b"data: {}\n\n" * 1000] * 1000))
    for _ in range(10):
        response = gateway.client.begin("POST", CHAT, chat("Hello", model="atles", stream=True))
        read_some(response)
        response.connection.close()
        response.close()
    until(lambda: [it.released for it in gateway.adapters.leases] == [1] * 10, "they are given back", 5)
    assert len(upstream.requests) == 10, "nobody is asked in its place"
    assert gateway.metric("atles_failures_total") == 0
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_a_client_that_reads_no_more_holds_the_upstream_back(gateway: Running, upstream: FakeUpstream) -> None:
    """What nobody reads is not kept in memory."""
    sent: list[int] = []

    def endless() -> Any:
        for _ in range(2000):
            sent.append(1)
            yield event({"choices": [{"index": 0, "delta": {"content": "x" * 100_000}}]})

    upstream.reply(pieces(endless()))
    response = gateway.client.begin("POST", CHAT, chat("Hello", stream=True))
    read_some(response)
    time.sleep(1.0)
    assert 10 < len(sent) < 400, "MB/10 that lie in buffers"
    response.connection.close()
    response.close()
    assert upstream.last.cancelled.wait(5)


# --- learning ---


def test_a_chat_that_goes_on_is_learned_from_every_so_often(start: Start) -> None:
    gateway = start(learn_every=2)
    words = ["q0"]
    for number in range(1, 6):
        words += [gateway.client.ask(*words).text, f"q{number}"]
    done = lambda: sorted(gateway.home.sessions.glob("completed_*.json"))  # noqa: E731
    until(lambda: len(done()) == 2, "it is handed over twice", 5)
    lengths = sorted(len(json.loads(path.read_text())["messages"]) for path in done())
    assert lengths == [4, 8]
    assert len(gateway.recorded()) == 10


def test_the_gateway_goes_on_where_the_last_one_left_off(start: Start) -> None:
    first = start()
    answer = first.client.ask("Hello")
    first.gateway.stop()
    second = start()
    again = second.client.ask("Hello", answer.text, "And now?")
    assert again.headers["x-atles-session"] == answer.headers["x-atles-session"]
    assert len(second.recorded()) == 4


def test_two_clients_are_told_apart(gateway: Running) -> None:
    other = Client(gateway.url, "another program")
    assert gateway.client.ask("Hello").headers["x-atles-session"] != other.ask("Hello").headers["x-atles-session"]


@pytest.mark.parametrize("path", APIS)
def test_metrics_count_what_was_answered(gateway: Running, upstream: FakeUpstream, path: str) -> None:
    gateway.client.post(path, asking(path))
    upstream.reply(status(500))
    gateway.client.post(path, asking(path))
    gateway.client.get("/v1/anything/a/client/likes")
    api = {CHAT: "chat", RESPONSES: "responses", MESSAGES: "messages"}[path]
    assert gateway.metric(f'atles_requests_total{{api="{api}",status="200"}}') == 1
    assert gateway.metric(f'atles_requests_total{{api="{api}",status="500"}}') == 1
    assert gateway.metric('atles_requests_total{api="other"') == 1
    assert gateway.metric("atles_recorded_total") == 1
    assert gateway.metric("atles_request_seconds_count") == 3
