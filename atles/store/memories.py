"""What was learned from sessions for later chats: topics, preferences, and every message, searchable."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from atles.clock import timestamp
from atles.errors import AtlesError
from atles.records import Preference, Recalled, Session, Topic, canonical_json
from atles.store.database import Database


class Memories:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(
        self,
        session: Session,
        topics: Sequence[Topic],
        preferences: Sequence[Preference],
        rejected: Sequence[str] = (),
    ) -> int:
        """Store what a session taught, replacing what an earlier, shorter revision of it did.

        Returns how many topics and preferences are stored that were not before. Messages become searchable once;
        `rejected` are the ids of answers that the user corrected, which are found no more.
        """
        with self._db.transaction():
            before = self._items(session.session_id)
            items = {("topics", topic.text) for topic in topics} | {("preferences", it.text) for it in preferences}
            data = {
                "topics": [{"text": it.text, "score": it.score, "messages": it.messages} for it in topics],
                "preferences": [asdict(preference) for preference in preferences],
                "message_ids": [message.id for message in session.messages],
            }
            self._db.run(
                "memories.put",
                session_id=session.session_id,
                timestamp=timestamp(),
                topics=canonical_json([topic.text for topic in topics]),
                preferences=canonical_json([preference.text for preference in preferences]),
                message_count=len(session.messages),
                data=canonical_json(data),
            )
            self._db.run("memories.index_messages", session_id=session.session_id)
            self._db.run_many("memories.reject", [{"id": message_id} for message_id in rejected])
            return len(items - before)

    def _items(self, session_id: str) -> set[tuple[str, str]]:
        row = self._db.row("memories.by_session", session_id=session_id)
        if row is None:
            return set()
        return {(kind, text) for kind in ("topics", "preferences") for text in json.loads(row[kind])}

    def search(self, match: str, limit: int) -> Sequence[Recalled]:
        """Messages for an FTS5 expression, best first (BM25, the message's own words counting most)."""
        return [
            Recalled(row["session_id"], row["id"], row["role"], row["text"], row["timestamp"], -row["rank"])
            for row in self._db.rows("memories.search", match=match, limit=limit)
        ]

    def preferences(self) -> Sequence[str]:
        """What the user asked for, newest session first."""
        return [text for row in self._db.rows("memories.list") for text in json.loads(row["preferences"])]

    def list(self) -> Sequence[dict[str, Any]]:
        """One object per session, newest first, with topics and preferences as lists."""
        return [_memory(row) for row in self._db.rows("memories.list")]

    def get(self, memory_id: str) -> dict[str, Any]:
        """By the row's number or by session id. Raises AtlesError if there is none."""
        row = self._db.row("memories.get", id=memory_id) or self._db.row("memories.by_session", session_id=memory_id)
        if row is None:
            raise AtlesError(f"there is no memory {memory_id!r}; `atles memory list` shows them")
        return _memory(row)


def _memory(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), **{key: json.loads(row[key]) for key in ("topics", "preferences", "data")}}
