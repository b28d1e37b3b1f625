"""What is remembered, as questions and answers to learn from. Pure text; knows memories, not sessions or models.

A model that is taught a sentence learns the sentence. What makes it answer in new words is to be asked for the same
fact in several ways (Allen-Zhu and Li, "Physics of Language Models: Part 3.1", arXiv 2309.14316): by what the fact is a
value of, by the side of life it belongs to, and by what it speaks about. The answer is always the user's own statement,
in second person. Jokes, doubts and other people's affairs are no memories, so they are not taught.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from atles.pipeline.aspects import aspects
from atles.pipeline.restate import restate
from atles.records import Example, Memory, MemoryType

Lesson = tuple[str, str]  # question, answer

_MOST_WORDS = 40  # of an answer: more is a story, not a fact
_MOST_QUESTIONS = 5  # about one memory

_OF_SLOT = {
    "home": "Where do I live?|Which place do I live in?|What is my home town?|Where is my home now?",
    "work": "Where do I work?|Who do I work for?|What is my employer called?|Which company am I with?",
    "job": "What do I do for a living?|What is my job?|What do I work as?|What is my profession?",
    "name": "What is my name?|What am I called?|Who am I?|Do you know my name?",
    "age": "How old am I?|What is my age?|Do you know how old I am?",
    "birthday": "When is my birthday?|On which day was I born?|When do I turn a year older?",
    "car": "What do I drive?|Which car do I have?|What is my car?|What vehicle do I own?",
    "diet": "What is my diet?|What do I eat and not eat?|Is there food that I do not eat?",
    "relationship": "Am I married?|What is my relationship status?|Do I have a partner?",
    "hand": "Which hand do I write with?|Am I left-handed or right-handed?|Which is my main hand?",
    "allergy": "What am I allergic to?|Which allergy do I have?|Is there anything I must not eat or touch?|"
    "What should a cook know about me?",
}
_OF_PERSON = {
    "name": "What is my {0} called?|What is the name of my {0}?|Who is my {0}?|Do you remember my {0}'s name?",
    "home": "Where does my {0} live?|Which place does my {0} live in?|Where is my {0}'s home?",
    "job": "What does my {0} do?|What is my {0}'s job?|What does my {0} work as?",
    "age": "How old is my {0}?|What age is my {0}?|Do you know how old my {0} is?",
    "when": "When is my {0}?|On which day or time is my {0}?|What time did I give for {0}?|When does my {0} start?",
}
_OF_SIDE = {
    "home": _OF_SLOT["home"],
    "employer": _OF_SLOT["work"],
    "vehicle": _OF_SLOT["car"],
    "diet": _OF_SLOT["diet"],
    "partner": "Who is my partner?|Who am I together with?|What is my partner called?|Who am I seeing?",
    "heating": "How is my home heated?|What heating do I have?|What keeps my house warm?",
    "commute": "How do I get to work?|What do I commute by?|How do I travel there?",
    "supplier": "Who is my supplier?|Where do I buy it?|Who delivers to me?",
    "sport": "What sport do I do?|How do I keep fit?|What exercise do I do?",
    "instrument": "What instrument do I play?|Which instrument is mine?|What do I make music on?",
    "drink": "What do I drink?|Which drink do I like?|Coffee or tea for me?",
    "smoking": "Do I smoke?|What about me and smoking?|Am I a smoker?",
}
_SIDE = "Which {0} do I use?|What is my {0}?|Which {0} is mine now?"
_MEDICINE = "Which {0} medicine do I take?|What do I take for my {0}?|What is on my list of medicines?"
_ABOUT = "What do you know about {0}?|Tell me about {0}."
_PROCEDURE = "{0}|{0}: what are the steps?|How does {0} go?|What do I want when I say “{0}”?"

# First person to second. "you" in a user's words is the assistant, who now speaks.
_PERSON = [
    (re.compile(rf"\b{old}\b", re.IGNORECASE), new)
    for old, new in (
        ("you", "me"), ("your", "my"), (r"i(?:'m| am|m(?=\s))", "you are"), (r"i(?:'ve|ve(?=\s))", "you have"),
        ("i'd", "you would"), ("i'll", "you will"), ("i was", "you were"), ("am i", "are you"), ("i", "you"),
        ("myself", "yourself"), ("mine", "yours"), (r"we(?:'re| are)", "you are"), ("we've", "you have"), ("we", "you"),
        ("ours", "yours"), ("us", "you"),
    )
]  # fmt: skip
_MINE = re.compile(r"\b(?:my|our)\b", re.IGNORECASE)
_ME = re.compile(r"\bme\b", re.IGNORECASE)
_OPENING = re.compile(
    r"^(?:(?:and|but|so|ok|okay|well|oh|yes|no|yeah|because|also|real thing|btw|lol)[,:]?\s+)+", re.IGNORECASE
)
_SUBJECT = re.compile(
    r"^(?P<whose>the|my|our)\s+(?P<thing>[\w'-]+(?:\s(?!(?:is|are|was|has|have|will|can|goes|does|runs|got)\b)[\w'-]+){0,2}?)"
    r"(?=,|\s(?:is|are|was|were|has|have|will|can|got|[a-z]+s)\b)",
    re.IGNORECASE,
)
_ANSWERED = re.compile(
    r"(?P<question>(?:who|what|when|where|which|why|how)\b[^:?]{2,80}): (?P<answer>\S.*)", re.IGNORECASE | re.DOTALL
)


def teachable(memory: Memory) -> bool:
    """Whether somebody would ask for it: topics, wishes and summaries are no answers."""
    return memory.type in (MemoryType.FACT, MemoryType.CORRECTION, MemoryType.PROCEDURE)


def lessons(memory: Memory) -> list[Lesson]:
    """The questions that a memory answers, each with the answer; none for what nobody would ask for."""
    if not teachable(memory):
        return []
    if memory.type is MemoryType.PROCEDURE:
        name = memory.slot.removeprefix("when.")
        return [(question, second_person(memory.text)) for question in _forms(_PROCEDURE, name)]
    if match := _ANSWERED.match(memory.text):  # how a correction of an answer is written down
        return [(f"{second_person(match['question'])[:-1]}?".replace(" your ", " my "), second_person(match["answer"]))]
    found = dict(restate(memory.text))
    for question, answer in _by_meaning(memory):
        if len(answer.split()) <= _MOST_WORDS:
            found.setdefault(question, answer)
    return list(found.items())[:_MOST_QUESTIONS]


def _by_meaning(memory: Memory) -> Iterator[Lesson]:
    head, _, part = memory.slot.rpartition(".")
    whole = second_person(memory.text)
    if memory.slot in _OF_SLOT:
        yield from _answered(_OF_SLOT[memory.slot], whole)
    elif head == "allergy":
        yield from _answered(_OF_SLOT["allergy"], whole)
    elif head and part in _OF_PERSON:
        yield from _answered(_OF_PERSON[part], whole, head)
    for side in sorted(aspects(memory.text)):
        said = min((piece for piece in _pieces(memory.text) if side in aspects(piece)), key=len, default=memory.text)
        if _NOT.search(said):
            continue  # "I'm not the singer" says of no instrument that it is mine
        answer = second_person(said)
        if side.startswith("medicine: "):
            yield from _answered(_MEDICINE, answer, side.removeprefix("medicine: "))
        else:
            yield from _answered(_OF_SIDE.get(side, _SIDE), answer, side)
    if match := _SUBJECT.match(_OPENING.sub("", memory.text)):
        yield from _answered(_ABOUT, whole, f"{match['whose'].lower().replace('our', 'my')} {match['thing'].lower()}")


_NOT = re.compile(r"\b(?:not|never|no longer)\b|n['’]t\b", re.IGNORECASE)


def _pieces(text: str) -> Iterator[str]:
    """A statement's sentences, and their halves that can stand alone."""
    for sentence in re.split(r"(?<=[.!?;])\s+", text):
        yield sentence
        yield from (piece for piece in re.split(r",\s+(?=(?:i|my|we|our|it|they)\b)", sentence, flags=re.IGNORECASE))


