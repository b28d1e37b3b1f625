"""What clients and model servers should not do, and what disks do."""

import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fakes.process import until
from tests.gateway.conftest import CHAT, MESSAGES, RESPONSES, Client, Running, chat
from tests.gateway.upstream import FakeUpstream, answers, event, events, hangs_up, pieces, sends, status, waits

Start = Callable[..., Running]
MB = 1 << 20
APIS = [CHAT, RESPONSES, MESSAGES]


# --- bodies ---


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"nonsense", b"\xff\xfe\x00", b"[]", b'"text"', b"17", b"null", b'{"model": "m", }', b"{} {}",
     b'{"messages": ' + b"[" * 100_000, b'{"model": "m", "n": ' + b"9" * 5000 + b"}"],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_what_is_no_json_object_is_refused(gateway: Running, upstream: FakeUpstream, path: str, body: bytes) -> None:
    answer = gateway.client.post(path, body, Content_Type="application/json")
    assert answer.status == 400
    assert answer.error["message"]
    assert answer.error["type"] == "invalid_request_error"
    assert upstream.requests == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_does_not_say_that_it_is_json_is_refused(gateway: Running, upstream: FakeUpstream, kind: str) -> None:
    """A page of another site may send it without asking the browser."""
    answer = gateway.client.post(CHAT, json.dumps(chat("Hello")).encode(), Content_Type=kind)
    assert (answer.status, answer.error["code"]) == (415, "wrong_content_type")
    assert upstream.requests == []


