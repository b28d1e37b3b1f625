"""The original's shape: every file and table that a user's own tools may read, with the documented fields."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from tests.conftest import Learned

SESSION_LOG = {
    "session_id": str, "start_time": str, "end_time": str, "messages_count": int, "tokens_processed": int,
    "memory_items_created": int, "fine_tune_applied": bool, "fine_tune_loss": (float, type(None)),
    "model_version": str, "improvements": list, "errors": list, "seconds": dict, "training": str, "revision": int,
}  # fmt: skip
STATS = {
    "sessions_processed": int, "total_messages": int, "total_memory_items": int, "total_fine_tunes": int,
    "uptime_hours": float,
}  # fmt: skip
STAMP = r"\d{8}_\d{6}"


def names(learned: Learned) -> list[str]:
    return [session["session_id"] for session in learned.sessions]


def rows(learned: Learned, query: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(learned.home.database)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def has_shape(value: dict[str, Any], shape: dict[str, Any]) -> bool:
    return set(value) == set(shape) and all(isinstance(value[key], kind) for key, kind in shape.items())


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def test_the_folders(learned: Learned) -> None:
    root = learned.home.root
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir()}
    assert {
        "training_data", "models", "adapters", "learning_daemon", "learning_daemon/logs",
        "learning_daemon/sessions", "learning_daemon/sessions/processed", "learning_daemon/sessions/quarantine",
    } <= found  # fmt: skip
    assert (root / "atles.db").is_file() and (root / "learning_daemon" / "daemon.log").is_file()


def test_the_sessions_lie_in_processed(learned: Learned) -> None:
    processed = learned.home.root / "learning_daemon" / "sessions" / "processed"
    assert sorted(file.name for file in processed.iterdir()) == [
        f"completed_{name}.json" for name in sorted(names(learned))
    ]


def test_the_table_of_memories(learned: Learned) -> None:
    info = rows(learned, "pragma table_info(session_memories)")
    assert [column["name"] for column in info] == [
        "id", "session_id", "timestamp", "topics", "preferences", "message_count", "data",
    ]  # fmt: skip
    memories = rows(learned, "select * from session_memories")
    assert sorted(memory["session_id"] for memory in memories) == sorted(names(learned))
    counts = {session["session_id"]: len(session["messages"]) for session in learned.sessions}
    for memory in memories:
        assert all(isinstance(text, str) for key in ("topics", "preferences") for text in json.loads(memory[key]))
        assert isinstance(json.loads(memory["data"]), dict)
        assert memory["message_count"] == counts[memory["session_id"]]
    assert any(json.loads(memory["preferences"]) for memory in memories)


def test_the_training_data(learned: Learned) -> None:
    files = sorted(learned.home.training_data.glob("*.jsonl"))
    assert len(files) == len(names(learned))
    for file in files:
        assert re.fullmatch(rf"training_.+_{STAMP}\.jsonl", file.name)
        lines = jsonl(file)
        assert lines and all(has_shape(line, {"instruction": str, "output": str, "context": str}) for line in lines)
        assert {line["context"] for line in lines} <= set(names(learned))
        twin = jsonl(learned.home.chat_data / file.name)
        assert {line["messages"][-1]["content"] for line in twin} == {line["output"] for line in lines}
        for line in twin:
            assert set(line) == {"messages"} and line["messages"][-1]["role"] == "assistant"


def test_the_session_logs(learned: Learned) -> None:
    files = list(learned.home.logs.glob("session_log_*.json"))
    entries = [json.loads(file.read_text()) for file in files]
    assert sorted(entry["session_id"] for entry in entries) == sorted(names(learned))
    for file, entry in zip(files, entries, strict=True):
        assert has_shape(entry, SESSION_LOG), entry
        assert re.fullmatch(rf"session_log_{entry['session_id']}_{STAMP}\.json", file.name)
        assert {"memory", "data", "log"} <= set(entry["seconds"]) and all(s >= 0 for s in entry["seconds"].values())
        assert entry["fine_tune_applied"] == ("train" in entry["seconds"]) == (entry["fine_tune_loss"] is not None)


def test_the_master_log_is_the_session_logs_line_by_line(learned: Learned) -> None:
    lines = jsonl(learned.home.master_log)
    assert all(has_shape(line, {"seq": int, "logged_at": str, **SESSION_LOG}) for line in lines)
    entries = [json.loads(file.read_text()) for file in learned.home.logs.glob("session_log_*.json")]
    plain = [{key: line[key] for key in SESSION_LOG} for line in lines]
    assert sorted(plain, key=str) == sorted(entries, key=str)


def test_the_statistics_are_true(learned: Learned) -> None:
    stats = json.loads(learned.home.stats.read_text())
    assert has_shape(stats, STATS)
    (stored,) = rows(learned, "select (select count(*) from memories) + (select count(*) from topics) as n")
    assert stats["sessions_processed"] == len(learned.sessions)
    assert stats["total_messages"] == sum(len(session["messages"]) for session in learned.sessions)
    assert stats["total_memory_items"] == stored["n"] > 0
    assert stats["total_fine_tunes"] == len(list(learned.home.adapters.iterdir())) == 1
    logged = [json.loads(file.read_text()) for file in learned.home.logs.glob("session_log_*.json")]
    assert stats["total_memory_items"] == sum(entry["memory_items_created"] for entry in logged)


def test_the_adapters_folder(learned: Learned) -> None:
    (folder,) = learned.home.adapters.iterdir()
    assert {"adapter_config.json", "adapter_model.safetensors", "report.json", "lineage.json"} <= {
        file.name for file in folder.iterdir()
    }
    report = json.loads((folder / "report.json").read_text())
    assert set(report) == {
        "adapter", "base", "created_at", "verdict", "learned", "kept", "data", "train", "evaluation",
    }  # fmt: skip
    assert report["adapter"] == folder.name
    assert {"promote", "reason", "numbers", "checks"} == set(report["verdict"])
    assert {
        "adapter", "path", "base", "success", "loss", "training_examples", "time_taken", "tokens", "losses",
        "tokens_per_second", "peak_memory_mb",
    } <= set(report["train"])  # fmt: skip
    lineage = json.loads((folder / "lineage.json").read_text())
    assert {"adapter", "base", "dataset", "sessions", "heldout_sessions", "examples"} == set(lineage)
    assert set(lineage["sessions"]) | set(lineage["heldout_sessions"]) <= set(names(learned))


def test_the_daemons_log(learned: Learned) -> None:
    lines = learned.home.log.read_text().splitlines()
    assert lines and all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - [A-Z]+ - ", line) for line in lines)
    assert not [line for line in lines if " - ERROR - " in line or " - WARNING - " in line]


def test_no_temporary_file_is_left(learned: Learned) -> None:
    assert [path for path in learned.home.root.rglob("*.tmp") if path.is_file()] == []
