"""What a new claim does to what is remembered: pure, from a claim and the memories that share words with it.

A memory is never overwritten. What holds no more gets an end and stays as history; what is said again is counted; and
a claim that is older than what took its place becomes history at once, so the order in which sessions arrive does
not matter. As in bi-temporal stores (Snodgrass, Developing Time-Oriented Database Applications in SQL, 1999), when
something was true is told apart from when it was learned.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from atles.pipeline.aspects import aspects
from atles.records import Claim, Memory, MemoryType

_MOST_WORDS = 80  # of a memory; a procedure may have more
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# Words that say nothing of what a statement is about; that two statements share them means nothing.
_EMPTY = frozenset(
    """a about actually after again all also always am an and another any anymore are as at back be been being but by
    can could current currently day days did do does doing done each else ever every few first for from get gets getting
    go goes going gone got had has have having he her here hers him his how i if in instead into is it its just keep
    last
    like little longer lot make many maybe me mine month months more most much my myself near never new next no not
    now of
    off often old on once one only or other our ours out over own please quite rather really right same she since so
    some
    something soon still such take than thank thanks that the their them then there these they thing things this those
    time times to today together tomorrow too took two up us use used usually very was we week weeks well went were
    what when where which while who whole whose why will with without would year years yes yesterday yet you your
    s t m re ve d ll don didn doesn isn wasn won because although though unless until till whether however anyway also
    say says said tell tells told know knows knew think thinks thought want wants wanted need needs mean means like
    liked
    love loved good great nice bad best better big small lovely sure really let lets look looks see seen come comes came
    keeps kept put call called calls people everyone everybody someone somebody nobody guy guys lol haha ok okay yeah
    probably maybe almost always ago away around between both down during enough even far half here's there's that's
    it's
    i'm i've i'll i'd you're we're we've they're he's she's don't doesn't didn't can't won't isn't wasn't aren't im ive
    id ill dont doesnt cant its thats hes shes were n bc w u ur r b4 rn btw tho cos cuz gonna wanna gotta""".split()
)
_CHANGE = frozenset(
    """move moved moving switch switched switching change changed changing start started starting quit leave left
    leaving
    sold sell selling stop stopped stopping give gave given become became turn turned replace replaced end ended
    cancel cancelled canceled finish finished break broke broken lose lost drop dropped longer instead trade traded swap
    swapped finally dead died""".split()
)
_DAYS = (
    "mon(?:day)? tue(?:s(?:day)?)? wed(?:nesday)? thu(?:r(?:s(?:day)?)?)? fri(?:day)? sat(?:urday)? sun(?:day)?".split()
)
_DAY = re.compile(r"\b(" + "|".join(_DAYS) + r")s?\b", re.IGNORECASE)
_MONTH = re.compile(
    r"\b(january|february|march|april|june|july|august|september|october|november|december)\b", re.IGNORECASE
)
_CLOCK = re.compile(
    r"\b(\d{1,2}(?:[:.]\d\d)?\s?(?:am|pm)|\d{1,2}[:.]\d\d|(?:half|quarter) (?:past|to) \w+)\b", re.IGNORECASE
)
_PRICE = re.compile(
    r"\b\d+[.,]\d\d\b|[€$£]\s?\d+|\b\d+(?=\s?(?:€|euros?|eur\b|dollars?|bucks|quid|pounds?|a day|an hour))"
)
_RELATIVE = re.compile(
    r"\b(?:wife|husband|partner|girlfriend|boyfriend|mother|mum|mom|father|dad|sister|brother|son|daughter|kids?|children|"
    r"twins?|grand(?:ma|pa|mother|father|son|daughter)|uncle|aunt|cousin|niece|nephew|flatmate|roommate|friend|boss|"
    r"neighbou?r|colleague)\b"
)
_NEW = re.compile(
    r"\b(?:now|nowadays|these days|instead|no longer|any ?more|from now on|since|switched|changed|"
    r"moved|pushed|postponed|"
    r"rescheduled|swapped|replaced|upgraded|became|(?:gave|given) up|went (?:up|down)|raised|new|"
    r"just (?:got|started|signed)|"
    r"finally|traded|quit|left|turned into)\b",
    re.IGNORECASE,
)
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()
_COUNT = re.compile(rf"\b(\d+|{'|'.join(_NUMBERS)})\s+(?:[a-z]+\s+)?([a-z]{{3,}})", re.IGNORECASE)
_NUMBERED = re.compile(
    r"\b(ward|room|line|class|grade|unit|group|building|floor|flat|chapter|level|shift|year)\s+(\d+)", re.IGNORECASE
)
# One person may have several of these, so another value says nothing against the first.
_MANY = re.compile(r"(?:\.name|^allergy\..*|^pet|^hobby|^language|^instrument|^child|^name)$")
_WORLD = (MemoryType.FACT, MemoryType.CORRECTION)  # both say how things are


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a claim: `refuse` it, `confirm` the memory that says it already, or `add` it.

    `ends` are the memories that hold no more, with how; `until` and `by` say when an added one ended already, and
    through which later memory.
    """

    action: str
    memory: Memory | None = None
    ends: tuple[tuple[Memory, str], ...] = ()
    until: str | None = None
    by: str = ""
    reason: str = ""


def folded(text: str) -> str:
    """One spelling for the same words."""
    return " ".join(_WORD.findall(text.casefold()))


def content(text: str) -> frozenset[str]:
    """What a statement is about: its words without the empty ones, cut so that "Thursdays" meets "Thursday"."""
    return frozenset(_stem(word) for word in _WORD.findall(text.lower()) if word not in _EMPTY and _said(word))


