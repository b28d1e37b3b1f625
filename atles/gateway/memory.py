"""What is remembered, put before a user's message. Knows the shapes of requests, not what is remembered."""

from collections.abc import Callable, Mapping
from typing import Any

Before = Callable[[str, str], list[dict[str, str]]]  # question, user -> messages, as MemoryProcessor.before


_LONGEST = 8_000  # characters; each word of a question is looked up, and people paste books


def question(path: str, body: Mapping[str, Any]) -> str:
    """The user's words that memory is looked up for; "" where the last message is none of theirs. Of a long message the
    beginning and the end, where the question is."""
    asked = _asked(path, body)
    return asked if len(asked) <= _LONGEST else f"{asked[: _LONGEST // 2]}\n{asked[-_LONGEST // 2 :]}"


def _asked(path: str, body: Mapping[str, Any]) -> str:
    messages = body.get("input") if path == "/v1/responses" else body.get("messages")
    if isinstance(messages, str):
        return messages
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "user":
        return ""
    content = last.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or any(isinstance(it, dict) and it.get("type") == "tool_result" for it in content):
        return ""
    texts = [it.get("text") for it in content if isinstance(it, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def remembering(path: str, body: Mapping[str, Any], asked: str, before: list[dict[str, str]]) -> dict[str, Any] | None:
    """The request with what is remembered in it; None where that is nothing."""
    *system, message = before
    block = message["content"].removesuffix(asked)
    if not block and not system:
        return None
    wishes = "\n\n".join(it["content"] for it in system)
    changed = dict(body)
    if path == "/v1/responses":
        if wishes:
            changed["instructions"] = _joined(body.get("instructions"), wishes)
        given = body["input"]
        changed["input"] = (
            block + given if isinstance(given, str) else [*given[:-1], _with_block(given[-1], block, "input_text")]
        )
        return changed
    *earlier, last = body["messages"]
    if wishes and path == "/v1/messages":
        changed["system"] = _with_part(body.get("system"), wishes)
    elif wishes:
        earlier = _with_wishes(earlier, wishes)
    changed["messages"] = [*earlier, _with_block(last, block, "text")]
    return changed


def _with_block(message: Mapping[str, Any], block: str, kind: str) -> dict[str, Any]:
    content = message["content"]
    if not block:
        return dict(message)
    return {
        **message,
        "content": block + content if isinstance(content, str) else [{"type": kind, "text": block}, *content],
    }


def _with_wishes(messages: list[Any], wishes: str) -> list[Any]:
    """Into the client's own system message, if it has one: many chat templates take only one, at the start."""
    if messages and isinstance(messages[0], dict) and messages[0].get("role") in ("system", "developer"):
        return [{**messages[0], "content": _with_part(messages[0].get("content"), wishes)}, *messages[1:]]
    return [{"role": "system", "content": wishes}, *messages]


def _with_part(content: Any, wishes: str) -> Any:
    if isinstance(content, list):
        return [*content, {"type": "text", "text": wishes}]
    return _joined(content, wishes)


def _joined(content: Any, wishes: str) -> str:
    return f"{content}\n\n{wishes}" if isinstance(content, str) and content else wishes
