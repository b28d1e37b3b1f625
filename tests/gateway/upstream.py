"""A model server on loopback that speaks the three APIs, well or badly, and notes what it was sent.

with FakeUpstream(answers("Hello"), status(500)) as upstream: each request takes the next reply, the last one for all.
"""

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web

_numbers = count(1)
_FIRST_BYTES = 1 << 30  # no limit: what is refused for its size must be refused by the gateway


@dataclass
class Sent:
    """A request as it came."""

    method: str
    path: str  # with the query, as it stood in the request line
    headers: Mapping[str, str]  # in lower case
    body: bytes
    go: threading.Event  # when the test says so
    cancelled: threading.Event = field(default_factory=threading.Event)  # its client hung up
    ended: threading.Event = field(default_factory=threading.Event)  # the reply was sent to its end

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def stream(self) -> bool:
        return bool(self.body) and bool(self.document.get("stream"))

    @property
    def asked(self) -> str:
        """The words of the last message."""
        document = self.document
        last = document.get("input") or document.get("messages")
        while isinstance(last, list):
            last = last[-1]
        while isinstance(last, dict):
            last = last.get("content") or last.get("text") or last.get("output") or ""
            while isinstance(last, list):
                last = last[-1]
        return str(last)


Reply = Callable[[web.Request, Sent], Awaitable[web.StreamResponse]]


