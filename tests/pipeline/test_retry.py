"""Another try: whatever is listed is taken again, or stays with its reason and says why."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from atles.capture.abandoned import close_abandoned
from atles.capture.session_file import parse
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline import retry as again
from tests.pipeline.conftest import Pipeline
from tests.samples import chat, drop


def aside(home: Home, name: str, data: bytes = b"{", reason: str = "why") -> Path:
    path = home.quarantine / name
    path.write_bytes(data)
    path.with_name(f"{name}.reason.txt").write_text(reason + "\n")
    return path


def tried(pipeline: Pipeline, name: str | None = None) -> list[str]:
    return again.retry(pipeline.home, pipeline.queue, name)["files"]


def test_the_corrected_file_of_its_host_is_not_destroyed(pipeline: Pipeline) -> None:
    aside(pipeline.home, "completed_session_001.json")
    corrected = drop(pipeline.home, chat(1))
    assert tried(pipeline, "completed_session_001.json") == ["completed_session_001.json"]
    assert json.loads(corrected.read_text()) == chat(1)
    assert (pipeline.home.sessions / "completed_session_001.2.json").read_text() == "{"
    assert again.quarantine(pipeline.home) == []


@pytest.mark.parametrize(
    ("name", "there", "says"),
    [
        ("chat.tmp.01j", True, "move it to sessions/completed_NAME.json"),
        ("completed_x.json", False, "the file is gone"),
    ],
)
def test_what_nothing_would_ever_take_stays_and_says_so(pipeline: Pipeline, name: str, there: bool, says: str) -> None:
    path = aside(pipeline.home, name)
    if not there:
        path.unlink()
    (listed,) = again.quarantine(pipeline.home)
    assert listed["file"] == name and listed["reason"].startswith("why (cannot be tried again: ")
    assert says in listed["reason"]
    with pytest.raises(AtlesError, match="cannot be tried again"):
        tried(pipeline, f"{name}.reason.txt")
    aside(pipeline.home, "completed_y.json")
    assert tried(pipeline) == ["completed_y.json"]
    assert path.exists() is there and again.quarantine(pipeline.home) == [listed]


def test_a_pipe_that_was_set_aside_keeps_nobody_waiting(pipeline: Pipeline) -> None:
    name = "s.01arz3ndektsv4rrffq69g5fav.closing"
    aside(pipeline.home, name).unlink()
    os.mkfifo(pipeline.home.quarantine / name)
    os.mkfifo(pipeline.home.quarantine / "completed_x.json.reason.txt")
    with pytest.raises(AtlesError, match="it is no plain file"):
        tried(pipeline, name)
    assert [it["file"] for it in again.quarantine(pipeline.home)] == [name]


def journal(home: Home) -> str:
    """A journal without its first line, as it was set aside."""
    path = home.open_sessions / "lost.jsonl"
    path.write_text('\n{"message": {"role": "user", "content": "hello"}}')
    assert close_abandoned(home, 0, now=lambda: time.time() + 3600) == []
    ((it),) = again.quarantine(home)
    assert it["file"].endswith(".closing") and "cannot be tried again" not in it["reason"]
    return it["file"]


def test_a_journal_that_was_mended_becomes_a_session(pipeline: Pipeline) -> None:
    home = pipeline.home
    path = home.quarantine / (name := journal(home))
    path.write_text('\n{"session_id": "lost", "start_time": "2026-01-01T00:00:00+00:00"}' + path.read_text())
    assert tried(pipeline, name) == [name]
    session = parse(home.completed("lost").read_bytes(), "x")
    assert (session.session_id, [it.text for it in session.messages]) == ("lost", ["hello"])
    assert list(home.quarantine.iterdir()) == []


def test_one_that_was_not_stays(pipeline: Pipeline) -> None:
    name = journal(pipeline.home)
    listed: list[dict[str, Any]] = again.quarantine(pipeline.home)
    with pytest.raises(AtlesError, match=r"none of its 1 lines names a session; mend it first"):
        tried(pipeline, name)
    assert tried(pipeline) == [] and again.quarantine(pipeline.home) == listed
    assert (pipeline.home.quarantine / name).exists()
