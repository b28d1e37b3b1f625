"""What people say that they have, have done and have been."""

from atles.pipeline.extract.doing import event
from atles.pipeline.extract.lexicon import DATE, DEICTIC, HAVE_NOT, HEALTH, SPAN, TODAY, YOU
from atles.pipeline.extract.verdict import NOTHING, Verdict, no
from atles.pipeline.extract.words import ADVERBS, EVENTS, KIN, PAST_IRREGULAR, PETS, one_of


def have(after: tuple[str, ...], plain: str, habit: bool, verb: str) -> Verdict:
    at = 0
    while at < len(after) and (after[at] in ADVERBS or after[at] in ("not", "got")):
        at += 1
    rest = after[at:]
    if not rest:
        return NOTHING
    word = rest[0]
    if verb == "got":
        return event("got", rest, plain)
    if word == "to":
        if (
            (habit or DATE.search(plain))
            and len(rest) > 2
            and not TODAY.search(plain)
            and rest[1] not in ("say", "admit", "write", "send")
        ):
            return Verdict(True, kind="duty", sure=0.7)
        return no("ephemeral") if len(rest) > 3 else NOTHING
    if word == "been":
        tail = rest[1:]
        while tail and tail[0] in ADVERBS:
            tail = tail[1:]
        if not tail:
            return NOTHING
        if {"never", "always"}.intersection(after[:at]) and not DEICTIC.intersection(tail):
            return Verdict(True, kind="history", sure=0.75)
        if (
            SPAN.search(plain)
            or tail[0] in one_of("a an diagnosed vegan vegetarian married divorced promoted prescribed")
            or "since" in tail
        ):
            if tail[0] in one_of("trying looking thinking wondering meaning sitting staring waiting debugging"):
                return no("ephemeral")
            return Verdict(True, kind="history", sure=0.85)
        return no("ephemeral") if tail[0].endswith("ing") else NOTHING
    if (word.endswith("ed") and word not in ("bed", "red", "shed", "breed")) or (
        (
            word in EVENTS
            or word in PAST_IRREGULAR
            or word
            in one_of(
                "taken given broken written driven sung grown become eaten seen done gone come begun spoken worn fallen"
            )
        )
        and word not in ("read", "set", "cut")
    ):
        tail = rest[1:]
        if YOU.intersection(tail):
            return NOTHING
        if (
            word == "gone" and tail[:1] and tail[0] in one_of("back over vegan vegetarian freelance part-time solo")
        ) or (word == "come" and tail[:2] in (("round", "to"), ("around", "to"))):
            return Verdict(True, kind="event", sure=0.8)
        if word in EVENTS or word in one_of("taken given broken become begun grown"):
            if word in ("given", "taken") and not {"up", "over", "on"}.intersection(tail[:2]):
                return no("ephemeral")
            verdict = event(word, tail, plain)
            if verdict.fact:
                return verdict
        if SPAN.search(plain) or (
            {"never", "always", "ever"}.intersection(after[:at]) and len(tail) > 0 and not DEICTIC.intersection(tail)
        ):
            return Verdict(True, kind="history", sure=0.8)
        if word == "put" and len(tail) >= 4:
            return Verdict(True, kind="place", sure=0.7)
        return no("ephemeral")
    skip = [
        w
        for w in rest[:4]
        if w not in one_of("a an the some any quick small few couple of another little one two really silly random")
    ]
    if HEALTH.intersection(rest[:6]):
        return Verdict(True, kind="have", sure=0.85)
    if (
        word in DEICTIC and not (word == "one" and len(rest) > 1 and rest[1] not in ("of", "more"))
    ) or HAVE_NOT.intersection(skip[:2]):
        return no("ephemeral") if not (KIN | PETS).intersection(rest) else NOTHING
    if TODAY.search(plain) or (verb == "had" and not SPAN.search(plain)):
        return no("ephemeral")
    if word == "the" and not habit and not DATE.search(plain) and "my" not in rest:
        return NOTHING
    if YOU.intersection(rest[:4]):
        return NOTHING
    return Verdict(True, kind="have", sure=0.85)
