"""The vectors of messages, for finding words that mean the same. Knows rows and bytes, never what makes a vector."""

import json
from collections.abc import Iterable

from atles.store.database import Database


class Vectors:
    def __init__(self, database: Database) -> None:
        self._db = database

    def pending(self, limit: int) -> list[tuple[int, str]]:
        """Up to `limit` messages that have words and no vector, as (rowid, text), newest first."""
        return [(row["rowid"], row["text"]) for row in self._db.rows("vectors.pending", limit=limit)]

    def put(self, pairs: Iterable[tuple[int, bytes]]) -> int:
        """Store (rowid, vector) pairs, all or none; how many. A message that was forgotten meanwhile is skipped."""
        rows = [{"rowid": rowid, "vector": vector} for rowid, vector in pairs]
        with self._db.transaction():
            return self._db.run_many("vectors.put", rows)

    def remove(self, rowids: Iterable[int]) -> None:
        self._db.run_many("vectors.remove", [{"rowid": rowid} for rowid in rowids])

    def of(self, rowids: Iterable[int]) -> dict[int, bytes]:
        """The vectors of these messages, as far as they have one."""
        return {row["rowid"]: row["vector"] for row in self._db.rows("vectors.of", rowids=json.dumps(list(rowids)))}

    def count(self) -> int:
        row = self._db.row("vectors.count")
        return row["n"] if row else 0
