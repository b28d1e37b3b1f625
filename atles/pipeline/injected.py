"""What ATLES itself put into a conversation: it must never be learned again as if it had been said.

Knows text and messages; not what is remembered.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from atles.records import MemoryType, Message, Recalled, Session

MARK_BEGIN = "<atles-memory>"
MARK_END = "</atles-memory>"

# A marked block, an unmarked one from its heading to the end of its list, and a marker that lost its partner (a
# client cut the history): then everything after the beginning is suspect.
HEADING_RECALLED = "From our earlier chats; use what bears on the question below:"
HEADING_PREFERENCES = "How I want to be answered:"
_HEADINGS = (
    HEADING_RECALLED,
    HEADING_PREFERENCES,
    "What you know from earlier chats with this user:",  # these two were written by earlier versions
    "How this user wants to be answered:",
)
_BLOCK = re.compile(
    rf"{re.escape(MARK_BEGIN)}.*?(?:{re.escape(MARK_END)}|\Z)"
    rf"|^[ \t]*(?:{'|'.join(map(re.escape, _HEADINGS))})[^\n]*(?:\n[ \t]*[-*•][^\n]*)*",
    re.DOTALL | re.MULTILINE,
)


def with_memory(question: str, recalled: Sequence[Recalled], preferences: Sequence[str] = ()) -> list[dict[str, str]]:
    """The chat messages that put what is known before a question, marked so that it is never learned again.

    What was recalled stands in the user's own message: there small models read it best, and the conversation before
    it stays as it was, so that a server need not read that anew. How the user wants to be answered hardly changes,
    and is a system message.
    """
    told = [_told(hit) for hit in recalled if hit.kind != MemoryType.PREFERENCE]
    system = [{"role": "system", "content": _marked(HEADING_PREFERENCES, preferences)}] if preferences else []
    before = f"{_marked(HEADING_RECALLED, told)}\n\n" if told else ""
    return [*system, {"role": "user", "content": before + question}]


def _marked(heading: str, lines: Iterable[str]) -> str:
    return "\n".join([MARK_BEGIN, heading, *(f"- {line}" for line in lines), MARK_END])


def _told(hit: Recalled) -> str:
    who = "" if hit.role == "user" else "you said: "
    until = f" (until {hit.valid_to[:10]})" if hit.valid_to else ""  # more dates than that confuse a small model
    return f"{who}{' '.join(hit.text.split())}{until}"


def strip(text: str) -> str:
    """The text without what was injected."""
    if MARK_BEGIN not in text and not any(heading in text for heading in _HEADINGS):
        return text.replace(MARK_END, "") if MARK_END in text else text
    return _BLOCK.sub("", text).replace(MARK_END, "").strip()


def is_injected(message: Message) -> bool:
    """Whether ATLES made the whole message: it says so beside the content."""
    if message.raw.get("atles"):
        return True
    metadata = message.raw.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("atles"))


def without(session: Session) -> Session:
    """The session without it; ids stay as they are. The same object where there is none."""
    messages = tuple(_without(message) for message in session.messages)
    same = all(new is old for new, old in zip(messages, session.messages, strict=True))
    return session if same else replace(session, messages=messages)


def _without(message: Message) -> Message:
    content = message.raw.get("content")
    if is_injected(message):
        kept: Any = ""
    elif isinstance(content, str):
        kept = strip(content)
    elif isinstance(content, list):
        kept = [
            {**part, "text": strip(part["text"])}
            if isinstance(part, dict) and isinstance(part.get("text"), str)
            else part
            for part in content
        ]
    else:
        return message
    return message if kept == content else replace(message, raw={**message.raw, "content": kept})
