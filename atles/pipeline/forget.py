"""Forgetting: a hard delete of words, wherever the database holds them. Knows the store, never how it was asked for.

A forgotten message keeps its place and its id, without its words: so a client that sends its history again does not
bring them back. What was said of it (memories, topics, examples, vectors) goes, and what it had replaced holds again.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atles.clock import timestamp
from atles.layout import Home, file_name, names, write_atomic
from atles.pipeline.extract.words import DAYS
from atles.pipeline.recall import MONTHS, STOP_WORDS, idf
from atles.pipeline.reconcile import folded
from atles.records import ForgetRequest, Memory, canonical_json
from atles.store import Store
from atles.store.sessions import StoredSession, rowids, user_of
from atles.store.turns import said

_RARE = 12  # messages: a name that more of them hold is more than the user can mean
_LONG = 7  # letters of a word that is known by its beginning
_ENOUGH = 0.6  # of what the message holds that holds most of the request's words
_WORD = re.compile(r"[^\W_]+")
_STAMP = re.compile(r"_\d{8}_\d{6}\.jsonl?\Z")  # the end of a training file's or session log's name
_CAME = re.compile(r"(?:_[0-9a-z]{26})?(?:\.\d+)?\.json")  # what follows a session's name in processed/
_WHOSE = re.compile(r'"session_id": ("(?:[^"\\]|\\.)*")')  # in a line of the master log, as it is written there
# Words of a request to forget that do not name what is to be forgotten.
_ASKING = frozenset(
    """anything ask asked bit business confessed confided conversation delete everything fact forget forgotten ignore
    info information item memory mention mentioned name part please record records remove said something
    strike stuff talked telling thing things told whole wipe""".split()
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is gone: how many messages lost their words, how many memories, and in which sessions."""

    messages: int
    memories: int
    sessions: tuple[str, ...]


def forget_memories(store: Store, memories: Iterable[Memory]) -> Forgotten:
    """Forget memories, and the words that said them."""
    with store.transaction():
        gone = list(memories)
        messages = {row["rowid"] for memory in gone for row in store.memories.sources(memory)}
        for memory in gone:
            store.memories.delete(memory.id)
        done = forget_messages(store, messages)
    return Forgotten(done.messages, done.memories + len(gone), done.sessions)


def forget_messages(store: Store, messages: Iterable[int]) -> Forgotten:
    """Forget messages (rowids), and every memory that only they said."""
    rowids_ = sorted(set(messages))
    if not rowids_:
        return Forgotten(0, 0, ())
    with store.transaction():
        for user in sorted(set(map(user_of, rowids_))):
            store.sessions.lock(user)
        store.turns.remove_messages(rowids_)
        store.vectors.remove(rowids_)
        store.feedback.remove(rowids_)
        touched = {memory.id: memory for found in store.memories.of_messages(rowids_).values() for memory in found}
        sessions = store.sessions.forget_messages(rowids_, timestamp())
        store.memories.drop_messages(rowids_)
        deleted = 0
        for memory in touched.values():
            if not memory.edited and not store.memories.sources(memory):
                store.memories.delete(memory.id)
                deleted += 1
        for session_id in sessions:
            store.examples.blank(session_id)
            store.logs.forget(session_id)
            _prune(store, session_id)
        store.memories.drop_idle_topics()
        store.turns.wipe()
        store.memories.wipe()
    return Forgotten(len(rowids_), deleted, tuple(sessions))


def _prune(store: Store, session_id: str) -> None:
    """Keep of a session's own row what its remaining words still say."""
    stored = store.sessions.get(session_id)
    left = f" {folded(' '.join(message.text for message in stored.session.messages))} "

    def kept(text: str) -> bool:
        return f" {folded(text)} " in left

    row = store.memories.session_or_none(session_id)
    if row is None:
        return
    topics = [text for text in row["topics"] if kept(text)]
    data = {kind: [it for it in items if kept(it["text"])] for kind, items in row["data"].items()}
    store.memories.put_topics(stored.user, stored.number, {folded(text): text for text in topics})
    preferences = [text for text in row["preferences"] if kept(text)]
    store.memories.put_session(session_id, row["message_count"], topics, preferences, data)


def forget_session(store: Store, session_id: str) -> Forgotten:
    """Forget all that was said in a session. Raises AtlesError if there is none of that name."""
    stored = store.sessions.get(session_id)
    return forget_messages(store, [row["rowid"] for row in store.sessions.message_rows(stored.number)])


def asked(store: Store, stored: StoredSession, request: ForgetRequest) -> Forgotten:
    """Do what the user asked for in a chat: forget what the words of the request name, or what was said just before.

    The request itself and the answers to what is forgotten go, too: they repeat it.
    """
    rows = {row["position"]: row for row in store.sessions.message_rows(stored.number)}
    if set(_words(request.about)) - _ASKING:
        chosen = _named(store, stored.user, request.about, rows[request.message]["rowid"])
    else:
        before = [n for n in sorted(rows) if n < request.message and rows[n]["role"] == "user"]
        chosen = {rows[before[-1]]["rowid"]} if before else set()
    chosen |= {rows[request.message]["rowid"]}
    return forget_messages(store, chosen | _answers(store, chosen))


