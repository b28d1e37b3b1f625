"""What stayed open: what the user asked and got no answer to, and what they said they have yet to find out."""

import re
from collections.abc import Sequence

from atles.pipeline.extract.reading import Sentence
from atles.records import Claim, MemoryType, Message

_OPEN = re.compile(
    r"""\b(?:i(?:'ll|\ will|'ve|\ have)?\ (?:have\ to|need\ to|must|got\ to|gotta|should|still\ (?:have|
    need)\ to)?\ ?(?:find\ (?:that\ |it\ |this\ )?out|look\ (?:it|that|into)|figure\ (?:it|that|this)?\ ?out|
    ask\ (?:my|the|around|him|her|them)\b.*\b(?:about|whether|if|what|how|when))|
    (?:i\ )?(?:still\ )?(?:don'?t|do\ not|dont)\ know\ (?:yet\ )?(?:whether|if|what|how|when|where|which|who|why)|
    (?:i(?:'m|\ am|m)\ )?(?:still\ )?(?:not\ sure|unsure|undecided|wondering)\ (?:yet\ )?(?:whether|if|what|how|
    when|where|which|who|about)|
    (?:i\ )?(?:still\ )?(?:have\ not|haven'?t|havent)\ (?:decided|figured\ out|found\ out|made\ up\ my\ mind)|
    (?:i|we)(?:'m|\ am|'re|\ are)?\ (?:still\ )?(?:waiting\ (?:to\ hear|for\ (?:the|a|my)\ (?:result|answer|
    decision|news|reply)\w*)))\b""",
    re.IGNORECASE | re.VERBOSE,
)
_NO_ANSWER = re.compile(
    r"""\b(?:i\ (?:don'?t|do\ not)\ (?:know|have\ (?:access|information|that))|i(?:'m|\ am)\ not\ sure|i\ can(?:'t|
    not)\ (?:say|tell|know|check|look|see|answer)|
    (?:i(?:'m|\ am)\ )?unable\ to|no\ idea|not\ something\ i\ (?:can|know)|you(?:'d|\ would|'ll)\ (?:have|
    need)\ to\ (?:ask|check)|hard\ to\ say)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SELF = re.compile(r"\b(?:you|u|your|this chat)\b", re.IGNORECASE)
# What only the user can know is no question left open when the assistant does not.
_OF_ONESELF = re.compile(
    r"^\W*(?:who|what|when|where|which|how)\b.*\b(?:my|our|(?:do|did|am|was|have|had|are|were|can) (?:i|we))\b",
    re.IGNORECASE,
)
_MOST_WORDS = 40


def questions(messages: Sequence[Message], asked: Sequence[Sentence], stated: Sequence[Sentence]) -> list[Claim]:
    """The open questions of a session. `asked` and `stated` are the user's sentences that no guard refused."""
    found: dict[str, Claim] = {}
    answers = {m.position: m.text for m in messages if m.role == "assistant" and m.text.strip()}
    last_answer = max(answers, default=-1)
    for sentence in stated:
        match = _OPEN.search(sentence.plain.replace("’", "'"))
        if match and 4 <= len(sentence.words) <= _MOST_WORDS:
            claim = Claim(MemoryType.QUESTION, sentence.text, (sentence.position,), confidence=0.7)
            found.setdefault(sentence.text.casefold(), claim)
    for sentence in asked:
        if not 3 <= len(sentence.words) <= _MOST_WORDS:
            continue
        reply = next((answers[at] for at in sorted(answers) if at > sentence.position), None)
        silent = sentence.position > last_answer
        if silent or (reply is not None and len(reply) < 300 and _NO_ANSWER.search(reply.replace("’", "'"))):
            if not silent and (_SELF.search(sentence.plain) or _OF_ONESELF.search(sentence.plain)):
                continue
            claim = Claim(
                MemoryType.QUESTION,
                sentence.text + ("?" if sentence.asked else ""),
                (sentence.position,),
                confidence=0.6,
            )
            found.setdefault(sentence.text.casefold(), claim)
    return list(found.values())[:4]
