"""JSON Schemas, as requests are read by and documents are described with. Knows JSON, no route.

Only what the routes need: `read` takes the keywords that the functions here make, and says in words what is wrong.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from atles.gateway.refusal import Refusal
from atles.records import printable

Schema = Mapping[str, Any]

_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_TRUTH = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
_CALLED = {
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


# --- making ---


def text(says: str = "", *, least: int = 0, most: int | None = None, one_of: Iterable[str] = ()) -> Schema:
    limits = {"minLength": least} if least else {}
    limits |= {"maxLength": most} if most is not None else {}
    return _said({"type": "string"} | limits | ({"enum": list(one_of)} if one_of else {}), says)


def whole(says: str = "", *, least: int = 0, most: int | None = None, default: int | None = None) -> Schema:
    limits = {"minimum": least} | ({"maximum": most} if most is not None else {})
    return _said({"type": "integer"} | limits | ({"default": default} if default is not None else {}), says)


def truth(says: str = "") -> Schema:
    return _said({"type": "boolean"}, says)


def array(of: Schema, says: str = "", *, most: int | None = None) -> Schema:
    return _said({"type": "array", "items": of} | ({"maxItems": most} if most is not None else {}), says)


def obj(properties: Mapping[str, Schema], *, optional: Iterable[str] = (), closed: bool = False) -> Schema:
    """An object that has all of these but the optional ones. Closed: and no others."""
    left = set(optional)
    found: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required := [name for name in properties if name not in left]:
        found["required"] = required
    return found | ({"additionalProperties": False} if closed else {})


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _said(schema: dict[str, Any], says: str) -> Schema:
    return schema | ({"description": says} if says else {})


ANYTHING: Schema = {}
OBJECT: Schema = {"type": "object"}
NUMBER: Schema = or_null({"type": "number"})  # null for what is none: infinity, not a number


def of(kind: Any) -> Schema:
    """The schema of a record, or of a type that one holds."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        made = {it.name: of(hints[it.name]) for it in fields(kind)}
        return obj(made, optional=[it.name for it in fields(kind) if it.default is not MISSING])
    if get_origin(kind) is UnionType:
        parts = [it for it in get_args(kind) if it is not NoneType]
        return or_null(of(parts[0])) if len(parts) == 1 else ANYTHING
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return array(of(inner))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return text(one_of=[it.value for it in kind])
    return {str: text(), int: {"type": "integer"}, float: NUMBER, bool: truth()}.get(kind, ANYTHING)


# --- reading ---


def read(value: Any, schema: Schema, where: str) -> Any:
    """The value, as far as it is what the schema says: texts come back without half characters. Raises Refusal."""
    kind = schema["type"]
    fits = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}[kind]
    if not isinstance(value, fits) or (kind == "integer" and isinstance(value, bool)):
        raise _wrong(f"{where} must be {_CALLED[kind]}")
    if isinstance(value, str):
        return _read_text(printable(value), schema, where)
    if kind == "integer":
        return _read_whole(value, schema, where)
    if isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            raise _wrong(f"{where} may have {schema['maxItems']} items at most, not {len(value)}")
        return [read(it, schema["items"], f"{where}[{at}]") for at, it in enumerate(value)]
    if isinstance(value, dict):
        return _read_object(value, schema, where)
    return value


def read_parameter(value: str, schema: Schema, where: str) -> Any:
    """The same for a text of a query."""
    kind = schema["type"]
    if kind == "integer":
        if not _NUMBER.fullmatch(value):
            raise _wrong(f"{where} must be a whole number, not {value[:40]!r}")
        return _read_whole(int(value), schema, where)
    if kind == "boolean":
        if value.lower() not in _TRUTH:
            raise _wrong(f"{where} must be true or false, not {value[:40]!r}")
        return _TRUTH[value.lower()]
    return _read_text(printable(value), schema, where)


def check_names(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse a name that is not known, and say which one may be meant."""
    names = list(known)
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"there {_are(names)}"
            raise _wrong(f"unknown {what} {printable(name)[:80]!r}; {hint}", "unknown_parameter")


def _are(names: list[str]) -> str:
    return f"are {', '.join(names)}" if len(names) > 1 else f"is only {names[0]}" if names else "are none here"


def _read_text(value: str, schema: Schema, where: str) -> str:
    if len(value) > schema.get("maxLength", len(value)):
        raise _wrong(f"{where} may have {schema['maxLength']:,} characters at most, not {len(value):,}")
    if len(value) < schema.get("minLength", 0):
        raise _wrong(f"{where} must not be empty")
    if "enum" in schema and value not in schema["enum"]:
        raise _wrong(f"{where} must be one of {', '.join(schema['enum'])}, not {value[:40]!r}")
    return value


def _read_whole(value: int, schema: Schema, where: str) -> int:
    low, high = schema["minimum"], schema.get("maximum")
    if value < low or (high is not None and value > high):
        raise _wrong(f"{where} must be from {low} {f'to {high}' if high is not None else 'on'}")
    return value


def _read_object(value: Mapping[str, Any], schema: Schema, where: str) -> dict[str, Any]:
    known = schema["properties"]
    check_names(value, known, f"key of {where}")
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        raise _wrong(f"{where} needs {missing[0]!r}")
    return {name: read(it, known[name], f"{name!r}") for name, it in value.items()}


def _wrong(message: str, code: str = "invalid_parameter") -> Refusal:
    return Refusal(400, code, message)
