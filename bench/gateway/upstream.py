"""A model server that takes no time, so that what is measured is who stands before it. A program of its own.

    python -m bench.gateway.upstream

Answers `POST …/chat/completions` with always the same 50 tokens: at once, or to `"stream": true` as 50 events, each a
write of its own. A model called `…paced` takes 5 ms for each token, as a real one does. Prints its URL and ends with
its standard input.
"""

import asyncio
import json
import sys

TOKENS = [f"word{number} " for number in range(50)]
ANSWER = "".join(TOKENS)
PACE_SECONDS = 0.005
_IDENTITY = "chatcmpl-00000000000000000000"  # the gateway keeps ids for feedback; these need not differ


def _plain() -> bytes:
    message = {"role": "assistant", "content": ANSWER}
    usage = {"prompt_tokens": 20, "completion_tokens": len(TOKENS), "total_tokens": 20 + len(TOKENS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": _IDENTITY, "object": "chat.completion", "created": 1, "model": "fake", "choices": [choice]}
    body = json.dumps({**answer, "usage": usage}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(data: str) -> bytes:
    line = f"data: {data}\n\n".encode()
    return f"{len(line):x}\r\n".encode() + line + b"\r\n"


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": _IDENTITY, "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    return _event(json.dumps({**head, "choices": [choice]}))


PLAIN = _plain()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": token}) for token in TOKENS)]
END = _chunk({}, "stop") + _event("[DONE]") + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client. Requests come one after the other, as HTTP/1.1 clients send them."""

    def __init__(self) -> None:
        self._waiting = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        if not end:
            return
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        if len(rest) < length:
            return
        body, self._waiting = rest[:length], rest[length:]
        if not body:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        elif b'"stream": true' in body or b'"stream":true' in body:
            paced = b"paced" in body[:300] or b"paced" in body[-300:]  # keys come in any order, the chat between them
            task = asyncio.ensure_future(self._stream(PACE_SECONDS if paced else 0.0))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._transport.write(PLAIN)

    async def _stream(self, pace: float) -> None:
        self._transport.write(HEAD)
        loop, due = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for event in EVENTS:
            due += pace
            await asyncio.sleep(max(due - loop.time(), 0.0))
            if self._transport.is_closing():
                return
            self._transport.write(event)
        self._transport.write(END)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
