"""A scripted server of OpenAI's chat API on loopback: each request takes the next reply, the last one for all further.

with FakeEndpoint(says({...}), status(429, retry_after="3"), hangs()) as server:
    Endpoint(server.url, "fake")
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[BaseHTTPRequestHandler], None]


def send(status: int, body: bytes, kind: str = "application/json", headers: Mapping[str, str] | None = None) -> Reply:
    """Exactly these bytes."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def completion(content: Any, finish: str = "stop", usage: Mapping[str, Any] | None = None) -> bytes:
    """A chat completion whose answer is this text."""
    message = {"role": "assistant", "content": content}
    answer: dict[str, Any] = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    if usage is not None:
        answer["usage"] = usage
    return json.dumps(answer).encode()


def says(value: Any, tokens: tuple[int, int] = (100, 20)) -> Reply:
    """The value as JSON, as a good server answers."""
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    return send(200, completion(json.dumps(value), usage=usage))


def text(content: Any, finish: str = "stop", kind: str = "application/json") -> Reply:
    """Any words as the answer."""
    return send(200, completion(content, finish), kind)


def status(code: int, message: str = "", retry_after: str = "") -> Reply:
    """An error in OpenAI's shape."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return send(code, json.dumps({"error": {"message": message, "code": code}}).encode(), headers=headers)


def html(code: int = 200) -> Reply:
    return send(code, b"<!doctype html><title>Welcome to nginx</title>", "text/html")


def huge(size: int) -> Reply:
    """A body without an announced length that goes on and on."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        chunk, sent = b" " * 65_536, 0
        while sent < size:
            handler.wfile.write(chunk)
            sent += len(chunk)

    return reply


def hangs(seconds: float = 30.0) -> Reply:
    """Nothing at all for a while."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.server.released.wait(seconds)  # type: ignore[attr-defined]

    return reply


def drips(seconds: float = 30.0) -> Reply:
    """A byte now and then: no wait for the socket is long, the whole is."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not handler.server.released.wait(0.05):  # type: ignore[attr-defined]
            handler.wfile.write(b" ")
            handler.wfile.flush()

    return reply


def closes() -> Reply:
    """The connection ends without an answer."""
    return lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)


def breaks_off() -> Reply:
    """Less comes than was announced."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{")
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    return reply


class FakeEndpoint:
    """`requests` are the bodies that came, `headers` their headers."""

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._replies = list(replies)
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with fake._lock:
                    fake.requests.append(json.loads(body))
                    fake.headers.append(dict(self.headers))
                    fake.paths.append(self.path)
                    reply = fake._replies.pop(0) if len(fake._replies) > 1 else fake._replies[0]
                try:
                    reply(self)
                except OSError:
                    pass  # the client has hung up, as some tests want
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.released = threading.Event()  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def form_of(self, number: int) -> str:
        """How the n-th request asked for JSON."""
        return self.requests[number].get("response_format", {}).get("type", "text")

    def prompt_of(self, number: int) -> str:
        return "\n".join(message["content"] for message in self.requests[number]["messages"])

    def __enter__(self) -> "FakeEndpoint":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.released.set()  # type: ignore[attr-defined]
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FakeModel:
    """An endpoint without a server: answers from a list, or from a function of the prompt."""

    def __init__(self, *answers: Any, model: str = "fake-7b", tokens: int = 100) -> None:
        from atles.serving.reply import Usage

        self.model, self.chats = model, []
        self._answers, self._usage = list(answers), Usage(tokens, 0)

    def complete_json(self, messages: Iterable[Mapping[str, str]], schema: Mapping[str, Any], max_tokens: int) -> Any:
        self.chats.append(list(messages))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            answer = answer(self.chats[-1][-1]["content"])
        if isinstance(answer, Exception):
            raise answer
        return answer, self._usage
