"""What became of a home's sessions, read from what docs/storage.md promises: files and the table of memories."""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atles.layout import Home, file_name
from atles.records import printable


@dataclass(frozen=True)
class Outcome:
    """Each place that a learned session is in once, as session id -> how often it is there; and what is left."""

    remembered: Counter[str]  # rows of session_memories
    written: Counter[str]  # training files
    logged: Counter[str]  # log files, of the newest revision
    listed: Counter[str]  # lines of the master log, of the newest revision
    processed: Counter[str]  # files in processed/
    entries: dict[str, dict[str, Any]]  # the newest log entry of each
    set_aside: dict[str, str]  # name in quarantine/ -> the reason
    waiting: list[str]  # names in sessions/ and sessions/open/

    def once(self, ids: Collection[str], *, sent: int = 1) -> None:
        """Assert that these were learned, each once, without an error. `sent`: how many files of each came."""
        for name in ("remembered", "written", "logged", "listed", "processed"):
            found = getattr(self, name)
            assert {id: found[id] for id in ids} == dict.fromkeys(ids, sent if name == "processed" else 1), name
        assert {id: self.entries[id]["errors"] for id in ids} == {id: [] for id in ids}

    def at_most_once(self) -> None:
        """Assert that nothing is anywhere twice, and that nothing was set aside."""
        for name in ("remembered", "written", "logged", "listed", "processed"):
            assert set(getattr(self, name).values()) <= {1}, name
        assert self.set_aside == {}

    def nothing_but(self, ids: Collection[str]) -> None:
        """Assert that these were learned once each, that nothing else was, and that nothing is left over."""
        self.once(ids)
        for name in ("remembered", "written", "logged", "listed", "processed"):
            assert set(getattr(self, name)) == set(ids), name
        assert self.waiting == [] and self.set_aside == {}


def outcome(home: Home) -> Outcome:
    rows = _rows(home)
    listed = [json.loads(line) for line in lines(home.master_log)]
    entries = {entry["session_id"]: entry for entry in sorted(listed, key=lambda it: it["revision"])}
    logged = [json.loads(file.read_text()) for file in home.logs.glob("session_log_*.json")]
    newest = {name: entry["revision"] for name, entry in entries.items()}
    stems = {f"training_{file_name(name)}": name for name in rows}
    return Outcome(
        Counter(rows),
        Counter(stems[file.stem[: -len("_20260101_000000")]] for file in home.training_data.glob("training_*.jsonl")),
        Counter(it["session_id"] for it in logged if it["revision"] == newest.get(it["session_id"])),
        Counter(it["session_id"] for it in listed if it["revision"] == newest[it["session_id"]]),
        Counter(_id_in(file) for file in home.processed.iterdir()),
        entries,
        {file.name.removesuffix(".reason.txt"): file.read_text() for file in home.quarantine.glob("*.reason.txt")},
        sorted(file.name for folder in (home.sessions, home.open_sessions) for file in folder.iterdir()
               if file.is_file()),
    )  # fmt: skip


def lines(file: Path) -> list[str]:
    """The whole lines of a file; none if it is not there."""
    return file.read_text("utf-8").split("\n")[:-1] if file.exists() else []


def listed(home: Home) -> set[str]:
    """The sessions that the master log names."""
    return {json.loads(line)["session_id"] for line in lines(home.master_log)}


def examples(home: Home, session_id: str) -> list[tuple[str, str]]:
    """The questions and answers that a session's training file holds."""
    (file,) = home.training_data.glob(f"training_{file_name(session_id)}_*.jsonl")
    return [(it["instruction"], it["output"]) for it in map(json.loads, lines(file))]


def _rows(home: Home) -> list[str]:
    connection = sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True)
    try:
        return [row[0] for row in connection.execute("select session_id from session_memories")]
    finally:
        connection.close()


def _id_in(file: Path) -> str:
    named = file.stem.removeprefix("completed_")
    return printable(str(json.loads(file.read_text("utf-8-sig")).get("session_id") or named))
