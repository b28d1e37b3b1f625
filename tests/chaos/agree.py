"""Whether the files of a home and its database say the same, both ways, and each is whole. Knows where everything lies;
nothing of what was handed over, but for the names of files.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from atles.clock import compact
from atles.layout import Home, file_name
from atles.pipeline.dataset import build_examples
from atles.records import AdapterState
from atles.store import Store
from atles.store.adapters import BASE
from atles.store.sessions import StoredSession
from atles.store.sqlite import SQLite
from tests.raw import execute

Stored = Mapping[str, StoredSession]


def disagreements(home: Home, store: Store, stored: Stored, names: Sequence[str], kills: int) -> Iterator[str]:
    """In words, what is not as it must be, where nothing is left to do. `names` are of files that were handed over;
    each of the `kills` may have left a temporary file."""
    yield from _session_files(home, stored, names)
    yield from _training_files(home, store, stored)
    yield from _logs(home, store, stored)
    yield from _adapters(home, store)
    yield from _pointer(store)
    yield from _database(store)
    yield from _leftovers(home, kills)


def _session_files(home: Home, stored: Stored, names: Sequence[str]) -> Iterator[str]:
    processed = {path.name: json.loads(path.read_text())["session_id"] for path in home.processed.iterdir()}
    for name in names:
        if name not in processed:
            yield f"{name} is not in processed/"
    named = set(processed.values())
    yield from (f"{name} has no file in processed/" for name in stored if name not in named)
    yield from (f"{name} in processed/ has no row" for name, of in processed.items() if of not in stored)
    yield from (f"{path.name} was quarantined" for path in home.quarantine.iterdir())
    for folder in (home.sessions, home.open_sessions):
        yield from (
            f"{path.name} is still there" for path in folder.iterdir() if path.is_file() and not _temporary(path)
        )


def _training_files(home: Home, store: Store, stored: Stored) -> Iterator[str]:
    expected = set()
    for name, it in stored.items():
        file = f"training_{file_name(name)}_{compact(it.received_at)}.jsonl"
        expected.add(file)
        examples = store.examples.of_session(name)
        lines = [
            {"instruction": ex.instruction, "output": ex.output, "context": name}
            for ex in {(ex.message_id, ex.instruction): ex for ex in examples}.values()
        ]
        if {ex.id for ex in examples if ex.kind != "restated"} != {ex.id for ex in build_examples(it.session)}:
            yield f"the examples of {name} are not those of its messages"
        if not _same(home.training_data / file, lines):
            yield f"training_data/{file} is not what the examples of {name} say"
        if not _same(home.chat_data / file, [{"messages": list(ex.messages)} for ex in examples]):
            yield f"training_data/chat/{file} is not what the examples of {name} say"
    for folder in (home.training_data, home.chat_data):
        there = {path.name for path in folder.glob("*.jsonl")}
        yield from (f"{folder.name}/{name} belongs to nothing" for name in sorted(there - expected))


def log_lines(home: Home) -> list[dict[str, Any]]:
    """The lines of the master log."""
    if not home.master_log.exists():
        return []
    return [json.loads(line) for line in home.master_log.read_text().splitlines()]


def _logs(home: Home, store: Store, stored: Stored) -> Iterator[str]:
    lines = log_lines(home)
    if sorted({line["seq"] for line in lines}) != [line["seq"] for line in lines]:
        yield "the master log is out of order, or says something twice"
    last = {(line["session_id"], line["revision"]): line for line in lines}
    rows = {
        (entry["session_id"], entry["revision"]): {"seq": seq, "logged_at": at, **entry}
        for seq, at, entry in store.logs.after(0)
    }
    for name, revision in last.keys() | rows.keys():
        if last.get((name, revision)) != rows.get((name, revision)):
            yield f"{name}, revision {revision}: the master log is not what the database says"
    for name, it in stored.items():
        if (name, it.revision) not in rows:
            yield f"{name}: revision {it.revision} is not logged"
    files = {f"session_log_{file_name(it['session_id'])}_{compact(it['logged_at'])}.json": it for it in lines}
    there = {path.name for path in home.logs.glob("session_log_*.json")}
    yield from _both("logs", set(files), there)
    for name in files.keys() & there:
        entry = {key: value for key, value in files[name].items() if key not in ("seq", "logged_at")}
        if json.loads((home.logs / name).read_text()) != entry:
            yield f"logs/{name} is not what the master log says"
    stats = json.loads(home.stats.read_text())
    for name, value in store.logs.totals().items():
        if stats[name] != value:
            yield f"daemon_stats.json: {name} is {stats[name]}, not {value}"


def _adapters(home: Home, store: Store) -> Iterator[str]:
    adapters = {adapter.name: adapter for adapter in store.adapters.list()}
    datasets = {adapter.dataset_id for adapter in adapters.values()}
    yield from _both("adapters", set(adapters), _folders(home.adapters))
    yield from _both("datasets", datasets, _folders(home.datasets))
    for name in datasets & _folders(home.datasets):
        if not (home.dataset(name) / "manifest.json").exists():
            yield f"dataset {name} is not complete"
    for name, adapter in adapters.items():
        if adapter.state is AdapterState.CANDIDATE:
            yield f"{name} was never judged"
        folder = home.adapter(name)
        try:
            digest = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
            for file in ("adapter_config.json", "report.json", "lineage.json"):
                json.loads((folder / file).read_text())
        except (OSError, ValueError) as error:
            yield f"adapter {name} is not whole: {error}"
            continue
        if digest != adapter.train["details"]["sha256"]:
            yield f"adapter {name} has other weights than its row says"


def _pointer(store: Store) -> Iterator[str]:
    adapters = store.adapters.list()
    before, promoted = BASE, []
    for move in reversed(store.adapters.releases()):
        if move["previous"] != before:
            yield f"the pointer moved from {move['previous']} to {move['adapter']}, but {before} was active"
        before = move["adapter"]
        promoted.append(before)
    if store.adapters.active()[1] != before:
        yield f"{store.adapters.active()[1]} is active, but the last move was to {before}"
    passed = {adapter.name for adapter in adapters if adapter.state is AdapterState.PROMOTED}
    if Counter(promoted) != Counter(passed):
        yield f"the pointer moved to {promoted}; these passed the gate: {sorted(passed)}"


def _database(store: Store) -> Iterator[str]:
    sqlite = isinstance(store.database, SQLite)
    index = "turns_docsize" if sqlite else "turns"
    ((messages,), (indexed,)) = (execute(store, f"select count(*) from {table}")[0] for table in ("messages", index))
    if messages != indexed:
        yield f"{messages} messages are stored, {indexed} are in the index"
    if not sqlite:
        return
    ((sound,),) = execute(store, "pragma integrity_check")
    if sound != "ok":
        yield f"the database is damaged: {sound}"
    if broken := execute(store, "pragma foreign_key_check"):
        yield f"rows refer to what is not there: {[tuple(row) for row in broken[:5]]}"
    try:
        execute(store, "insert into turns (turns) values ('integrity-check')")
        execute(store, "insert into memories_fts (memories_fts, rank) values ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        yield f"an index is damaged: {error}"


def _leftovers(home: Home, kills: int) -> Iterator[str]:
    temporary = list(home.root.rglob("*.tmp"))
    if len(temporary) > kills:
        yield f"{len(temporary)} temporary files are left, after {kills} kills"


def _temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".tmp"


def _same(path: Path, items: Sequence[Any]) -> bool:
    """Whether a file holds these as JSON lines, in any order."""
    if not path.exists():
        return False
    found = [json.loads(line) for line in path.read_text().split("\n") if line]
    return Counter(map(_text, found)) == Counter(map(_text, items))


def _text(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


def _folders(path: Path) -> set[str]:
    """What is in a folder, but for what somebody was about to write."""
    return {it.name for it in path.iterdir() if not _temporary(it)}


def _both(what: str, rows: set[str], folders: set[str]) -> Iterator[str]:
    yield from (f"{what}/{name} is not there" for name in sorted(rows - folders))
    yield from (f"{what}/{name} belongs to nothing" for name in sorted(folders - rows))
