"""The model server, the real one: what it answers, to whom, and when it ends."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from atles import wheel

from .conftest import Run, start

pytestmark = pytest.mark.slow
MESSAGES = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def spec() -> dict[str, Any]:
    pytest.importorskip("xllamacpp")
    path = wheel.gguf()
    if path is None:
        pytest.skip("the base model's wheel is not installed")
    return {"gguf": str(path), "name": "mine", "threads": 1, "context_tokens": 256, "slots": 2}


@pytest.fixture
def process(spec: dict[str, Any], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with start("serve", spec, tmp_path / "job") as found:
        yield found
        found.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    event = json.loads(process.stdout.readline())
    assert event.keys() == {"event", "url"} and event["event"] == "listening"
    return event["url"]


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, http.client.HTTPMessage, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    headers = {"Content-Type": "application/json", "Origin": "http://a.web.page"}
    connection.request("POST" if body else "GET", parts.path + path, json.dumps(body) if body else None, headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read().decode()


def test_what_openais_clients_ask(process: subprocess.Popen[str]) -> None:
    url = url_of(process)
    status, headers, text = ask(url, "/chat/completions", {"messages": MESSAGES, "max_tokens": 4, "n": 2, "model": "x"})
    answer = json.loads(text)
    assert status == 200 and answer["model"] == "mine" and len(answer["choices"]) == 2
    assert headers["Access-Control-Allow-Origin"] in (None, ""), "no web page may read it"
    # The likeliest token: by chance the answer might end with its first, and be empty.
    likeliest = {"messages": MESSAGES, "temperature": 0}
    stream = {**likeliest, "max_tokens": 4, "stream": True, "stream_options": {"include_usage": True}}
    _, _, text = ask(url, "/chat/completions", stream)
    *events, last = [json.loads(it[6:]) for it in text.split("\n\n") if it.startswith("data: {")]
    assert text.rstrip().endswith("data: [DONE]") and last["usage"]["completion_tokens"] == 4
    assert "".join(it["choices"][0]["delta"].get("content") or "" for it in events)
    logprobs = {**likeliest, "max_tokens": 1, "logprobs": True, "top_logprobs": 3}
    (token,) = json.loads(ask(url, "/chat/completions", logprobs)[2])["choices"][0]["logprobs"]["content"]
    assert len(token["top_logprobs"]) == 3
    plain = {"prompt": "1 2 3", "max_tokens": 2, "temperature": 0}
    assert json.loads(ask(url, "/completions", plain)[2])["choices"][0]["text"]
    assert json.loads(ask(url, "/models")[2])["data"][0]["id"] == "mine"
    assert ask(url, "/embeddings", {"input": "x"})[0] == 501
    status, _, text = ask(url, "/chat/completions", {"messages": [{"role": "user", "content": "word " * 500}]})
    assert status == 400 and json.loads(text)["error"]["type"] == "exceed_context_size_error"


def test_nobody_gets_in_without_the_word(process: subprocess.Popen[str]) -> None:
    url = urlsplit(url_of(process))
    bare = f"http://{url.netloc}"
    for path in ("", "/", "/v1/models", "/health", "/slots", "/lora-adapters", "/props", "/wrong/v1/models"):
        assert ask(bare, path)[0] == 404
    others = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in others - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, int(url.port or 0)), timeout=5)


def test_embeddings_where_they_are_asked_for(spec: dict[str, Any], tmp_path: Path) -> None:
    with start("serve", {**spec, "embeddings": True}, tmp_path / "job") as process:
        status, _, text = ask(url_of(process), "/embeddings", {"input": ["one", "two"]})
        process.kill()
    assert status == 200 and [len(it["embedding"]) for it in json.loads(text)["data"]] == [576, 576]


def test_it_ends_with_who_started_it(process: subprocess.Popen[str]) -> None:
    url_of(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 2


def test_it_ends_when_it_is_told_to(process: subprocess.Popen[str]) -> None:
    url_of(process)
    process.terminate()
    assert process.wait(30) == -signal.SIGTERM


def test_an_adapter_that_is_none_is_named(spec: dict[str, Any], tmp_path: Path, run: Callable[..., Run]) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "stderr.log").write_text("0.00.004.1 E what llama.cpp said\n")  # as `programs.start` keeps it
    (tmp_path / "broken.gguf").write_bytes(b"GGUF nonsense")
    result = run("serve", {**spec, "adapter": str(tmp_path / "broken.gguf")})
    assert result.code == 1 and result.report["error"]["kind"] == "bad_data"
    message = result.report["error"]["message"]
    assert "broken.gguf: what llama.cpp said" in message and str(spec["gguf"]) in message