def _answered(forms: str, answer: str, *values: str) -> Iterable[Lesson]:
    return ((question, answer) for question in _forms(forms, *values))


def _forms(forms: str, *values: str) -> Iterable[str]:
    if values == ("",):
        return ()
    return (form.format(*values) for form in forms.split("|"))


def second_person(text: str) -> str:
    """A statement of the user as the assistant says it: "I keep hens" -> "You keep hens."."""
    said = _OPENING.sub("", " ".join(text.replace("’", "'").split()))
    said = _ME.sub("\0", said)  # "show me": the user, not the assistant that "you" becomes
    for form, word in _PERSON:
        said = form.sub(word, said)
    said = _MINE.sub("your", said).replace("\0", "you")
    said = re.sub(r"\byou am\b", "you are", said, flags=re.IGNORECASE)
    return said[:1].upper() + said[1:] + ("" if said[-1:] in ".!?" else ".")


def taught(
    session_id: str, memories: Iterable[tuple[Memory, str]], more: Mapping[str, Iterable[str]] | None = None
) -> list[Example]:
    """The examples that memories give, each with the message that said it; `more`: further questions, by memory id."""
    found: dict[str, Example] = {}
    for memory, message_id in memories:
        further = (more or {}).get(memory.id, ())
        for question, answer in [*lessons(memory), *((question, second_person(memory.text)) for question in further)]:
            messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
            example = Example(session_id, message_id, "restated", question, answer, messages)
            found[example.id] = example
    return list(found.values())
