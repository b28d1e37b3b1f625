"""What a new claim does to what is remembered: pure, from a claim and the memories that share words with it.

A memory is never overwritten. What holds no more gets an end and stays as history; what is said again is counted; and
a claim that is older than what took its place becomes history at once, so the order in which sessions arrive does
not matter, unless more memories are alike than a claim is compared with. As in bi-temporal stores (Snodgrass,
Developing Time-Oriented Database Applications in SQL, 1999), when something was true is told apart from when it was
learned.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from atles.pipeline.aspects import aspects
from atles.pipeline.compare import (
    CHANGED,
    clash,
    content,
    folded,
    is_named,
    is_time,
    of_somebody,
    of_the_same,
    places,
    same_frame,
    same_person,
    same_thing,
    stem,
    stems,
    words,
)
from atles.records import Claim, Memory, MemoryType

_SHAKY = 0.6  # what a claim that is less sure says is over counts only where it was remembered
_MOST_WORDS = 80  # of a memory; a procedure may have more
_NEW = re.compile(
    r"\b(?:now|nowadays|these days|at present|by now|instead|no longer|any ?more|from now on|since|switched|changed|"
    r"moved|pushed|postponed|"
    r"rescheduled|swapped|replaced|upgraded|upped|bought|became|(?:gave|given) up|went (?:up|down)|raised|new|"
    r"just (?:got|started|signed)|"
    r"finally|traded|quit|left|turned into)\b",
    re.IGNORECASE,
)
_PARTED = re.compile(r"\bwe(?:'re|\ are|re)? (?:are )?(?:done|over|finished|through|broke up|split)\b", re.IGNORECASE)
# "I left work": half of what is remembered speaks of work.
_TOO_WIDE = frozenset("work home place day thing it".split())
_BESIDE = frozenset(("flock",))  # hens and pullets are names of the same birds: their number may differ, no more
_MORE = re.compile(r"\b(?:too|also|as well|another|second|besides|on top|in addition)\b", re.IGNORECASE)
# One person may have several of these, so another value says nothing against the first.
_MANY = re.compile(r"(?:\.name|^allergy\..*|^pet|^hobby|^language|^instrument|^child|^name)$")
# Of these, people have one at a time: another name is another person in the same place.
_ONE = frozenset(
    """boss manager supervisor doctor gp dentist physio therapist landlord landlady husband wife partner fiance fiancee
    fiancé fiancée girlfriend boyfriend gf bf teacher coach tutor trainer mentor editor publisher accountant lawyer
    hairdresser""".split()
)
_LOVED = tuple(
    f"{who}.name" for who in "husband wife fiance fiancee fiancé fiancée partner girlfriend boyfriend".split()
)
_BY_NOW = re.compile(r"\b(?:now|nowadays|these days|at present)\b", re.IGNORECASE)
_TO_WORK = re.compile(r"\bi\b.* to (?:work|school|uni|university|college|the office)\b", re.IGNORECASE)
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


def reconcile(claim: Claim, at: str, known: Sequence[Memory]) -> Decision:
    """Compare a claim that was made at `at` (UTC) with the memories that share its slot or some of its words."""
    about = content(claim.text)
    if not about and not claim.value and not sides(claim):
        return Decision("refuse", reason="says nothing")
    if claim.type is not MemoryType.PROCEDURE and len(claim.text.split()) > _MOST_WORDS:
        return Decision("refuse", reason="too long")
    family = [memory for memory in known if kin(memory.type, claim.type)]
    said = folded(claim.text)
    for memory in family:
        if (memory.valid_to is None or memory.valid_to > at) and folded(memory.text) == said:
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
    if claim.ended and claim.confidence < _SHAKY and not ends:
        return Decision("refuse", reason="ends nothing")
    if later:
        first = min(later, key=lambda memory: memory.valid_from)
        return Decision("add", ends=tuple(ends), until=first.valid_from, by=first.id)
    return Decision("add", ends=tuple(ends))


def _relation(claim: Claim, about: frozenset[str], memory: Memory) -> str:
    """What the claim does to one memory, were it the later of the two: same, replaced, refined, contradicted, ended, or
    nothing."""
    known = content(memory.text)
    shared = about & known
    gone = content(claim.replaces) or frozenset(stem(word) for word in words(claim.replaces))
    in_slot = bool(claim.slot) and claim.slot == memory.slot
    if gone and gone <= known and not gone <= _TOO_WIDE:
        put_right = claim.type is MemoryType.CORRECTION and not is_time(claim.replaces)
        if claim.ended or in_slot or shared - gone or put_right:
            others = (
                claim.ended and not of_the_same(claim.text, memory.text) and not is_named(claim.replaces, memory.text)
            )
            return "" if others else _how(claim)
        if claim.changed and not is_time(claim.replaces) and of_the_same(claim.text, memory.text):
            return "replaced"
    if claim.ended:
        objects = about - CHANGED
        over = objects and not objects <= _TOO_WIDE and (objects <= known or len(objects & known) >= 2)
        return "ended" if over or _ends_a_side(claim, memory) else ""
    if claim.slot in _LOVED and memory.slot in (*_LOVED, "relationship") and claim.slot != memory.slot:
        return "replaced" if memory.slot == "relationship" or claim.value == memory.value else ""
    if in_slot:
        if stems(claim.value) == stems(memory.value) or (
            stems(claim.value) and stems(claim.value) < stems(memory.value)
        ):
            return "refined" if known < about else "same"
        if _MANY.search(claim.slot) and claim.slot.partition(".")[0] not in _ONE:
            put_right = claim.type is MemoryType.CORRECTION and shared
            return "replaced" if put_right or (claim.changed and _BY_NOW.search(claim.text)) else ""
        return "replaced" if claim.changed or claim.type is MemoryType.CORRECTION else "contradicted"
    if len(about) >= 2 and about <= known and not claim.slot:
        return "same"
    changed = is_change(claim)
    same = of_the_same(claim.text, memory.text)
    if same and _TO_WORK.search(claim.text) and _TO_WORK.search(memory.text) and _on_another_side(claim, memory, same):
        return "contradicted"
    if same and clash(claim.text, memory.text, shared, about, known, changed):
        return "replaced" if changed else "contradicted"
    if changed and claim.type in _WORLD and same_person(claim.text, memory.text):
        subject = shared - CHANGED
        if len(subject) >= 2 and len(subject) >= 0.5 * min(len(about - CHANGED), len(known - CHANGED)):
            return "replaced"
        if same_thing(claim.text, memory.text) or same_frame(claim.text, memory.text):
            return "replaced"
        there = places(memory.text)
        if any(kind in there and there[kind] != name for kind, name in places(claim.text).items()):
            return "replaced"
        if _on_another_side(claim, memory, same):
            return "replaced"
    if len(known) >= 2 and known < about and memory.type is claim.type:
        return "refined"
    return ""


def _how(claim: Claim) -> str:
    return "ended" if claim.ended else "replaced"


def _on_another_side(claim: Claim, memory: Memory, same: bool) -> bool:
    """Whether a side of the user's life has another value by now: swimming, where it was lifting."""
    if of_somebody(claim.text) or _MORE.search(claim.text):
        return False
    before = aspects(memory.text)
    for kind, values in aspects(claim.text).items():
        if kind in before and kind not in _BESIDE and not values & before[kind]:
            # Who shares the user's home moves with them: "my flatmate says we live at the Row".
            return same or (kind == "home" and re.search(r"\bwe\b", memory.text) is not None)
    return False


def _ends_a_side(claim: Claim, memory: Memory) -> bool:
    """Whether what the user says is over, without saying what, is who they are with: "we're done", "single again"."""
    return bool(_PARTED.search(claim.text)) and "partner" in aspects(memory.text)


def sides(claim: Claim) -> frozenset[str]:
    """The sides of a life on which a claim can end what shares no word with it."""
    if claim.ended and _PARTED.search(claim.text):
        return frozenset(("partner",))
    return frozenset(aspects(claim.text)) if is_change(claim) else frozenset()


def is_change(claim: Claim) -> bool:
    """Whether the words of a claim say that something is new."""
    return claim.changed or claim.type is MemoryType.CORRECTION or _NEW.search(claim.text) is not None


def kin(one: MemoryType, other: MemoryType) -> bool:
    """Whether memories of these types can say the same thing."""
    return one is other or (one in _WORLD and other in _WORLD)
