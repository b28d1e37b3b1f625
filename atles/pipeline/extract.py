"""What a session says, found without a model: key phrases and requests. Pure functions on messages.

Key phrases are YAKE's (Campos et al., Information Sciences 509, 2020). Preferences are sentences in which the
user asks for a way of being answered; nothing is guessed from tone, and nothing is taken from the assistant.
"""

import re
from collections.abc import Sequence
from functools import cache

from yake_rust import Yake

from atles.records import Message, Preference, Topic

_TOPIC_CHARACTERS = 20_000  # of a session; key phrases of a longer text are decided by then
_MAX_REQUEST_WORDS = 40

# "always has been", "never heard of it": how things are, not a request.
_HABIT = (
    r"(?:mind|ha[sd]|have|is|was|are|were|been|be|did|do|does|knew|know|heard|seen|saw|thought|the|a|an|in|on|at|"
    r"\w+ed|\w+ing|that|this|so|too|been|got|gets?|said|works?|happens?|again)\b"
)

# A request to the assistant, at the start of a sentence or clause.
_LEAD = (
    r"^(?:(?:oh|ok|okay|and|also|but|so|by\ the\ way|btw|hey|hi|well|just|one\ thing|yes|no|thanks|sorry)\b[\ ,:;-]*)*"
)
_REQUEST = re.compile(
    _LEAD
    + r"""(?:
      (?:please[ ,]+|pls[ ,]+|plz[ ,]+|(?:can|could|would|will)\ you\ (?:please\ )?)?(?:always|never)\ (?!%(habit)s)\w
    | (?:please[ ,]+|and[ ,]+)?from\ now\ on\b
    | (?:please[ ,]+|pls[ ,]+|plz[ ,]+)(?:don'?t|do\ not|stop|avoid|keep|use|answer|call|write|reply|skip|be)\b
    | (?:don'?t|do\ not|stop)\b.*\b(?:please|pls|plz|again|any\ ?more|ever)\b
    | (?:(?:can|could|would)\ you\ )?(?:please\ )?keep\ (?:it|them|your|the\ answers?|answers?|replies)\b
    | call\ me\b
    | i(?:'d|\ would)?\ (?:much\ |really\ |always\ )?(?:prefer|rather\ (?:you|have|get))\b
    | i\ (?:like|love|want|need)\ (?:it\ when\ you|when\ you|you\ to|your\ answers|my\ answers|answers)\b
    | i\ (?:hate|dislike|don'?t\ (?:like|want|need)|can'?t\ stand)\ (?:it\ when\ you|when\ you|you\ to|your|answers)\b
    )""".replace("%(habit)s", _HABIT),
    re.IGNORECASE | re.VERBOSE,
)
_SENTENCE = re.compile(r"[^.!?\n;]+[.!?]*")
_CLAUSE = re.compile(
    r",\s+(?=(?:and |but |so )?(?:please|pls|always|never|from now on|i(?:'d| would)? prefer)\b)",
    re.IGNORECASE,
)


def topics(messages: Sequence[Message], limit: int) -> list[Topic]:
    """The session's key phrases, most relevant first, each with the messages that hold it."""
    spoken = [message for message in messages if message.role in ("user", "assistant") and message.text]
    if limit == 0 or not spoken:
        return []
    # People end messages without a full stop; a phrase must not run on into the answer.
    text = "\n".join(f"{message.text.rstrip(' .')}." for message in spoken)[:_TOPIC_CHARACTERS]
    folded = [(message.position, message.text.casefold()) for message in spoken]
    found: dict[str, Topic] = {}
    for phrase, score in _yake().get_n_best(text, n=limit * 2):
        phrase = phrase.strip(" .,;:!?\"'")
        key = phrase.casefold()
        # "Odette" says nothing beside "sister Odette": the first, better phrase stands for both.
        if len(key) < 3 or any(key in known for known in found):
            continue
        holders = tuple(position for position, said in folded if key in said)
        found[key] = Topic(phrase, round(score, 4), holders)
    return list(found.values())[:limit]


@cache
def _yake() -> Yake:
    return Yake(language="en", ngrams=3)


def preferences(messages: Sequence[Message]) -> list[Preference]:
    """What the user asked for, in their words, in order; each once."""
    found: dict[str, Preference] = {}
    for message in messages:
        if message.role != "user":
            continue
        for sentence in _SENTENCE.findall(message.text):
            for clause in _CLAUSE.split(sentence):
                words = clause.strip(" ,\t")
                if words.endswith("?") and not re.match(_LEAD + r"(?:can|could|would|will) you", words, re.IGNORECASE):
                    continue  # "never mind?" and "always?" ask for nothing
                if words.lower().startswith("never mind") or len(words.split()) > _MAX_REQUEST_WORDS:
                    continue
                if _REQUEST.match(words) and len(words.split()) >= 3:
                    text = re.sub(_LEAD, "", words.rstrip(".!? "), flags=re.IGNORECASE)
                    found.setdefault(text.casefold(), Preference(text, message.position, sentence.strip()))
    return list(found.values())
