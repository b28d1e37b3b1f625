"""More ways to ask for what is remembered, from a language model, each held against the statement it was asked for.

The answer to learn is never the model's: it is the user's own statement, as everywhere (`teach`). A question is used
only where the model can point out its answer in the statement, and where it says nothing that the statement does not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atles.serving import Chat
from atles.serving.metered import Model

_AT_ONCE = 8  # statements in a call
_TOKENS = 1024  # of an answer
_MOST_QUESTIONS = 4  # to one statement
_MOST_WORDS = 20  # of a question
_INSTRUCTIONS = """\
Below are statements that a user made about their own life. For each, write up to four short questions that the user
may ask later and that the statement answers. The user speaks: "I" and "my". Use other words than the statement where
you can, and ask in different ways. The question must not contain the answer. Copy as "answer" the words of the
statement that answer it, exactly as they stand there. Invent nothing: no names, no numbers, nothing that is not said.
Write in the language of the statement."""
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "questions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "statement": {"type": "integer"},
                    "question": {"type": "string"},
                    "answer": {"type": "string"},
                },
                "required": ["statement", "question", "answer"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["questions"],
    "additionalProperties": False,
}
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NAME = re.compile(r"(?<=[\w,;] )[A-ZÀ-Þ]\w+|\d+")  # a capital inside a sentence, or a number


class Teacher:
    """Asks one model; `model` may be metered."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def questions(self, statements: Sequence[str]) -> list[list[str]]:
        """For each statement the questions that it answers, in the user's mouth; none where the model found no good
        one. Raises EndpointError."""
        found: list[list[str]] = []
        for first in range(0, len(statements), _AT_ONCE):
            some = statements[first : first + _AT_ONCE]
            answer, _ = self._model.complete_json(_chat(some), _SCHEMA, _TOKENS)
            asked: list[list[str]] = [[] for _ in some]
            for number, question in _checked(answer, some):
                if question not in asked[number] and len(asked[number]) < _MOST_QUESTIONS:
                    asked[number].append(question)
            found += asked
        return found


def _chat(statements: Sequence[str]) -> Chat:
    lines = "\n".join(f"{number}. {' '.join(text.split())}" for number, text in enumerate(statements, 1))
    return [{"role": "system", "content": _INSTRUCTIONS}, {"role": "user", "content": lines}]


def _checked(answer: Any, statements: Sequence[str]) -> Iterator[tuple[int, str]]:
    items = answer.get("questions") if isinstance(answer, dict) else None
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        number, question, part = item.get("statement"), item.get("question"), item.get("answer")
        if type(number) is not int or not 1 <= number <= len(statements):
            continue
        if isinstance(question, str) and isinstance(part, str):
            question = " ".join(question.split())
            if is_answered(question, part, statements[number - 1]):
                yield number - 1, question


def is_answered(question: str, answer: str, statement: str) -> bool:
    """Whether a question can be taught with the statement: it is one, the statement holds the answer word for word, the
    question does not, and no name or number is in it that the statement lacks."""
    said, asked, part = _words(statement), _words(question), _words(answer)
    if not question.endswith("?") or not 3 <= len(asked) <= _MOST_WORDS or not part:
        return False
    if part == said or not _holds(said, part):
        return False
    new = {word for word in part if len(word) > 2 or word.isdigit()} or set(part)
    if new <= set(asked):
        return False  # the question gives its answer away
    return {name.lower() for name in _NAME.findall(question)} <= set(said) | {"i"}


def _words(text: str) -> list[str]:
    return [word.replace("’", "'").lower() for word in _WORD.findall(text)]


def _holds(words: Sequence[str], part: Sequence[str]) -> bool:
    return any(list(words[at : at + len(part)]) == list(part) for at in range(len(words) - len(part) + 1))
