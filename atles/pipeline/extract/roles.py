"""Who or what something of the user's is: "Ines; she's my manager now", "my laptop, a ThinkPad", "choir's on Thursdays
now". Names it in whatever order it is said, so that a later one is known to take its place. Pure.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atles.pipeline.extract import guards
from atles.pipeline.extract.names import NOT_A_NAME
from atles.pipeline.extract.reading import BLANK, Sentence
from atles.pipeline.extract.wording import clean
from atles.pipeline.extract.words import ADVERBS, CHAT_NOUNS, DAYS, MONTHS, NUMBERS, RELATIONS, singular, tokens
from atles.records import Claim, MemoryType

_TITLE = r"(?:(?:Dr|Mr|Mrs|Ms|Prof|St)\.? )"
_NAME = rf"(?:{_TITLE}?[A-Z][\w’'-]*\w(?: (?:of |de |von |van |the |in |& )?[A-Z0-9][\w’'-]*){{0,4}})"
_NOW = r"(?i:now|nowadays|these days|at present|at the moment)"
_MY = r"(?i:my|our)"
_WORD = (
    r"(?!(?:own|name|it|that|this|he|she|they|who|there|is|are|was|were|and|or|but|of|on|in|at|to|for|with|which|the)\b)"
    r"[a-z][a-z-]+"
)
_THING = rf"(?:(?:new|old|current|present) )?(?P<thing>(?:{_WORD} ){{0,2}}?{_WORD})"
_IS = r"(?:['’]s| is| are)"
_STOP = r"(?=\s*(?:[,.;:!?)]|$|\b(?:and|but|so|because|since|who|which)\b))"
_VALUE = (
    r"(?P<value>(?:an? |the |one )?[\w’'$£€.:-]+"
    r"(?: (?!(?:and|but|so|because|since|now|these|at the moment|at present)\b)[\w’'.:-]+){0,3}?)"
)
_IN = r"(?:on |at |in |down to |up to )?"
_PERSON = "|".join(sorted(RELATIONS))

_FORMS = [
    re.compile(form)
    for form in (
        # "my doctor, Dr Amberley", "my personal laptop, a ThinkPad X1"
        rf"\b{_MY} {_THING}, (?:an? |the )?(?P<name>{_NAME})(?=[,.;:!?)]|$| (?:is|was|says|said|wants|has)\b)",
        # "Kirsty, my physio", "Dr Sethi, who is my doctor now"
        rf"(?P<name>{_NAME})(?:,|,? (?:who|which|that)(?:['’]s| is)) {_MY} {_THING}(?: {_NOW})?{_STOP}",
        # "Tugboat's our dog", "Ciara is my lead now", "pickleball became my sport"
        rf"\b(?:(?P<name>{_NAME}){_IS}(?: now)?|(?P<value>[\w-]+) (?:became|has become)) "
        rf"{_MY} {_THING}(?: {_NOW})?{_STOP}",
        # "new physio, Manaaki", "my new boss is Priya"
        rf"\b(?i:new) (?P<thing>{_WORD}(?: {_WORD})??)(?:,|:| is| called|) (?P<name>{_NAME})(?=[,.;:!?)]|$| [a-z])",
        # "the cluster is seven nodes now", "choir's on Thursdays now"
        rf"\b(?:{_MY} |(?i:the) )?{_THING}{_IS} {_IN}{_VALUE} {_NOW}{_STOP}",
        rf"\b(?i:now that) (?:{_MY} |the )?{_THING}{_IS} {_IN}{_VALUE}{_STOP}",
        rf"\b(?i:the (?:name|title) of) {_MY} {_THING} is (?P<name>{_NAME})",
        rf"\b{_MY} {_THING}(?: (?:for|of|at|in) [\w ]{{2,30}}?)?(?:,? which)? is (?:now )?called (?P<name>{_NAME})",
        # "my teacher is Petra", "my five grandchildren"
        rf"\b{_MY} (?P<thing>{_PERSON}){_IS} (?:now )?(?:called )?(?P<name>{_NAME}){_STOP}",
        rf"\b{_MY} (?P<value>{'|'.join(sorted(NUMBERS))}|\d+) (?P<thing>[a-z]{{3,}}s|children|grandchildren)\b",
    )
]
_IN_QUESTIONS = (_FORMS[0], _FORMS[1], _FORMS[3], _FORMS[5])  # what stands beside a question's own subject
# "my new boss priya seems strict": only of people, where names have no capitals.
_CASUAL = re.compile(
    rf"\b(?i:my new) (?P<thing>{'|'.join(sorted(RELATIONS))}) (?P<name>[a-z]{{3,}})(?=[,.;:!?)]|$| [a-z])"
)
# "She's my manager now", "That's my ute": of whom, says what stands before.
_SHE_IS = re.compile(
    rf"(?:^|[;,.–—-] )\W*(?i:he|she|it|that|this)(?:['’]s| is)(?: now)? {_MY} {_THING}(?: {_NOW})?{_STOP}"
)
# "Tyres for the ute. It's a Ranger these days."
_IT_IS = re.compile(rf"^\W*(?i:it)(?:['’]s| is)(?: now)? (?:an? |the )?(?P<name>{_NAME}) {_NOW}{_STOP}")
_MINE = re.compile(rf"\b(?:{_MY}|(?i:the)) (?P<thing>{_WORD})\b")
_ANY_NAME = re.compile(rf"(?<![\w’'-]){_NAME}")
_SURE = re.compile(r"^(?:now that )?(?:my|our)\b|\b(?:became|become)\b", re.IGNORECASE)
_EXACT = re.compile(rf"[A-Z\d]|\b(?i:{'|'.join(sorted(DAYS | MONTHS | NUMBERS))})\b")
_SAYS_NEW = re.compile(rf"\b(?:{_NOW}|(?i:new|became|become))\b")
_NO_NAME = frozenset(
    """i i'm i've i'd i'll the a an and but so if when what which who how why where this that these those it he she they
    we you my our your yes no ok okay well also next then now quick one new thanks""".split()
)
NO_THING = frozenset(
    """question problem issue answer favourite favorite fault turn point guess idea plan bad mistake goal first second
    last next only whole dear love god word way moment end rest time life day thing things""".split()
)


@dataclass(frozen=True, slots=True)
class _Role:
    thing: str
    value: str
    text: str
    new: bool


def roles(said: Sequence[Sentence]) -> list[Claim]:
    """What the sentences of one message say that somebody or something is to the user."""
    found: dict[tuple[str, str], Claim] = {}
    for number, sentence in enumerate(said):
        if guards.joke(sentence) or guards.opens_hypothesis(sentence.plain) or BLANK in sentence.plain:
            continue
        before = said[number - 1].plain if number and BLANK not in said[number - 1].plain else ""
        for role in _in(sentence.plain, before, sentence.asked):
            if (slot := _slot(role)) and not guards.SECRET.search(role.text):
                found.setdefault(
                    (slot, role.value.lower()),
                    Claim(
                        MemoryType.FACT, clean(role.text), (sentence.position,), confidence=0.75, slot=slot,
                        value=role.value.lower(), changed=role.new,
                    ),
                )  # fmt: skip
    return list(found.values())


def _in(text: str, before: str, asked: bool) -> Iterator[_Role]:
    for form in _FORMS:
        if asked and form not in _IN_QUESTIONS:
            continue  # "which breed is my dog?"
        for match in form.finditer(text):
            groups = match.groupdict()
            value = groups.get("name") or groups.get("value") or ""
            sure = groups.get("name") or _SURE.search(match.group()) or _EXACT.search(value)
            if not sure:
                continue  # "the weather is bad now"
            yield _Role(match["thing"], value, match.group(), bool(_SAYS_NEW.search(match.group())))
    for match in _CASUAL.finditer(text):
        if match["name"] not in NOT_A_NAME:
            yield _Role(match["thing"], match["name"], match.group(), True)
    for match in () if asked else _SHE_IS.finditer(text):
        names = _names(text[: match.start()]) or _names(before)
        if names:
            yield _Role(match["thing"], names[-1], f"{names[-1]}: {match.group().strip(' ;,.–—-')}",
                        bool(_SAYS_NEW.search(match.group())))  # fmt: skip
    if (match := _IT_IS.search(text)) and (things := _MINE.findall(before)):
        yield _Role(things[-1], match["name"], f"{things[-1]}: {match.group().strip()}", True)


def _names(text: str) -> list[str]:
    names = (match.removesuffix("'s").removesuffix("’s") for match in _ANY_NAME.findall(text))
    return [name for name in names if tokens(name) and tokens(name)[0] not in _NO_NAME | DAYS | MONTHS]


def _slot(role: _Role) -> str:
    """What the role is a value of; "" for what is none."""
    head = singular(role.thing.split()[-1])
    first = (tokens(role.value) or [""])[0]
    if head in NO_THING | CHAT_NOUNS | ADVERBS or first in _NO_NAME | ADVERBS or head in DAYS:
        return ""
    if {word.lower() for word in tokens(role.value)} & (DAYS | MONTHS):
        return f"{head}.when"
    if first in NUMBERS or first.isdigit():
        return f"{head}.count"
    return f"{head}.name" if head in RELATIONS else head
