"""What a request and an answer say, as messages to record. Knows the shapes of the APIs, not who sends them.

Chat completions and responses (OpenAI API reference), messages (Anthropic API reference). Whatever has another shape
than these is no reason to refuse it: it is passed on, and not recorded.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atles.capture.plain import MAX_DEPTH, depth

Said = dict[str, Any]  # a message as it is recorded: role, content, and of tools what belongs to it

_LONGEST_DATA = 1024  # characters of a picture's data that are kept
# What chat interfaces ask a model for themselves: titles, tags, what to search for.
_TASK = re.compile(r"\s*### Task:\s")
_ODD = (TypeError, LookupError, AttributeError, ValueError, RecursionError)  # raised by what has no known shape


def request(path: str, body: Mapping[str, Any]) -> list[Said] | None:
    """The conversation that a request holds; None if it is none."""
    read = {"/v1/chat/completions": _chat, "/v1/responses": _responses, "/v1/messages": _anthropic}.get(path)
    try:
        found = read(body) if read else None
    except _ODD:
        return None
    return found if found and any(it["role"] == "user" for it in found) else None


def is_task(said: Sequence[Said]) -> bool:
    """Whether a chat interface asks for itself, not for its user."""
    last = said[-1]
    return last["role"] == "user" and isinstance(last["content"], str) and bool(_TASK.match(last["content"]))


def answer(path: str, body: Mapping[str, Any]) -> tuple[Said, str] | None:
    """The message that an answer holds, and the answer's id; None if there is none."""
    read = {"/v1/chat/completions": _chat_answer, "/v1/responses": _responses_answer}.get(path, _anthropic_answer)
    try:
        message = read(body)
    except _ODD:
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
    said = {key: value for key, value in message.items() if key in _KEPT and value is not None}
    role, calls = said["role"], said.get("tool_calls", [])
    if not isinstance(role, str) or depth(said) > MAX_DEPTH:
        raise TypeError("no message that a session can hold")
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise TypeError("tool_calls")
    if isinstance(said.get("content"), list):
        said["content"] = [_light_part(part) for part in said["content"]]
    return {"role": role, "content": None, **said}


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
        found.append({"role": "system", "content": _text(body["instructions"])})
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type", "message")
        if kind == "message":
            found.append(_plain(item["role"], _text(item["content"])))
        elif kind == "function_call" and found and found[-1]["role"] == "assistant":
            found[-1].setdefault("tool_calls", []).append(_call(item))  # one answer, as it was recorded
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
            found.append(_plain(role, content))
            continue
        found += [
            {"role": "tool", "content": _text(part.get("content") or ""), "tool_call_id": part["tool_use_id"]}
            for part in content
            if part.get("type") == "tool_result"
        ]
        if message := _blocks(role, content):
            found.append(message)
    return found


# --- answers ---


def _chat_answer(body: Mapping[str, Any]) -> Said:
    # Of several choices the first: a client that shows only one shows that.
    choice = next((it for it in body["choices"] if it.get("index", 0) == 0), body["choices"][0])
    return _light({**choice["message"], "role": "assistant"})


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


def _plain(role: Any, content: str) -> Said:
    if not isinstance(role, str):
        raise TypeError("role")
    return {"role": role, "content": content}


def _blocks(role: Any, content: Iterable[Mapping[str, Any]]) -> Said:
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
    return _plain(role, text) | ({"tool_calls": calls} if calls else {})


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
