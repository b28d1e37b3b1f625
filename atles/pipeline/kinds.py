"""Kinds of things with the names that people use for them: "what pets do I have?" is answered by "our cat is deaf".

General English, a few dozen everyday kinds, in `kinds.txt`: what a question calls the kind, and the single words by
which a message may name one of it.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

MARK = "kind:"  # no word of a question looks like this


@cache
def _kinds() -> Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Name -> (words of a question, words of a message)."""
    text = files("atles.pipeline").joinpath("kinds.txt").read_text("utf-8")
    found = {}
    for paragraph in text.strip().split("\n\n"):
        name, asked, named = paragraph.split("\n")
        found[name] = (tuple(asked.split()[1:]), tuple(dict.fromkeys(named.split()[1:])))
    return found


@cache
def _asked_by() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for kind, (asked, _) in _kinds().items():
        for word in asked:
            found[word] = (*found.get(word, ()), MARK + kind)
    return found


def kinds_asked(words: tuple[str, ...] | list[str]) -> list[str]:
    """The kinds of things that a question's words ask for, as pseudo-words."""
    return list(dict.fromkeys(kind for word in words for kind in _asked_by().get(word, ())))


def members(kind: str) -> tuple[str, ...]:
    """The words by which one of a kind may be named."""
    return _kinds()[kind.removeprefix(MARK)][1]
