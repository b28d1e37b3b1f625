"""`export`: what is written for which program, and what is never overwritten."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atles import programs, wheel
from atles.cli.app import atles
from atles.gguf_file import read_header
from atles.layout import Home
from tests.fakes import FakePrograms
from tests.samples import document, drop

Call = Callable[..., Result]
Told = Callable[..., Any]


def learn(home: Home, first: int, call: Call) -> None:
    for number in range(first, first + 24):
        drop(home, document(f"s{number:02}", f"u: Is {number} prime?", f"a: Let me think about {number} for a moment."))
    call("--set", "gate.min_heldout=2", "drain")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which an adapter serves, and a later one was rejected."""
    folder = tmp_path_factory.mktemp("export")
    root, fakes = folder / "home", FakePrograms(folder / "control")

    def call(*words: str) -> Result:
        return CliRunner().invoke(atles, ["--home", str(root), *words], catch_exceptions=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "command", fakes.command)
        learn(Home(root).create(), 0, call)
        fakes.scores(candidate=(3.5, 0.5), active=(1.0, 1.0))
        learn(Home(root), 24, call)
    return root


@pytest.fixture
def name(
    learned: Path, root: Path, told: Told, fake: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The adapter that serves. The work goes on in an empty folder, and the base model is a file."""
    shutil.copytree(learned, root)
    (tmp_path / "base.gguf").write_bytes(b"the base")
    monkeypatch.setattr(wheel, "gguf", lambda: tmp_path / "base.gguf")
    monkeypatch.setattr(wheel, "intact", lambda path: True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (active,) = (it["name"] for it in told("adapters") if it["active"])
    return active


def content(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_peft_is_the_folder_without_our_reports(name: str, call: Call, root: Path) -> None:
    (Home(root).adapter(name) / "adapter.gguf").write_bytes(b"")
    result = call("export", name[:6])
    target = Path(f"{name}-peft")
    assert result.stdout == f"{target.resolve()}\n"
    assert content(target) == ["adapter_config.json", "adapter_model.safetensors", "lineage.json"]
    assert (target / "adapter_model.safetensors").read_bytes().startswith(b"fake")


def test_gguf_is_a_file(name: str, told: Told, root: Path, fake: FakePrograms, tmp_path: Path) -> None:
    shown = told("export", "active", "--format", "gguf")
    assert shown == {
        "adapter": name, "state": "promoted", "reason": shown["reason"], "base": "smollm2-135m-instruct",
        "format": "gguf", "path": str(Path(f"{name}.gguf").resolve()),
    }  # fmt: skip
    assert read_header(Path(f"{name}.gguf")).metadata.keys() == {"atles.sha256"}
    (run,) = fake.runs("gguf")
    assert run["spec"]["base_gguf"] == str(tmp_path / "base.gguf")
    assert content(Path()) == [f"{name}.gguf"] and not list(Home(root).work.glob("gguf-*")), "nothing else is left"


def test_ollama_gets_a_folder_with_all_that_it_needs(name: str, call: Call) -> None:
    call("export", name, "--format", "ollama", "--out", "new/place")
    target = Path("new/place")
    assert content(target) == ["Modelfile", "adapter.gguf", "base.gguf"]
    assert (target / "base.gguf").read_bytes() == b"the base" and not (target / "base.gguf").is_symlink()
    lines = (target / "Modelfile").read_text().splitlines()
    assert lines[0].startswith(f"# {name}") and lines[1:3] == ["FROM ./base.gguf", "ADAPTER ./adapter.gguf"]
    assert 'SYSTEM """You are a fake"""' in lines and 'PARAMETER stop "<|im_end|>"' in lines


def test_ollama_on_another_disk_gets_a_copy(name: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_disk(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    call("export", name, "--format", "ollama")
    assert Path(f"{name}-ollama/base.gguf").read_bytes() == b"the base"


def test_merged_is_a_model(name: str, call: Call, root: Path, fake: FakePrograms) -> None:
    call("export", name, "--format", "merged")
    assert content(Path(f"{name}-merged")) == ["config.json", "model.safetensors", "tokenizer.json"]
    (run,) = fake.runs("merge")
    home = Home(root)
    assert run["spec"] == {
        "base": "smollm2-135m-instruct", "models_dir": str(home.models.resolve()),
        "adapter": str(home.adapter(name).resolve()), "output": run["spec"]["output"],
    }  # fmt: skip
    assert not list(home.work.glob("merge-*"))


@pytest.mark.parametrize("form", ["peft", "gguf", "ollama", "merged"])
def test_nothing_is_overwritten_unless_one_says_so(name: str, call: Call, form: str) -> None:
    call("export", name, "--format", form, "--out", "it")
    before = sorted((path.name, path.stat().st_ino) for path in [Path("it"), *Path("it").glob("*")])
    assert "it exists; --force overwrites it" in call("export", name, "--format", form, "--out", "it", code=1).stderr
    assert before == sorted((path.name, path.stat().st_ino) for path in [Path("it"), *Path("it").glob("*")])
    call("export", name, "--format", form, "--out", "it", "--force")
    assert content(Path()) == ["it"]


def test_force_does_not_cost_a_folder_of_something_else(name: str, call: Call) -> None:
    Path("photos").mkdir()
    Path("photos/cat.jpg").write_text("meow")
    result = call("export", name, "--out", "photos", "--force", code=1)
    assert "photos holds more than an export (cat.jpg)" in result.stderr
    call("export", name, "--format", "gguf", "--out", "photos", "--force", code=1)
    Path("notes").write_text("dear diary")
    call("export", name, "--out", "notes", "--force", code=1)
    assert Path("photos/cat.jpg").read_text() == "meow" and Path("notes").read_text() == "dear diary"
    assert content(Path()) == ["notes", "photos"]


def test_weights_that_are_not_those_that_were_judged_are_not_exported(name: str, call: Call, root: Path) -> None:
    (Home(root).adapter(name) / "adapter_model.safetensors").write_bytes(b"other")
    assert "are not those that were judged" in call("export", name, code=1).stderr
    assert not content(Path())


def test_one_that_was_rejected_is_exported_with_a_word_about_it(name: str, call: Call, told: Told) -> None:
    (bad,) = (it["name"] for it in told("adapters") if it["state"] == "rejected")
    assert f"Mind that {bad} is rejected: " in call("export", bad).stdout


def test_what_there_is_not(name: str, call: Call, root: Path, fake: FakePrograms) -> None:
    assert "nobody" in call("export", "nobody", code=1).stderr
    call("export", name, "--format", "zip", code=2)
    fake.modes("gguf", "vanish")
    assert "gguf ended with code 3" in call("export", name, "--format", "gguf", code=1).stderr
    assert not content(Path()), "nor is half of it left"
    call("rollback")
    assert "there is no active adapter" in call("export", "active", code=1).stderr


def test_a_base_without_a_gguf_file_is_explained(name: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "gguf", lambda: None)
    assert "set serve.gguf" in call("export", name, "--format", "gguf", code=1).stderr
    Path("mine.gguf").write_bytes(b"mine")
    call("--set", "serve.gguf=mine.gguf", "export", name, "--format", "ollama")
    assert Path(f"{name}-ollama/base.gguf").read_bytes() == b"mine"
    assert Path("mine.gguf").samefile(f"{name}-ollama/base.gguf")
    assert json.loads(call("export", name, "--json").stdout)["format"] == "peft"


@pytest.mark.parametrize("form", ["peft", "gguf", "merged", "ollama"])
def test_what_is_exported_has_the_rights_of_the_users_other_files(
    name: str, told: Told, form: str, tmp_path: Path
) -> None:
    (tmp_path / "base.gguf").chmod(0o600)
    before = os.umask(0o027)
    try:
        target = Path(told("export", name, "--format", form)["path"])
    finally:
        os.umask(before)
    for path in (target, *target.rglob("*")):
        if path.name != "base.gguf":
            assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path
    assert (tmp_path / "base.gguf").stat().st_mode & 0o777 == 0o600, "it is the base's own file, too"
