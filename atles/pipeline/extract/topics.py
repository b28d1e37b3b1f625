"""Key phrases of a session: YAKE's (Campos et al., Information Sciences 509, 2020)."""

from collections.abc import Mapping, Sequence
from functools import cache

from yake_rust import Yake

from atles.pipeline.extract.reading import spoken
from atles.records import Claim, MemoryType, Message

_CHARACTERS = 20_000  # of a session; key phrases of a longer text are decided by then


def topics(messages: Sequence[Message], limit: int, read: Mapping[int, str] | None = None) -> list[Claim]:
    """The session's key phrases, most relevant first, each with the messages that hold it.

    `read` replaces the texts of messages of which only a part is the speaker's own.
    """
    said = [
        (position, (read or {}).get(position, text).replace("\0", " "))
        for role in ("user", "assistant")
        for position, text in spoken(messages, role)
    ]
    said = sorted((position, text) for position, text in said if text.strip())
    if limit == 0 or not said:
        return []
    # People end messages without a full stop; a phrase must not run on into the answer.
    text = "\n".join(f"{text.rstrip(' .')}." for _, text in said)[:_CHARACTERS]
    folded = [(position, text.casefold()) for position, text in said]
    found: dict[str, Claim] = {}
    for phrase, score in _yake().get_n_best(text, n=limit * 2):
        phrase = phrase.strip(" .,;:!?\"'")
        key = phrase.casefold()
        # "Odette" says nothing beside "sister Odette": the first, better phrase stands for both.
        if len(key) < 3 or any(key in known for known in found):
            continue
        holders = tuple(position for position, words in folded if key in words)
        if holders:
            confidence = round(1 / (1 + max(score, 0.0)), 4)
            found[key] = Claim(MemoryType.TOPIC, phrase, holders, said_by="", confidence=confidence)
    return list(found.values())[:limit]


@cache
def _yake() -> Yake:
    return Yake(language="en", ngrams=3)
