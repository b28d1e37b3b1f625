"""What an address may hold that nobody is to see, and how it is shown without. Knows how passwords look in addresses,
in what libpq calls a connection string, and in TOML; never what an address leads to.

Addresses are written by people: where it is not clear what is a password, more is hidden than has to be.
"""

import json
import re
import tomllib
from typing import Any

_HIDDEN = "***"
_SECRET = r"(?:[\w-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|credentials?|signature)|key|sig|auth)"
_VALUE = r"'(?:\\.|[^'\\])*(?:'|\Z)|[^&\s]+"
_PORT = r"\d{1,5}(?:[/?,\s'\"]|\Z)"
# What is hidden is each one's group. An address that stands alone may hold a space, one in a text ends at it.
_HIDE = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"https?://([^\s/]+)(?=@)",  # a key may stand there without a user
        rf"https?://([^\s:/@]*:(?!{_PORT})\S+)(?=@)",
        r"(?<!http)(?<!https)://[^\s:@/]*:(\S+)(?=@)",
        rf"\A\s*https?://([^:/@]*:(?!{_PORT}).+)(?=@)",
        r"\A\s*(?!https?:)[a-z][a-z0-9+.-]*://[^:@/]*:(.+)(?=@)",
        rf"(?:\A|[?&;\s'\"]){_SECRET}\s*=\s*({_VALUE})",
    )
)
_TEXT = r"""\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'"""
_TEXTS, _PARTS_OF_TOML = re.compile(_TEXT, re.DOTALL), re.compile(rf"{_TEXT}|#[^\n]*", re.DOTALL)
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*://)(.*)\Z", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:\[[0-9a-f:.]*\]|[^\s:/?#@\[\]]*)(?::\d{1,5})?(?=[/?#]|\Z)", re.IGNORECASE)
_ASKED_FOR = re.compile(rf"[?&;]{_SECRET}=", re.IGNORECASE)


def masked(value: Any) -> Any:
    """A setting's value, a message, or a whole settings file, as it may be shown: `***` stands for a password in an
    address. A settings file stays one."""
    if not isinstance(value, str):
        return value
    try:
        tomllib.loads(value)
    except (ValueError, RecursionError):
        return _hidden(value)
    return _PARTS_OF_TOML.sub(_masked_part, value)


def brief(address: str) -> str:
    """What may be shown of an address that is not written as it has to be: its scheme, and its host where that is
    clear."""
    found = _SCHEME.match(address)
    if not found:
        return _HIDDEN if re.search(r"[=@:\s]", address) else address
    scheme, rest = found.groups()
    before, at, after = rest.rpartition("@")
    host = _HOST.match(after)
    if host is None or _ASKED_FOR.search(before):
        return f"{scheme}{_HIDDEN}"
    return f"{scheme}{_HIDDEN}@{host[0]}" if at else f"{scheme}{host[0]}"


def _masked_part(found: re.Match[str]) -> str:
    """A text or comment of a TOML document; a comment may be a setting that was taken out."""
    if found[0].startswith("#"):
        return _hidden(_TEXTS.sub(_masked_text, found[0]))
    return _masked_text(found)


def _masked_text(found: re.Match[str]) -> str:
    """A text as TOML writes it. It is read first: what is written as `\\u0040` is an @."""
    try:
        text = tomllib.loads(f"text = {found[0]}")["text"]
    except ValueError:
        return found[0]  # somebody's words in a comment
    if (shown := _hidden(text)) == text:
        return found[0]
    return json.dumps(shown, ensure_ascii=False).replace("\x7f", "\\u007f")


def _hidden(text: str) -> str:
    shown, at = [], 0
    for start, end in sorted(found.span(1) for pattern in _HIDE for found in pattern.finditer(text)):
        if start >= at:  # what begins within another goes with that
            shown += [text[at:start], _HIDDEN]
        at = max(at, end)
    return "".join(shown) + text[at:]
