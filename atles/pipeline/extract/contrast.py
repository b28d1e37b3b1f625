"""What is so, said beside what is no more: "on the 26th now, not the 12th", "I moved from VS Code to Helix". Pure."""

import re
from collections.abc import Iterator, Sequence

from atles.pipeline.extract import guards
from atles.pipeline.extract.reading import BLANK, Sentence
from atles.pipeline.extract.roles import NO_THING
from atles.pipeline.extract.wording import clean
from atles.pipeline.extract.words import ADVERBS, CHAT_NOUNS, tokens
from atles.records import Claim, MemoryType

_END = r"(?=\s*(?:[,.;:!?()]|$|\b(?:because|since|so|and|but|now|for|as|from|to|when|my|the)\b))"
_OLD = (
    r"(?:(?:on|at|in|to|with|by) )?(?:the |an? |my |our )?"
    r"(?P<old>[\w$£€'’:.-]*\w(?: (?!(?:because|since|so|and|but|now)\b)[\w'’:-]+){0,4}?)" + _END
)
_CHAR = r"(?:[^.,;:!?]|[.,](?=\d))"
_HEAD = rf"(?P<head>(?:{_CHAR}|,){{3,120}}?)"
_ON_TO = rf"{_CHAR}{{2,60}}"
_I_HAVE = r"\b(?:i|we)(?:['’]ve| have)? (?:just |now |finally )?"
_MOVED = r"(?:migrated|switched|moved|changed|went|gone|swapped|converted)"
_NOT = r"(?:not|no longer) (?!(?:only|just|sure|that|yet|really|at all|so|too|very)\b)"
_FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        # "we moved out of the flat and into a house"
        rf"(?P<lead>{_I_HAVE}moved) out of {_OLD} (?:and )?(?P<head>(?:into|to) {_ON_TO})",
        # "it is no longer Dust but Salt Road"
        rf"(?P<lead>\b(?:it|that|she|he|(?:my|our|the) [\w ]{{2,30}}?)(?:['’]s| is| are)) (?:no longer|not) {_OLD} "
        rf"(?:but|it['’]?s) (?P<head>{_ON_TO})",
        rf"(?P<lead>{_I_HAVE}{_MOVED}(?: \w+)?) from {_OLD} (?P<head>to {_ON_TO})",
        rf"{_HEAD},? (?:and )?{_NOT}{_OLD}",
        rf"{_HEAD},? (?:instead of|rather than) {_OLD}",
        r"(?P<head>[^.;:!?,]*\d[^.;:!?,]*), (?:was|up from|down from) (?P<old>\d[\w.,]*)",
    )
]
# "Changed jobs. From Harker's to Nilsson."
_FROM_TO = re.compile(rf"^\W*from {_OLD} (?P<head>to {_ON_TO})", re.IGNORECASE)
# "now that I'm on 7.5 mg": a state that has begun, whatever the sentence is about.
_NOW_THAT = re.compile(
    rf"\b(?:(?:now that|now) (?P<head>(?:i|we)(?:['’]m| am|['’]re| are|['’]ve| have|m|ve)? {_CHAR}{{3,60}})"
    r"|since (?P<head2>(?:i|we)(?:['’]ve| have)? (?:got|bought|began|started|joined|became|switched) "
    rf"{_CHAR}{{3,60}}))",
    re.IGNORECASE,
)
_OURS = re.compile(r"\b(?:i|i['’]?m|i['’]?ve|we|we['’]?re|my|our)\b", re.IGNORECASE)
_POINTS = re.compile(r"^\W*(?:it|she|he|they|that)(?:['’]?s| is| are|\b)", re.IGNORECASE)
_MINE = re.compile(
    r"\b(?:my|our|the) (?:(?:new|old|whole|next|last|first|big|little) )?(?P<thing>[a-z][a-z-]{2,})\b", re.IGNORECASE
)
_SAYS_NEW = re.compile(r"\b(?:now|new|these days|moved|changed|switched|since|at present)\b", re.IGNORECASE)
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
        claims = list(_claim(sentence, head, match["old"], earlier, bool(_SAYS_NEW.search(match.group()))))
        yield from claims
        if claims:
            return
    if (match := _FROM_TO.search(text)) and 1 < len(before.split()) <= 8:
        yield from _claim(sentence, f"{before.strip(' .!')}: {match['head']}", match["old"], "", True)
    if match := _NOW_THAT.search(text):
        yield from _claim(sentence, match["head"] or match["head2"], "", "", True)


def _claim(sentence: Sentence, head: str, old: str, earlier: str, new: bool) -> Iterator[Claim]:
    """The claim that `head` is so and `old` is not, if it is one of the user's own; `earlier` says who "it" is."""
    words = tokens(head)
    empty = bool(old) and set(tokens(old)) <= CHAT_NOUNS | ADVERBS
    if not 2 <= len(words) <= 24 or empty or guards.SECRET.search(head) or (sentence.asked and not new):
        return
    if _POINTS.match(head):
        things = [thing for thing in _MINE.findall(earlier) if thing.lower() not in NO_THING]
        if not things:
            return
        head = f"{things[-1]}: {head}"
    elif not _OURS.search(head) and not _FROM_TO.search(sentence.plain):
        return
    yield Claim(
        MemoryType.FACT, clean(head), (sentence.position,), confidence=0.75, changed=new or bool(old),
        replaces=_ORDINAL.sub(r"\1", old),
    )  # fmt: skip
