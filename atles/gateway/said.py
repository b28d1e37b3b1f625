"""What a request and an answer say, as messages to record. Knows the shapes of the APIs, not who sends them.

Chat completions and responses (OpenAI API reference), messages (Anthropic API reference). Whatever has another shape
than these is no reason to refuse it: it is passed on, and not recorded.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Said = dict[str, Any]  # a message as it is recorded: role, content, and of tools what belongs to it

_LONGEST_DATA = 1024  # characters of a picture's data that are kept


def request(path: str, body: Mapping[str, Any]) -> list[Said] | None:
    """The conversation that a request holds; None if it is none."""
    read = {"/v1/chat/completions": _chat, "/v1/responses": _responses, "/v1/messages": _anthropic}.get(path)
    try:
        found = read(body) if read else None
    except (TypeError, LookupError, AttributeError):
        return None
    return found if found and any(it["role"] == "user" for it in found) else None


def answer(path: str, body: Mapping[str, Any]) -> tuple[Said, str] | None:
    """The message that an answer holds, and the answer's id; None if there is none."""
    try:
        message = {"/v1/chat/completions": _chat_answer, "/v1/responses": _responses_answer}.get(
            path, _anthropic_answer
        )(body)
    except (TypeError, LookupError, AttributeError):
        return None
    if not message or not (message.get("content") or message.get("tool_calls")):
        return None
    identity = body.get("id")
    return message, identity if isinstance(identity, str) else ""


# --- requests ---


def _chat(body: Mapping[str, Any]) -> list[Said]:
    return [_light(message) for message in body["messages"]]


def _light(message: Mapping[str, Any]) -> Said:
    """A message without what nobody learns from: the data of pictures and sound."""
    if not isinstance(message["role"], str):
        raise TypeError("role")
    said = {key: value for key, value in message.items() if key in _KEPT and value is not None}
    if isinstance(said.get("content"), list):
        said["content"] = [_light_part(part) for part in said["content"]]
    return {"role": message["role"], "content": None, **said}


_KEPT = ("role", "content", "name", "tool_calls", "tool_call_id")


def _light_part(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _light_part(value) for key, value in part.items()}
    if isinstance(part, str) and len(part) > _LONGEST_DATA and part.startswith("data:"):
        return f"{part[:64]}… ({len(part)} characters)"
    return part


def _responses(body: Mapping[str, Any]) -> list[Said]:
    found: list[Said] = []
    if body.get("instructions"):
        found.append({"role": "system", "content": body["instructions"]})
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type", "message")
        if kind == "message":
            found.append({"role": item["role"], "content": _text(item["content"])})
        elif kind == "function_call":
            found.append({"role": "assistant", "content": None, "tool_calls": [_call(item)]})
        elif kind == "function_call_output":
            found.append({"role": "tool", "content": _text(item["output"]), "tool_call_id": item["call_id"]})
    return found


def _anthropic(body: Mapping[str, Any]) -> list[Said]:
    found: list[Said] = []
    if body.get("system"):
        found.append({"role": "system", "content": _text(body["system"])})
    for message in body["messages"]:
        content, role = message["content"], message["role"]
        if isinstance(content, str):
            found.append({"role": role, "content": content})
            continue
        found += [
            {"role": "tool", "content": _text(part.get("content", "")), "tool_call_id": part["tool_use_id"]}
            for part in content
            if part.get("type") == "tool_result"
        ]
        if message := _blocks(role, content):
            found.append(message)
    return found


# --- answers ---


def _chat_answer(body: Mapping[str, Any]) -> Said:
    # Of several choices the first: a client that shows only one shows that.
    return _light({"role": "assistant", **body["choices"][0]["message"]})


def _responses_answer(body: Mapping[str, Any]) -> Said:
    said: list[str] = []
    calls = []
    for item in body["output"]:
        if item["type"] == "message":
            said.append(_text(item["content"]))
        elif item["type"] == "function_call":
            calls.append(_call(item))
    return {"role": "assistant", "content": "\n".join(said), **({"tool_calls": calls} if calls else {})}


def _anthropic_answer(body: Mapping[str, Any]) -> Said:
    return _blocks("assistant", body["content"])


def _blocks(role: str, content: Iterable[Mapping[str, Any]]) -> Said:
    blocks = list(content)
    text = "\n".join(part["text"] for part in blocks if part.get("type") == "text")
    calls = [
        {
            "id": part["id"],
            "type": "function",
            "function": {"name": part["name"], "arguments": json.dumps(part["input"])},
        }
        for part in blocks
        if part.get("type") == "tool_use"
    ]
    if not text and not calls:
        return {}
    return {"role": role, "content": text, **({"tool_calls": calls} if calls else {})}


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


# --- streams ---


def streamed(path: str, data: bytes) -> tuple[Said, str] | None:
    """The message that a whole stream of server-sent events says, and the answer's id."""
    events = list(_events(data))
    try:
        if path == "/v1/chat/completions":
            return answer(path, _from_chunks(events))
        if path == "/v1/responses":
            done = [event["response"] for event in events if event.get("type") == "response.completed"]
            return answer(path, done[-1]) if done else None
        return answer(path, _from_blocks(events))
    except (TypeError, LookupError, AttributeError):
        return None


def _events(data: bytes) -> Iterable[dict[str, Any]]:
    for line in data.split(b"\n"):
        if line.startswith(b"data:"):
            try:
                event = json.loads(line[5:])
            except ValueError:
                continue  # [DONE], or a server that is not well
            if isinstance(event, dict):
                yield event


def _from_chunks(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Chat completion chunks as the completion that they make."""
    message: dict[str, Any] = {"role": "assistant"}
    words: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    identity = ""
    for event in events:
        identity = identity or event.get("id", "")
        for choice in event.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            if isinstance(delta.get("content"), str):
                words.append(delta["content"])
            for part in delta.get("tool_calls") or ():
                _add_call(calls, part)
    message["content"] = "".join(words) or None
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {"id": identity, "choices": [{"message": message}]}


def _add_call(calls: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    call = calls.setdefault(
        part.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    )
    call["id"] = part.get("id") or call["id"]
    function = part.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _from_blocks(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Anthropic's events as the message that they make."""
    identity = ""
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind = event.get("type")
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
    for block in blocks.values():
        partial = block.pop("partial")
        if partial:
            try:
                block["input"] = json.loads(partial)
            except ValueError:
                block["input"] = {}
    return {"id": identity, "content": [blocks[index] for index in sorted(blocks)]}
