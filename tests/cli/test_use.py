"""ask, chat, config and doctor."""

import json
import tomllib
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.cli import doctor as doctor_module
from atles.config import load_settings
from atles.layout import Home
from atles.serving.local import LocalModel
from atles.settings import keys

Call = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, str]]]:
    """A model that answers in capitals; what it was asked."""
    asked: list[list[dict[str, str]]] = []

    def answer(model: LocalModel, chats: Sequence[Any], on_progress: Any = None) -> list[str]:
        asked.extend([list(chat) for chat in chats])
        return [chat[-1]["content"].upper() for chat in chats]

    def stream(model: LocalModel, chat: Any, on_text: Callable[[str], None]) -> str:
        [said] = answer(model, [chat])
        on_text(said)
        return said

    monkeypatch.setattr(LocalModel, "answer", answer)
    monkeypatch.setattr(LocalModel, "stream", stream)
    return asked


def test_ask_one_question(call: Call, told: Told, echo: list[Any]) -> None:
    assert call("ask", "who am i?").stdout == "WHO AM I?\n"
    assert told("ask", "who am i?", "--model", "base")["answer"] == "WHO AM I?"


def test_ask_a_file_of_questions(call: Call, tmp_path: Path, echo: list[Any]) -> None:
    source, target = tmp_path / "q.jsonl", tmp_path / "a.jsonl"
    source.write_text('\ufeff{"id": 1, "ask": "ä?", "expect": "x"}\n\n{"id": "two", "ask": "b?"}\n', "utf-8")
    assert call("ask", "--in", str(source), "--out", str(target)).output == ""
    base = "smollm2-135m-instruct"
    rows = [
        {"id": 1, "ask": "ä?", "answer": "Ä?", "model": base},
        {"id": "two", "ask": "b?", "answer": "B?", "model": base},
    ]
    assert [json.loads(line) for line in target.read_text("utf-8").splitlines()] == rows
    piped = call("ask", "--in", "-", stdin=source.read_text("utf-8-sig")).stdout
    assert [json.loads(line) for line in piped.splitlines()] == rows


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", '"text"', "{}", '{"id": 1}', '{"id": 1, "ask": null}', '{"id": 1, "ask": " "}']
)
def test_a_bad_line_is_named_before_any_work(call: Call, root: Path, tmp_path: Path, line: str) -> None:
    source, target = tmp_path / "q.jsonl", tmp_path / "a.jsonl"
    source.write_text(f'{{"id": 1, "ask": "a?"}}\n{line}\n')
    result = call("ask", "--in", str(source), "--out", str(target), code=2)
    assert f"{source}, line 2: " in result.stderr
    assert not target.exists()
    assert not root.exists()


def test_files_that_cannot_be_used(call: Call, root: Path, tmp_path: Path) -> None:
    assert "cannot read" in call("ask", "--in", str(tmp_path / "none"), code=2).stderr
    (tmp_path / "latin").write_bytes(b"\xe9")
    assert "cannot read" in call("ask", "--in", str(tmp_path / "latin"), code=2).stderr
    source = tmp_path / "q"
    source.write_text('{"id": 1, "ask": "a?"}')
    assert "no folder" in call("ask", "--in", str(source), "--out", str(tmp_path / "no" / "a"), code=2).stderr
    assert not root.exists()


def test_an_unknown_model_is_named(call: Call) -> None:
    assert "there is no adapter 'none'" in call("ask", "hello", "--model", "none", code=1).stderr


def test_a_chat_is_recorded(call: Call, root: Path, echo: list[Any]) -> None:
    result = call("chat", stdin="hello\n\nhow are you\n/exit\nnever read\n")
    assert "HELLO" in result.stdout and "HOW ARE YOU" in result.stdout
    assert [message["content"] for message in echo[1]] == ["hello", "HELLO", "how are you"]
    [path] = Home(root).sessions.glob("completed_*.json")
    assert path.name in result.stderr
    session = json.loads(path.read_text())
    assert [message["content"] for message in session["messages"]] == ["hello", "HELLO", "how are you", "HOW ARE YOU"]
    assert session["metadata"]["source"] == "atles chat"


@pytest.mark.parametrize(("words", "stdin"), [(["--no-learn"], "hello\n"), ([], "")])
def test_nothing_is_recorded_of_a_private_or_empty_chat(
    call: Call, root: Path, echo: list[Any], words: list[str], stdin: str
) -> None:
    call("chat", *words, stdin=stdin)
    assert not list(Home(root).sessions.glob("completed_*.json"))


def test_config_says_where_a_value_comes_from(
    call: Call, told: Told, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir()
    (root / "atles.toml").write_text("[train]\nepochs = 7\nseed = 1\n")
    monkeypatch.setenv("ATLES_TRAIN_SEED", "2")
    found = {it["key"]: it for it in told("config", "--set", "memory.recall=9")}
    assert set(found) == set(keys())
    assert all(it["help"] for it in found.values())
    assert (found["train.epochs"]["value"], found["train.epochs"]["from"]) == (7, "file")
    assert (found["train.seed"]["value"], found["train.seed"]["from"]) == (2, "environment")
    assert (found["memory.recall"]["value"], found["memory.recall"]["from"]) == (9, "--set")
    assert found["gate.min_gain"]["from"] == "default"
    assert f"7 (file; default {keys()['train.epochs']})" in call("config").stdout


def test_config_init_writes_every_default_once(call: Call, root: Path) -> None:
    call("config", "init")
    text = (root / "atles.toml").read_text()
    assert load_settings(Home(root), environment={}) == load_settings(Home("/nowhere"), environment={})
    opened = tomllib.loads("\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()))
    assert {f"{section}.{key}": value for section, them in opened.items() for key, value in them.items()} == keys()
    assert "exists already" in call("config", "init", code=1).stderr


def test_doctor_passes_or_says_what_to_do(call: Call, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = {it["check"]: it for it in told("doctor", "--set", "train.enabled=false")}
    assert findings["sqlite"]["state"] == findings["python"]["state"] == findings["home"]["state"] == "ok"
    assert all(it["fix"] for it in findings.values() if it["state"] == "fail")

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor_module.metadata, "version", missing)
    assert "pip install 'atles[train]'" in call("doctor", code=1).stdout
    assert "train.epochs" in call("doctor", "--set", "train.epoch=1", code=1).stdout


def test_doctor_says_what_to_do_about_wrong_settings(call: Call, told: Told, root: Path) -> None:
    def fix(*words: str) -> str:
        return next(it["fix"] for it in told("doctor", *words, code=1) if it["check"] == "settings")

    assert fix("--set", "train.epoch=1") == "mend that setting"
    assert "`atles config init` writes that file" in fix("--config", str(root / "none.toml"))
    root.mkdir()
    (root / "atles.toml").write_text("[train]\nepoch = 3\n")
    assert fix() == "mend that line", "`atles config init` refuses: the file is there"


def test_doctor_knows_the_packages_of_the_extra() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extra = project["project"]["optional-dependencies"]["train"]
    assert {requirement.split(">")[0] for requirement in extra} == set(doctor_module.TRAIN_PACKAGES)


def test_config_shows_no_password(call: Call, told: Told, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    (root / "atles.toml").write_text('[store]\nurl = "postgresql://me:hunter2@db/atles"\n')
    found = {it["key"]: it for it in told("config")}
    assert found["store.url"]["value"] == "postgresql://me:***@db/atles" and found["store.url"]["from"] == "file"
    monkeypatch.setenv("ATLES_STORE_URL", "postgresql://me:hunter3@db/atles")
    shown = call("config").stdout
    assert "me:***@db" in shown and "hunter" not in shown
