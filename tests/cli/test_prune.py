"""`atles prune`: what would go, and what goes."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.layout import Home
from tests.cli.conftest import on_a_terminal
from tests.fakes import FakePrograms
from tests.pipeline.conftest import Pipeline
from tests.samples import chat, drop

Call = Callable[..., Result]
Told = Callable[..., Any]
LIMITS = ("--set", "retention.processed_days=30", "--set", "retention.work_days=7", "--set", "retention.log_days=0")


@pytest.fixture
def home(root: Path, fake: FakePrograms) -> Home:
    """Three sessions that were learned 40 days ago, one today, and what a program left."""
    home = Home(root).create()
    pipeline = Pipeline(home, fake)
    pipeline.arrive(*(chat(number) for number in range(4)))
    pipeline.work_off()
    pipeline.store.close()
    old = time.time() - 40 * 86_400
    for number in range(3):
        os.utime(home.processed / f"completed_session_{number:03d}.json", (old, old))
    (home.work / "train-0001-0123abcd").mkdir()
    (home.work / "train-0001-0123abcd" / "checkpoint.pt").write_bytes(b"x" * 5 * 1024 * 1024)
    for path in (*home.work.glob("train-*/*"), *home.work.glob("train-*")):
        os.utime(path, (old, old))
    return home


def left(home: Home) -> list[str]:
    return sorted(it.name for it in home.processed.iterdir())


def test_a_dry_run_shows_what_would_go_and_deletes_nothing(call: Call, told: Told, home: Home) -> None:
    said = told("prune", "--dry-run", *LIMITS)
    assert said["dry_run"] and said["failed"] == said["kept"] == []
    assert [(it["kind"], it["name"]) for it in said["items"]] == [
        ("work", "train-0001-0123abcd"),
        ("processed", "completed_session_000.json"),
        ("processed", "completed_session_001.json"),
        ("processed", "completed_session_002.json"),
    ]
    assert said["bytes"] == sum(it["bytes"] for it in said["items"]) > 5 * 1024 * 1024
    shown = call("prune", "--dry-run", *LIMITS).stdout
    lines = shown.splitlines()
    assert lines[0].split() == ["what", "number", "size", "which,", "and", "why"]
    assert "leftovers of programs" in lines[1] and "5 MB" in lines[1] and "(retention.work_days)" in lines[2]
    assert "session files, learned" in lines[3] and " 3 " in lines[3] and "completed_session_000.json …" in lines[3]
    assert lines[-1] == "4 things, 5 MB would go; nothing was deleted."
    assert len(left(home)) == 4 and (home.work / "train-0001-0123abcd").exists()


def test_a_setting_is_named_in_one_piece_on_a_terminal(root: Path, home: Home) -> None:
    home.processed.joinpath("completed_session_000.json").rename(home.processed / f"completed_{'long' * 20}.json")
    assert "(retention.processed_days)" in on_a_terminal(root, "prune", "--dry-run", *LIMITS)


def test_it_deletes_what_it_showed(call: Call, told: Told, home: Home) -> None:
    shown = told("prune", "--dry-run", *LIMITS)
    assert told("prune", *LIMITS) == {**shown, "dry_run": False}
    assert left(home) == ["completed_session_003.json"] and not (home.work / "train-0001-0123abcd").exists()
    assert call("prune", *LIMITS).stdout == "Nothing is too old or too much.\n"
    assert len(told("sessions")["sessions"]) == 4, "and all of it is still known"


def test_the_file_of_settings_counts(call: Call, home: Home) -> None:
    home.config.write_text("[retention]\nprocessed_days = 30\nwork_days = 0\n")
    assert "Deleted: 3 things" in call("prune").stdout


def test_what_has_to_stay_is_named(call: Call, home: Home) -> None:
    unknown = drop(home, chat(9)).rename(home.processed / "completed_session_009.json")
    os.utime(unknown, (1e9, 1e9))
    for words in (("--dry-run",), ()):
        said = call("prune", *words, *LIMITS).stdout
        assert "completed_session_009.json stays: the database does not have it" in said
    assert unknown.exists()


def test_what_cannot_be_deleted_is_named_and_fails(call: Call, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink: Callable[..., None] = Path.unlink

    def refuses(self: Path, missing_ok: bool = False) -> None:
        if self.name == "completed_session_001.json":
            raise PermissionError(13, "Permission denied")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuses)
    done = call("prune", *LIMITS, code=1)
    assert "completed_session_001.json could not be deleted: [Errno 13] Permission denied" in done.stdout
    assert left(home) == ["completed_session_001.json", "completed_session_003.json"]
    failed = json.loads(call("prune", "--json", *LIMITS, code=1).stdout)["failed"]
    assert [it["name"] for it in failed] == ["completed_session_001.json"]


def test_what_cannot_be_looked_at_is_named_and_fails(call: Call, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("atles.upkeep.retention.files.oldest", fails)
    for words, deleted in ((("--dry-run",), "1 thing, 5 MB would go"), ((), "Deleted: 1 thing, 5 MB.")):
        said = call("prune", *words, *LIMITS, code=1).stdout
        assert deleted in said
        assert "processed could not be deleted: it cannot be looked at: [Errno 13] Permission denied" in said


def test_it_makes_no_home(call: Call, root: Path) -> None:
    assert "there is no ATLES home" in call("prune", code=1).stderr
    assert not root.exists()
