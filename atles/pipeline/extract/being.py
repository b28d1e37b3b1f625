"""What people say that they are, were and will be: "I am a nurse", "I'm on ward 6", "I'll be in Rome in May"."""

import re

from atles.pipeline.extract.lexicon import (
    DATE,
    DEICTIC,
    DOINGS,
    GROUPS,
    OFF_TO,
    PASSING,
    PROGRESSIVE,
    SPAN,
    STATES,
    TODAY,
    YOU,
)
from atles.pipeline.extract.verdict import NOTHING, Verdict, no
from atles.pipeline.extract.words import ADVERBS, CHAT_NOUNS, HABIT, KIN, NUMBERS, one_of


def am(after: tuple[str, ...], plain: str, habit: bool) -> Verdict:
    at = 0
    while at < len(after) and after[at] in ADVERBS | {"not", "n't", "no", "longer"}:
        at += 1
    if at >= len(after):
        return NOTHING
    word, rest = after[at], after[at + 1 :]
    if YOU.intersection(rest[:4]):
        return NOTHING
    if word in STATES or word.endswith(("-handed", "-sighted", "-intolerant", "-free")):
        if word in one_of("called named born into responsible originally") and not rest:
            return NOTHING
        if word in ("afraid", "scared", "terrified", "frightened") and rest[:1] != ("of",):
            return no("ephemeral")
        if word == "single" or word in ("blind", "dead"):
            return NOTHING if rest and rest[0] not in ("and", "again", "now") else Verdict(True, kind="state")
        return Verdict(True, kind="state", sure=0.95)
    if (
        word in NUMBERS
        or word.isdigit()
        or re.match(r"^\d+(?:st|nd|rd|th)?$|^(?:twenty|thirty|forty|fifty|sixty|seventy)-", word)
    ):
        return (
            Verdict(True, kind="age")
            if not rest
            or rest[0]
            in one_of("foot ft feet cm kg kilos stone pounds lbs years year yrs yo now and in next this weeks months")
            or "year" in rest[:2]
            else NOTHING
        )
    if word in one_of("first second third fourth final 2nd 3rd 1st") and "year" in rest[:1]:
        return Verdict(True, kind="state")
    if word in ("left", "right") and rest[:1] == ("handed",):
        return Verdict(True, kind="state", sure=0.95)
    if word in ("a", "an", "the"):
        head = set(rest[:2] if word == "the" else rest[:4])
        if (
            head
            & one_of(
                "bit little fan lot mess wreck zombie idiot moron genius disaster tad toddler beginner_ failure fool "
                "dead one"
            )
            and not head & {"big"}
            and "fan" not in head
        ):
            return no("ephemeral")
        return Verdict(True, kind="role") if rest else NOTHING
    if (word == "off" and rest[:1] in (("the",), ("my",)) and "now" in rest) or (
        word == "out" and rest[:1] == ("of",) and "into" in rest
    ):
        return Verdict(True, kind="state", sure=0.65)
    if (word == "off" and rest and rest[0] not in OFF_TO) or (
        word == "back" and rest[:1] == ("on",) and rest[1:2] not in (("track",), ("topic",), ("the",), ("my",), ())
    ):
        return Verdict(True, kind="state", sure=0.65) if not TODAY.search(plain) else no("ephemeral")
    if word in one_of("in on at from with of under between by"):
        return _located(word, rest, plain, habit)
    if (word == "going" and rest[:1] == ("to",)) or (word == "about" and rest[:1] == ("to",)):
        return will(rest[1:], plain)
    if word in PROGRESSIVE:
        if word in one_of(
            "seeing going getting working doing writing running starting taking visiting staying planning "
            "finishing buying selling changing switching applying"
        ):
            good = (
                DATE.search(plain)
                or SPAN.search(plain)
                or one_of(
                    "married divorced phd degree masters course novel book thesis marathon as for part-time full-time "
                    "medication pills job puppy kitten dog cat surgery business nights"
                ).intersection(rest)
                or (word == "doing" and _studies(rest))
                or ("my" in rest[:3] and word in one_of("doing writing finishing selling visiting changing"))
            )
            if not good or CHAT_NOUNS.intersection(rest[:3]) or (rest[:1] and rest[0] in DEICTIC):
                return no("ephemeral")
        if TODAY.search(plain) and word not in one_of("moving retiring starting seeing flying quitting"):
            return no("ephemeral")
        return Verdict(True, kind="plan", sure=0.8) if rest else NOTHING
    if word.endswith("ing") or word in PASSING or word in ("still",):
        if (
            word in DOINGS
            and rest
            and ({"now", "instead", "nowadays"}.intersection(rest) or habit)
            and not CHAT_NOUNS.intersection(rest)
            and not DEICTIC.intersection(rest[:1])
            and not TODAY.search(plain)
        ):
            return Verdict(True, kind="habit", sure=0.7)
        return no("ephemeral")
    if word in ("live", "work", "come"):  # "i am live in Lyon"
        return Verdict(True, kind="habit", sure=0.8) if rest else NOTHING
    if (
        word.endswith("ed")
        and rest[:1]
        and rest[0] in one_of("to with in by as at for")
        and word not in one_of("used supposed inclined interested tempted excited pleased embarrassed")
    ):
        return Verdict(True, kind="state", sure=0.7)
    if habit and rest:
        return Verdict(True, kind="state", sure=0.6)
    return NOTHING


