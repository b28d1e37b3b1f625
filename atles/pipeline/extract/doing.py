"""What people say that they do, did, can and want to do: habits, tastes, turns in a life, goals."""

import re

from atles.pipeline.extract.lexicon import BODY, DATE, DEICTIC, GOALS, SPAN, TODAY, TURNS, YOU
from atles.pipeline.extract.verdict import NOTHING, Verdict, no
from atles.pipeline.extract.words import (
    ADVERBS,
    CHAT_NOUNS,
    CHATTY,
    EVENTS,
    HABIT,
    KIN,
    LASTING,
    PAST_IRREGULAR,
    PETS,
    TASTES,
    one_of,
)

_TO_WORK = re.compile(r"\b(?:to|into) (?:the )?(?:work|office|uni|university|school|college|campus)\b", re.IGNORECASE)
_YOU_THINK = re.compile(r"\b(?:you|u)\b", re.IGNORECASE)
_KNOWN_VERB = re.compile(r"^[a-z]{2,}$")


def simple(rest: tuple[str, ...], plain: str, *, habit: bool, negated: bool) -> Verdict:
    """A verb without an auxiliary: habit, taste, or past."""
    skip = 0
    while skip < len(rest) and rest[skip] in ADVERBS:
        habit |= rest[skip] in HABIT
        skip += 1
    if skip >= len(rest):
        return NOTHING
    verb, after = rest[skip], rest[skip + 1 :]
    if YOU.intersection(after[:4]) or verb in DEICTIC or not _KNOWN_VERB.match(verb):
        return NOTHING
    to_this = bool(DEICTIC.intersection(after[:1]))
    if verb in TASTES:
        if not after or to_this or (after[0] in ("how", "when", "what", "to") and not habit and after[:1] != ("to",)):
            return NOTHING
        return (
            no("opinion")
            if _about_text(after) or (after[0] in ("the", "your", "where") and len(after) < 3)
            else Verdict(True, kind="taste")
        )
    if verb in EVENTS and not (negated and verb not in PAST_IRREGULAR):
        return event(verb, after, plain)
    past = (
        verb not in one_of("need feed breed speed bleed weed")
        if verb.endswith("ed")
        else verb in PAST_IRREGULAR and verb not in one_of("read put let cut hit hurt set shut ran")
    )
    if verb == "read" and not habit:
        past = True
    if past:
        if (
            (verb, *after[:1]) in TURNS
            and len(after) > 1
            and not DEICTIC.intersection(after[1:2])
            and not (TODAY.search(plain) and verb == "put")
        ):
            return Verdict(True, kind="event", sure=0.7)
        if SPAN.search(plain) and not TODAY.search(plain):
            return Verdict(True, kind="history", sure=0.8)
        return no("ephemeral") if len(after) > 1 else NOTHING
    if verb.endswith("ing") and verb not in one_of("sing bring ring swing string"):
        return NOTHING
    passing = bool(TODAY.search(plain))
    if (
        verb in one_of("take get go drive ride catch")
        and _TO_WORK.search(plain)
        and not (passing or _YOU_THINK.search(plain))
    ):
        return Verdict(True, kind="habit", sure=0.75)
    if verb == "see" and after[:1] and after[0] in one_of("dr doctor mr mrs ms") and (habit or "now" in after):
        return Verdict(True, kind="habit", sure=0.75)
    if verb in CHATTY:
        if (
            verb in LASTING
            and negated
            and after
            and not passing
            and not one_of("the a any it him her this that them to want anything up down out off well").intersection(
                after[:1]
            )
        ):
            return Verdict(True, kind="habit", sure=0.7)
        if (
            verb in ("keep", "store", "hide")
            and one_of("in under behind at on beside").intersection(after[1:])
            and not {"mind", "eye", "touch", "going"}.intersection(after)
            and not passing
            and not to_this
        ):
            return Verdict(True, kind="place", sure=0.75)
        if (
            verb in LASTING
            and not to_this
            and len(after) > 0
            and not passing
            and re.search(r"\b(?:now|instead|nowadays|these days)\b", plain, re.I)
            and not CHAT_NOUNS.intersection(after[:3])
        ):
            return Verdict(True, kind="habit", sure=0.8)
        if verb in LASTING and (
            habit
            or (
                verb
                not in one_of(
                    "help call leave get do make let come give bring start finish use keep take go buy lift read run "
                    "stand sit spend sell pay watch cook write do call feed"
                )
                and len(after) >= 1
            )
            or DATE.search(plain)
            or SPAN.search(plain)
            or _lasting_object(verb, after)
        ):
            if passing and not habit:
                return no("ephemeral")
            if to_this and not habit:
                return NOTHING
            return Verdict(True, kind="habit", sure=0.75)
        if "my" in after and BODY.intersection(after) and not passing and after[:1] != ("my",):
            return Verdict(True, kind="body", sure=0.8)
        return NOTHING
    if passing and not habit:
        return no("ephemeral")
    if (not after and not negated) or (to_this and not habit):
        return NOTHING
    if _about_text(after):
        return NOTHING
    return Verdict(True, kind="habit", sure=0.85)


