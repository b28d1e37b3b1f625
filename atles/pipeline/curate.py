"""What people do to memories by hand: change, pin, export and import. Everything that comes in is scrubbed like a
chat."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atles.clock import now, timestamp
from atles.errors import AtlesError
from atles.pipeline.reconcile import content, folded
from atles.pipeline.scrub import scrub_text
from atles.records import Memory, MemoryType, content_id
from atles.store import Store
from atles.store.sessions import moment

_TYPES = (
    MemoryType.FACT, MemoryType.PREFERENCE, MemoryType.CORRECTION, MemoryType.PROCEDURE, MemoryType.QUESTION,
)  # fmt: skip
_MOST_CHARACTERS = 2_000


def edit(store: Store, memory_id: str, text: str, level: str) -> Memory:
    """Give a memory other words; it then stays as it is when its session is learned again. Raises AtlesError."""
    memory = store.memories.get(memory_id)
    clean = _checked(text, level)
    store.memories.edit(memory.id, clean, folded(clean))
    return store.memories.get(memory.id)


def add(
    store: Store,
    text: str,
    *,
    level: str,
    kind: str = MemoryType.FACT,
    user: str = "",
    valid_from: str | None = None,
    valid_to: str | None = None,
    slot: str = "",
    value: str = "",
    pinned: bool = False,
) -> tuple[Memory, bool]:
    """Write a memory by hand: it, and whether it is new. The same one twice is one. Raises AtlesError."""
    if kind not in _TYPES:
        raise AtlesError(f"{kind!r} is no type of memory; there are {', '.join(_TYPES)}")
    clean = _checked(text, level)
    since = moment(valid_from) or now().isoformat(timespec="seconds")
    with store.transaction():
        number = store.sessions.user_to_write(user)
        store.sessions.lock(number)
        for known in store.memories.same_words(number, folded(clean)):
            if known.type == kind and bool(known.valid_to) == bool(valid_to):
                return known, False
        memory = Memory(
            content_id(number, kind, folded(clean), since), MemoryType(kind), clean, "you", 1.0, slot, value, since,
            moment(valid_to), "", "ended" if valid_to else "", 0, pinned, True, "hand", timestamp(), None, 0,
        )  # fmt: skip
        store.memories.add(memory, number, folded(clean), how=memory.ended_how)
    return memory, True


def export(store: Store, user: str | None = None) -> Iterator[dict[str, Any]]:
    """Everything that is remembered, one JSON object each: of a user, or of all."""
    for known in store.sessions.users():
        if user is not None and known["name"] != user:
            continue
        number = store.sessions.user(known["name"])
        assert number is not None  # it was just listed
        for memory in reversed(store.memories.of_user(number, ended=True)):
            yield {"user": known["name"], **store.memories.get(memory.id).as_json()}


def import_(store: Store, lines: Iterable[str], level: str, user: str | None = None) -> tuple[int, int]:
    """Read what `export` wrote, or lines of {"text": …}: how many memories are new, and how many were known.

    All or nothing. Raises AtlesError that names the line.
    """
    new = known = 0
    with store.transaction():
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise AtlesError(f"line {number} is not JSON: {error}") from None
            added = _import_one(store, item, number, level, user)
            new, known = new + added, known + (not added)
    return new, known


def _import_one(store: Store, item: Any, number: int, level: str, user: str | None) -> bool:
    if not isinstance(item, Mapping) or not isinstance(item.get("text"), str):
        raise AtlesError(f'line {number}: a memory is an object like {{"type": "fact", "text": "I live in Leeds."}}')
    texts = {key: item.get(key) or "" for key in ("user", "slot", "value", "valid_from", "valid_to")}
    if wrong := [key for key, value in texts.items() if not isinstance(value, str)]:
        raise AtlesError(f"line {number}: `{wrong[0]}` is no text")
    try:
        return add(
            store, item["text"], level=level, kind=str(item.get("type", MemoryType.FACT)),
            user=texts["user"] if user is None else user, valid_from=texts["valid_from"],
            valid_to=texts["valid_to"], slot=texts["slot"], value=texts["value"], pinned=bool(item.get("pinned")),
        )[1]  # fmt: skip
    except AtlesError as error:
        raise AtlesError(f"line {number}: {error}") from error


def _checked(text: str, level: str) -> str:
    clean = " ".join(scrub_text(text, level)[0].split())
    if not content(clean):
        raise AtlesError("there is nothing to remember in that text")
    if len(clean) > _MOST_CHARACTERS:
        raise AtlesError(f"a memory has at most {_MOST_CHARACTERS:,} characters; this one has {len(clean):,}")
    return clean
