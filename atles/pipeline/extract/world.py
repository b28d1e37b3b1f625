"""What is said of what is the user's: "my sister lives in Bergen", "our van is red"."""

from atles.pipeline.extract.lexicon import DATE, PASSING, SPAN, TODAY, VISITS, YOU
from atles.pipeline.extract.verdict import NOTHING, Verdict, no
from atles.pipeline.extract.words import (
    ADVERBS,
    CHAT_NOUNS,
    DAYS,
    EVENTS,
    HABIT,
    KIN,
    OTHERS,
    PAST_IRREGULAR,
    PETS,
    one_of,
)


def word_is_named(words: tuple[str, ...]) -> bool:
    """ "is called", "are named": who somebody is, is the user's own knowledge, whoever it is."""
    return words[:1] in (("is",), ("are",)) and words[1:2] in (("called",), ("named",))


def possessive(rest: tuple[str, ...], plain: str, leads: bool) -> Verdict:
    """After "my": what is said of a thing or a person of the user's."""
    if (
        not rest
        or YOU.intersection(rest[1:4])
        or (CHAT_NOUNS.intersection(rest[:2]) and not KIN.intersection(rest[:2]))
    ):
        return NOTHING
    verb = next((at for at, word in enumerate(rest[:8]) if at and _is_verb(word, rest[at + 1 : at + 2])), -1)
    if verb < 0:
        many = next(
            (
                at
                for at, word in enumerate(rest[:4])
                if word in KIN | PETS and (word.endswith("s") or word in ("children", "grandchildren"))
            ),
            -1,
        )
        if many < 0 or many + 2 >= len(rest) or rest[many + 1] in one_of("and who or in at on with for to"):
            return NOTHING
        verb = many + 1
    name = rest[:verb]
    after = rest[verb + 1 :]
    word = rest[verb]
    if CHAT_NOUNS.intersection(name) or {"having", "being"}.intersection(name):
        return NOTHING
    if OTHERS.intersection(name) and word_is_named(rest[verb : verb + 2]):
        return Verdict(True, kind="relation", sure=0.8)
    if OTHERS.intersection(name) and not KIN.intersection(name) and name[-1] not in VISITS:
        return no("somebody else") if "i" not in rest[:3] else NOTHING
    if not leads and not (KIN | PETS).intersection(name):
        return NOTHING
    while after and after[0] in ADVERBS | {"not"}:
        after = after[1:]
    if not after:
        return NOTHING
    word = rest[verb]
    if TODAY.search(plain) and not HABIT.intersection(rest):
        return no("ephemeral")
    if word in one_of(
        "says said thinks told asked asks wants keeps wanted thought called texted sent gave came went "
        "likes_ needs did does made just hates_"
    ) and not HABIT.intersection(after):
        return no("somebody else") if len(after) > 2 else NOTHING
    if word in ("is", "was", "are", "were") and (
        (after[0] in PASSING and after[0] != "about")
        or (
            after[0].endswith("ing")
            and after[0].capitalize() not in plain
            and after[0][:-3] not in one_of("liv work study gett mov teach train com turn retir expect marry")
            and not DATE.search(plain)
        )
    ):
        return no("ephemeral")
    if "late" in name:
        return Verdict(True, kind="history", sure=0.8)
    if word.endswith("ed") and word not in EVENTS and not SPAN.search(plain):
        return no("ephemeral")
    if word in PAST_IRREGULAR and word not in ("was", "were", "had") and not SPAN.search(plain) and word not in EVENTS:
        return no("ephemeral")
    return Verdict(True, kind="world", sure=0.85)


_VERBS = frozenset(
    """is are was were has have had 's lives works plays drives studies likes loves hates speaks teaches runs sings owns
    goes comes says said thinks told wants needs starts ends meets moved changed died passed married left got became
    turned turns sits stands costs uses hurts keeps called does did can can't will won't never always only also still
    gets makes takes gives eats sleeps wakes sells fixes builds serves grew came went bought sold quit retired means
    broke fits opens closes bit asked asks wanted gave made sent texted and""".split()
) - {"and"}


def _is_verb(word: str, following: tuple[str, ...]) -> bool:
    if word in _VERBS or word in PAST_IRREGULAR:
        return True
    if len(word) <= 4 or not following:
        return False
    if word.endswith("ed"):
        return word not in one_of("retired beloved adopted three-legged married divorced supposed")
    return (
        word.endswith("s")
        and not word.endswith(("ss", "us", "'s"))
        and word not in KIN | PETS | OTHERS | DAYS
        and following[0] in one_of("a an the in at on to for with every my our his her as from and me like")
    )
