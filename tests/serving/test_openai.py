"""The client for model servers: what they answer, how they fail, and what the user reads of it."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from atles.errors import ConfigError, EndpointError
from atles.serving import http
from atles.serving.openai import Endpoint
from tests.fakes.endpoint import (
    FakeEndpoint,
    Reply,
    breaks_off,
    closes,
    completion,
    drips,
    hangs,
    html,
    huge,
    says,
    send,
    status,
    text,
)  # fmt: skip

ASKED = [{"role": "system", "content": "List them."}, {"role": "user", "content": "I have two boats."}]
SCHEMA = {"type": "object", "properties": {"facts": {"type": "array"}}, "required": ["facts"]}
RIGHT = {"facts": ["two boats"]}
KEY = "sk-live-0123456789"


def ask(server: FakeEndpoint, **settings) -> object:
    return Endpoint(server.url, "fake-7b", KEY, **{"timeout_seconds": 5.0, **settings}).complete_json(
        ASKED, SCHEMA, 64
    )[0]


def failure(*replies: Reply, **settings) -> EndpointError:
    with FakeEndpoint(*replies) as server, pytest.raises(EndpointError) as caught:
        ask(server, **settings)
    assert KEY not in str(caught.value) and KEY not in repr(caught.value)
    return caught.value


def test_a_good_server_is_asked_once_with_the_schema_and_the_key() -> None:
    with FakeEndpoint(says(RIGHT, tokens=(70, 9))) as server:
        endpoint = Endpoint(server.url + "/", "fake-7b", KEY)
        value, usage = endpoint.complete_json(ASKED, SCHEMA, 64)
    assert value == RIGHT and (usage.prompt_tokens, usage.completion_tokens, usage.estimated) == (70, 9, False)
    (request,) = server.requests
    assert request["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}
    assert (request["model"], request["temperature"], request["max_tokens"], request["stream"]) == (
        "fake-7b",
        0,
        64,
        False,
    )
    assert request["messages"] == ASKED and server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}" and KEY not in repr(endpoint)


def test_without_a_key_none_is_sent_and_without_usage_it_is_estimated() -> None:
    with FakeEndpoint(text('{"facts": []}')) as server:
        _, usage = Endpoint(server.url, "m").complete_json(ASKED, SCHEMA, 64)
    assert "Authorization" not in server.headers[0] and usage.estimated and usage.prompt_tokens > 10


@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"facts": ["two boats"]}\n```',
        'Sure! Here it is:\n```\n{"facts": ["two boats"]}\n```\nAnything else?',
        '<think>Facts {maybe}?</think>\n{"facts": ["two boats"]}', 'Here: {"facts": ["two boats"]} Bye.',
        [{"type": "text", "text": '{"facts": ["two '}, {"type": "text", "text": 'boats"]}'}],
    ],
)  # fmt: skip
def test_json_is_found_in_what_models_put_around_it(answer: object) -> None:
    with FakeEndpoint(text(answer)) as server:
        assert ask(server) == RIGHT and len(server.requests) == 1


def test_a_wrong_content_type_does_not_matter_if_the_body_is_right() -> None:
    with FakeEndpoint(text('{"facts": ["two boats"]}', kind="text/plain")) as server:
        assert ask(server) == RIGHT


def test_what_the_server_cannot_do_is_learned_once() -> None:
    refuses = status(400, "response_format.type json_schema is not supported")
    with FakeEndpoint(refuses, says(RIGHT)) as server:
        endpoint = Endpoint(server.url, "m")
        assert endpoint.complete_json(ASKED, SCHEMA, 64)[0] == RIGHT
        endpoint.complete_json(ASKED, SCHEMA, 64)
    assert [server.form_of(n) for n in range(3)] == ["json_schema", "json_object", "json_object"]
    assert '"required": ["facts"]' in server.prompt_of(1) and '"required"' not in server.prompt_of(0)
    assert [m["role"] for m in server.requests[1]["messages"]] == ["system", "user"], "some templates take one of each"


def test_a_server_that_knows_no_response_format_at_all_is_asked_in_words() -> None:
    refuses = status(400, "unknown field response_format")
    with FakeEndpoint(refuses, refuses, says(RIGHT)) as server:
        assert ask(server) == RIGHT
    assert [server.form_of(n) for n in range(3)] == ["json_schema", "json_object", "text"]


def test_a_server_that_ignores_the_schema_gets_it_in_the_prompt() -> None:
    with FakeEndpoint(text("You have two boats!"), says(RIGHT, (50, 5))) as server:
        endpoint = Endpoint(server.url, "m")
        value, usage = endpoint.complete_json(ASKED, SCHEMA, 64)
        assert value == RIGHT and usage.total > 55, "both calls are counted"
        endpoint.complete_json(ASKED, SCHEMA, 64)
    assert server.form_of(2) == "json_object"


def test_newer_cloud_models_name_and_treat_parameters_differently() -> None:
    limit = status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    with FakeEndpoint(limit, says(RIGHT)) as server:
        endpoint = Endpoint(server.url, "m")
        endpoint.complete_json(ASKED, SCHEMA, 64)
        endpoint.complete_json(ASKED, SCHEMA, 64)
    assert len(server.requests) == 3
    assert all("max_tokens" not in r and r["max_completion_tokens"] == 64 for r in server.requests[1:])
    with FakeEndpoint(status(400, "'temperature' does not support 0"), says(RIGHT)) as server:
        assert ask(server) == RIGHT
    assert "temperature" not in server.requests[1] and server.form_of(1) == "json_schema"


# kind, retryable, words of the message; for each way to fail
FAILURES = [
    (text("I cannot do that."), "bad_output", False, "something else than the JSON asked for (I cannot do that.)"),
    (text('{"wrong": 1}'), "bad_output", False, "something else than the JSON"),
    (text(""), "bad_output", False, "(nothing)"),
    (text("[" * 100_000), "bad_output", False, "something else"),
    (text('{"facts": ["two', "length"), "bad_output", False, "does not end within 64 tokens"),
    (send(200, b"not json"), "bad_output", False, "ends in /v1"),
    (send(200, b"[1]"), "bad_output", False, "no chat completion"),
    (send(200, b'{"choices": []}'), "bad_output", False, "no chat completion"),
    (html(), "bad_output", False, "text/html"),
    (html(404), "bad_request", False, "no /chat/completions there"),
    (status(404, "model 'fake-7b' not found"), "no_model", False, "memory.llm_model"),
    (status(400, "The model `fake-7b` does not exist"), "no_model", False, "memory.llm_model"),
    (status(401, f"Incorrect API key provided: {KEY}"), "unauthorized", False, "memory.llm_api_key_env"),
    (status(403, KEY), "unauthorized", False, "refuses the API key"),
    (status(400, f"bad {KEY} thing\nsecond line"), "bad_request", False, "bad … thing second line"),
    (
        status(400, "This model's maximum context length is 4096 tokens"),
        "bad_request",
        False,
        "memory.llm_max_input_tokens",
    ),
    (status(429, "slow down", "7"), "rate_limited", True, "slow down"),
    (status(500, "CUDA error"), "server_error", True, "CUDA error"),
    (status(503, "Loading model", "2"), "server_error", True, "Loading model"),
    (status(504), "timeout", True, "gave up"),
    (send(302, b"", headers={"Location": "http://elsewhere.invalid/"}), "bad_request", False, "sends elsewhere"),
    (closes(), "unreachable", True, "no server answers"),
    (breaks_off(), "unreachable", True, "no server answers"),
    (huge(8 << 20), "bad_output", False, "larger than"),
]


@pytest.mark.parametrize(("reply", "kind", "retryable", "words"), FAILURES)
def test_a_failure_says_what_happened_and_the_way_out(reply: Reply, kind: str, retryable: bool, words: str) -> None:
    error = failure(reply)
    assert (error.kind, error.retryable) == (kind, retryable)
    assert words in str(error) and 'set memory.extractor = "rules"' in str(error) and "\n" not in str(error)


def test_no_server() -> None:
    with pytest.raises(EndpointError) as caught:
        Endpoint("http://127.0.0.1:9/v1", "m").complete_json(ASKED, SCHEMA, 8)
    assert caught.value.kind == "unreachable" and "no server answers at http://127.0.0.1:9/v1" in str(caught.value)
    with pytest.raises(EndpointError, match=r"no server answers at http://no-such-host\.invalid"):
        Endpoint("http://no-such-host.invalid/v1", "m", timeout_seconds=5).complete_json(ASKED, SCHEMA, 8)


@pytest.mark.parametrize("reply", [hangs, drips])
def test_a_slow_server_is_left_in_time(reply) -> None:
    began = time.monotonic()
    error = failure(reply(), timeout_seconds=0.4)
    assert error.kind == "timeout" and "within 0.4 s" in str(error) and error.retryable
    assert time.monotonic() - began < 3


def test_a_call_can_be_ended_from_another_thread() -> None:
    with FakeEndpoint(hangs()) as server:
        endpoint = Endpoint(server.url, "m", timeout_seconds=30)
        threading.Timer(0.2, endpoint.stop).start()
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(EndpointError) as caught:
                endpoint.complete_json(ASKED, SCHEMA, 8)
            assert caught.value.kind == "stopped" and caught.value.retryable
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7), ("0.5", 0.5, 0.5), ("-3", 0, 0), ("99999999", 86_400, 86_400),
        (format_datetime(datetime.now(UTC) + timedelta(hours=6), usegmt=True), 18_000, 21_601),  # made at import
        (format_datetime(datetime.now(UTC) - timedelta(days=3), usegmt=True), 0, 0),
    ],
    # named: an id with the time in it differs between the processes that share the tests
    ids=["seconds", "less than one", "negative", "years", "in six hours", "three days ago"],
)  # fmt: skip
def test_retry_after_is_honoured(header: str, least: float, most: float) -> None:
    wait = failure(status(429, "wait", header)).retry_after
    assert wait is not None and least <= wait <= most


@pytest.mark.parametrize("header", ["", "soon", "nan", "inf", "Tue, 99 Foo 2026"])
def test_a_retry_after_that_says_nothing_is_none(header: str) -> None:
    assert failure(status(429, "wait", header)).retry_after is None


def test_what_a_failed_call_cost_is_known() -> None:
    assert failure(text("no"), max_bytes=1 << 16).tokens > 0
    assert failure(status(401)).tokens == 0


@pytest.mark.parametrize(
    "url",
    ["", "localhost:11434", "ftp://x/v1", "http://", "http://x:99999/v1", "http://a b/v1", "http://u:sekret@x/v1",
     "https://x/v1?key=sekret", "http://x/v1#sekret", "http://x\n/v1", "file:///etc/passwd"],
)  # fmt: skip
def test_an_address_that_cannot_be_right_is_refused_unrepeated(url: str) -> None:
    with pytest.raises(ConfigError, match=r"memory.llm_url") as caught:
        Endpoint(url, "m")
    assert "sekret" not in str(caught.value)


@pytest.mark.parametrize("key", ["abc\r\nX-Evil: 1", "abc\n", "geheim ß", "a b"])
def test_a_key_that_would_break_the_header_is_refused_unrepeated(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Endpoint("http://127.0.0.1/v1", "m", key)
    assert key not in str(caught.value)
    with pytest.raises(ConfigError, match=r"memory.llm_model"):
        Endpoint("http://127.0.0.1/v1", "")


def test_no_proxy_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint(says(RIGHT)) as proxy, FakeEndpoint(says(RIGHT)) as server:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(server) == RIGHT and not proxy.requests
        Endpoint("http://models.invalid:8000/v1", "m").complete_json(ASKED, SCHEMA, 8)
        assert proxy.paths == ["http://models.invalid:8000/v1/chat/completions"]
    assert http.is_loopback("127.0.0.2") and http.is_loopback("::1") and http.is_loopback("localhost")
    assert not http.is_loopback("127.0.0.1.example.com") and not http.is_loopback("10.0.0.1")


def test_tls_is_verified() -> None:
    post = http.Post("https://127.0.0.1:1/v1", 1.0, 100)
    with pytest.raises(OSError):
        post(b"", {})
    assert post._tls and post._tls.check_hostname and post._tls.verify_mode.name == "CERT_REQUIRED"


def test_nothing_of_the_key_or_the_chat_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failure(status(500, KEY))
    failure(send(200, completion("two boats")))
    assert KEY not in caplog.text and "boats" not in caplog.text
