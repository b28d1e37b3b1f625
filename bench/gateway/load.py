"""Who asks: conversations that go on, over connections that stay open, and when each answer came.

Knows as much HTTP as it needs to see where an answer begins and ends, so that it costs little beside what it measures.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.gateway.upstream import ANSWER

# Of a conversation; each request holds all that was said so far. After five the gateway hands it over to be learned.
TURNS = 5
_GIVE_UP_SECONDS = 120.0


@dataclass
class Burst:
    """What came of some seconds of asking. Times are in ms, from the request to the first byte of the body and to the
    last."""

    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Asker:
    """Whose conversations these are: no two ask the same. `answered` is what was asked and answered to the end."""

    def __init__(self, questions: Sequence[str], turns: int = TURNS) -> None:
        self._questions, self._turns = questions, turns
        self._numbers = itertools.count(1)
        self.answered: list[str] = []

    def requests(self, model: str, stream: bool) -> Iterator[tuple[str, bytes]]:
        """What is asked, and the request's body: one conversation after the other."""
        while True:
            messages: list[dict[str, str]] = []
            for _ in range(self._turns):
                number = next(self._numbers)
                asked = f"{self._questions[number % len(self._questions)]} ({number})"
                messages.append({"role": "user", "content": asked})
                yield asked, json.dumps({"model": model, "stream": stream, "messages": messages}).encode()
                messages.append({"role": "assistant", "content": ANSWER})

    async def burst(
        self, port: int, *, model: str, stream: bool, at_once: int, seconds: float = 0.0, count: int = 0, key: str = "",
        spread: float = 0.0,
    ) -> Burst:  # fmt: skip
        """Ask for `seconds`, or `count` times, over `at_once` connections, the first of each within `spread` seconds.

        Raises RuntimeError at a wrong answer.
        """
        loop, found = asyncio.get_running_loop(), Burst()
        left = itertools.repeat(None, count) if count else itertools.repeat(None)
        connections = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(at_once)]
        head = _head(port, key)
        began = time.perf_counter()

        async def ask(number: int, connection: Connection) -> None:
            await asyncio.sleep(spread * number / at_once)
            for asked, body in self.requests(model, stream):
                if (seconds and time.perf_counter() - began > seconds) or next(left, "none") == "none":
                    return
                first, last = await asyncio.wait_for(connection.ask(head % len(body) + body), _GIVE_UP_SECONDS)
                found.first.append(1e3 * first)
                found.last.append(1e3 * last)
                self.answered.append(asked)

        try:
            await asyncio.gather(*itertools.starmap(ask, enumerate(connections)))
        finally:
            found.seconds = time.perf_counter() - began
            for connection in connections:
                connection.close()
        return found


def _head(port: int, key: str) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1", f"Host: 127.0.0.1:{port}", "User-Agent: bench",
        "Content-Type: application/json", "Accept: */*", *([f"Authorization: Bearer {key}"] if key else []),
        "Content-Length: %d", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[float, float]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[tuple[float, float]]":
        """Seconds from now to the first byte of the answer's body, and to its last."""
        self._answer = asyncio.get_running_loop().create_future()
        self._data, self._body, self._first, self._length = bytearray(), 0, 0.0, -1
        self._asked = time.perf_counter()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        answer = self._answer
        if answer is None or answer.done():
            return
        self._data += data
        if not self._body:
            self._body = self._data.find(b"\r\n\r\n") + 4
            if self._body < 4:
                self._body = 0
                return
            head = bytes(self._data[: self._body]).lower()
            if not head.startswith(b"http/1.1 200"):
                answer.set_exception(RuntimeError(f"it answers with {bytes(self._data[:500])!r}"))
                return
            for line in head.split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    self._length = int(line[15:])
        if not self._first and len(self._data) > self._body:
            self._first = now - self._asked
        chunked, length = self._length < 0, self._body + self._length
        whole = self._data.endswith(b"0\r\n\r\n") if chunked else len(self._data) >= length
        if whole:
            # The last token: that an answer came to its end, and is an answer.
            if b"word49" not in self._data:
                answer.set_exception(RuntimeError(f"it answers with {bytes(self._data[:500])!r}"))
            else:
                answer.set_result((self._first, now - self._asked))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(RuntimeError(f"the connection ended before the answer: {exc}"))

    def close(self) -> None:
        self._transport.close()
