"""How the user wants to be answered: sentences in which they ask for it. Nothing is guessed from tone, and nothing is
taken from the assistant. What is asked of one answer only ("make it shorter") is none."""

import re
from collections.abc import Sequence
from itertools import product

from atles.pipeline.extract.manners import CONDITION, EVERY_TIME, IMPERATIVE, TALK, TASKS
from atles.pipeline.extract.reading import blanked, spoken
from atles.pipeline.extract.requests import ASKS, LASTS, LEAD, ONE_OFF, REQUEST, STANDING
from atles.records import Claim, MemoryType, Message

_MAX_REQUEST_WORDS = 45
_SENTENCE = re.compile(r"(?:[^.!?\n;]|(?<=\d)[.](?=\d)|;(?=\w))+[.!?]*")
_CLAUSE = re.compile(
    r"""[,:]\s+(?:(?:and|but|so|then|or|also|because|which\ means)\s+)?|\s+(?:and|but|so|then|n|because|since|for)\s+
    |[,:]\s+(?=(?:and\ |but\ |so\ )?(?:please|pls|always|never|from\ now\ on|i(?:'d|\ would)?\ prefer|whenever|
    when\ (?:you|u)\b|call\ me|no\ emojis?|keep\ (?:it|your)|
    (?:would|could|can)\ (?:you|u)|(?:you|u)\ can\ call|don'?t|stop)\b)
    |\s+(?:and|but|so|n)\s+(?=(?:please|pls|always|from\ now\ on|call\ me|i(?:'d|\ would)?\ prefer|whenever)\b)
    |\s+-+\s+|\s+[–—]\s*|\s+\(|\.\.+\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_JOINS = re.compile(r"^(?:(?:and|but|so|then|or|because|for|n|listen|look|which means)\s+)+", re.IGNORECASE)
_OPENS_CONDITION = re.compile(r"\W*(?:when|whenever|every|each|if|for|in|with|from now)\b", re.IGNORECASE)
_MOST_STARTS = 24
_SHORT = 25  # words
_THIRD = re.compile(r"\b(?:he|she|they|doctor|boss|mother|manual|sign|teacher|manager|people)\b[^.]*$", re.IGNORECASE)


def preferences(messages: Sequence[Message], read: Sequence[tuple[int, str, str]] | None = None) -> list[Claim]:
    """What the user asked for, in their words, in order; each once. `read` is (position, text, plain) per message."""
    found: dict[str, Claim] = {}
    for position, text, plain in (
        read if read is not None else [(at, said, blanked(said)) for at, said in spoken(messages)]
    ):
        for match in _SENTENCE.finditer(plain):
            words = _request(text[match.start() : match.end()], match.group())
            if words:
                text_ = re.sub(LEAD, "", words.strip(" ,\t").rstrip(".!? "), flags=re.IGNORECASE | re.VERBOSE)
                claim = Claim(
                    MemoryType.PREFERENCE, text_, (position,), changed=bool(re.search(r"\bnow\b|instead", text_))
                )
                found.setdefault(text_.casefold(), claim)
    return list(found.values())


def _request(text: str, plain: str) -> str:
    """The part of a sentence that asks for a way of being answered; "" if none does."""
    plain = plain.replace("’", "'")
    starts = [0, *(match.end() for match in _CLAUSE.finditer(plain))][:_MOST_STARTS]
    for short, (number, start) in product((True, False), enumerate(starts)):
        ends = [end for end in starts[number + 1 :] if end > start]
        rest = plain[start:].strip(" ,\t")
        if not rest or rest.lower().startswith("never mind") or (start and _THIRD.search(plain[:start])):
            continue
        for end in ends[:1] if short else (len(plain), *ends[1:2]):
            said = _JOINS.sub("", plain[start:end].strip(" ,(:"))
            if not 2 <= len(said.split()) <= _MAX_REQUEST_WORDS or not _wished(said):
                continue
            # A condition ("whenever you …,") and a short request take what follows with them.
            if end != len(plain) and (_OPENS_CONDITION.match(said) or len(rest.split()) <= _SHORT):
                longer = _JOINS.sub("", rest.strip(" ,(:"))
                said = longer if len(longer.split()) <= _MAX_REQUEST_WORDS else said
            at = plain.find(said, start)
            return text[at : at + len(said)] if at >= 0 else said
    standing = STANDING.search(plain)
    if (
        standing
        and 3 <= len(plain[standing.start() :].split()) <= _MAX_REQUEST_WORDS
        and not _THIRD.search(plain[: standing.start()])
    ):
        return text[standing.start() :].strip()
    return ""


def _wished(said: str) -> bool:
    if said.endswith("?") and not ASKS.match(said) and not TALK.match(said):
        return False  # "never mind?" and "always?" ask for nothing
    if ONE_OFF.search(said) and not LASTS.search(said) and not re.match(r"\W*i\b", said, re.I):
        return False
    return (len(said.split()) >= 3 and bool(REQUEST.match(said))) or _general(said)


def _general(said: str) -> bool:
    """A wish in other words: of how to be talked to, or whatever is asked for every time."""
    said = said.strip(" ,(")
    if not 2 <= len(said.split()) <= _MAX_REQUEST_WORDS or TASKS.search(said):
        return False
    if ONE_OFF.search(said) and not LASTS.search(said):
        return False
    if said.endswith("?") and not ASKS.match(said) and not TALK.match(said):
        return False
    if TALK.match(said):
        return True
    if EVERY_TIME.search(said):
        if IMPERATIVE.match(said):
            return True
        condition = CONDITION.match(said)
        return bool(
            condition
            and re.search(r"\b(?:you|u|asks?|i ask|i want|answers?|recipes?|prices?|me)\b", condition.group(), re.I)
        )
    return False
