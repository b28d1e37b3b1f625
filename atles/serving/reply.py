"""What servers of OpenAI's chat API answer, read with patience: fenced JSON, three shapes of errors, no usage."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_MAX_WAIT = 86_400.0  # a server that says "in a year" is asked tomorrow
_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.S)
_FENCED = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.S | re.I)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost. `estimated` where the server did not say."""

    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is, rather too many: three bytes each."""
    return -(-len(text.encode("utf-8", "replace")) // 3)


def text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def json_in(text: str) -> Any:
    """The JSON value in a model's answer, which may be fenced or come after a thought; None if there is none."""
    text = _THOUGHT.sub("", text).strip()
    fenced = _FENCED.search(text)
    for candidate in (text, fenced[1] if fenced else "", text[text.find("{") :] if "{" in text else ""):
        try:
            return json.JSONDecoder().raw_decode(candidate.lstrip())[0]
        except (ValueError, RecursionError):
            continue
    return None


def usage_of(answer: Mapping[str, Any], body: Mapping[str, Any], text: str) -> Usage:
    told = answer.get("usage")
    if isinstance(told, dict):
        prompt, completion = told.get("prompt_tokens"), told.get("completion_tokens")
        if type(prompt) is int and type(completion) is int and prompt >= 0 and completion >= 0:
            return Usage(prompt, completion)
    return Usage(estimate_tokens(json.dumps(body["messages"], ensure_ascii=False)), estimate_tokens(text), True)


def complaint(body: bytes) -> str:
    """What the server says went wrong: OpenAI's shape, Ollama's, FastAPI's, or plain words."""
    text = body[:4000].decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text
    if not isinstance(answer, dict):
        return text
    error = answer.get("error") or answer.get("detail") or answer.get("message") or text
    if isinstance(error, dict):
        error = error.get("message") or json.dumps(error)
    return error if isinstance(error, str) else json.dumps(error)


def shown(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= 200 else f"{text[:199]}…"


def retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header: a number or a date; None if it is neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _MAX_WAIT) if math.isfinite(seconds) else None
