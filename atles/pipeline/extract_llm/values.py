"""Whether a sentence really gives a slot its value. A wrong slot would end a true memory, so only plain forms pass."""

import re
from collections.abc import Sequence

from atles.pipeline.extract_llm.doubts import NEGATIONS
from atles.pipeline.extract_llm.tokens import Token, stem

_SLOT = re.compile(r"[a-z][a-z0-9_-]{0,29}(?:\.[a-z][a-z0-9_-]{0,29}){0,2}")
# Words that show a slot besides its own name.
_CUES = {
    "home": frozenset("live lives living moved based".split()),
    "name": frozenset("named called".split()),
    "age": frozenset("years year old turned".split()),
    "birthday": frozenset("born".split()),
    "job": frozenset("work works working".split()),
    "work": frozenset("works working job employed".split()),
}
_TIMES = re.compile(
    r"^(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september|"
    r"october|november|december|morning|noon|evening|night|midnight|weekends?|\d.*)$"
)
# What may stand between "I" and the word that shows the slot, so that nothing else is the subject of it.
_BETWEEN = frozenset("have am now just currently recently still already also actually do is are back".split())
# What may stand between that word and the value.
_CONNECT = frozenset(
    "in at to near on as for by with the a an is are was called named 's of back over now just it's".split()
)
_OVER = frozenset("no longer not used to anymore".split())
_OTHERS = frozenset("he she they it you who".split())


def shape(slot: str) -> str:
    """The slot in its one spelling; "" if it is none."""
    slot = slot.strip().casefold().replace(" ", "_").removeprefix("user.").removeprefix("my_")
    return slot if _SLOT.fullmatch(slot) else ""


def holds(slot: str, at: int, size: int, said: Sequence[Token], text: str, ended: bool) -> bool:
    """Whether the sentence `said` gives `slot` the value that begins at token `at` and has `size` tokens."""
    if all(token.word in _CONNECT or (len(token.word) < 2 and token.word.isalpha()) for token in said[at : at + size]):
        return False
    first, *rest = slot.split(".")
    head, place, mine = _subject(first, at, said, text)
    if place < 0 or any(token.word in _OTHERS for token in said[place + 1 : at]):
        return False
    between = [token.word for token in said[place + 1 : at]]
    doubtful = (NEGATIONS | {"used"}).intersection(between)
    if doubtful and not (ended and doubtful <= _OVER):
        return False
    last = rest[-1] if rest else first
    if rest:
        if head != first or (between[:1] == ["'s"] and stem(between[1] if between[1:] else "") != stem(last)):
            return False
        if last == "when":
            return any(_TIMES.match(token.word) for token in said[at : at + size])
        return _leads(_shown(last, between), between)
    if head == "i":
        cue = _shown(first, between)
        allowed = _BETWEEN | (_OVER if ended else frozenset())
        return cue is not None and set(between[:cue]) <= allowed and _leads(cue, between)
    return mine and stem(head) == stem(first) and _leads(-1, between)


def _leads(cue: int | None, between: Sequence[str]) -> bool:
    """Whether nothing but small words, or "from Paris to", stands between the word for the slot and the value."""
    if cue is None:
        return False
    rest = between[cue + 1 :]
    return set(rest) <= _CONNECT or (rest[:1] == ["from"] and rest[-1:] == ["to"] and len(rest) <= 5)


def _shown(slot: str, between: Sequence[str]) -> int | None:
    """Where a word for the slot stands."""
    cues = _CUES.get(slot, frozenset()) | {slot}
    return next((at for at, word in enumerate(between) if word in cues or stem(word) == stem(slot)), None)


def _subject(first: str, at: int, said: Sequence[Token], text: str) -> tuple[str, int, bool]:
    """The last thing before the value that can own it: "i", what "my" stands before, or a name; where, and whether "my"
    stands before it."""
    for place in range(at - 1, -1, -1):
        word, before = said[place].word, said[place - 1].word if place else ""
        if before in ("my", "our"):
            return word, place, True
        if word in ("i", "we"):
            return "i", place, False
        if word == first:
            return word, place, False
        if (
            place and text[said[place].start].isupper() and not _TIMES.match(word)
        ):  # a name, unless it is what the word before is called
            named = place > 1 and said[place - 2].word in ("my", "our")
            if not named:
                return word, place, False
    return "", -1, False
