"""The log of finished sessions: what an entry says, and the files, written once from the store.

The store is the truth; the files are its projection, so a crash between the two is mended at the next write.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock

from atles.clock import compact
from atles.layout import Home, file_name, make_folder, private, sync_folder, write_atomic
from atles.pipeline import schedule
from atles.records import Adapter, SessionLog, Split, Step
from atles.settings import Settings
from atles.store import Store
from atles.store.adapters import BASE
from atles.store.sessions import StoredSession

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WORTH_CUTTING = 0.1  # of the master log: to take out less, it is not written anew
_AT_ONCE = 100  # entries, each a synced file: well below a second, where there may be those of years
_TAIL_BYTES = 1 << 16  # of the master log, read at first; its lines are mostly far shorter


def entry(store: Store, settings: Settings, base: str, stored: StoredSession) -> SessionLog:
    """What became of a session, from the record of its steps.

    `tokens_processed` counts words and punctuation marks: the daemon knows no model's tokenizer.
    """
    session = stored.session
    steps = store.logs.steps(session.session_id, stored.revision)
    memory = steps.get(Step.MEMORY, {}).get("result", {})
    data = steps.get(Step.DATA, {}).get("result", {})
    adapter = store.adapters.trained_on(session.session_id)
    if adapter and store.examples.unjudged(session.session_id):
        adapter = None  # it saw an earlier, shorter revision
    seconds = {name: step["seconds"] for name, step in steps.items() if not step["error"]}
    if adapter:
        seconds[Step.TRAIN] = adapter.train["time_taken"]
    improvements = []
    if memory.get("insights_extracted"):
        improvements.append(f"Extracted topics: {', '.join(memory['insights_extracted'])}")
    if memory.get("patterns_identified"):
        improvements.append(f"Identified preferences: {'; '.join(memory['patterns_identified'])}")
    if data.get("examples"):
        improvements.append(f"Prepared {data['examples']} training examples")
    if adapter:
        improvements.append(f"Adapter {adapter.name} {adapter.state}: {adapter.reason}")
    _, active = store.adapters.active()
    return SessionLog(
        session_id=session.session_id,
        start_time=session.start_time or "unknown",
        end_time=session.end_time or "unknown",
        messages_count=len(session.messages),
        tokens_processed=sum(len(_TOKEN.findall(message.text)) for message in session.messages),
        memory_items_created=memory.get("memory_items_created", 0),
        fine_tune_applied=adapter is not None,
        fine_tune_loss=adapter.train["loss"] if adapter else None,
        model_version=base if active == BASE else active,
        improvements=tuple(improvements),
        errors=tuple(f"{name}: {step['error']}" for name, step in steps.items() if step["error"]),
        seconds=seconds,
        training=_training(store, settings, stored, adapter, failed=bool(steps.get(Step.TRAIN, {}).get("error"))),
        revision=stored.revision,
    )


def _training(store: Store, settings: Settings, stored: StoredSession, adapter: Adapter | None, *, failed: bool) -> str:
    """Why a session did or did not take part in a training, in words."""
    if adapter:
        return f"took part in {adapter.name}, which was {adapter.state}"
    if stored.split is Split.HELDOUT:
        return "did not take part: it is held out, to check adapters on what they never saw"
    if not settings.train.enabled:
        return "did not take part: train.enabled is false"
    if not store.examples.unjudged(stored.session.session_id):
        return "did not take part: it holds nothing to learn from"
    if failed:
        return "did not take part: the training failed; its examples wait for the next one"
    if blocked := schedule.mixed(settings.train, store.sessions.users()):
        return f"did not take part: {blocked}"
    new, needed = store.examples.count_new(), settings.train.min_new_examples
    if new < needed:
        return f"did not take part yet: {new} of the {needed} new examples that a training needs are there"
    return "did not take part yet: no adapter can be judged before more sessions are held out"


def publish(store: Store, home: Home, uptime_seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
    """Bring `session_log_*.json`, `master_log.jsonl` and `daemon_stats.json` up to date. `enough` is asked now and
    then: once it is, the rest is left for the next time. Raises OSError; StoreError where the store is away."""
    make_folder(home.logs)
    with _publishing(home.logs):
        entries = iter(_unpublished(store, home.master_log))
        while some := list(islice(entries, _AT_ONCE)):
            _append(home, some)
            if enough():
                break
    publish_stats(store, home, uptime_seconds)


def _append(home: Home, entries: Iterable[tuple[int, str, dict[str, Any]]]) -> None:
    lines = []
    for seq, at, logged in entries:
        name = f"session_log_{file_name(logged['session_id'])}_{compact(at)}.json"
        write_atomic(home.logs / name, json.dumps(logged, indent=2), sync_name=False)
        lines.append(json.dumps({"seq": seq, "logged_at": at, **logged}) + "\n")
    sync_folder(home.logs)  # first: a line says that the session's own file is written
    with open(home.master_log, "a", encoding="utf-8", opener=private) as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _publishing(logs: Path) -> FileLock:
    """Held by who writes the master log: workers may share a home, and people prune it."""
    return FileLock(logs / ".publishing", mode=0o600)


def publish_stats(store: Store, home: Home, uptime_seconds: float) -> None:
    """Write `daemon_stats.json`: the original's fields, counted from the tables."""
    stats = {**store.logs.totals(), "uptime_hours": round(uptime_seconds / 3600, 4)}
    write_atomic(home.stats, json.dumps(stats, indent=2))


