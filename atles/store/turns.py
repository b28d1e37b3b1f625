"""Which messages hold a word, and the messages themselves. Knows words and rowids, never what a question means.

A user's messages are one range of rowids, so nobody's words are ever looked up among another's. The index is an FTS5
table without text; a word's messages come back as a list of small numbers, since adding up short lists in Python is
several times cheaper than `bm25()` over an OR of the words (which walks every list twice and scores each row).
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from atles.store.database import Database, Row
from atles.store.sessions import rowids

# Han, kana and Hangul, which are written without spaces or with endings glued on: each sign is indexed as a word.
_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003fa1f"
_SIGN = re.compile(f"[{_SIGNS}]")
_WORD = re.compile(f"[{_SIGNS}]+|[^\\W_{_SIGNS}]+")


class Turn(NamedTuple):
    """A message that may answer a question. `of` is how many messages its session has."""

    rowid: int
    id: str
    session: int
    session_id: str
    position: int
    of: int
    role: str
    name: str
    text: str
    timestamp: str


class Turns:
    def __init__(self, database: Database) -> None:
        self._db = database

    def index(self, session: int) -> int:
        """Make the words of a session's messages searchable, those that are not yet; how many were added."""
        return self._db.run_many(
            "turns.add", [self._indexed(row) for row in self._db.rows("turns.new", session=session)]
        )

    def remove(self, session: int) -> int:
        """Take a session's messages out. Call it while they are still stored unchanged: FTS5 needs the old words."""
        return self._remove(self._db.rows("turns.of_session", session=session))

    def remove_messages(self, rowids: Iterable[int]) -> int:
        """Take single messages out, under the same condition."""
        return self._remove(self._db.rows("turns.of_rowids", rowids=json.dumps(list(rowids))))

    def _remove(self, rows: Sequence[Row]) -> int:
        return self._db.run_many("turns.remove", [self._indexed(row) for row in rows])

    def _indexed(self, row: Row) -> dict[str, int | str]:
        """What the index holds of a message; the same from the same row, or it could not be taken out again."""
        text = _apart(f"{row['name']}: {row['text']}" if row["name"] else row["text"])
        stamp = row["timestamp"]
        if re.match(r"\d{4}-\d\d-\d\d", stamp):
            year, month, day = int(stamp[:4]), int(stamp[5:7]), int(stamp[8:10])
            dates = (said(year, month, day), said(year, month, None), said(None, month, day), said(None, month, None))
            text = f"{text} {' '.join(dates)}"
        return {"rowid": row["rowid"], "text": self._db.searchable(text)}

    def wipe(self) -> None:
        """Rewrite the index without what was removed, whose words stay in its old segments until then."""
        self._db.run("turns.wipe")

    def span(self, user: int) -> tuple[int, int]:
        """The first and last rowid that a user's messages have; (n, n - 1) where there are none."""
        first, last = rowids(user)
        row = self._db.row("turns.last", first=first, last=last)
        return first, row["last"] if row and row["last"] is not None else first - 1

    def with_word(self, word: str, first: int, last: int) -> list[int]:
        """Which messages from `first` to `last` hold a form of the word: their rowids less `first`, ascending."""
        row = self._db.row("turns.with_word", word=self._any([word]), first=first, last=last)
        return json.loads(row["found"]) if row else []

    def with_start(self, start: str, first: int, last: int) -> list[int]:
        """The same for messages with a word that begins so."""
        row = self._db.row("turns.with_word", word=self._db.any_of([], [_apart(start)]), first=first, last=last)
        return json.loads(row["found"]) if row else []

    def with_any(self, words: Sequence[str], first: int, last: int) -> list[int]:
        """The same for messages that hold one of the words."""
        row = self._db.row("turns.with_word", word=self._any(words), first=first, last=last)
        return json.loads(row["found"]) if row else []

    def how_many(self, words: Sequence[str], first: int, last: int) -> int:
        """In how many of these messages one of the words is."""
        row = self._db.row("turns.how_many", word=self._any(words), first=first, last=last)
        return row["n"] if row else 0

    def _any(self, words: Iterable[str]) -> str:
        return self._db.any_of(map(_apart, words))

    def get(self, rowids: Iterable[int], at: str | None = None) -> list[Turn]:
        """The messages that exist, less rejected answers and what was said after `at` (UTC, to the second)."""
        return list(map(Turn._make, self._db.rows("turns.get", rowids=json.dumps(list(rowids)), at=at)))


def words(text: str) -> list[str]:
    """The words of a question as `with_word` takes them, in order; of a run of Han, kana or Hangul, each two signs."""
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFC", text).lower()):
        if _SIGN.match(word) and len(word) > 2:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found


def said(year: int | None, month: int, day: int | None) -> str:
    """The word that every message of that day, month, day of any year, or month of any year holds."""
    return f"said{year or ''}{month:02}{day or 0:02}"


def _apart(text: str) -> str:
    return text if text.isascii() else _SIGN.sub(r" \g<0> ", text)
