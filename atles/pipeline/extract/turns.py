"""What ends and what begins, said side by side: "Crete is off, so it's Wales now", "Yoga? Mondays now". Pure."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from atles.pipeline.extract import guards
from atles.pipeline.extract.endings import ending
from atles.pipeline.extract.lexicon import DEICTIC, HAVE_NOT
from atles.pipeline.extract.reading import BLANK, Clause, Sentence
from atles.pipeline.extract.verdict import NOTHING, Verdict
from atles.pipeline.extract.wording import clean
from atles.pipeline.extract.words import CHAT_NOUNS, KIN, OTHERS, PETS, tokens
from atles.records import Claim, MemoryType

_NOW = frozenset("now instead nowadays mondays tuesdays wednesdays thursdays fridays saturdays sundays".split())
_FIRST = frozenset("i we it there now from since our my got bought started moved switched so".split())


_PARTED = re.compile(
    r"^(?:[a-z]+ and (?:i|me)|we) (?:are (?:done|over|finished|through)|(?:have )?(?:broke|broken|split) up)\b(?! with)"
)


def over(clause: Clause) -> Verdict:
    """A clause that says no more than that something is over; it counts only where that something is remembered."""
    what = ending(clause.plain.replace("’", "'"))
    words = set((what or "").lower().split())
    if what == "" and _PARTED.search(" ".join(clause.words)) and not guards.hypothetical(clause):
        return Verdict(True, kind="over", sure=0.55)
    if not words or words & (HAVE_NOT | CHAT_NOUNS | DEICTIC) or BLANK in clause.plain or guards.hypothetical(clause):
        return NOTHING
    return Verdict(True, kind="over", sure=0.55)


def takes_the_place(
    claim: Claim, found: Sequence[Claim], clauses: Sequence[Clause], at: int, facts: Collection[int]
) -> Claim:
    """The claim of a clause, marked as new where the clause before it in the sentence says what is over."""
    if claim.ended or clauses[at].words[0] not in _FIRST:
        return claim
    if found and found[-1].ended:
        same = says_no_more(found[-1]) and not (KIN | PETS | OTHERS).intersection(clauses[at].words)
        return replace(claim, changed=True, replaces=claim.replaces or found[-1].replaces) if same else claim
    if at and at - 1 not in facts:
        before = clauses[at - 1]
        what = ending(before.plain.replace("’", "'"))
        if (
            what is not None
            and not guards.asks(before)
            and not guards.hypothetical(before)
            and guards.reported(before) < 0
        ):
            return replace(claim, changed=True, replaces=claim.replaces or what)
    return claim


def fronted(sentence: Sentence, before: Sentence | None) -> Claim | None:
    """ "Yoga? Mondays now": a thing named as if asked for, and what is new of it."""
    if (
        before is None
        or not before.asked
        or len(before.words) > 3
        or sentence.asked
        or BLANK in before.plain + sentence.plain
    ):
        return None
    first = sentence.plain.split(",")[0]
    said = tokens(first)
    if (
        len(said) > 6
        or said[:1] in (["why"], ["what"], ["how"], ["who"], ["is"], ["are"], ["or"])
        or not _NOW.intersection(said)
        or re.match(r"(?i)\W*(?:what|why|how|who|really|and|so)\b", before.plain)
    ):
        return None
    return Claim(
        MemoryType.FACT,
        f"{clean(before.text)}: {clean(sentence.text[: len(first)])}",
        (sentence.position,),
        confidence=0.65,
        changed=True,
    )


def says_no_more(claim: Claim) -> bool:
    """Whether a claim that something is over says little else: what came in its place then says it all."""
    return len(claim.text.split()) <= 8


def spoken_of(sentence: Sentence) -> str:
    """The part of a long sentence that names whom the next one goes on about: the last clause with a relative in it."""
    if len(sentence.words) <= 12:
        return sentence.text
    return next(
        (
            clause.text
            for clause in reversed(sentence.clauses())
            if (KIN | PETS).intersection(map(_bare, clause.words)) and len(clause.words) > 2
        ),
        sentence.text,
    )


def _bare(word: str) -> str:
    """ "mum's", "mums" -> "mum"."""
    word = word.removesuffix("'s")
    return word if word in KIN | PETS else word.removesuffix("s")
