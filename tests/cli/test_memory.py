"""recall, and what people do to memories by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.layout import Home
from atles.pipeline import curate
from atles.store import Store
from tests.cli.conftest import NO_TRAINING
from tests.samples import document, drop

Call = Callable[..., Result]
Told = Callable[..., Any]


def learn(root: Path, call: Call, *sessions: dict[str, Any]) -> None:
    for session in sessions:
        drop(Home(root).create(), session)
    call(*NO_TRAINING, "drain")


@pytest.fixture
def home(root: Path, call: Call) -> Home:
    """A home in which somebody lived in Leeds and lives in Bath, and pasted a password."""
    learn(
        root, call,
        document("one", "u: My sister Odette keeps bees. I live in Leeds.", "a: Bees like borage.",
                 start_time="2026-01-05T10:00:00+00:00"),
        document("two", "u: We moved to Bath last week, so I live in Bath now.", "a: Congratulations!",
                 "u: my wifi password is Blue-Heron-77", "a: Blue-Heron-77, noted.",
                 start_time="2026-03-05T10:00:00+00:00"),
    )  # fmt: skip
    return Home(root)


def test_recall_says_what_bears_on_a_question_and_why(home: Home, call: Call, told: Told) -> None:
    hit, *_ = told("recall", "Who keeps bees?")
    assert hit["session_id"] == "one" and "Odette" in hit["text"] and any("bees" in why for why in hit["why"])
    assert len(told("recall", "bees", "-k", "1")) == 1 and told("recall", "bees", "--budget", "1") == []
    shown = call("recall", "bees").stdout
    assert "Odette" in shown and "says ‘bees’" in shown
    assert "Nothing that was said" in call("recall", "submarine").stdout
    then = told("recall", "Where do I live?", "--at", "2026-02-01")
    assert "Leeds" in then[0]["text"] and "Bath" not in json.dumps(then)


@pytest.mark.parametrize("query", ["", '"', "NEAR(", "*", ":", "a OR", "🤖", "-k"])
def test_any_words_are_a_question(home: Home, call: Call, query: str) -> None:
    call("recall", "--", query)


def test_what_was_replaced_is_history(home: Home, call: Call, told: Told) -> None:
    def homes(*words: str) -> list[str]:
        return [it["text"] for it in told("memory", "list", *words)["memories"] if it["slot"] == "home"]

    assert all("Bath" in text for text in homes()) and homes()
    assert any("Leeds" in text for text in homes("--all"))
    shown = call("memory", "timeline", "leeds").stdout
    assert "2026-01-05" in shown and "2026-03-05" in shown and "→" in shown


def test_a_secret_is_nowhere(home: Home) -> None:
    for file in home.root.rglob("*"):
        if file.is_file():
            assert b"Blue-Heron" not in file.read_bytes(), file


def test_show_edit_pin(home: Home, call: Call, told: Told) -> None:
    found = next(it for it in told("memory")["memories"] if "Odette" in it["text"])
    short = found["id"][:8]
    shown = told("memory", "show", short)
    assert shown["sources"][0]["session_id"] == "one" and "Odette" in call("memory", "show", short).stdout
    assert told("memory", "edit", short, "My sister Odette keeps wasps")["edited"]
    assert "wasps" in told("recall", "Odette", "-k", "1")[0]["text"]
    assert told("memory", "pin", short)["pinned"] and not told("memory", "pin", short, "--off")["pinned"]
    assert "there is no memory 'zzz'" in call("memory", "show", "zzz", code=1).stderr
    assert "one" in call("memory", "show", "one").stdout


def test_a_memory_that_was_edited_is_not_shown_as_it_was_found(home: Home, call: Call, told: Told) -> None:
    found = next(it for it in told("memory")["memories"] if it["slot"] == "home")["id"][:8]
    before = call("memory", "show", found).stdout
    assert "home = bath" in before and "found by RuleExtractor" in before and "pinned" not in before
    told("memory", "edit", found, "I live in York")
    told("memory", "pin", found)
    after = call("memory", "show", found).stdout
    assert "edited by you, pinned" in after and "RuleExtractor" not in after
    assert "home =" not in after, "that is what it said before"
    told("memory", "edit", found, "I live in sunny Bath")
    assert "home = bath" in call("memory", "show", found).stdout
    by_hand = told("memory", "add", "I row on Sundays")["id"][:8]
    assert "written by hand" in call("memory", "show", by_hand).stdout


def test_forget_is_for_good_in_every_file(home: Home, call: Call, told: Told) -> None:
    found = next(it for it in told("memory")["memories"] if "Odette" in it["text"])
    assert "say --yes" in call("memory", "forget", found["id"], code=1).stderr
    done = told("memory", "forget", found["id"], "--yes")
    assert done["memories"] >= 1 and done["sessions"] == ["one"]
    call(*NO_TRAINING, "drain")
    assert [file for file in home.root.rglob("*") if file.is_file() and b"Odette" in file.read_bytes()] == []
    assert "(forgotten)" in call("sessions", "show", "one").stdout
    assert "there is no memory" in call("memory", "forget", found["id"], "--yes", code=1).stderr


def test_export_and_import(home: Home, call: Call, told: Told, tmp_path: Path) -> None:
    file = tmp_path / "memories.jsonl"
    call("memory", "export", str(file))
    lines = file.read_text().splitlines()
    assert {json.loads(line)["type"] for line in lines} <= {"fact", "preference", "correction", "procedure", "question"}
    assert call("memory", "export").stdout == file.read_text()
    assert told("memory", "import", str(file)) == {"new": 0, "known": len(lines)}
    assert told("memory", "import", "-", stdin='{"text": "I ski"}\n') == {"new": 1, "known": 0}
    assert "line 2 is not JSON" in call("memory", "import", "-", code=1, stdin='{"text": "I sail"}\nno').stderr
    assert "I sail" not in call("memory").stdout
    assert told("memory", "add", "I row on Sundays")["new"] and "I row" in call("memory").stdout


def test_whose_memory_it_is_must_be_said_where_there_are_several(root: Path, call: Call, told: Told) -> None:
    learn(
        root, call,
        *(document(name, f"u: I live in {name}ville", metadata={"user": name}) for name in ("ada", "bob")),
    )  # fmt: skip
    for words in (("recall", "live"), ("memory",), ("memory", "timeline")):
        assert "of 2 users: say of whom (ada, bob)" in call(*words, code=1).stderr
    assert [hit["session_id"] for hit in told("recall", "live", "--user", "ada")] == ["ada"]
    assert "bobville" not in call("memory", "list", "--user", "ada").stdout


def test_an_empty_home_says_so(root: Path, call: Call) -> None:
    Store(Home(root).create().database).close()
    assert "Nothing is remembered yet" in call("memory").stdout
    assert "nothing to tell" in call("memory", "timeline").stdout
    assert call("memory", "export").stdout == ""
    assert list(curate.export(Store(Home(root).database))) == []
