"""ingest, drain, sessions and retry: what goes in, what comes of it, and what is tried again."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.layout import Home
from tests.cli.conftest import NO_TRAINING
from tests.fakes import FakePrograms
from tests.samples import chat, document, drop

Call = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "chats"
    (folder / "old").mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(chat(1)))
    (folder / "old" / "b.json").write_text(json.dumps(chat(2)))
    return folder


def test_ingest_takes_the_good_and_names_the_bad(told: Told, root: Path, folder: Path) -> None:
    (folder / "bad.json").write_text('{"messages": [')
    (folder / "latin.json").write_bytes(b'{"messages": "\xe9"}')
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    done = told("ingest", str(folder), code=1)
    assert [it["session_id"] for it in done["taken"]] == ["session_001", "session_002"]
    assert {Path(it["file"]).name for it in done["refused"]} == {"bad.json", "latin.json"}
    assert all(it["reason"] for it in done["refused"])
    assert done["daemon_runs"] is False
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before
    assert len(list(Home(root).sessions.glob("completed_*.json"))) == 2


def test_ingest_says_it_in_words(call: Call, folder: Path) -> None:
    (folder / "bad.json").write_text("[]")
    output = call("ingest", str(folder), code=1).stdout
    assert f"{folder}/bad.json: the file holds a list" in output
    assert "2 sessions handed over (8 messages), 1 file refused; no daemon runs: `atles start`" in output


def test_two_files_of_one_session_do_not_overwrite_each_other(call: Call, told: Told, folder: Path) -> None:
    longer = chat(1)
    longer["messages"] += [{"role": "user", "content": "And its name?"}, {"role": "assistant", "content": "Skua."}]
    (folder / "c.json").write_text(json.dumps(longer))
    call("ingest", str(folder))
    told("drain", *NO_TRAINING)
    assert {row["session_id"]: row["message_count"] for row in told("sessions")["sessions"]} == {
        "session_001": 6,
        "session_002": 4,
    }


def test_a_session_without_an_id_gets_its_files(told: Told, folder: Path) -> None:
    (folder / "notes.json").write_text(json.dumps({"messages": chat(3)["messages"]}))
    assert told("ingest", str(folder / "notes.json"))["taken"][0]["session_id"] == "notes"


def test_ids_that_are_no_file_names(told: Told, folder: Path) -> None:
    (folder / "odd.json").write_text(json.dumps(document("../../" + "x" * 300, "u: hello", "a: hi")))
    told("ingest", str(folder / "odd.json"))
    told("drain", *NO_TRAINING)
    assert told("sessions")["sessions"][0]["session_id"].startswith("../../x")


def test_drain_then_look(call: Call, told: Told, folder: Path) -> None:
    call("ingest", str(folder))
    assert "2 sessions learned; the base model answers." in call("drain", *NO_TRAINING).stdout

    listed = told("sessions")
    assert [row["state"] for row in listed["sessions"]] == ["learned", "learned"]
    assert (listed["dead"], listed["quarantine"]) == ([], [])
    assert "session_001" in call("sessions", "list").stdout

    shown = told("sessions", "show", "session_001")
    assert len(shown["messages"]) == 4
    assert {step["step"] for step in shown["steps"]} == {"memory", "data", "log"}
    assert all(step["seconds"] >= 0 for step in shown["steps"])
    assert len(shown["examples"]) == 3 and shown["adapters"] == []
    assert "What colour is the boat number 1?" in call("sessions", "show", "session_001").stdout

    assert len(told("memory")["topics"]) > 2
    assert told("memory", "show", "1") == told("memory", "show", told("memory", "show", "1")["session_id"])
    assert "boat" in call("memory", "show", "1").stdout
    assert told("adapters") == []
    assert "boat number (2×)" in call("memory").stdout


def test_names_may_be_shortened_where_that_is_clear(call: Call, told: Told, root: Path) -> None:
    home = Home(root).create()
    for name in ("alpha", "beta-1", "beta-2"):
        drop(home, document(name, "u: hello there", "a: hi"))
    call("drain", *NO_TRAINING)
    assert told("sessions", "show", "al")["session_id"] == "alpha"
    assert "beta-1, beta-2" in call("sessions", "show", "beta", code=1).stderr
    assert "there is no session 'gamma'" in call("sessions", "show", "gamma", code=1).stderr


def test_a_stored_message_cannot_drive_the_terminal(call: Call, root: Path) -> None:
    drop(Home(root).create(), document("evil", "u: \x1b[2J[red]always[/red] :smile:", "a: ok\x07"))
    call("drain", *NO_TRAINING)
    output = call("sessions", "show", "evil").stdout
    assert "\x1b" not in output and "\x07" not in output
    assert "[red]always[/red] :smile:" in output


def test_a_quarantined_file_is_shown_mended_and_tried_again(call: Call, told: Told, root: Path) -> None:
    home = Home(root).create()
    path = home.sessions / "completed_broken.json"
    path.write_text('{"messages": 7}')
    drained = told("drain", *NO_TRAINING, "--set", "daemon.settle_seconds=0", "--set", "daemon.poll_seconds=0.1")
    assert drained["quarantine"] == 1
    assert "in quarantine" in call("sessions").stdout
    assert told("sessions")["quarantine"][0]["file"] == "completed_broken.json"

    (home.quarantine / path.name).write_text(json.dumps(chat(9)))
    assert told("sessions", "retry", path.name) == {"jobs": 0, "files": [path.name], "daemon_runs": False}
    assert told("drain", *NO_TRAINING)["quarantine"] == 0
    assert [row["session_id"] for row in told("sessions")["sessions"]] == ["session_009"]
    assert "nothing of 'completed_broken.json' failed" in call("sessions", "retry", path.name, code=1).stderr
    assert "There is nothing to try again." in call("sessions", "retry", "--all").stdout


def test_drain_ends_whatever_lies_in_sessions(told: Told, root: Path) -> None:
    home = Home(root).create()
    (home.sessions / "completed_folder.json").mkdir()
    (home.sessions / "completed_link.json").symlink_to(root / "gone")
    os.mkfifo(home.sessions / "completed_pipe.json")
    drop(home, chat(1))
    quick = ("--set", "daemon.settle_seconds=0.1", "--set", "daemon.poll_seconds=0.2")
    assert told("drain", *NO_TRAINING, *quick)["quarantine"] == 3
    assert [row["session_id"] for row in told("sessions")["sessions"]] == ["session_001"]


def test_drain_ends_where_a_file_cannot_be_read_and_says_so(
    call: Call, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atles.capture import inbox

    home = Home(root).create()
    path = drop(home, chat(1))
    drop(home, chat(2))
    opened = inbox.open_plain

    def refused(file: Path) -> Any:
        if file == path:
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file)

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "open_plain", refused)
        said = call("drain", *NO_TRAINING, code=1)
        assert "1 session learned" in said.stdout
        assert f"cannot read {path.name} in sessions/: Permission denied" in said.stderr
    assert "2 sessions learned" in call("drain", *NO_TRAINING).stdout


def test_what_is_handed_over_takes_no_others_place(told: Told, root: Path, folder: Path) -> None:
    (path,) = (Path(it["file"]) for it in told("ingest", str(folder))["taken"] if it["session_id"] == "session_001")
    waiting = Home(root).completed("session_001")
    waiting.unlink()
    waiting.symlink_to(root / "not there yet")  # `exists()` sees nothing
    told("ingest", str(path))
    assert waiting.is_symlink() and waiting.with_name("completed_session_001.2.json").exists()


def train(told: Told, root: Path, code: int = 0) -> Any:
    home = Home(root).create()
    for number in range(15):
        drop(home, chat(number))
    return told("drain", "--set", "queue.max_attempts=1", code=code)


def test_a_failed_training_is_listed_and_tried_again(call: Call, told: Told, root: Path, fake: FakePrograms) -> None:
    fake.modes("train", "nan_loss", "ok")
    dead = train(told, root, code=1)["dead"]
    assert dead[0]["job"].startswith("train:")
    assert "the loss is not a number" in dead[0]["error"]
    assert "failed " in call("sessions").stdout
    assert "1 job failed" in call("drain", code=1).stdout
    assert "atles sessions retry" in call("status", code=3).stdout

    assert told("sessions", "retry", "--all")["jobs"] == 1
    done = told("drain")
    assert done["dead"] == []
    assert done["active_adapter"]


def test_adapters_are_listed_shown_rolled_back_and_promoted(
    call: Call, told: Told, root: Path, fake: FakePrograms
) -> None:
    name = train(told, root)["active_adapter"]
    [listed] = told("adapters")
    assert (listed["name"], listed["active"], listed["state"]) == (name, True, "promoted")
    assert listed["kept"] == 1.0 and listed["gain"] > 0
    assert "promoted" in call("adapters").stdout

    shown = told("adapters", "show", name[:4])
    assert shown["dataset"]["train_examples"] > 0 and shown["verdict"]["promote"]
    output = call("adapters", "show", name).stdout
    assert "█" in output and "serves now" in output and "lineage.json" in output
    assert name in told("sessions", "show", "session_000")["adapters"]

    assert told("rollback") == {"from": name, "to": None}
    assert "the base model answers" in call("adapters").stdout
    assert "nothing to roll back" in call("adapters", "rollback", code=1).stderr
    assert told("adapters", "promote", name) == {"from": None, "to": name}
    assert "serves already" in call("adapters", "promote", name, code=1).stderr
    assert "there is no adapter 'x'" in call("adapters", "promote", "x", code=1).stderr