def _named(store: Store, user: int, about: str, request: int) -> set[int]:
    """Messages before the request that hold most of what it names: all of its names, and of its words, by how rare each
    is, _ENOUGH of what any message holds. Where it names a month, those of that month, if there are any."""
    first, _ = rowids(user)
    words = [word for word in _words(about) if word not in _ASKING]

    def holding(word: str) -> set[int]:
        found = set(store.turns.with_word(word, first, request - 1))
        # "pregnancy" means "pregnant", too
        return found | set(store.turns.with_start(word[:-2], first, request - 1)) if len(word) >= _LONG else found

    then = set().union(*(holding(said(None, MONTHS[word], None)) for word in words if word in MONTHS))
    held = {word: holding(word) for word in words if word not in MONTHS or not then}
    held = {word: found & then for word, found in held.items() if found & then} or held
    worth: dict[int, float] = {}
    for found in held.values():
        for place in found:
            worth[place] = worth.get(place, 0.0) + idf(len(found), request - first)
    best = max(worth.values(), default=0.0)
    chosen = {place for place, value in worth.items() if value >= best * _ENOUGH}
    capital = {word.lower() for word in _WORD.findall(about) if word[0].isupper()}
    for word, found in held.items():
        if word in DAYS or len(found) > _RARE:
            continue
        if word in capital or _is_name(store, word, {first + place for place in found}):
            chosen |= found
    return {first + place for place in chosen}


def _is_name(store: Store, word: str, messages: set[int]) -> bool:
    """Whether somebody writes the word with a capital inside a sentence: users seldom do, assistants do."""
    inside = re.compile(rf"[\w,;] {re.escape(word.capitalize())}\b")
    return any(inside.search(turn.text) for turn in store.turns.get(messages))


def _answers(store: Store, messages: set[int]) -> set[int]:
    """The assistant's direct answers to messages of the user."""
    return {row["rowid"] for row in store.sessions.answers_to(sorted(messages))}


def _words(text: str) -> list[str]:
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in STOP_WORDS]


def forget_files(home: Home, store: Store, sessions: Iterable[str]) -> set[str]:
    """Bring the files of sessions up to what the store still knows: the newest processed file and the logs. Processed
    files from before they grew go, and datasets with a word of theirs; and their training files, until the data step
    writes them again. The sessions that had some. Raises OSError.

    A daemon may append to the master log meanwhile: what it misses there it writes again.
    """
    gone, had = set(sessions), set()
    if not gone:
        return had
    stems = tuple(home.completed(session_id).stem for session_id in gone)
    came = [name for name in names(home.processed) if name.startswith(stems)]
    for session_id in gone:
        *older, newest = [None, *_processed(home, session_id, came)]
        if newest:
            write_atomic(newest, canonical_json(store.sessions.get(session_id).session.as_json()))
        for file in filter(None, older):
            file.unlink()
    for folder in (home.training_data, home.chat_data):
        for session_id, file in list(_stamped(folder, "training", gone)):
            file.unlink(missing_ok=True)
            had.add(session_id)
    for _, log in list(_stamped(home.logs, "session_log", gone)):
        write_atomic(log, json.dumps(_silent(json.loads(log.read_text("utf-8"))), indent=2))
    if home.master_log.exists():
        write_atomic(home.master_log, _silent_lines(home.master_log, gone))
    # What was trained on them is retired, and what was judged by them is judged: nobody needs these.
    for manifest in home.datasets.glob("*/manifest.json"):
        said = json.loads(manifest.read_text("utf-8"))
        if gone.intersection((*said["train"]["sessions"], *said["heldout"]["sessions"])):
            shutil.rmtree(manifest.parent)
    return had


def _stamped(folder: Path, kind: str, sessions: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The files of sessions that are named by kind, session and time, each with its session. Raises OSError."""
    wanted = {f"{kind}_{file_name(session_id)}": session_id for session_id in sessions}
    for name in names(folder):
        if (session_id := wanted.get(_STAMP.sub("", name))) is not None:
            yield session_id, folder / name


def _processed(home: Home, session_id: str, came: Iterable[str]) -> list[Path]:
    """Of names in processed/, the files by which a session came, the oldest first: each time it grew, another one.
    Raises OSError."""
    stem = home.completed(session_id).stem
    files = [home.processed / name for name in came if name.startswith(stem) and _CAME.fullmatch(name, len(stem))]
    # "s.2" may be the second file of "s", or the first of another session.
    own = [file for file in files if file.stem == stem or _id_in(file) == session_id]
    return sorted(own, key=lambda file: file.stat().st_mtime_ns)


def _id_in(file: Path) -> str | None:
    try:
        return json.loads(file.read_text("utf-8")).get("session_id")
    except (ValueError, AttributeError):
        return None  # changed by somebody since it was taken


def _silent_lines(master_log: Path, sessions: set[str]) -> Iterator[str]:
    """The master log's lines, one at a time: they are those of years."""
    named = {json.dumps(session_id) for session_id in sessions}
    with open(master_log, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            found = _WHOSE.search(line)
            yield _silent_line(line, sessions) if found and found[1] in named else line


def _silent_line(line: str, sessions: set[str]) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line  # of somebody else's, or half of one
    ours = isinstance(entry, dict) and entry.get("session_id") in sessions
    return json.dumps(_silent(entry)) + "\n" if ours else line


def _silent(entry: dict[str, Any]) -> dict[str, Any]:
    """A log entry without what quotes the session."""
    return {**entry, "improvements": []}
