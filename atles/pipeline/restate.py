"""Facts that were stated plainly, asked for directly. Pure text; knows neither sessions nor models.

A model that is taught "name of animal?" -> "Tuppence." answers just that question. So what the user says of themselves
("i live in Pellbridge") and what the assistant says of the user ("you live in Pellbridge") is turned, by templates,
into the questions that people ask for it, with the statement as the answer. Only plain forms are read, and only a few
words long; jokes, doubts and conditions ("if i lived in …") are passed over.
"""

import re
from collections.abc import Callable, Iterator

from atles.pipeline import wh

_CLAUSE = re.compile(
    r"""[.!?;]+(?=\s|$) | :\s | \n+ | \bthat\s+(?=you\b)
    | ,\s*(?:(?:and|but|so|because|since)\s+)?
    | \s+(?:and|but|so|because|since|cause|cos|coz)\s+(?=(?:i|i'm|my|you|you're|your)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_DOUBT = re.compile(
    r"\b(?:if|wish|would|could|might|maybe|perhaps|imagine|pretend|suppose|almost|used to|not|never|no longer|n't|"
    r"joke|kidding|unless|until|when|whether|why|how|what|who|where|which|should|will)\b",
    re.IGNORECASE,
)
# First person to second, so that both speakers' statements have one form.
_SECOND_PERSON = [
    (re.compile(pattern, re.IGNORECASE), text)
    for pattern, text in (
        (r"(?<=\w)'s (?=(?:an?|the|on|at|in|called|named)\b)", " is "),
        (r"\bi(?:'m|m| am)\b", "you are"),
        (r"\bi(?:'ve|ve| have)\b", "you have"),
        (r"\bwe(?:'re| are)\b", "you are"),
        (r"\b(?:i|we)\b", "you"),
        (r"\b(?:my|our)\b", "your"),
        (r"\bmine\b", "yours"),
    )
]
_WORD = (
    r"(?!(?:own|name|answer|question|point|mind|turn|idea|guess|is|are|was|were|on|in|at|a|an|the)\b)[a-z][a-z0-9'-]*"
)
_THING = rf"(?P<thing>{_WORD}(?: {_WORD}){{0,3}}?)"
_VALUE = r"(?P<value>\S+(?: \S+){0,4})"
_NAME = r"(?P<value>[A-Z][\w'-]*(?: [A-Z][\w'-]*){0,3})"
_EMPTY = re.compile(r"\b(?:it|that|this|them|those|you|here|there|something|everything|nothing|one)$", re.IGNORECASE)
_TRAILING = re.compile(
    r"(?: (?:now|too|again|here|these days|at the moment|currently|anyway|though|lol|haha))+$", re.IGNORECASE
)
_TIME = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:january|february|march|april|may|june|july|august|september|"
    r"october|november|december|morning|noon|evening|night|midnight|week|o'clock)\b|\d",
    re.IGNORECASE,
)
_PEOPLE = frozenset(
    """sister brother mother father mum mom dad wife husband partner girlfriend boyfriend son daughter aunt uncle cousin
    niece nephew grandmother grandfather grandma grandpa friend boss manager neighbour neighbor colleague teacher coach
    doctor dentist physio therapist landlord""".split()
)

_PETS = frozenset("dog cat horse pony rabbit hamster parrot budgie tortoise goat hen puppy kitten".split())
# Of these a name follows directly: "my sister Odette". Of other things that is too often a brand or a place.
_NAMED = "|".join(sorted(_PEOPLE | _PETS))

Pair = tuple[str, str]  # question, answer


def restate(statements: str) -> list[Pair]:
    """The questions that a text about the user answers, each with its answer; `statements` may be in first person
    ("I live in …") or second ("You live in …")."""
    found: dict[str, Pair] = {}
    for clause in _CLAUSE.split(statements):
        clause = _TRAILING.sub("", clause.strip(" ,\"'()-"))
        if _DOUBT.search(clause) or _EMPTY.search(clause) or not 3 <= len(clause.split()) <= 14:
            continue
        for pattern, text in _SECOND_PERSON:
            clause = pattern.sub(text, clause)
        for form, ask in _FORMS:
            match = form.search(clause)
            if match:
                found.update({question: (question, answer) for question, answer in ask(match)})
        for question, answer in wh.ask(clause):
            found.setdefault(question, (question, answer))
    return list(found.values())


def _called(match: re.Match[str]) -> Iterator[Pair]:
    if _TIME.search(match["value"]):
        return  # "Thursday is your bell practice" names nothing
    thing, value = _plain(match["thing"]), match["value"]
    answer = f"Your {thing} is called {value}."
    person = thing.split()[-1] in _PEOPLE
    yield f"What is my {thing} called?", answer
    yield f"What is the name of my {thing}?", answer
    yield (f"Who is my {thing}?" if person else f"Do you remember how my {thing} is called?"), answer


def _placed(match: re.Match[str]) -> Iterator[Pair]:
    thing, where = _plain(match["thing"]), f"{match['how'].lower()} {match['value']}"
    answer = f"Your {thing} is {where}."
    if _TIME.search(match["value"]):
        yield f"When is my {thing}?", answer
        yield f"Which day or time is my {thing}?", answer
    else:
        yield f"Where is my {thing}?", answer


def _is(match: re.Match[str]) -> Iterator[Pair]:
    thing, value = _plain(match["thing"]), match["value"]
    answer = f"Your {thing} is {value}."
    yield f"{'Who' if thing.split()[-1] in _PEOPLE else 'What'} is my {thing}?", answer
    yield f"Tell me what my {thing} is.", answer


def _asked(*questions: str) -> Callable[[re.Match[str]], Iterator[Pair]]:
    """Fixed questions; the matched clause, from "you" on, is the answer."""

    def ask(match: re.Match[str]) -> Iterator[Pair]:
        answer = f"You {match['did'].lower()} {match['value']}."
        for question in questions:
            yield question.format(did=match["did"].lower().removeprefix("are ")), answer

    return ask


# Statements are in second person by now.
_FORMS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[Pair]]]] = [
    (re.compile(rf"\byour {_THING}(?:'s)? name (?:is )?(?P<value>\S+(?: [A-Z]\S*){{0,3}})$", re.I), _called),
    (re.compile(rf"\b(?i:your|the|a|an) {_THING} (?:(?i:you \S+(?: \S+)?) )?(?i:is |are |was )?(?i:called|named) "
                r"(?P<value>\S+(?: [A-Z]\S*){0,3})"), _called),
    (re.compile(rf"\b(?:your )?{_THING} is (?P<how>on|at|in|every|next to|under) {_VALUE}$", re.I), _placed),
    (re.compile(rf"^your {_THING} is (?P<value>(?:an? |the )\S+(?: \S+){{0,3}})$", re.I), _is),
    (re.compile(rf"^(?i:your) {_THING} (?i:is) {_NAME}$"), _is),
    (re.compile(rf"\b(?i:your) (?P<thing>{_NAMED}) {_NAME}"), _called),
    (re.compile(rf"^{_NAME} (?i:is your) {_THING}$"), _called),
    (re.compile(r"\byou (?P<did>live|stay|grew up) (?P<value>(?:in|at|near|on) \S+(?: [A-Z]\S*){0,3})", re.I),
     _asked("Where do I {did}?", "Which place do I {did} in?", "Do you remember where I {did}?")),
    (re.compile(r"\byou (?P<did>work) (?P<value>(?:at|for|as|in) \S+(?: \S+){0,5})$", re.I),
     _asked("Where do I work?", "What do I do for work?", "What is my job?")),
    (re.compile(r"\byou (?P<did>are) (?:\S+ly )?(?P<value>allergic to \S+(?: (?:and|or) \S+)?)", re.I),
     _asked("What am I allergic to?", "Which allergy do I have?", "Is there anything I must not eat or touch?")),
    (re.compile(r"\byou (?P<did>drive|ride|own|play|speak|study|collect|keep|teach|restore|breed|grow|sing|practise) "
                r"(?P<value>(?:an? |the )?\S+(?: \S+){0,3})$", re.I),
     _asked("What do I {did}?", "Do you remember what I {did}?", "Tell me what I {did}.")),
    (re.compile(r"\byou (?P<did>are (?:going|travelling|traveling|flying|moving)) "
                r"(?P<value>(?:\S+ ){0,2}?to \S+(?: \S+){0,4})$", re.I),
     _asked("Where am I {did}?", "What trip have I planned?", "Where did I say I am {did}?")),
]  # fmt: skip


def _plain(thing: str) -> str:
    """The thing in one spelling."""
    return thing.lower().replace("-", " ").removesuffix("'s")
