"""Short answers to what the assistant asked about the user: "How old is she?", "nine in march"."""

import re

from atles.pipeline.extract.reading import BLANK, Sentence
from atles.pipeline.extract.slots import slot_of
from atles.records import Claim, MemoryType

_ASK = re.compile(
    r"""(?:^|[.!\n:;,]\s*(?:and\ |so\ )?)(?P<ask>(?:(?:what|which|who|where|when|how\ (?:old|many|long|often|far|
    big|tall|much)|what's|who's|whats)\b[^.!?\n]{3,120}|
    (?:do|are|have|is|does|did)\ (?:you|she|he|they|your)\b[^.!?\n]{3,100}))\?""",
    re.IGNORECASE | re.VERBOSE,
)
_OF_THE_USER = re.compile(r"\b(?:you|your|she|he|her|his|they|their|the (?:dog|cat|baby|child|kids?))\b", re.IGNORECASE)
# Offers, tasks, and questions on what was done are no questions about the user's life.
_NOT_OF_LIFE = re.compile(
    r"""\b(?:would|should|could|can|shall|want|wish|prefer|like\ me|like\ to|help|need|mean|think|feel|say|said|
    reply|replied|look(?:ing)?\ for|try|tried|trying|
    working\ on\ (?:now|today)|see|notice|happen\w*|going\ (?:on|wrong)|mind|draft|letter|email|text|message|tone|
    title|error|code|version|file|output|next|else|
    anything|first\ (?:step|thing)|budget|know|sound|ready|check|do\ first|your\ (?:question|plan|goal|guess|answer|
    thoughts?|favou?rite\ part)|did\ it|was\ it|
    today|tonight|right\ now|have\ (?:in|on|at)\ (?:hand|mind|the)|rule\ out)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_NO_ANSWER = re.compile(
    r"^\W*(?:why|what|who|how|i (?:don'?t|dont|do not)|no idea|not (?:sure|tonight|now|yet|today)|dunno|"
    r"idk|never ?mind|none of|you tell|guess|lol|haha|ok|okay|thanks?|thank you|"
    r"please|pls|can|could|just|let'?s|good|great|nice|hmm|well,? never|maybe|perhaps|skip|pass|forget|"
    r"both are|whatever|depends|it depends|surprise|wrong)\b",
    re.IGNORECASE,
)
_YES_NO = re.compile(
    r"^\W*(?:yes|yeah|yep|yup|no|nope|nah|ya|sure|of course|not anymore|never|only|just)\b", re.IGNORECASE
)
_MOST_WORDS = 22


def asked_of_the_user(text: str) -> str:
    """The last question of an assistant's message, if it is about the user or theirs."""
    found = max(_ASK.finditer(text[-600:].replace("’", "'")), key=re.Match.start, default=None)
    if found is None or len(text[-600:]) - found.end() > 80:
        return ""
    ask = found["ask"].strip()
    return ask if _OF_THE_USER.search(ask) and not _NOT_OF_LIFE.search(ask) else ""


def answer(question: str, question_at: int, reply: Sentence) -> Claim | None:
    """The question and its answer as one claim; None if the reply answers nothing."""
    said = reply.text
    words: tuple[str, ...] = reply.words
    if len(words) > 12 and (clauses := reply.clauses()) and len(clauses) > 1:
        said, words = clauses[0].text.strip(" ,"), clauses[0].words
    if (
        (reply.asked and said == reply.text)
        or BLANK in reply.plain
        or _NO_ANSWER.match(said)
        or not 1 <= len(words) <= _MOST_WORDS
    ):
        return None
    yes_no = bool(_YES_NO.match(said))
    closed = question.lower().startswith(("do", "are", "have", "is", "does", "did"))
    if closed != yes_no and not (closed and len(words) > 2):
        return None
    if closed and yes_no and len(words) < 2:
        return None  # "yes" alone leaves the assistant's words as the fact
    text = f"{question[0].upper()}{question[1:]}? {said[0].upper()}{said[1:]}"
    slot, value = slot_of(said)
    return Claim(MemoryType.FACT, text, (reply.position, question_at), confidence=0.8, slot=slot, value=value)
