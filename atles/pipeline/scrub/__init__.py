"""Secrets and personal details become typed placeholders. Knows text and JSON; no files, no store, no network.

What each level finds:

* `secrets`: keys and tokens of known forms, private keys, passwords and codes that a label announces ("my pw is …",
  `DB_PASS=…`, in some twenty languages), seed phrases, card numbers, IBANs, labelled account and identity numbers.
* `pii`: also e-mail and IP addresses, phone numbers, street addresses of common English, German, French and Spanish
  forms, national ids with a checksum, and names that are introduced ("my name is …", "Dr. …").
* `off`: nothing.

Not found: a secret without label and known form (a bare word, a bare seed phrase), one that is spelled out or split
over messages, what pictures and base64 `data:` URLs hold (left as they are), and most names: they need a language
model.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from atles.pipeline.scrub import formats, labelled, numbers
from atles.pipeline.scrub.span import PLACEHOLDERS, Span
from atles.records import Message, Session

__all__ = ["LEVELS", "PLACEHOLDERS", "scrub_session", "scrub_text", "scrub_value", "secrets"]

LEVELS = ("secrets", "pii", "off")

_LONE = 4  # characters of a secret that is recognised without what announced it
_MAX_PASSES = 20  # a placeholder can make its neighbour readable as a secret; two passes are the rule

_PLACEHOLDER = re.compile(r"\[(?:" + "|".join(sorted(PLACEHOLDERS)) + r")\]")
_DATA_URL = re.compile(r"data:[\w.+-]{1,60}/[\w.+-]{1,60}(?:;[\w=.-]{1,60}){0,3};base64,[A-Za-z0-9+/=_-]*")

# Only what a tokenizer calls a token: OpenAI's `logprobs` have one such object for each.
_NO_SECRET_BESIDE = "logprob"
_SECRET_NAME = re.compile(
    r"""(?:^|[_.\s-])(?:
      (?P<PASSWORD>[a-z]{0,20}pass(?:wor[dt]|wd|phrase)s?|pass(?:code|es)?|pwd|pw|pswd|kennwort|contraseña|mot_de_passe)
    | (?P<CODE>pin|otp|cvv2?|cvc2?|puk|totp)
    | (?P<PRIVATE_KEY>private[_-]?key|mnemonic|seed[_-]?phrase)
    | (?P<API_KEY>[a-z]{0,12}(?:api|access|secret|account|shared|auth|encryption|signing|master|subscription)[_-]?keys?)
    | (?P<TOKEN>(?:access|auth|refresh|id|bearer|session|bot|api)?[_-]?tokens?|(?:client)?secrets?|credentials?
        |authorization|set-cookie|cookie)
    )$""",
    re.VERBOSE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# What most messages consist of: words of letters, and few numbers. No form of a key fits into such words; and every
# label, and all else that `labelled` and `formats` go by, has one of these in some word: keep them in step with LABEL.
_WORD = re.compile(r"[\"'(]{0,2}[A-Za-z]{1,20}(?:['’][A-Za-z]{1,5})?[.,!?;:)\"']{0,3}|[-–—?!.,&;:()]{1,3}")
_NUMBER = re.compile(r"[\"'(]?\d{1,4}(?:['’]?s|th|st|nd|rd)?[.,!?;)]{0,3}", re.ASCII)
_ANNOUNCES = re.compile(
    r"pass(?!ion|ing|age)|kennwort|contrase|parola|wachtw|senha|adgang|salas|heslo|sandi|psw|pword|mdp|pwd|(?<![a-z])pw"
    r"|wpa|wifi|wlan|clave|(?<![a-z])pin(?![a-z])|pinnum|otp|mfa|cv[vcn]|puk|zahl|(?<![a-z])tan(?![a-z])|code|comb"
    r"|seed|mnemonic|recovery|backup|wallet|ssn|security|insurance|(?<![a-z])(?:nino|tax|itin|dni|nif|nhs|ahv|aba)"
    r"|national|ausweis|licen|steuer|card|aadh|cpf|curp|bsn|personn|pesel|medicare|fiscale|sozialv"
    r"|acc(?:ount|t)|routing|konto|blz|leitzahl|bsb|compte|cuenta|key|token|secret|creden|(?<![a-z])creds|session"
    r"|log-?in|zugang|anmeld|authori|bearer|basic",
    re.IGNORECASE,
)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
# Ids and hashes in the metadata of the gateway's sessions, by which it finds them again; some look like a key.
_NOTED = ("answer", "chain", "after", "continues")
_PLAIN_NAMES = frozenset(("role", "name", "content", "timestamp"))
_MOST_NUMBERS = 2  # eight digits: fewer than any card has
_MOST_KNOWN = 4_000
_known: set[str] = set()  # words that were found to hold nothing: the common ones of a language, after some messages


def scrub_text(text: str, level: str = "secrets") -> tuple[str, Counter[str]]:
    """The text with placeholders, and how many of each type. Scrubbing the answer changes nothing."""
    finders = _finders(level)
    counts: Counter[str] = Counter()
    if not text or not finders or (level == "secrets" and _is_plain(text)):
        return text, counts
    for _ in range(_MAX_PASSES):
        spans = [span for find in finders for span in find(text)]
        if not spans:
            break
        text, replaced = _replace(text, spans)
        if not replaced:
            break
        counts.update(replaced)
    return text, counts


def secrets(text: str) -> list[str]:
    """The secrets of a text, as they stand there."""
    return [text[span.start : span.end] for find in _finders("secrets") for span in find(text)]


def _is_plain(text: str) -> bool:
    """Certainly without a secret: a cheap test that most messages pass, so that finders see the others only."""
    parts = text.split()
    if _known.issuperset(parts):
        return True
    numbers = 0
    for part in parts:
        if part in _known:
            continue
        if _NUMBER.fullmatch(part):
            numbers += 1
            if numbers > _MOST_NUMBERS:
                return False
        elif not _WORD.fullmatch(part) or _ANNOUNCES.search(part):
            return _STAMP.fullmatch(text) is not None
        elif len(_known) < _MOST_KNOWN:
            _known.add(part)
    return True


def scrub_value(value: Any, level: str = "secrets") -> tuple[Any, Counter[str]]:
    """Any JSON value with every string in it scrubbed, keys too; the same object if nothing changed.

    The value of a key that is named like a secret is replaced wholly. `arguments` that are JSON in a string, as in tool
    calls, are read as JSON. No recursion: depth is whatever the JSON reader took.
    """
    counts: Counter[str] = Counter()
    if not _finders(level):
        return value, counts
    holder: list[Any] = [value]
    todo: list[tuple[Any, Any, str | None]] = [(holder, 0, None)]  # a container, a place in it, the secret's type
    while todo:
        container, key, kind = todo.pop()
        item = container[key]
        if isinstance(item, str):
            container[key] = _string(item, key, kind, level, counts)
        elif isinstance(item, Mapping):
            container[key] = copy = _keys(item, level, counts)
            todo.extend((copy, name, _kind(name, copy)) for name in reversed(copy))
        elif isinstance(item, list | tuple):
            container[key] = copy = list(item)
            todo.extend((copy, place, kind) for place in range(len(copy)))
        elif kind in ("PASSWORD", "CODE") and isinstance(item, int) and not isinstance(item, bool):
            container[key] = f"[{kind}]"
            counts[kind] += 1
    return (holder[0] if counts else value), counts


def scrub_session(session: Session, level: str = "secrets") -> tuple[Session, Counter[str]]:
    """The session with every message and its metadata scrubbed; the same object if nothing changed.

    Message ids stay: they hash the words as they came, so that a history that is sent again is recognised. What a label
    gave away in one message ("my pin is …") is taken out of the others, too, where nothing announces it.
    """
    counts: Counter[str] = Counter()
    messages = []
    known: dict[str, str] = {}
    noted = isinstance(session.metadata.get("gateway"), str)
    for message in session.messages:
        if level == "secrets" and _is_plain_message(message.raw):
            messages.append(message)
            continue
        raw, found = _scrub_message(message.raw, level, noted=noted)
        counts += found
        messages.append(replace(message, raw=raw) if found else message)
        if found:
            known |= _unusual(message.text, level)
    if known:
        again = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(known, key=len, reverse=True))) + r")(?!\w)")
        messages = [_without(message, again, known, counts) for message in messages]
    metadata, found = _scrub_but(_NOTED if noted else (), session.metadata, level)
    counts += found
    return (replace(session, messages=tuple(messages), metadata=metadata) if counts else session), counts


def _scrub_message(raw: Mapping[str, Any], level: str, *, noted: bool) -> tuple[Any, Counter[str]]:
    metadata = raw.get("metadata")
    if not noted or not isinstance(metadata, Mapping):
        return scrub_value(raw, level)
    rest, found = _scrub_but(("metadata",), raw, level)
    clean, more = _scrub_but(_NOTED, metadata, level)
    return ({**rest, "metadata": clean} if found or more else raw), found + more


def _scrub_but(names: Collection[str], item: Mapping[str, Any], level: str) -> tuple[Any, Counter[str]]:
    """An object scrubbed, but for what these names hold; the same object if nothing changed."""
    clean, found = scrub_value({name: value for name, value in item.items() if name not in names}, level)
    return (clean | {name: item[name] for name in names if name in item} if found else item), found


def _is_plain_message(raw: Mapping[str, Any]) -> bool:
    return all(name in _PLAIN_NAMES and isinstance(value, str) and _is_plain(value) for name, value in raw.items())


def _unusual(text: str, level: str) -> dict[str, str]:
    """The secrets of a text that cannot be mistaken for words where they stand alone, each with its type."""
    found = {text[span.start : span.end].strip(): span.kind for find in _finders(level) for span in find(text)}
    return {
        secret: kind
        for secret, kind in found.items()
        if len(secret) >= _LONE
        and any(it.isdigit() or not it.isalnum() for it in secret)
        and not _PLACEHOLDER.search(secret)
    }


def _without(message: Message, again: re.Pattern[str], known: Mapping[str, str], counts: Counter[str]) -> Message:
    def clean(content: Any) -> Any:
        if isinstance(content, str):
            counts.update(known[secret] for secret in again.findall(content))
            return again.sub(lambda match: f"[{known[match.group()]}]", content)
        if isinstance(content, list):
            return [clean(part) for part in content]
        if isinstance(content, Mapping) and "text" in content:
            return {**content, "text": clean(content["text"])}
        return content

    content = message.raw.get("content")
    cleaned = clean(content)
    return message if cleaned == content else replace(message, raw={**message.raw, "content": cleaned})


def _finders(level: str) -> tuple[Callable[[str], Iterator[Span]], ...]:
    if level == "secrets":
        return (formats.find, numbers.find, labelled.find)
    if level == "pii":
        from atles.pipeline.scrub import personal  # its patterns cost memory that the default level need not pay

        return (formats.find, numbers.find, labelled.find, personal.find)
    if level == "off":
        return ()
    raise ValueError(f"scrub level {level!r} is none of {', '.join(LEVELS)}")


def _replace(text: str, spans: list[Span]) -> tuple[str, Counter[str]]:
    """Overlapping spans become one, of the type of the longest; what holds nothing but placeholders stays."""
    kept = [Span(*match.span(), "") for match in _PLACEHOLDER.finditer(text)] if "[" in text else []
    data = [match.span() for match in _DATA_URL.finditer(text)] if "data:" in text else []
    counts: Counter[str] = Counter()
    pieces: list[str] = []
    done = 0
    for start, end, kind in _merged(sorted([*spans, *kept])):
        if not kind:
            continue
        while data and data[0][1] <= start:
            del data[0]
        if data and data[0][0] <= start and end <= data[0][1]:
            continue
        rest = _PLACEHOLDER.sub("", text[start:end])
        if not any(character.isalnum() for character in rest):
            continue
        pieces += (text[done:start], f"[{kind}]")
        counts[kind] += 1
        done = end
    return "".join([*pieces, text[done:]]), counts


def _merged(spans: list[Span]) -> Iterator[Span]:
    start, end, kind, longest = spans[0].start, spans[0].end, spans[0].kind, 0
    for span in spans:
        if span.start >= end and span is not spans[0]:
            yield Span(start, end, kind)
            start, end, kind, longest = span.start, span.end, "", 0
        end = max(end, span.end)
        if span.kind and span.end - span.start > longest:
            kind, longest = span.kind, span.end - span.start
    yield Span(start, end, kind)


def _string(item: str, key: Any, kind: str | None, level: str, counts: Counter[str]) -> str:
    if kind:
        if any(character.isalnum() for character in _PLACEHOLDER.sub("", item)):
            counts[kind] += 1
            return f"[{kind}]"
        return item
    if key == "arguments" and item.lstrip()[:1] in ("{", "["):
        try:
            value, found = scrub_value(json.loads(item), level)
            if not found:
                return item
            text = json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # not JSON after all: words like any other
        else:
            counts.update(found)
            return text
    text, found = scrub_text(item, level)
    counts.update(found)
    return text


def _keys(item: Mapping[str, Any], level: str, counts: Counter[str]) -> dict[str, Any]:
    """A copy with the names scrubbed. Two names that become one keep the last value."""
    copy = {}
    for name, value in item.items():
        clean, found = scrub_text(name, level) if len(name) > 8 else (name, None)
        if found:
            counts.update(found)
        copy[clean] = value
    return copy


def _kind(name: str, siblings: Mapping[str, Any]) -> str | None:
    found = _SECRET_NAME.search(_CAMEL.sub("_", name).lower()) if len(name) <= 80 else None
    if found is None or _NO_SECRET_BESIDE in siblings:
        return None
    return found.lastgroup