class FakeUpstream:
    def __init__(self, *replies: Reply) -> None:
        self.requests: list[Sent] = []
        self.go = threading.Event()  # what `waits` waits for
        self._replies = list(replies)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def reply(self, *replies: Reply) -> None:
        """From now on."""
        self._replies = list(replies)

    @property
    def last(self) -> Sent:
        return self.requests[-1]

    def __enter__(self) -> "FakeUpstream":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Like a server that went down."""
        if self._loop.is_running():
            self.go.set()
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _open(self) -> None:
        app = web.Application(client_max_size=_FIRST_BYTES)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent = Sent(request.method, request.raw_path, headers, await request.read(), self.go)
        self.requests.append(sent)
        reply = self._replies.pop(0) if len(self._replies) > 1 else (self._replies or [answers()])[0]
        try:
            response = await reply(request, sent)
        except (asyncio.CancelledError, ConnectionError) as error:
            sent.cancelled.set()
            if isinstance(error, ConnectionError):
                return web.Response()
            raise
        sent.ended.set()
        return response


# --- whole answers ---


def answers(text: str | None = None, *, calls: Iterable[tuple[str, Mapping[str, Any]]] = (), **more: Any) -> Reply:
    """An answer in the API that was asked, streamed if that was asked for. Without a text it says the question again;
    `calls` are tools with their arguments. More goes into a plain answer as it is."""

    async def reply(request: web.Request, sent: Sent) -> web.StreamResponse:
        if not request.path.startswith(("/v1/chat", "/v1/responses", "/v1/messages")):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            return web.json_response({"object": "list", "data": data, "model": "m", "usage": usage})
        said = f"You said: {sent.asked}" if text is None else text
        if sent.stream:
            return await pieces(events(request.path, said, calls))(request, sent)
        return web.json_response({**whole(request.path, said, calls), **more})

    return reply


def _call(number: int, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"call_{number}_{name}", "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }  # fmt: skip


def whole(path: str, text: str, calls: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> dict[str, Any]:
    """The document of a plain answer."""
    number = next(_numbers)
    if path == "/v1/messages":
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        content += [{"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": given} for name, given in calls]
        return {
            "id": f"msg_{number}", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        }  # fmt: skip
    if path == "/v1/responses":
        output: list[dict[str, Any]] = []
        if text:
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            output.append({"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed",
                           "content": [part]})  # fmt: skip
        for name, given in calls:
            output.append({"type": "function_call", "id": f"fc_{name}", "call_id": f"call_{name}", "name": name,
                           "arguments": json.dumps(given), "status": "completed"})  # fmt: skip
        return {
            "id": f"resp_{number}", "object": "response", "created_at": 1, "model": "m", "status": "completed",
            "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
                      "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
        }  # fmt: skip
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if made := [_call(number, name, given) for name, given in calls]:
        message["tool_calls"] = made
    return {
        "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }  # fmt: skip


def event(document: Mapping[str, Any], name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(document).encode() + b"\n\n"


def events(path: str, text: str, calls: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> list[bytes]:
    """The events of a streamed answer, one for each word."""
    words = [word + " " for word in text.split(" ")]
    words[-1] = words[-1].removesuffix(" ")
    document = whole(path, text, calls)
    if path == "/v1/messages":
        return _message_events(document, words)
    if path == "/v1/responses":
        return _response_events(document, words)
    base = {key: document[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    message = document["choices"][0]["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in words] if text else []
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        deltas.append({"tool_calls": [{"index": index, **call, "function": {**function, "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": sign}}]} for sign in function["arguments"]
        ]
    made = [event({**base, "choices": [{"index": 0, "delta": it, "finish_reason": None}]}) for it in deltas]
    finish = document["choices"][0]["finish_reason"]
    made.append(event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
    made.append(event({**base, "choices": [], "usage": document["usage"]}))
    return [*made, b"data: [DONE]\n\n"]


def _response_events(document: Mapping[str, Any], words: Iterable[str]) -> list[bytes]:
    made: list[dict[str, Any]] = [{"type": "response.created", "response": {**document, "output": []}}]
    for index, item in enumerate(document["output"]):
        at = {"item_id": item["id"], "output_index": index}
        begun = {**item, "status": "in_progress"} | ({"content": []} if "content" in item else {"arguments": ""})
        made.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        if "content" in item:
            (part,) = item["content"]
            part_at = {**at, "content_index": 0}
            made.append({"type": "response.content_part.added", **part_at, "part": {**part, "text": ""}})
            made += [{"type": "response.output_text.delta", **part_at, "logprobs": [], "delta": it} for it in words]
            made.append({"type": "response.content_part.done", **part_at, "part": part})
        made.append({"type": "response.output_item.done", "output_index": index, "item": item})
    made.append({"type": "response.completed", "response": document})
    return [event({**it, "sequence_number": number}, it["type"]) for number, it in enumerate(made)]


def _message_events(document: Mapping[str, Any], words: Iterable[str]) -> list[bytes]:
    made = [event({"type": "message_start", "message": {**document, "content": []}}, "message_start")]
    for index, block in enumerate(document["content"]):
        text = block["type"] == "text"
        begun = {**block, "text": ""} if text else {**block, "input": {}}
        made.append(
            event({"type": "content_block_start", "index": index, "content_block": begun}, "content_block_start")
        )
        parts = (
            [{"type": "text_delta", "text": word} for word in words]
            if text
            else [{"type": "input_json_delta", "partial_json": sign} for sign in json.dumps(block["input"])]
        )
        made += [
            event({"type": "content_block_delta", "index": index, "delta": it}, "content_block_delta") for it in parts
        ]
        made.append(event({"type": "content_block_stop", "index": index}, "content_block_stop"))
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
    return [*made, event(stop, "message_delta"), event({"type": "message_stop"}, "message_stop")]


# --- how they come ---


def pieces(
    parts: Iterable[bytes],
    *,
    kind: str = "text/event-stream",
    wait_before: int | None = None,
    pause: float = 0.0,
    abort: bool = False,
    status: int = 200,
) -> Reply:
    """These bytes, piece by piece, each in a packet of its own if there is a pause. Before the piece `wait_before` it
    waits for the test to say `go`. `abort`: the connection breaks after the last one."""

    async def reply(request: web.Request, sent: Sent) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Type": kind, "X-Served-By": "fake"})
        await response.prepare(request)
        for number, part in enumerate(parts):
            if number == wait_before:
                await _until(sent.go)
            await response.write(part)
            if pause:
                await asyncio.sleep(pause)
        if abort:
            assert request.transport
            await asyncio.sleep(0.05)  # what was written is out
            request.transport.abort()
            return response
        await response.write_eof()
        return response

    return reply


async def _until(happened: threading.Event) -> None:
    while not happened.is_set():
        await asyncio.sleep(0.005)


def sends(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Reply:
    """Exactly these bytes."""

    async def reply(request: web.Request, sent: Sent) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers={"Content-Type": kind, **named})

    return reply


def status(code: int, message: str = "no", **headers: str) -> Reply:
    """An error in OpenAI's shape."""
    shape = {"error": {"message": message, "type": "upstream", "param": None, "code": "upstream_says"}}
    return sends(json.dumps(shape).encode(), code, **headers)


def html(code: int = 502, **headers: str) -> Reply:
    return sends(b"<!doctype html><title>Welcome to nginx</title>", code, "text/html", **headers)


def zipped(document: Mapping[str, Any]) -> Reply:
    """Compressed, though nobody asked for it."""
    return sends(gzip.compress(json.dumps(document).encode()), Content_Encoding="gzip")


def waits(then: Reply) -> Reply:
    """Nothing at all before the test says `go`."""

    async def reply(request: web.Request, sent: Sent) -> web.StreamResponse:
        await _until(sent.go)
        return await then(request, sent)

    return reply


def hangs_up(after: bytes = b"") -> Reply:
    """The connection ends without an answer, or in the middle of one."""

    async def reply(request: web.Request, sent: Sent) -> web.StreamResponse:
        assert request.transport
        request.transport.write(after)  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
        request.transport.abort()
        return web.Response()

    return reply
