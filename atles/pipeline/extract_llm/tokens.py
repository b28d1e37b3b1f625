"""Text as words that can be compared and cut out again. Knows spelling, never meaning."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Scripts without spaces have a token for each sign; a number keeps its dots and colons ("7:30", "1,000", "2026-01-02").
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f]|\d+(?:[.,:/-]\d+)*(?:[^\W\d_]+)?|[^\W\d_]+(?:['’`][^\W\d_]+)*"
)
_STOP = re.compile(r"(?:[.!?…。！？]+[\"')\]”’]*(?=\s|$)|(?<=[。！？])|\n+)")
_ABBREVIATED = re.compile(r"(?:^|[\s(])(?:mrs?|ms|dr|prof|st|vs|e\.g|i\.e|no|nr|jr|sr|[A-Z])\.$", re.IGNORECASE)
_SPELLED = {
    "i'm": "i am", "im": "i am", "i've": "i have", "ive": "i have", "i'd": "i would", "i'll": "i will",
    "can't": "can not", "cant": "can not", "cannot": "can not", "won't": "will not", "wont": "will not",
    "dont": "do not", "doesnt": "does not", "didnt": "did not", "isnt": "is not", "wasnt": "was not",
    "arent": "are not", "havent": "have not", "hasnt": "has not", "let's": "let us", "ain't": "is not",
}  # fmt: skip
_ENDINGS = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "'m": "am", "'s": "'s"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word as compared, and where in the text it stands."""

    word: str
    start: int
    end: int


def normal(text: str) -> str:
    """The text that tokens and spans count in."""
    return unicodedata.normalize("NFC", text)


def tokens(text: str) -> list[Token]:
    """The words of a text that is `normal`: case folded, contractions undone, punctuation left out."""
    return list(_tokens(text))


def words(text: str) -> list[str]:
    return [token.word for token in _tokens(normal(text))]


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        word = unicodedata.normalize("NFKC", match[0]).casefold().replace("’", "'").replace("`", "'")
        for part in _parts(word):
            yield Token(part, match.start(), match.end())


def _parts(word: str) -> Sequence[str]:
    if "'" not in word and word not in _SPELLED:
        return (word,)
    if word in _SPELLED:
        return _SPELLED[word].split()
    for ending, spelled in _ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending):
            return (word.removesuffix(ending), spelled)
    return (word,)


def places(needle: Sequence[str], hay: Sequence[Token]) -> list[tuple[int, int]]:
    """Where the words stand in a row, as (first, one past the last) of the tokens."""
    if not needle:
        return []
    size, first = len(needle), needle[0]
    return [
        (at, at + size)
        for at in range(len(hay) - size + 1)
        if hay[at].word == first and all(hay[at + n].word == word for n, word in enumerate(needle))
    ]


def stem(word: str) -> str:
    """About the same for the forms of one English word: "lives", "lived", "living"."""
    if len(word) > 3 and word.isalpha():
        for ending in ("ying", "ies", "ied", "ing", "ed", "es", "s", "e", "y"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                return word.removesuffix(ending)
    return word


def sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of a text as (start, end), without the space around them."""
    found, begin = [], 0
    for stop in _STOP.finditer(text):
        if _ABBREVIATED.search(text, max(begin, stop.end() - 8), stop.end()):
            continue
        found.append((begin, stop.end()))
        begin = stop.end()
    found.append((begin, len(text)))
    return [bounds for start, end in found if (bounds := _stripped(text, start, end))]


def _stripped(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None
