"""What a message is known by when a client sends it again. Knows messages, not which conversations there are.

A message's own hash is of what it says. Its key hashes that and the key of the message before it, so that a key stands
for a whole history. White space at the ends does not count, nor how a client writes plain text or a call's arguments,
nor what a model thought aloud before its answer: clients change all of these before they send a message again.
"""

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

Key = bytes

SYSTEM = ("system", "developer")  # instructions; no part of what is said
_SIZE = 12
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)


def root(user: str, name: str) -> Key:
    """What the first message of a conversation follows: whose it is, and what its client calls it."""
    return blake2b(f"{user}\0{name}".encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest()


def own(said: Mapping[str, Any]) -> Key:
    """The hash of what a message says."""
    content, role = said.get("content"), said["role"]
    if isinstance(content, list) and all(isinstance(it, dict) and it.get("type") == "text" for it in content):
        content = "\n".join(str(it.get("text", "")) for it in content)
    if isinstance(content, str) or content is None:
        content = (content or "").replace("\r\n", "\n")
        if role == "assistant" and "<think>" in content:  # the pattern alone takes longer than all the rest
            content = _THOUGHT.sub("", content, 1)
        content = content.strip()
        if not said.get("tool_calls") and said.get("tool_call_id") is None:
            # Nearly every message, and with each request every one of the history.
            return blake2b(f"{role}\0{content}".encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest()
    calls = [_call(call.get("function")) for call in said.get("tool_calls") or ()]
    text = json.dumps([role, content, calls, said.get("tool_call_id")], ensure_ascii=True)
    return blake2b(text.encode("ascii"), digest_size=_SIZE).digest()


def _call(function: Any) -> Any:
    if not isinstance(function, dict):
        return function
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            pass  # as the model wrote it, which a client sends again as it is
    return [function.get("name"), json.dumps(arguments, sort_keys=True)]


def follow(above: Key, it: Key) -> Key:
    """The key of a message with this own hash after another."""
    return blake2b(above + it, digest_size=_SIZE).digest()


def chain(above: Key, owns: Iterable[Key]) -> list[Key]:
    """The keys of messages that follow another, one after the other."""
    keys = []
    for it in owns:
        above = follow(above, it)
        keys.append(above)
    return keys


def pair(above: Key, client: str, asked: Key, answer: Key) -> Key:
    """What a client's history is known by when its beginning was cut off: its last answer, and what that answered."""
    return blake2b(b"\0".join((above, client.encode("ascii"), asked, answer)), digest_size=_SIZE).digest()


def client_hash(client: str) -> str:
    """A client as it is stored: the same every time, and not who it was."""
    return blake2b(client.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
