"""What is remembered of a user. Knows rows and their validity; what replaces what is decided in
`pipeline.reconcile`."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from atles.clock import timestamp
from atles.errors import AtlesError
from atles.records import Memory, MemoryType, canonical_json
from atles.store.database import Database, Row
from atles.store.sessions import rowids

_NUMBER = re.compile(r"[0-9]{1,18}")  # of a row


class Memories:
    def __init__(self, database: Database) -> None:
        self._db = database

    # --- one by one ---

    def add(self, memory: Memory, user: int, folded: str, sources: Iterable[int] = (), how: str = "") -> None:
        """Store a memory; `sources` are the rowids of the messages that said it. `how` it ended, where it has."""
        self._db.lock(f"user {user}")
        first, last = rowids(user)
        found = self._db.row("memories.last", first=first, last=last)
        number = (found["number"] if found and found["number"] else first) + 1
        self._db.run(
            "memories.add",
            number=number,
            id=memory.id,
            user=user,
            type=memory.type,
            text=memory.text,
            folded=folded,
            said_by=memory.said_by,
            confidence=memory.confidence,
            slot=memory.slot,
            value=memory.value,
            valid_from=memory.valid_from,
            valid_to=memory.valid_to,
            replaced_by=memory.replaced_by,
            ended_how=how,
            pinned=int(memory.pinned),
            edited=int(memory.edited),
            extractor=memory.extractor,
            created_at=memory.created_at,
        )
        self._db.run("memories.index", id=memory.id, words=self._db.searchable(memory.text))
        self.add_sources(memory.id, sources)

    def add_sources(self, memory_id: str, messages: Iterable[int]) -> None:
        self._db.run_many("memories.add_source", [{"id": memory_id, "message": rowid} for rowid in messages])

    def drop_sources(self, memory_id: str, session: int, user: int) -> None:
        """The session no longer says it."""
        first, last = rowids(user)
        self._db.run("memories.drop_source", id=memory_id, session=session, first=first, last=last)

    def drop_messages(self, messages: Iterable[int]) -> None:
        """These messages (rowids) no longer say anything."""
        self._db.run("memories.drop_messages", messages=json.dumps(list(messages)))

    def end(self, memory_id: str, at: str, by: str, how: str) -> None:
        """It held until `at`; `by` is the memory in its place, '' if none; `how` as in the schema."""
        self._db.run("memories.end", id=memory_id, at=at, by=by, how=how)

    def held_from(self, memory_id: str, at: str) -> None:
        """It was said as early as `at`."""
        self._db.run("memories.held_from", id=memory_id, at=at)

    def delete(self, memory_id: str) -> None:
        """As if it had never been: what it had replaced holds again, unless a later memory takes its place."""
        row = self._db.row("memories.get", id=memory_id)
        if row is None:
            return
        if row["replaced_by"]:
            self._db.run("memories.inherit", id=memory_id, heir=row["replaced_by"], until=row["valid_to"])
        else:
            self._db.run("memories.reopen", id=memory_id)
        self._db.run("memories.unindex", id=memory_id)
        self._db.run("memories.delete", id=memory_id)

    def edit(self, memory_id: str, text: str, folded: str) -> None:
        """Put other words in its place, by hand; where it was said stays known."""
        with self._db.transaction():
            self._db.run("memories.unindex", id=memory_id)
            self._db.run("memories.edit", id=memory_id, text=text, folded=folded)
            self._db.run("memories.index", id=memory_id, words=self._db.searchable(text))

    def pin(self, memory_id: str, pinned: bool) -> None:
        self._db.run("memories.pin", id=memory_id, pinned=int(pinned))

    def used(self, memory_ids: Iterable[str]) -> None:
        """They were put before a question."""
        at = timestamp()
        self._db.run_many("memories.used", [{"id": memory_id, "at": at} for memory_id in memory_ids])

    # --- looking ---

    def get(self, memory_id: str) -> Memory:
        """By its id, or the beginning of it. Raises AtlesError."""
        found = self._db.rows("memories.begin_with", id=memory_id) if memory_id else []
        exact = [row for row in found if row["id"] == memory_id]
        if len(exact or found) > 1:
            some = ", ".join(row["id"] for row in found[:5])
            raise AtlesError(f"{memory_id!r} is short for several memories: {some}")
        if not found:
            raise AtlesError(f"there is no memory {memory_id!r}; `atles memory list` shows them")
        return self._with_sources((exact or found)[0])

    def of_user(self, user: int, kind: MemoryType | None = None, *, ended: bool = False) -> Sequence[Memory]:
        """A user's memories, newest first; with `ended` also those that hold no more. `sources` are left out."""
        return [_memory(row) for row in self._db.rows("memories.list", user=user, type=kind, all=int(ended))]

    def sources(self, memory: Memory) -> Sequence[Row]:
        """Session id, message id, rowid and position of each message that said it, oldest first."""
        row = self._db.row("memories.get", id=memory.id)
        return self._db.rows("memories.sources", memory=row["number"]) if row else []

    def of_session(self, session: int) -> Sequence[Memory]:
        """What messages of that session say."""
        return [_memory(row) for row in self._db.rows("memories.of_session", session=session)]

    def of_messages(self, messages: Iterable[int]) -> dict[int, list[Memory]]:
        """What each of the messages (rowids) says."""
        found: dict[int, list[Memory]] = {}
        for row in self._db.rows("memories.of_messages", messages=json.dumps(list(messages))):
            found.setdefault(row["message"], []).append(_memory(row))
        return found

    def same_words(self, user: int, folded: str) -> Sequence[Memory]:
        return [_memory(row) for row in self._db.rows("memories.same_words", user=user, folded=folded)]

    def in_slot(self, user: int, slot: str) -> Sequence[Memory]:
        return [_memory(row) for row in self._db.rows("memories.in_slot", user=user, slot=slot)] if slot else []

    def like(self, user: int, words: Sequence[str], beginnings: Sequence[str], limit: int) -> Sequence[Memory]:
        """Memories that hold one of the words, or a word that begins so; those that hold more of them first."""
        if not words and not beginnings:
            return []
        first, last = rowids(user)
        match = self._db.any_of(words, beginnings)
        rows = self._db.rows("memories.like", match=match, first=first, last=last, limit=limit)
        return [_memory(row) for row in rows]

    def newest(self, user: int, limit: int, at: str | None = None) -> Sequence[Memory]:
        """The facts and corrections that hold, or held at a time, the last learned first."""
        first, last = rowids(user)
        return [_memory(row) for row in self._db.rows("memories.newest", first=first, last=last, limit=limit, at=at)]

    def by_hand(self, user: int) -> Sequence[Memory]:
        """What was written, changed or imported by hand, the newest 1,000."""
        return [_memory(row) for row in self._db.rows("memories.by_hand", user=user)]

    def fading(self, before: str) -> Sequence[str]:
        """Ids of what was neither said nor used since; never what was pinned or written by hand."""
        return [row["id"] for row in self._db.rows("memories.fading", before=before)]

    def _with_sources(self, row: Row) -> Memory:
        sources = self._db.rows("memories.sources", memory=row["number"])
        return _memory(row, tuple((it["session_id"], it["id"]) for it in sources))

    # --- sessions, topics and counts ---

    def put_session(
        self,
        session_id: str,
        message_count: int,
        topics: Sequence[str],
        preferences: Sequence[str],
        data: dict[str, Any],
    ) -> None:
        """The original's row for a session: a public contract."""
        self._db.run(
            "memories.put_session",
            session_id=session_id,
            timestamp=timestamp(),
            topics=canonical_json(topics),
            preferences=canonical_json(preferences),
            message_count=message_count,
            data=canonical_json(data),
        )

    def put_topics(self, user: int, session: int, topics: dict[str, str]) -> int:
        """The session's topics (folded -> text), merged with the user's; how many are new."""
        self._db.run("memories.drop_topic_sessions", session=session)
        named = [{"user": user, "folded": folded, "text": text} for folded, text in topics.items()]
        added = self._db.run_many("memories.add_topic", named)
        self._db.run_many(
            "memories.add_topic_session",
            [{"user": user, "folded": folded, "session": session} for folded in topics],
        )
        return added

    def drop_idle_topics(self) -> None:
        """Those that no session has any more."""
        self._db.run("memories.drop_topics")

    def wipe(self) -> None:
        """Rewrite the index without what was deleted, whose words stay in its old segments until then."""
        self._db.run("memories.wipe")

    def successor(self, memory: Memory) -> Memory | None:
        """What took its place."""
        row = self._db.row("memories.get", id=memory.replaced_by) if memory.replaced_by else None
        return _memory(row) if row else None

    def topics(self, user: int) -> Sequence[dict[str, Any]]:
        """Text, number of sessions and last time of each, most frequent first."""
        return [dict(row) for row in self._db.rows("memories.topics", user=user)]

    def reject(self, message_ids: Iterable[str]) -> None:
        """Answers that the user corrected: they are recalled no more."""
        self._db.run_many("memories.reject", [{"id": message_id} for message_id in message_ids])

    def sessions(self) -> Sequence[dict[str, Any]]:
        """One object per session, newest first, with topics and preferences as lists."""
        return [_session(row) for row in self._db.rows("memories.sessions")]

    def session(self, name: str) -> dict[str, Any]:
        """By the row's number or by session id. Raises AtlesError if there is none."""
        row = self.session_or_none(name)
        if row is None:
            raise AtlesError(f"nothing is remembered of a session {name!r}; `atles sessions` lists them")
        return row

    def session_or_none(self, name: str) -> dict[str, Any] | None:
        row = self._db.row("memories.session", id=name, number=int(name) if _NUMBER.fullmatch(name) else -1)
        return _session(row) if row else None

    def count(self) -> int:
        """Memories of all users, those that hold no more among them."""
        return self._count("memories.count")

    def refusals(self) -> dict[str, int]:
        """How often what looked like a memory was refused, by reason."""
        return {row["reason"]: row["n"] for row in self._db.rows("memories.refusals")}

    def _count(self, query: str) -> int:
        row = self._db.row(query)
        return row["n"] if row else 0


def _memory(row: Row, sources: tuple[tuple[str, str], ...] = ()) -> Memory:
    return Memory(
        row["id"], MemoryType(row["type"]), row["text"], row["said_by"], row["confidence"], row["slot"],
        row["value"], row["valid_from"], row["valid_to"], row["replaced_by"], row["ended_how"],
        row["said"] if "said" in row.keys() else len(sources),  # noqa: SIM118  # Row is no mapping
        bool(row["pinned"]), bool(row["edited"]), row["extractor"], row["created_at"], row["last_used_at"],
        row["uses"], sources,
    )  # fmt: skip


def _session(row: Row) -> dict[str, Any]:
    return {**dict(row), **{key: json.loads(row[key]) for key in ("topics", "preferences", "data")}}
