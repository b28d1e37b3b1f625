"""What a session file must look like. Knows JSON and `records.Session`, never folders.

The contract is docs/session.schema.json; a test runs both over the same documents. Whatever can be
understood is accepted; for the rest, `InvalidSession` names the place and what is expected there.
"""

import codecs
import json
import math
from typing import Any

from atles.capture.plain import MAX_DEPTH, depth
from atles.errors import InvalidSession
from atles.records import Session

_KIND = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", int: "a number"}
_SHAPE = "a session is an object with `messages`, a list of objects with role and content"


def parse(data: bytes, name: str) -> Session:
    """The session in a file's bytes. `name` is the file's: it gives the id where the content has none.

    Raises InvalidSession.
    """
    document = _decode(data)
    if not isinstance(document, dict):
        raise InvalidSession(f"the file holds {_kind(document)}; {_SHAPE}")
    _check(document)
    return Session.of({**document, "session_id": _session_id(document.get("session_id"), name)})


def _decode(data: bytes) -> Any:
    body = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + len(data) - len(body)
        raise InvalidSession(
            f"byte {offset} (0x{data[offset]:02x}) is not UTF-8; a session file is JSON in UTF-8"
        ) from error
    if not text.strip():
        raise InvalidSession("the file is empty")
    try:
        return json.loads(text, parse_constant=str, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise InvalidSession(_place(error, text)) from error
    except RecursionError as error:
        raise InvalidSession(f"the JSON is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidSession(f"a number is too long to be read: {error}") from error


def _finite(number: str) -> float | str:
    """Python writes NaN and Infinity, and reads 1e999 as infinite. JSON has neither: they are kept as text,
    because the databases that this goes to refuse them."""
    value = float(number)
    return value if math.isfinite(value) else number


def _place(error: json.JSONDecodeError, text: str) -> str:
    where = f"line {error.lineno}, column {error.colno}"
    if error.msg.startswith("Unterminated string"):
        return f"the file ends in the middle of the text that begins in {where}: it is truncated"
    if error.pos >= len(text.rstrip()):
        return f"the file ends in the middle of the JSON, in {where}: it is truncated"
    return f"{where}: not JSON ({error.msg})"


def _check(document: dict[str, Any]) -> None:
    if "messages" not in document:
        raise InvalidSession(f"`messages` is missing; {_SHAPE}")
    messages = document["messages"]
    if not isinstance(messages, list):
        raise InvalidSession(f"`messages` is {_kind(messages)}; {_SHAPE}")
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidSession(
                f"messages[{position}] is {_kind(message)}; a message is an object with role and content"
            )
        if depth(message) > MAX_DEPTH:
            raise InvalidSession(f"messages[{position}] is nested deeper than {MAX_DEPTH} levels")
    metadata = document.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidSession(f"`metadata` is {_kind(metadata)}; it is an object, or left out")
    if depth(metadata) > MAX_DEPTH:
        raise InvalidSession(f"`metadata` is nested deeper than {MAX_DEPTH} levels")


def _session_id(given: Any, name: str) -> str:
    if isinstance(given, str) and given:
        return given
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return str(given)
    if given is None or given == "":
        return name.removesuffix(".json").removeprefix("completed_") or name
    raise InvalidSession(f"`session_id` is {_kind(given)}; it is a text or a number, or left out")


def _kind(value: Any) -> str:
    return "null" if value is None else _KIND.get(type(value), "a number")
