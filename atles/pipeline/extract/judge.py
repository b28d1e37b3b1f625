"""Whether one clause states something lasting about the user or their world. Knows words, never a session.

The verdict goes by grammar, not by subject matter: in English a simple present with "I" is a habit ("I fix lifts"),
unless the verb is one of talking ("I think"); "my" with a noun that is not of the conversation itself is the user's
world; of the past, what changes a life counts, and what has a date or a span.
"""

from atles.pipeline.extract.being import am, was, will
from atles.pipeline.extract.doing import can, goal, simple
from atles.pipeline.extract.forms import (
    DONE_TO_ME,
    HOUSEHOLD,
    IS_ONE,
    ME,
    PUSHED,
    SCHEDULE,
    SELF_MADE,
    WHO_IS,
    dropped,
    stated,
)
from atles.pipeline.extract.fragments import fragment
from atles.pipeline.extract.gains import gain
from atles.pipeline.extract.having import have
from atles.pipeline.extract.lexicon import DATE, DEICTIC, INVERTED, OPENERS, OWNED, TODAY, YOU
from atles.pipeline.extract.verdict import NOTHING, Verdict, no
from atles.pipeline.extract.words import ADVERBS, BARE_KIN, HABIT, KIN, OTHERS, PETS, one_of
from atles.pipeline.extract.world import possessive


def judge(words: tuple[str, ...], plain: str) -> Verdict:
    """The verdict on a clause that no guard refused."""
    size = len(words)
    if size < 2:
        return NOTHING
    start = 0
    while start < size - 1 and (words[start] in ADVERBS or words[start] in OPENERS):
        start += 1
    best = NOTHING
    came = gain(words[start:], plain)
    if came.kind == "of what":
        return came
    for at in range(start, size):
        word = words[at]
        month = at > 1 and words[at - 2 : at] == ("in", "may")
        if word in ("i", "we") and at > start and words[at - 1] in INVERTED and not month:
            continue
        if word in ("i", "we"):
            verdict = _first_person(words[at + 1 :], plain, word)
        elif word in ("my", "our"):
            verdict = possessive(words[at + 1 :], plain, at == start or words[at - 1] in ("of", "all", "both", "most"))
        elif (
            word == "the"
            and at == start
            and (KIN | PETS | OWNED).intersection(name.removesuffix("'s") for name in words[at + 1 : at + 3])
        ):
            verdict = possessive(words[at + 1 :], plain, True)
            if OWNED.intersection(words[at + 1 : at + 3]) and not IS_ONE.search(" ".join(words[at:])):
                verdict = NOTHING
        elif word.removesuffix("'s") in BARE_KIN and at == start:
            verdict = possessive(words[at:], plain, True)
        else:
            continue
        if verdict.fact:
            return verdict
        if verdict.reason:
            best = verdict
    if came.fact:
        return came
    if ME.search(plain) and not DEICTIC.intersection(words[start : start + 1]) and not YOU.intersection(words):
        subject = words[start]
        if subject not in one_of("i we let please can could this that it he she they who give make"):
            passing = TODAY.search(plain) and not DATE.search(plain)
            others = OTHERS.intersection(words[start : start + 3])
            if not passing and not others and words[start + 1 : start + 2] not in (("me",), ("us",), ("my",)):
                return Verdict(True, kind="me", sure=0.75)
    if PUSHED.search(plain) and not YOU.intersection(words):
        return Verdict(True, kind="schedule", sure=0.8)
    if DONE_TO_ME.search(plain) or HOUSEHOLD.search(" ".join(words)):
        return Verdict(True, kind="event", sure=0.75)
    if WHO_IS.search(plain) and not YOU.intersection(words):
        return Verdict(True, kind="relation", sure=0.8)
    if SELF_MADE.search(plain):
        return Verdict(True, kind="have", sure=0.7)
    if not best.fact and SCHEDULE.match(" ".join(words[start:])) and not YOU.intersection(words):
        if OTHERS.intersection(words[start : start + 3]):
            return no("somebody else")
        return Verdict(True, kind="schedule", sure=0.8)
    without_i = dropped(words[start:], plain)
    if without_i.fact or best.reason:
        return without_i if without_i.fact else best
    for reading in (fragment, stated):
        verdict = reading(words[start:], plain)
        if verdict.fact or verdict.reason:
            return verdict
    return without_i


def _first_person(rest: tuple[str, ...], plain: str, who: str) -> Verdict:
    at = 0
    habit = False
    while at < len(rest) and rest[at] in ADVERBS:
        habit |= rest[at] in HABIT
        at += 1
    if at >= len(rest):
        return NOTHING
    verb, after = rest[at], rest[at + 1 :]
    habit = habit or bool(HABIT.intersection(after))
    if verb in ("and", "or") or verb in ("who", "myself", "all"):
        return NOTHING
    if verb in ("am", "are"):
        return am(after, plain, habit)
    if verb in ("was", "were"):
        return was(after, plain)
    if verb in ("have", "had", "has", "got"):
        return have(after, plain, habit, verb)
    if verb == "do" and after[:1] == ("not",):
        return simple(after[1:], plain, habit=habit, negated=True)
    if verb == "did" and after[:1] == ("not",):
        return NOTHING
    if verb == "can":
        return can(after, plain)
    if verb in ("will", "shall"):
        return will(after, plain)
    if verb == "used" and after[:1] == ("to",):
        return Verdict(True, kind="history")
    if verb in one_of("want hope plan aim intend") or (
        verb == "would" and after[:2] in (("like", "to"), ("love", "to"))
    ):
        return goal(after, plain)
    if verb == "need" and after[:1] not in (("to",), ("a",), ("help",)) and habit:
        return Verdict(True, kind="habit", sure=0.7)
    if verb == "must" and one_of("remember forget say admit confess ask").intersection(after[:3]):
        return NOTHING
    if (verb == "must" and after[:1] == ("not",)) or (verb == "must" and habit):
        return Verdict(True, kind="habit", sure=0.7) if not YOU.intersection(after) else NOTHING
    if verb in one_of("would could should might may must"):
        return no("hypothetical") if verb == "would" else NOTHING
    return simple((verb, *after), plain, habit=habit, negated=False)