def _lasting_object(verb: str, after: tuple[str, ...]) -> bool:
    if not after or after[0].isdigit():
        return False
    if verb == "get":
        return bool(
            one_of(
                "migraines seasick carsick hay hives anxious paid dizzy swollen rash rashes itchy nauseous "
                "nosebleeds cramps headaches heartburn sick airsick sunburnt"
            ).intersection(after[:3])
        )
    if verb in one_of("use keep take run sell make do cook lift read watch write"):
        return not one_of("the this that it more any note notes you your").intersection(after[:2]) and len(after) >= 1
    if verb == "go":
        return bool(after[:1] == ("to",) and HABIT.intersection(after)) or after[:1] == ("by",)
    return verb in ("drink", "eat", "sleep")


def _about_text(after: tuple[str, ...]) -> bool:
    return bool(
        one_of("version draft tone title wording idea line sentence paragraph answer option suggestion ending "
    "opening explanation last second sound way one advice point").intersection(after[:4])
    )  # fmt: skip


def event(verb: str, after: tuple[str, ...], plain: str) -> Verdict:
    if verb == "named" and after:
        return Verdict(True, kind="event", sure=0.8)
    if not after:
        return (
            Verdict(True, kind="event", sure=0.7) if verb in one_of("retired married divorced quit moved") else NOTHING
        )
    first = after[0]
    if YOU.intersection(after[:4]) or (first in DEICTIC and not SPAN.search(plain)):
        return NOTHING
    if verb in one_of(
        "got had met lost left broke finished completed passed failed decided gave stopped opened closed "
        "turned learned learnt found dropped wrote spent built changed became replaced registered ended "
        "earned taught planted tore booked cancelled canceled applied won studied grew bought sold"
    ):
        rest = set(after)
        if verb in ("got", "had"):
            good = one_of(
                "married engaged divorced promoted fired hired diagnosed job dog cat puppy kitten car bike baby "
                "surgery operation visa degree new accepted tattoo house flat apartment contract"
            )
            good |= one_of("transferred accepted assigned elected demoted pregnant selected picked moved")
            if first == "into" and len(after) > 1 and after[1] not in one_of("a the trouble bed it this my that an"):
                return Verdict(True, kind="event", sure=0.7)
            if not (good & rest or KIN & rest or PETS & rest or SPAN.search(plain) or DATE.search(plain)):
                return NOTHING
        if verb in one_of(
            "left lost found changed turned wrote finished opened closed stopped dropped decided booked learned "
            "spent cancelled applied ended"
        ):
            good = one_of("my our job the majors jobs careers schools doctors banks names teams subjects on") & set(
                after[:2]
            )
            good = (
                good
                or (verb == "changed" and first.endswith("s"))
                or (
                    verb == "decided"
                    and len(after) > 1
                    and first == "to"
                    and after[1] in one_of("stop quit retire move sell leave start become study give go marry adopt")
                )
            )
            good = (
                good
                or (verb == "dropped" and first not in one_of("out by off it in") and len(after) > 0)
                or SPAN.search(plain)
                or DATE.search(plain)
                or first.endswith("ing")
                or KIN & rest
            )
            if not good or CHAT_NOUNS.intersection(after[:3]):
                return no("ephemeral")
    if TODAY.search(plain) and verb not in one_of(
        "moved quit started sold bought adopted married retired signed resigned switched"
    ):
        return no("ephemeral")
    if verb in ("started", "began", "stopped") and after[:1] in (("to",), ("reading",), ("typing",), ("thinking",)):
        return NOTHING
    return Verdict(True, kind="event", sure=0.85)


def can(after: tuple[str, ...], plain: str) -> Verdict:
    negated = after[:1] == ("not",)
    rest = tuple(word for word in after if word not in ADVERBS and word != "not")
    if len(rest) < 2 and not (negated and rest and rest[0] in one_of("swim drive cook sing cycle whistle dance")):
        return NOTHING
    if YOU.intersection(rest) or DEICTIC.intersection(rest[1:2]):
        return NOTHING
    verb = rest[0]
    if negated and (
        verb
        in one_of(
            "eat drink have hear swim drive stand tolerate digest smell sing cook ride climb lift bend run wear "
            "sleep work"
        )
        or HABIT.intersection(rest)
    ):
        return (
            Verdict(True, kind="state", sure=0.85)
            if not TODAY.search(plain) and "this" not in rest
            else no("ephemeral")
        )
    if (
        verb in one_of("speak play swim drive sing only juggle knit ski cook ride")
        or HABIT.intersection(rest)
        or "only" in after[:2]
    ):
        return Verdict(True, kind="skill", sure=0.75) if not TODAY.search(plain) else no("ephemeral")
    return NOTHING


def goal(after: tuple[str, ...], plain: str) -> Verdict:
    rest = list(after)
    while rest and rest[0] in ("like", "love", "to", "on"):
        rest.pop(0)
    if (
        len(rest) < 2
        or YOU.intersection(rest)
        or CHAT_NOUNS.intersection(rest[:5])
        or DEICTIC.intersection(rest[1:2])
        or TODAY.search(plain)
    ):
        return NOTHING
    if "to" not in after[:2]:
        return NOTHING
    if rest[0] in one_of("be become end learn move open retire study quit adopt lose work live travel") or (
        rest[0] in GOALS and DATE.search(plain)
    ):
        if rest[0] == "be" and rest[1] in one_of("sure able clear honest reminded careful fair polite told"):
            return NOTHING
        return Verdict(True, kind="goal", sure=0.75)
    return NOTHING