def old_length(master_log: Path, before: float) -> int:
    """How many bytes at the master log's beginning are entries from before that Unix time. The last entry is never
    among them: its number says what was published. 0 where they are too few to write the file anew for."""
    old = length = 0
    try:
        with open(master_log, "rb") as file:
            for line in file:
                if _read(line):
                    old = length  # all before this one
                    if _at(line) >= before:
                        break
                length += len(line)
            return old if old >= file.seek(0, 2) * _WORTH_CUTTING else 0
    except FileNotFoundError:
        return 0


def cut(master_log: Path, before: float) -> None:
    """Take the entries from before that Unix time out of the master log. Raises OSError."""
    with _publishing(master_log.parent):
        if old := old_length(master_log, before):
            with open(master_log, "rb") as file:
                file.seek(old)
                write_atomic(master_log, iter(lambda: file.read(1 << 20), b""))


def _at(line: bytes) -> float:
    """When an entry was logged, Unix time; the beginning of time where it does not say."""
    try:
        return datetime.fromisoformat(json.loads(line)["logged_at"]).timestamp()
    except (ValueError, TypeError, KeyError):
        return 0.0


def _unpublished(store: Store, master_log: Path) -> Iterable[tuple[int, str, dict[str, Any]]]:
    """The store's entries that the master log does not have.

    They are written in the order of their numbers, so they come after the last line that the store has, too. That is
    the log's last one, or nearly: unless it is of another database, from before this one was lost.
    """
    last = first = _last_published(master_log)
    if last is None:
        return store.logs.after(0)
    if _has(store, last):
        return store.logs.after(last["seq"])
    highest = store.logs.last()  # of a new database it is low: few lines are to be looked up there
    for line in _backwards(master_log):
        if it := _read(line):
            if it["seq"] <= highest and _has(store, it):
                return store.logs.after(it["seq"])
            first = it
    # None of them is there. What is older than they, and has a lower number, was cut off: as when each that was left
    # has been logged again.
    began = _at(json.dumps(first).encode())
    found, highest = store.logs.after(0), last["seq"]
    return (it for it in found if it[0] > highest or datetime.fromisoformat(it[1]).timestamp() >= began)


def _has(store: Store, line: dict[str, Any]) -> bool:
    """Whether a line is an entry of this store, and not of another with that number."""
    return store.logs.named(line["seq"]) == (line.get("session_id"), line.get("revision"), line.get("logged_at"))


def _backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file, the last first."""
    with open(path, "rb") as file:
        start, rest = file.seek(0, 2), b""
        while start:
            size = min(start, max(_TAIL_BYTES, len(rest)))  # more of it where a line is long
            start -= size
            file.seek(start)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


def _last_published(master_log: Path) -> dict[str, Any] | None:
    """The master log's last whole entry, if there is one; a part of a line, left by a crash, is cut off."""
    try:
        with open(master_log, "r+b") as file:
            size, window = file.seek(0, 2), _TAIL_BYTES
            while True:
                start = file.seek(max(0, size - window))
                tail = file.read()
                tail = tail[: tail.find(b"\0")] if b"\0" in tail else tail  # a hole, as a power loss may leave it
                end = tail.rfind(b"\n") + 1
                whole = tail[:end].splitlines()[0 if start == 0 else 1 :]  # the first may be the end of a longer line
                for line in reversed(whole):
                    if it := _read(line):
                        file.truncate(start + end)
                        return it
                if start == 0:
                    file.truncate(end)
                    return None
                window *= 8
    except FileNotFoundError:
        return None


def _read(line: bytes) -> dict[str, Any] | None:
    """What a line of the master log says; None for a line that somebody else wrote there."""
    try:
        it = json.loads(line)
        return it if isinstance(it["seq"], int) else None
    except (ValueError, TypeError, KeyError):
        return None
