"""Requests other than a chat's: other methods, files as bodies; bounded in time all the same."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atles.serving.http import Sender, Stopped
from tests.fakes.model_server import FakeServer, Reply

MB = 1 << 20


class Echo(FakeServer):
    """Says how it was asked."""

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        return 200, {"method": method, "bytes": len(body)}


@pytest.fixture
def echo() -> Iterator[Echo]:
    fake = Echo()
    yield fake
    fake.stop()


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server that takes connections and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_method_goes_through_with_its_body(echo: Echo, method: str) -> None:
    answer = Sender(echo.url, 10, MB).send(method, b"{}", {})
    assert (answer.status, answer.body) == (200, f'{{"method": "{method}", "bytes": 2}}'.encode())


def test_head_has_no_body_whatever_length_is_announced(echo: Echo) -> None:
    answer = Sender(echo.url, 10, MB).send("HEAD", None, {})
    assert answer.status == 200 and answer.body == b"" and int(answer.headers["content-length"]) > 0


def test_a_file_is_sent_with_its_length(echo: Echo, tmp_path: Path) -> None:
    file = tmp_path / "adapter.gguf"
    file.write_bytes(b"x" * (5 * MB + 1))
    assert b'"bytes": 5242881' in Sender(echo.url, 10, MB).send("POST", file, {}).body
    file.write_bytes(b"")
    assert b'"bytes": 0' in Sender(echo.url, 10, MB).send("POST", file, {}).body


def test_a_file_that_nobody_takes_ends_in_time(deaf: str, tmp_path: Path) -> None:
    file = tmp_path / "adapter.gguf"
    file.write_bytes(b"x" * (64 * MB))
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        Sender(deaf, 0.5, MB).send("POST", file, {})
    assert time.monotonic() - began < 5


def test_sending_a_file_can_be_ended_from_another_thread(deaf: str, tmp_path: Path) -> None:
    file = tmp_path / "adapter.gguf"
    file.write_bytes(b"x" * (64 * MB))
    sender = Sender(deaf, 60, MB)
    threading.Timer(0.3, sender.stop).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        sender.send("POST", file, {})
    assert time.monotonic() - began < 5