@pytest.mark.parametrize("model", [None, "", 5, ["m"], {"a": 1}, True])
def test_a_request_names_its_model(gateway: Running, upstream: FakeUpstream, model: Any) -> None:
    answer = gateway.client.post(CHAT, {"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    assert (answer.status, answer.error["code"]) == (400, "no_model")
    assert upstream.requests == []


@pytest.mark.parametrize("name", ["x" * 100_000, "\0", "\ud800", "a\nb", "../../etc/passwd", "*", "atles:", "atles:*"])
def test_any_name_of_a_model_is_looked_up_or_passed_on(gateway: Running, upstream: FakeUpstream, name: str) -> None:
    answer = gateway.client.ask("Hello", model=name)
    assert answer.status == (404 if name.startswith("atles:") else 200)
    if answer.status == 200:
        assert upstream.last.document["model"] == name


@pytest.mark.parametrize(
    "messages",
    [
        None, [], "Hello", {}, [None], ["Hello"], [[]], [{}], [{"role": "user"}], [{"role": "user", "content": None}],
        [{"role": "user", "content": 5}], [{"role": "user", "content": {"a": 1}}], [{"role": 5, "content": "x"}],
        [{"role": "user", "content": [None, 5, "x", [], {"type": "text"}, {"type": "text", "text": 5}]}],
        [{"role": "user", "content": "x", "tool_calls": 5}], [{"role": "user", "content": "\ud800 \0"}],
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "tool_calls": [{"function": 5}]}],
        [{"role": "user", "content": json.loads("[" * 500 + "]" * 500)}],
        [{"role": "user", "content": "x", "metadata": 5, "timestamp": []}],
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", APIS)
def test_messages_of_odd_shapes_are_the_model_servers_to_judge(
    gateway: Running, upstream: FakeUpstream, path: str, messages: Any
) -> None:
    gateway.memory.known[""] = "Ann lives in Oslo."
    upstream.reply(status(400, "messages are odd"), answers("But I answer."), answers("Always."))
    body = {"model": "m", "messages": messages, "input": messages}
    assert gateway.client.post(path, body).error["message"] == "messages are odd"
    assert gateway.client.post(path, body).status == 200
    assert gateway.client.post(path, body, X_Atles_Session="mine").status == 200
    assert len(upstream.requests) == 3
    for name, recorded in gateway.journals().items():
        assert recorded, name
        assert all(isinstance(it["role"], str) for it in recorded)


def test_a_request_without_messages_is_the_model_servers_to_judge(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(status(422, "no messages"))
    assert gateway.client.post(CHAT, {"model": "m"}).status == 422
    assert gateway.journals() == {}


def peak() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def drops(size: int) -> Iterator[bytes]:
    for _ in range(size // MB):
        yield b" " * MB


@pytest.mark.parametrize("announced", [True, False])
def test_a_huge_body_is_refused_and_not_kept(gateway: Running, upstream: FakeUpstream, announced: bool) -> None:
    gateway.client.ask("Hello")
    before = peak()
    connection = http.client.HTTPConnection(gateway.client.address, timeout=60)
    headers = {"Content-Type": "application/json"} | ({"Content-Length": str(100 * MB)} if announced else {})
    try:
        connection.request("POST", CHAT, drops(100 * MB), headers, encode_chunked=not announced)
    except OSError:
        pass  # the gateway need not take it all in
    response = connection.getresponse()
    assert response.status == 413
    error = json.loads(response.read())["error"]
    connection.close()
    assert error["code"] == "too_large"
    assert "gateway.max_body_mb" in error["message"]
    assert len(upstream.requests) == 1
    assert peak() - before < 100, "MiB; the limit is 32, and a copy"


def test_a_body_that_says_that_it_is_huge_is_not_waited_for(gateway: Running) -> None:
    with raw(gateway) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n"
                           b"Content-Type: application/json\r\n\r\n{")  # fmt: skip
        assert connection.recv(100).split()[1] == b"413"


def test_the_limit_is_a_setting(start: Start) -> None:
    gateway = start(max_body_mb=0.01)
    assert gateway.client.ask("x" * 9_000).status == 200
    assert gateway.client.ask("x" * 11_000).status == 413


def test_a_question_of_megabytes_is_answered(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(answers("Long."))
    text = "word " * (MB // 2)
    assert gateway.client.ask(text).text == "Long."
    assert gateway.recorded()[0] == ("user", text)


# --- sessions ---


def named(gateway: Running, *names: bytes) -> tuple[int, dict[str, Any]]:
    """Ask with these X-Atles-Session headers, byte for byte."""
    connection = http.client.HTTPConnection(gateway.client.address, timeout=30)
    body = json.dumps(chat("Hello")).encode()
    connection.putrequest("POST", CHAT)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    for name in names:
        connection.putheader("X-Atles-Session", name)
    connection.endheaders(body)
    response = connection.getresponse()
    try:
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_several_session_headers_are_one_if_they_say_the_same(gateway: Running) -> None:
    assert named(gateway, b"mine", b"mine")[0] == 200
    status, document = named(gateway, b"mine", b"yours")
    assert (status, document["error"]["code"]) == (400, "bad_session")
    assert list(gateway.journals()) == ["mine"]


@pytest.mark.parametrize(
    "name",
    ["ünï 😀", "a/b", "..", "../../../etc/passwd", "x" * 512, "%00", "a,b;c=d", '"quoted"', "con:1", "日本語" * 100],
)
def test_any_session_id_of_sane_length_is_one(gateway: Running, name: str) -> None:
    status, document = named(gateway, name.encode())
    assert status == 200, document
    assert list(gateway.journals()) == [name]
    assert all(path.parent == gateway.home.open_sessions for path in gateway.home.root.rglob("*.jsonl"))


def test_bytes_that_are_no_text_are_a_session_id_too(gateway: Running) -> None:
    assert named(gateway, b"caf\xe9")[0] == 200
    assert list(gateway.journals()) == ["caf\ufffd"], "as it will be stored"


@pytest.mark.parametrize("length", [513, 8000, 30_000])
def test_a_session_id_that_is_too_long_is_refused(gateway: Running, length: int) -> None:
    status, document = named(gateway, b"x" * length)
    assert (status, document["error"]["code"]) == (400, "bad_session")
    assert "512" in document["error"]["message"]
    assert gateway.client.post(CHAT, chat("Hello", metadata={"session_id": "x" * length})).status == 200
    assert not [name for name in gateway.journals() if name.startswith("x")], "in metadata it is not ours to judge"


def test_empty_session_ids_are_none(gateway: Running) -> None:
    assert named(gateway, b"", b"  ")[0] == 200
    assert next(iter(gateway.journals())).startswith("session_")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a\nb", "\x7f"])
def test_odd_signs_in_a_session_id_are_no_trouble(gateway: Running, name: str) -> None:
    answer = gateway.client.post(CHAT, chat("Hello", metadata={"session_id": name}))
    assert answer.status == 200
    assert len(gateway.journals()) == 1
    assert "\0" not in next(iter(gateway.journals()))


def test_a_header_with_nul_is_refused_by_http_itself(gateway: Running) -> None:
    with raw(gateway) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Atles-Session: a\0b\r\n\r\n")
        assert connection.recv(100).split()[1] == b"400"
    assert gateway.client.ask("Hello").status == 200


def test_two_requests_of_one_session_at_once_are_both_recorded(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(waits(answers()))
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(gateway.client.post, CHAT, chat(f"question {n}"), X_Atles_Session="mine") for n in range(8)
        ]
        until(lambda: len(upstream.requests) == 8, "all are on their way", 10)
        upstream.go.set()
        assert all(it.result().status == 200 for it in asked)
    contents = [content for _, content in gateway.recorded()]
    assert sorted(contents[::2]) == sorted(f"question {n}" for n in range(8))
    assert all(answer == f"You said: {asked}" for asked, answer in zip(contents[::2], contents[1::2], strict=True))


# --- model servers ---


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"garbage\r\n\r\n",
        b"\x00\xff" * 100,
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{"a"',
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:40]),
)
def test_a_server_that_answers_garbage_is_an_error(
    gateway: Running, upstream: FakeUpstream, garbage: bytes, stream: bool
) -> None:
    upstream.reply(hangs_up(garbage))
    answer = gateway.client.ask("Hello", stream=stream)
    assert answer.status in (502, 999)
    assert answer.error["message"]
    assert len(upstream.requests) <= 2
    assert gateway.journals() == {}
    upstream.reply(answers("Well again."))
    assert gateway.client.ask("Hello").text == "Well again."


@pytest.mark.parametrize("path", APIS)
def test_a_server_that_closes_an_idle_connection_just_when_it_is_used_is_asked_again(
    gateway: Running, upstream: FakeUpstream, path: str
) -> None:
    upstream.reply(hangs_up(), answers())
    assert gateway.client.post(path, {"model": "m", **chat("Hello"), "input": "Hello"}).status == 200
    assert len(upstream.requests) == 2
    upstream.reply(hangs_up(), answers())
    assert gateway.client.post("/v1/batches", {"model": "m"}).status == 502, "what changes something is not done twice"


@pytest.mark.parametrize("path", APIS)
def test_a_server_that_breaks_off_between_two_events_ends_with_an_error(
    gateway: Running, upstream: FakeUpstream, path: str
) -> None:
    parts = events(path, "One two three")[:3]
    upstream.reply(pieces(parts, abort=True))
    body = {"model": "m", "stream": True, "input": "Hello", "messages": [{"role": "user", "content": "Hello"}]}
    answer = gateway.client.post(path, body)
    assert answer.body.startswith(b"".join(parts))
    (last,) = answer.body.removeprefix(b"".join(parts)).strip().splitlines()[-1:]
    assert "broke off" in json.loads(last.removeprefix(b"data: "))["error"]["message"]
    assert gateway.journals() == {}
    assert gateway.metric('atles_failures_total{code="upstream_failed"}') == 1


def test_a_server_that_breaks_off_within_an_event_breaks_off_for_the_client_too(
    gateway: Running, upstream: FakeUpstream
) -> None:
    """Half an event and an error after it would be read as one event that makes no sense."""
    upstream.reply(pieces([*events(CHAT, "One two three")[:3], b'data: {"id": "chatc'], abort=True))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        gateway.client.ask("Hello", stream=True)
    assert gateway.journals() == {}
    assert gateway.client.get("/healthz").status == 200


def test_a_download_that_breaks_off_breaks_off_for_the_client_too(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(hangs_up(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 900\r\n\r\na,b\n"))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        gateway.client.get("/v1/files/x/content")


def test_a_stream_that_ends_without_an_end_is_no_answer(gateway: Running, upstream: FakeUpstream) -> None:
    """Without chunks or a length nobody can tell that the server died."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    upstream.reply(hangs_up(head + b"".join(events(CHAT, "One two three")[:3])))
    try:
        gateway.client.ask("Hello", stream=True)
    except (http.client.IncompleteRead, ConnectionError):
        pass
    assert gateway.journals() == {}


def test_an_error_in_the_stream_is_passed_on_and_nothing_is_recorded(gateway: Running, upstream: FakeUpstream) -> None:
    parts = [*events(CHAT, "One two three")[:3], event({"error": {"message": "out of memory"}}), b"data: [DONE]\n\n"]
    upstream.reply(pieces(parts))
    assert gateway.client.ask("Hello", stream=True).body == b"".join(parts)
    assert gateway.journals() == {}


def test_lines_of_megabytes_pass_through(gateway: Running, upstream: FakeUpstream) -> None:
    text = "x" * (10 * MB)
    upstream.reply(answers(text))
    assert gateway.client.ask("plain").text == text
    parts = events(CHAT, text)
    upstream.reply(pieces(parts))
    assert gateway.client.ask("streamed", stream=True).body == b"".join(parts)
    recorded = [messages[1]["content"] for messages in gateway.journals().values()]
    assert recorded == [text, text]


def test_a_stream_that_is_longer_than_is_kept_passes_and_is_not_recorded(
    gateway: Running, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    parts = events(CHAT, "x" * (17 * MB))
    upstream.reply(pieces(parts))
    assert len(gateway.client.ask("Hello", stream=True).body) == len(b"".join(parts))
    assert gateway.journals() == {}
    assert "too long to be recorded" in caplog.text


def test_a_server_that_promises_a_stream_and_sends_none(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(pieces([]))
    assert gateway.client.ask("Hello", stream=True).body == b""
    upstream.reply(sends(b"not events at all", kind="text/event-stream"))
    assert gateway.client.ask("Hello", stream=True).body == b"not events at all"
    assert gateway.journals() == {}


# --- clients ---


def raw(gateway: Running) -> socket.socket:
    host, port = gateway.client.address.split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_a_client_that_reads_a_byte_a_second_keeps_nobody_waiting(gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(answers("x" * (8 * MB)))
    connection = raw(gateway)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    body = json.dumps(chat("slowly", stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    connection.sendall(head.encode() + b"\r\n\r\n" + body)
    assert connection.recv(1) == b"H"
    upstream.reply(answers())
    began = time.monotonic()
    for number in range(20):
        assert gateway.client.ask(f"quick {number}").status == 200
        if number % 10 == 0:
            assert connection.recv(1)
    assert time.monotonic() - began < 5
    connection.close()


def test_five_hundred_idle_connections_keep_nobody_out(gateway: Running) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("the system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    idle = [raw(gateway) for _ in range(500)]
    try:
        for half in idle[::2]:
            half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127")
        began = time.monotonic()
        assert gateway.client.ask("Hello").status == 200
        assert time.monotonic() - began < 5
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_requests_at_once_than_are_allowed_are_told_to_try_again(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(max_concurrent=2)
    upstream.reply(waits(answers()))
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(gateway.client.ask, f"question {n}") for n in range(2)]
        until(lambda: len(upstream.requests) == 2, "both are on their way", 10)
        busy = gateway.client.ask("and another")
        assert (busy.status, busy.error["code"], busy.headers["retry-after"]) == (503, "overloaded", "1")
        upstream.go.set()
        assert [it.result().status for it in asked] == [200, 200]
    assert gateway.client.ask("now").status == 200


def test_a_body_that_stops_in_the_middle_is_no_request(gateway: Running, upstream: FakeUpstream) -> None:
    with raw(gateway) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n"
                           b"Content-Type: application/json\r\n\r\n{\"model\"")  # fmt: skip
        time.sleep(0.1)
    until(lambda: gateway.metric("atles_requests_at_once") == 0, "it is over", 5)
    assert upstream.requests == []
    assert gateway.client.ask("Hello").status == 200


@pytest.mark.parametrize("junk", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_no_trouble(gateway: Running, junk: bytes) -> None:
    with raw(gateway) as connection:
        connection.sendall(junk)
        connection.settimeout(1)
        try:
            connection.recv(1000)
        except TimeoutError:
            pass
    assert gateway.client.get("/healthz").status == 200


# --- disks ---


def test_with_a_full_disk_the_answer_arrives_and_the_exchange_is_written_later(
    gateway: Running, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, aside = gateway.home.open_sessions, gateway.home.sessions / "aside"
    first = gateway.client.ask("q1")
    folder.rename(aside)
    folder.write_text("in the way")
    second = gateway.client.ask("q1", first.text, "q2")
    assert second.text == "You said: q2"
    other = Client(gateway.url, "another").ask("q3", stream=True)
    assert other.body.endswith(b"[DONE]\n\n")
    folder.unlink()
    aside.rename(folder)
    whole = {first.headers["x-atles-session"]: 4, other.headers["x-atles-session"]: 2}
    until(lambda: {name: len(it) for name, it in gateway.journals().items()} == whole, "it is written", 10)


def test_what_a_full_disk_kept_from_the_journal_is_written_at_the_end(start: Start) -> None:
    gateway = start()
    folder = gateway.home.open_sessions
    folder.rmdir()
    folder.write_text("in the way")
    gateway.client.ask("q1")
    folder.unlink()
    folder.mkdir()
    gateway.gateway.stop()
    assert len(gateway.recorded()) == 2


def test_conversations_of_many_clients_do_not_get_mixed_up(gateway: Running) -> None:
    """Sixteen clients at once, each with the same first question."""

    def talk(number: int) -> str:
        client, words = Client(gateway.url, f"client {number}"), ["Hello"]
        for turn in range(6):
            answer = client.ask(*words, stream=turn % 2 == 0)
            said = f"You said: {words[-1]}"
            assert said in answer.body.decode().replace('"}, "finish_reason": null}]}', "") or turn % 2 == 0
            words += [said, f"{number}: turn {turn}"]
        return answer.headers["x-atles-session"]

    with ThreadPoolExecutor(16) as pool:
        sessions = list(pool.map(talk, range(16)))
    assert len(set(sessions)) == 16
    journals = gateway.journals()
    for number, name in enumerate(sessions):
        mine = [it["content"] for it in journals[name] if it["role"] == "user"]
        assert mine == ["Hello", *(f"{number}: turn {turn}" for turn in range(5))]
    assert threading.active_count() < 100
