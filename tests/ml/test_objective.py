"""The three methods, on a tiny base model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ml.conftest import Run, write_jsonl

pytestmark = pytest.mark.slow
Runner = Callable[..., Run]

ASKED = [{"role": "user", "content": "who"}]


@pytest.fixture
def model(tiny_base: Path) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_pretrained(tiny_base).requires_grad_(False)
    model = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = 0.05 * torch.randn(weight.shape)
    return model.eval()


def gradients(model: Any) -> Any:
    import torch

    found = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.requires_grad])
    model.zero_grad()
    return found


@pytest.mark.parametrize("row_length", [1, 500])
def test_the_gradient_of_dpo_is_that_of_its_formula(model: Any, row_length: int) -> None:
    import torch

    from atles.ml.objective import BETA, Lesson, likelihood, one_step, parts
    from atles.ml.pack import Answer

    lessons = [
        Lesson(Answer((1, 2, 3), (4, 5)), rejected=Answer((1, 2, 3), (6, 7, 8)), margin=0.3),
        Lesson(Answer((1, 9), (4,))),
    ]
    one_step(model, lessons, [], 0.0, row_length)
    found = gradients(model)

    answers = [lessons[0].said, Answer((1, 2, 3), (6, 7, 8)), lessons[1].said]
    said = dict(parts(model, answers, 500))
    yes, no, other = (likelihood(said[index], answers[index]) for index in range(3))
    preference = -torch.nn.functional.logsigmoid(BETA * (yes - no - 0.3))
    ((preference - yes / 2 - other / 1) / 2).backward()
    torch.testing.assert_close(found, gradients(model), atol=1e-6, rtol=1e-4)


def test_a_teacher_is_the_base_that_has_read_the_answer(model: Any) -> None:
    import torch

    from atles.ml.objective import Lesson, parts, prepare, surprise_at
    from atles.ml.pack import Answer

    lesson = Lesson(Answer((1, 2), (3, 4)), told=Answer((9, 9, 3, 4, 1, 2), (3, 4)))
    (taught,) = prepare(model, [lesson], "distill", 500)
    assert taught.teacher is not None
    with torch.no_grad():
        ((_, with_notes),) = parts(model, [lesson.told or lesson.said], 500)
        ((_, without),) = parts(model, [lesson.said], 500)
    assert surprise_at(with_notes, taught).item() == pytest.approx(0, abs=1e-5)
    assert surprise_at(without, taught).item() > 0
    assert prepare(model, [lesson], "sft", 500) == [lesson]


def test_only_dpo_reads_what_was_turned_down(model: Any) -> None:
    from atles.ml.objective import Lesson, prepare
    from atles.ml.pack import Answer

    lesson = Lesson(Answer((1, 2), (3, 4)), rejected=Answer((1, 2), (5,)))
    assert [it.rejected for it in prepare(model, [lesson], "sft", 500)] == [None]
    (paired,) = prepare(model, [lesson], "dpo", 500)
    assert paired.rejected == lesson.rejected and paired.margin != 0


def test_dpo_makes_the_answer_likelier_than_the_one_turned_down(
    training_spec: dict[str, Any], run: Runner, tmp_path: Path
) -> None:
    rows = [{"id": "1", "messages": [*ASKED, {"role": "assistant", "content": "ab"}], "rejected": "ax"}]
    spec = training_spec | {"examples": write_jsonl(tmp_path / "pairs.jsonl", rows), "anchors": None, "epochs": 12}
    spec |= {"method": "dpo", "learning_rate": 1e-2}
    assert run("train", spec, "dpo").code == 0
    evaluated = {key: spec[key] for key in ("base", "models_dir")} | {"adapters": {"dpo": spec["output_dir"]}}
    asked = {
        "heldout": write_jsonl(tmp_path / "yes.jsonl", rows),
        "reworded": write_jsonl(
            tmp_path / "no.jsonl", [{"id": "1", "messages": [*ASKED, {"role": "assistant", "content": "ax"}]}]
        ),
    }
    models = run("evaluate", evaluated | asked, "judge").report["models"]
    margin = {name: it["reworded"]["1"]["nll"] - it["heldout"]["1"]["nll"] for name, it in models.items()}
    assert margin["dpo"] > margin["base"]


def test_distilling_reads_the_notes(training_spec: dict[str, Any], run: Runner, tmp_path: Path) -> None:
    notes = [{"role": "user", "content": "notes: ab. who"}]
    rows = [{"id": "1", "messages": [*ASKED, {"role": "assistant", "content": "ab"}], "notes": notes}]
    spec = training_spec | {"examples": write_jsonl(tmp_path / "noted.jsonl", rows), "anchors": None, "epochs": 12}
    losses = [row["own"] for row in run("train", spec | {"method": "distill"}).report["losses"]]
    assert 0 <= losses[-1] < losses[0]


def test_an_unknown_method_says_which_there_are(training_spec: dict[str, Any], run: Runner) -> None:
    error = run("train", training_spec | {"method": "magic"}).report["error"]
    assert error["kind"] == "bad_data" and "sft, distill, dpo" in error["message"]