def _studies(rest: tuple[str, ...]) -> bool:
    """ "doing marine biology at Cork"."""
    at = rest.index("at") if "at" in rest[1:4] else 0
    where = rest[at + 1 : at + 2]
    return bool(
        at
        and rest[0] not in one_of("the a an my some this it well good fine ok okay great better badly things stuff")
        and where
        and where[0] not in one_of("home work the night noon lunch my a this once least last")
    )


# "at the clinic from monday", "with Harker now": said of where somebody belongs, not of where they stand.
_BY_NOW = re.compile(
    r"\b(?:these days|nowadays)\b|\bwith .*\bnow\b|\b(?:in|at) (?-i:[A-Z])[^,.;]*\bnow\b|\b(?:from|as of|"
    r"starting) (?:next |this )?(?:mon|tues|wednes|"
    r"thurs|fri|satur|sun|january|"
    r"february|march|april|may|june|july|august|september|october|november|december|week|month|autumn|summer|winter|spring)",
    re.IGNORECASE,
)


def _located(word: str, rest: tuple[str, ...], plain: str, habit: bool) -> Verdict:
    if not rest or DEICTIC.intersection(rest[:1]):
        return NOTHING
    near = rest[:6]
    if one_of(
        "bus train way phone hurry bed bath kitchen mood middle car tube plane rush queue page fence couch "
        "sofa fire roll break pain fact trouble doubt luck love_ loss danger screen toilet"
    ).intersection(near[:3]):
        return no("ephemeral")
    if word == "from" and not TODAY.search(plain):
        return Verdict(True, kind="state")
    if rest[0] == "my" and rest[1:2] and rest[1] in one_of("first second third fourth last final"):
        return Verdict(True, kind="state", sure=0.7)
    if GROUPS.intersection(near) and not TODAY.search(plain.replace("from today", "")):
        return Verdict(True, kind="state", sure=0.85)
    if word == "with" and (KIN.intersection(near[:3])) and (habit or SPAN.search(plain)):
        return Verdict(True, kind="state", sure=0.7)
    if habit or SPAN.search(plain) or _BY_NOW.search(plain):
        return (
            Verdict(True, kind="state", sure=0.75)
            if not TODAY.search(plain.replace("from today", ""))
            else no("ephemeral")
        )
    if word in ("in", "at", "on") and re.search(
        r"\b(?:in|at|on) (?:the |a )?[A-Z]\w+|\b(?:in|on) (?:ward|year|grade|line|team) \w+", plain
    ):
        return Verdict(True, kind="state", sure=0.7) if not TODAY.search(plain) else no("ephemeral")
    return no("ephemeral")


def was(after: tuple[str, ...], plain: str) -> Verdict:
    at = 0
    while at < len(after) and after[at] in ADVERBS | {"not"}:
        at += 1
    rest = after[at:]
    if len(rest) < 2:
        return NOTHING
    if rest[0] in one_of(
        "born raised diagnosed adopted married promoted fired hired trained widowed divorced brought named "
        "vegetarian vegan"
    ):
        return Verdict(True, kind="history", sure=0.9)
    if rest[0] in one_of("a an the chief head captain") and not one_of(
        "bit little mess wreck joke lot while"
    ).intersection(rest[:3]):
        return Verdict(True, kind="history", sure=0.75)
    if SPAN.search(plain) and rest[0] in one_of("in at with on an a working living studying"):
        return Verdict(True, kind="history", sure=0.7)
    return no("ephemeral") if len(rest) > 2 else NOTHING


def will(after: tuple[str, ...], plain: str) -> Verdict:
    rest = tuple(word for word in after if word not in ADVERBS)
    if len(rest) < 2 or YOU.intersection(rest) or DEICTIC.intersection(rest[1:2]):
        return NOTHING
    if rest[0] in one_of(
        "try see check ask tell take use let look do have keep send give think need remember read write put add call"
    ) and not DATE.search(plain):
        return NOTHING
    if TODAY.search(plain) and not HABIT.intersection(rest):
        return no("ephemeral")
    if (
        DATE.search(plain)
        or rest[0] in one_of("become retire marry graduate move study quit")
        or ("from" in rest and "on" in rest)
    ):
        return Verdict(True, kind="plan", sure=0.7)
    return NOTHING
