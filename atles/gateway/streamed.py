"""What a stream of server-sent events says in the end: overheard while it passes. Knows the shapes of the APIs."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atles.gateway.said import Said, answer

_MOST = 16 << 20  # bytes; a longer stream is passed on and not read
_LOOK_BACK = 96  # bytes; more than an end mark has
# A part of every end mark and of hardly anything else: looked for first, because it is looked for in every piece.
_HINTS = {"/v1/chat/completions": b"[DONE]", "/v1/responses": b"omplete", "/v1/messages": b"message_stop"}
# What says inside a stream that it is complete. JSON has no raw line ends, so no answer can hold these words.
_ENDS = {
    "/v1/chat/completions": re.compile(rb"[\r\n]data: ?\[DONE\]"),
    "/v1/responses": re.compile(
        rb'[\r\n](?:event: ?response\.(?:completed|incomplete)|data: ?\{"type": ?"response\.(?:completed|incomplete)")'
    ),
    "/v1/messages": re.compile(rb'[\r\n](?:event: ?message_stop|data: ?\{"type": ?"message_stop")'),
}


class Overheard:
    """A stream, as far as it has come. `whole` once it was too long to be kept."""

    def __init__(self, path: str) -> None:
        self._path, self._hint, self._end, self._seen = path, _HINTS[path], _ENDS[path], bytearray()
        self.too_long = False

    def hear(self, piece: bytes) -> bool:
        """Take a piece in; whether the stream is complete with it."""
        if self.too_long:
            return False
        self._seen += piece
        if len(self._seen) > _MOST:
            self.too_long, self._seen = True, bytearray()
            return False
        start = max(0, len(self._seen) - len(piece) - _LOOK_BACK)
        return self._seen.find(self._hint, start) >= 0 and self._end.search(self._seen, start) is not None

    def answer(self) -> tuple[Said, str] | None:
        """The message that it says, and the answer's id; None as long as it is not complete."""
        return streamed(self._path, bytes(self._seen))


def streamed(path: str, data: bytes) -> tuple[Said, str] | None:
    """The message that a whole stream says, and the answer's id; None where it is not whole, or says that it failed."""
    events = list(_events(data))
    read = {"/v1/chat/completions": _from_chunks, "/v1/responses": _from_last}.get(path, _from_blocks)
    try:
        whole = read(events)
        if not whole:
            return None
        done = whole.pop("finished", False) or (path == "/v1/chat/completions" and _ENDS[path].search(data))
        return answer(path, whole) if done else None
    except (TypeError, LookupError, AttributeError):
        return None


def _events(data: bytes) -> Iterable[dict[str, Any]]:
    for line in data.splitlines():
        if line.startswith(b"data:"):
            try:
                # Half the time of json.loads(bytes), which looks for an encoding and for white space first.
                event, _ = _decode(line[5:].decode("utf-8").lstrip())
            except (ValueError, RecursionError):
                continue  # [DONE], or a server that is not well
            if isinstance(event, dict):
                yield event


_decode = json.JSONDecoder().raw_decode


def _from_last(events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The response that the last event holds."""
    ends = [it["response"] for it in events if it.get("type") in ("response.completed", "response.incomplete")]
    return {**ends[-1], "finished": True} if ends else None


def _from_chunks(events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Chat completion chunks as the completion that they make."""
    message: dict[str, Any] = {"role": "assistant"}
    words: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    identity, finished = "", False
    for event in events:
        if event.get("error"):
            return None
        identity = identity or event.get("id") or ""
        for choice in event.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            finished = finished or bool(choice.get("finish_reason"))
            delta = choice.get("delta") or {}
            if isinstance(delta.get("content"), str):
                words.append(delta["content"])
            for part in delta.get("tool_calls") or ():
                _add_call(calls, part)
    message["content"] = "".join(words) or None
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {"id": identity, "choices": [{"message": message}], "finished": finished}


def _add_call(calls: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    call = calls.setdefault(
        part.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    )
    call["id"] = part.get("id") or call["id"]
    function = part.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _from_blocks(events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Anthropic's events as the message that they make."""
    identity, finished = "", False
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind = event.get("type")
        if kind == "error":
            return None
        if kind == "message_start":
            identity = event["message"].get("id", "")
        elif kind == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "partial": ""}
        elif kind == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            if delta.get("type") == "text_delta":
                block["text"] = block.get("text", "") + delta["text"]
            elif delta.get("type") == "input_json_delta":
                block["partial"] += delta["partial_json"]
        elif kind == "message_stop" or (kind == "message_delta" and event["delta"].get("stop_reason")):
            finished = True
    for block in blocks.values():
        partial = block.pop("partial")
        if partial:
            try:
                block["input"] = json.loads(partial)
            except ValueError:
                block["input"] = {}
    return {"id": identity, "content": [blocks[index] for index in sorted(blocks)], "finished": finished}