def reconcile(claim: Claim, at: str, known: Sequence[Memory]) -> Decision:
    """Compare a claim that was made at `at` (UTC) with the memories that share its slot or some of its words."""
    about = content(claim.text)
    if not about and not claim.value:
        return Decision("refuse", reason="says nothing")
    if claim.type is not MemoryType.PROCEDURE and len(claim.text.split()) > _MOST_WORDS:
        return Decision("refuse", reason="too long")
    family = [memory for memory in known if kin(memory.type, claim.type)]
    words = folded(claim.text)
    for memory in family:
        if (memory.valid_to is None or memory.valid_to > at) and folded(memory.text) == words:
            return Decision("confirm", memory)
    ends: list[tuple[Memory, str]] = []
    later: list[Memory] = []
    for memory in family:
        if memory.valid_to is not None and memory.valid_to <= at:
            continue
        relation = _relation(claim, about, memory)
        if relation == "same":
            return Decision("confirm", memory)
        if not relation:
            continue
        if memory.valid_from > at:
            if relation != "ended":
                later.append(memory)
        else:
            ends.append((memory, relation))  # or it ended earlier than was known
    if later:
        first = min(later, key=lambda memory: memory.valid_from)
        return Decision("add", ends=tuple(ends), until=first.valid_from, by=first.id)
    return Decision("add", ends=tuple(ends))


def _relation(claim: Claim, about: frozenset[str], memory: Memory) -> str:
    """What the claim does to one memory, were it the later of the two: same, replaced, refined, contradicted, ended, or
    nothing."""
    known = content(memory.text)
    shared = about & known
    gone = content(claim.replaces) or frozenset(_stem(word) for word in _WORD.findall(claim.replaces.lower()))
    in_slot = bool(claim.slot) and claim.slot == memory.slot
    if claim.replaces and gone and gone <= known and (in_slot or shared - gone or claim.type is MemoryType.CORRECTION):
        return "replaced"
    if claim.ended:
        objects = about - _CHANGED
        return "ended" if objects and (objects <= known or len(objects & known) >= 2) else ""
    if in_slot:
        if _stems(claim.value) == _stems(memory.value) or (
            _stems(claim.value) and _stems(claim.value) < _stems(memory.value)
        ):
            return "refined" if known < about else "same"
        if _MANY.search(claim.slot):
            return "replaced" if claim.type is MemoryType.CORRECTION and shared else ""
        return "replaced" if claim.changed or claim.type is MemoryType.CORRECTION else "contradicted"
    if len(about) >= 2 and about <= known and not claim.slot:
        return "same"
    changed = is_change(claim)
    if _clash(claim.text, memory.text, shared, about, known, changed):
        return "replaced" if changed else "contradicted"
    if changed and claim.type in _WORLD and _same_person(claim.text, memory.text):
        subject = shared - _CHANGED
        if len(subject) >= 2 and len(subject) >= 0.5 * min(len(about - _CHANGED), len(known - _CHANGED)):
            return "replaced"
        before = aspects(memory.text)
        if any(kind in before and not values & before[kind] for kind, values in aspects(claim.text).items()):
            return "replaced"
    if len(known) >= 2 and known < about and memory.type is claim.type:
        return "refined"
    return ""


def _clash(
    new: str, old: str, shared: frozenset[str], about: frozenset[str], known: frozenset[str], changed: bool
) -> bool:
    """Whether two statements on one thing give it another day, month, hour, price or number."""
    counts, before = _counts(new), _counts(old)
    if any(thing in before and before[thing] != number for thing, number in counts.items()):
        return True
    for kind in (_DAY, _MONTH, _CLOCK, _PRICE):
        here, there = _found(kind, new), _found(kind, old)
        if here and there and not here & there:
            rest = shared - here - there - _CHANGED
            few = min(len(about - here), len(known - there)) <= 3
            return len(rest) >= 2 or (bool(rest) and (few or changed))
    return False


def is_change(claim: Claim) -> bool:
    """Whether the words of a claim say that something is new."""
    return claim.changed or claim.type is MemoryType.CORRECTION or _NEW.search(claim.text) is not None


def _same_person(one: str, other: str) -> bool:
    """Whether two statements can be about the same person: both of the user, or both of one and the same relative."""
    first, second = (frozenset(_RELATIVE.findall(text.lower())) for text in (one, other))
    return bool(first & second) or not first or not second or first == second


def _found(kind: re.Pattern[str], text: str) -> set[str]:
    return {match.lower()[:3] if kind is _DAY else match.lower().replace(" ", "") for match in kind.findall(text)}


def _counts(text: str) -> dict[str, str]:
    return {thing.lower(): number for thing, number in _NUMBERED.findall(text)} | {
        _stem(thing.lower()): str(_NUMBERS.index(n.lower()) + 1) if n.lower() in _NUMBERS else n
        for n, thing in _COUNT.findall(text)
        if thing.lower() not in _EMPTY and _stem(thing.lower()) not in _UNITS
    }


def kin(one: MemoryType, other: MemoryType) -> bool:
    """Whether memories of these types can say the same thing."""
    return one is other or (one in _WORLD and other in _WORLD)


def _said(word: str) -> bool:
    return len(word) > 1 or word.isdigit()


def _stems(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in _WORD.findall(text.lower()))


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


_UNITS = frozenset(
    _stem(word) for word in "minutes hours days weeks months years am pm percent times euros pounds dollars".split()
)
_CHANGED = frozenset(_stem(word) for word in _CHANGE)
