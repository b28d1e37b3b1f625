"""What ATLES itself put into a conversation: it must never be learned again as if it had been said.

Knows text and messages; not what is remembered.
"""

import re
from dataclasses import replace
from typing import Any

from atles.records import Message, Session

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
