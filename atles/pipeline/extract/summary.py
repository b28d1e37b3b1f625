"""What a session was about, in a few of the user's own words. Extractive: nothing is written that was not said."""

import re
from collections.abc import Sequence

from atles.pipeline.extract.reading import Sentence
from atles.pipeline.extract.words import content
from atles.records import Claim, MemoryType

_MOST_WORDS = 24
_GREETING = re.compile(
    r"^\W*(?:(?:hi|hello|hey+|heyy|morning|good (?:morning|evening|day|afternoon)|evening|ok|okay|so|"
    r"thanks|thank you|oh|well|right|yo|lol)\b[\s,;.!:-]*)+",
    re.I,
)


def summary(sentences: Sequence[Sentence], claims: Sequence[Claim]) -> list[Claim]:
    """The first thing the user came with, and the surest statement they made; none for a session without either.

    `sentences` are those of the user that no guard refused, so nothing refused comes back by this door.
    """
    opening = ""
    positions: list[int] = []
    for sentence in sentences:
        text = _GREETING.sub("", sentence.text)
        outdated = any(claim.replaces and claim.replaces.lower() in text.lower() for claim in claims)
        if len(text.split()) >= 4 and not outdated:
            opening = _short(text) + ("?" if sentence.asked else "")
            positions.append(sentence.position)
            break
    facts = [claim for claim in claims if claim.type in (MemoryType.FACT, MemoryType.CORRECTION)]
    best = max(facts, key=lambda claim: claim.confidence + 0.1 * bool(claim.slot) + 0.1 * claim.changed, default=None)
    parts = [opening] if opening else []
    if best is not None and not (opening and set(content(best.text)) & set(content(opening))):
        parts.append(_short(best.text))
        positions.append(best.messages[0])
    if not parts:
        return []
    return [Claim(MemoryType.SUMMARY, " / ".join(parts), tuple(dict.fromkeys(positions)), confidence=0.8)]


def _short(text: str) -> str:
    words = " ".join(text.split()).split(" ")
    return " ".join(words) if len(words) <= _MOST_WORDS else " ".join(words[:_MOST_WORDS]) + " …"
