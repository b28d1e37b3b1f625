"""What is so, said beside what is not: "it's on the 26th now, not the 12th", "I migrated from VS Code to Helix". Pure."""

import re
from collections.abc import Iterator, Sequence

from atles.pipeline.extract import guards
from atles.pipeline.extract.reading import BLANK, Sentence
from atles.pipeline.extract.roles import NO_THING
from atles.pipeline.extract.wording import clean
from atles.pipeline.extract.words import ADVERBS, CHAT_NOUNS, tokens
from atles.records import Claim, MemoryType

_END = r"(?=\s*(?:[,.;:!?()]|$|\b(?:because|since|so|and|but|now|for|as|from|to|when|my|the)\b))"
_OLD = rf"(?:(?:on|at|in|to|with|by) )?(?:the |an? |my |our )?(?P<old>[\w$£€'’:.-]*\w(?: (?!(?:because|since|so|and|but|now)\b)[\w'’:-]+){{0,4}}?){_END}"
_CHAR = r"(?:[^.,;:!?]|[.,](?=\d))"
_HEAD = rf"(?P<head>(?:{_CHAR}|,){{3,120}}?)"
_FORMS = [
    re.compile(rf"(?P<lead>\b(?:it|that|she|he|(?:my|our|the) [\w ]{{2,30}}?)(?:['’]s| is| are)) (?:no longer|not) {_OLD} (?:but|it['’]?s) (?P<head>{_CHAR}{{2,60}})", re.IGNORECASE),
    re.compile(rf"(?P<lead>\b(?:i|we)(?:['’]ve| have)? (?:just |now |finally )?(?:migrated|switched|moved|changed|went|gone|swapped|converted)(?: \w+)?) from {_OLD} (?P<head>to {_CHAR}{{2,60}})", re.IGNORECASE),
    re.compile(rf"{_HEAD},? (?:and )?(?:not|no longer) (?!only\b|just\b|sure\b|that\b|yet\b|really\b|at all\b|so\b|too\b|very\b){_OLD}", re.IGNORECASE),
    re.compile(rf"{_HEAD},? (?:instead of|rather than) {_OLD}", re.IGNORECASE),
    re.compile(r"(?P<head>[^.;:!?,]*\d[^.;:!?,]*), (?:was|up from|down from) (?P<old>\d[\w.,]*)", re.IGNORECASE),
]  # fmt: skip
# "now that I'm on 7.5 mg": a state that has begun, whatever the sentence is about.
_NOW_THAT = re.compile(
    rf"\b(?:now that|now) (?P<head>(?:i|we)(?:['’]m| am|['’]re| are|['’]ve| have|m|ve)? {_CHAR}{{3,60}})", re.IGNORECASE
)
_OURS = re.compile(r"\b(?:i|i['’]?m|i['’]?ve|we|we['’]?re|my|our)\b", re.IGNORECASE)
_POINTS = re.compile(r"^\W*(?:it|she|he|they|that)(?:['’]?s| is| are|\b)", re.IGNORECASE)
_MINE = re.compile(
    r"\b(?:my|our|the) (?:(?:new|old|whole|next|last|first|big|little) )?(?P<thing>[a-z][a-z-]{2,})\b", re.IGNORECASE
)
_SAYS_NEW = re.compile(r"\b(?:now|new|these days|moved|changed|switched|since|instead|at present)\b", re.IGNORECASE)
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")


def contrasts(said: Sequence[Sentence]) -> list[Claim]:
    """The statements of one message that say what is so and, beside it, what is so no more."""
    found: list[Claim] = []
    for number, sentence in enumerate(said):
        if guards.joke(sentence) or guards.opens_hypothesis(sentence.plain) or BLANK in sentence.plain:
            continue
        before = said[number - 1].plain if number and BLANK not in said[number - 1].plain else ""
        found += _in(sentence, before)
    return found


def _in(sentence: Sentence, before: str) -> Iterator[Claim]:
    text = sentence.plain
    for form in _FORMS:
        match = form.search(text)
        if match is None:
            continue
        head = f"{match.groupdict().get('lead') or ''} {match['head']}".strip()
        earlier = f"{before} {text[: match.start()]}"
        if claim := _claim(sentence, head, match["old"], earlier, bool(_SAYS_NEW.search(match.group()))):
            yield claim
            return
    if match := _NOW_THAT.search(text):
        (yield from filter(None, [_claim(sentence, match["head"], "", "", True)]))


def _claim(sentence: Sentence, head: str, old: str, earlier: str, new: bool) -> Claim | None:
    words = tokens(head)
    if not 2 <= len(words) <= 24 or (old and set(tokens(old)) <= CHAT_NOUNS | ADVERBS) or guards.SECRET.search(head):
        return None
    if _POINTS.match(head):
        things = [thing for thing in _MINE.findall(earlier) if thing.split()[-1].lower() not in NO_THING]
        if not things:
            return None
        head = f"{things[-1]}: {head}"
    elif not _OURS.search(head):
        return None
    if sentence.asked and not new:
        return None  # "should I take the bus, not the car?"
    return Claim(
        MemoryType.FACT, clean(head), (sentence.position,), confidence=0.75, changed=new or bool(old),
        replaces=_ORDINAL.sub(r"\1", old),
    )  # fmt: skip
