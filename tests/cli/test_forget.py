"""`atles forget`: gone from every file and table, and no model serves that has seen it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.layout import Home
from tests.fakes import FakePrograms
from tests.samples import document, drop

Call = Callable[..., Result]
Told = Callable[..., Any]
FEW = ("--set", "gate.min_heldout=2")
TOLD = [
    ("u: My sister Odette keeps bees in Pellbridge", "a: Bees need water in August, so a trough nearby helps her."),
    ("u: How long does rice keep?", "a: Three days in the fridge is what most cooks would call safe."),
]


@pytest.fixture
def trained(root: Path, call: Call, fake: FakePrograms) -> Home:
    """Twenty sessions, of which one speaks of Odette, and an adapter that saw all of them."""
    home = Home(root).create()
    for number in range(20):
        lines = TOLD[0] if number == 6 else (f"{TOLD[1][0]} And {number}?", f"{TOLD[1][1]} Or {number}.")
        drop(home, document(f"s{number:02}", *lines))
    call(*FEW, "drain")
    return home


def holding(home: Home, word: bytes) -> list[Path]:
    return [file for file in home.root.rglob("*") if file.is_file() and word in file.read_bytes()]


def test_nothing_of_it_is_left_and_a_new_adapter_is_trained_without_it(
    trained: Home, call: Call, told: Told, fake: FakePrograms
) -> None:
    (first,) = told("adapters")
    assert first["active"] and holding(trained, b"Odette")
    done = told("forget", "--session", "s06", "--yes")
    assert done["retired"] == [first["name"]] and done["serves"] is None and done["sessions"] == ["s06"]
    assert holding(trained, b"Odette") == [] and not trained.adapter(first["name"]).exists()
    call(*FEW, "drain")
    old, new = told("adapters")
    assert (old["state"], new["active"]) == ("retired", True)
    assert holding(trained, b"Odette") == []
    spec = fake.runs("train")[-1]["spec"]
    assert len(fake.runs("train")) == 2 and "Pellbridge" not in Path(spec["examples"]).read_text()
    again = told("forget", "--session", "s06", "--yes")
    assert again["retired"] == [], "the new one never saw it"


def test_a_message_is_forgotten_by_its_id(trained: Home, call: Call, told: Told) -> None:
    shown = told("sessions", "show", "s06")
    message = next(it for it in shown["messages"] if "Odette" in json.dumps(it))
    assert message["id"][:8] in call("sessions", "show", "s06").stdout
    done = told("forget", "--message", message["id"][:8], "--yes")
    assert done["messages"] == 1 and done["sessions"] == ["s06"]
    assert holding(trained, b"Odette") == []


def test_what_is_unknown_is_said_and_nothing_is_forgotten(trained: Home, call: Call) -> None:
    before = len(holding(trained, b"Odette"))
    for words in (
        ("--session", "nope"),
        ("--message", "nope"),
        ("--memory", "nope"),
        ("--session", "s06", "--message", "no"),
    ):
        assert "there is no" in call("forget", *words, "--yes", code=1).stderr
    assert "say what to forget" in call("forget", code=2).stderr
    assert "say --yes" in call("forget", "--session", "s06", code=1).stderr
    assert len(holding(trained, b"Odette")) == before


def test_it_says_what_still_holds_it(trained: Home, call: Call, told: Told) -> None:
    old, aside = trained.root / "atles.db.migrated", trained.quarantine / "completed_s06.json"
    shutil.copy(trained.database, old)
    for number in (6, 7):
        changed = document(f"s{number:02}", TOLD[0][0] if number == 6 else f"{TOLD[1][0]} And 7?", "a: Odette, again.")
        drop(trained, changed)
    call(*FEW, "drain")
    assert aside.exists()
    killed = trained.work / "backup-killed"
    killed.mkdir()
    shutil.copy(trained.database, killed / "atles.db")
    (killed / ".lock").touch()
    message = told("sessions", "show", "s07")["messages"][0]
    done = told("forget", "--message", message["id"], "--yes")
    aside_too = trained.quarantine / "completed_s07.json"
    assert done["copies"] == ["atles.db.migrated"] and done["set_aside"] == [str(aside_too.relative_to(trained.root))]
    assert not killed.exists()
    said = call("forget", "--session", "s06", "--session", "s07", "--yes").stdout.replace("\n", " ")
    assert "still hold it: atles.db.migrated" in said and "quarantine" not in said
    assert holding(trained, b"Odette") == [old], "that one is theirs to delete"
    old.unlink()
    done = told("forget", "--session", "s06", "--yes")
    assert done["copies"] == done["set_aside"] == []
