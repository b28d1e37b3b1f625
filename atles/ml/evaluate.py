"""Measure what a base model and its adapters know: surprise at answers, right answers to general prompts, drift.

    python -m atles.ml.evaluate spec.json     (fields: see Spec; leaves report.json)

One model in memory; adapters are switched on it. Measures only: what a difference means is the gate's to decide.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from atles.ml import anchors, base, decode, program
from atles.ml.pack import Answer, log_probs, pack


@dataclass(frozen=True)
class Spec:
    base: str
    models_dir: str
    adapters: dict[str, str] = field(default_factory=dict)  # name -> adapter folder
    losses_only: list[str] = field(default_factory=list)  # adapters that are asked nothing: answers take the time
    heldout: str | None = None  # JSONL {"id", "messages"}; the last message is the assistant's
    reworded: str | None = None  # the same, of what was taught: also measured with the questions swapped
    general: str | None = None  # JSONL {"id", "ask", "expect"}
    leading: str | None = None  # JSONL {"id", "ask"}: questions that lead to secrets; the answers are reported
    neutral: int = 60  # of the general prompts, how many drift is measured on
    samples: int = 8  # of the reworded questions, how many are answered, to be read by people
    max_tokens: int = 32
    row_length: int = 512
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0  # 0: from the load found


def evaluate(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    spec = program.parse(Spec, fields)
    started = time.monotonic()
    torch.set_num_threads(program.threads(spec.threads))
    models_dir = Path(spec.models_dir)
    model, tokenizer = base.load(spec.base, models_dir, spec.precision, spec.device)
    heldout, reworded, general, leading = (
        program.read_jsonl(path) if path else [] for path in (spec.heldout, spec.reworded, spec.general, spec.leading)
    )
    neutral = [row["ask"] for row in general[: spec.neutral]]
    known_to_base = anchors.load_or_make(
        model, tokenizer, neutral, models_dir, base.fingerprint(base.folder(spec.base, models_dir))
    )

    def measure(asked: list[dict[str, Any]], led: list[dict[str, Any]], answers: list[str]) -> dict[str, Any]:
        samples = reworded[: spec.samples] if asked else []
        return {
            "heldout": surprise(model, tokenizer, heldout, spec),
            "reworded": surprise(model, tokenizer, reworded, spec),
            "swapped": surprise(model, tokenizer, swapped(reworded), spec),
            "general": judge(asked, answers[: len(asked)]),
            "leading": {row["id"]: answer for row, answer in zip(led, answers[len(asked) :], strict=True)},
            "samples": dict(zip((row["id"] for row in samples), ask(samples), strict=True)),
            "drift": drift(model, known_to_base, spec),
        }

    def ask(asked: list[dict[str, Any]]) -> list[str]:
        chats = [
            row["messages"][:-1] if "messages" in row else [{"role": "user", "content": row["ask"]}] for row in asked
        ]
        prompts = [base.render(tokenizer, chat) for chat in chats]
        answers = decode.greedy(model, tokenizer, prompts, spec.max_tokens, phase="evaluate")
        return [decode.text(tokenizer, answer).strip() for answer in answers]

    everything = [*general, *leading]
    cache = models_dir / "answers" / f"{cache_key(spec, models_dir, everything, model)}.json"
    if not cache.exists():
        program.write_json(cache, {"answers": ask(everything)})
    models = {"base": measure(general, leading, json.loads(cache.read_text())["answers"])}
    for name, path in spec.adapters.items():
        model = add_adapter(model, name, path)
        quiet = name in spec.losses_only
        models[name] = measure([], [], []) if quiet else measure(general, leading, ask(everything))
    return {
        "base": spec.base,
        "models": models,
        "asked": {name: len(result["general"]) for name, result in models.items()},
        "seconds": round(time.monotonic() - started, 1),
        "threads": torch.get_num_threads(),
        "device": str(model.device),
    }


def add_adapter(model: PreTrainedModel | PeftModel, name: str, path: str) -> PeftModel:
    """`model` with the adapter at `path` on it, and no other one in use."""
    if not (Path(path) / "adapter_config.json").is_file():
        raise program.BadData(f"adapter {name!r} is not at {path}: no adapter_config.json there")
    if not isinstance(model, PeftModel):
        return PeftModel.from_pretrained(model, path, adapter_name=name).eval()
    model.load_adapter(path, adapter_name=name)
    model.set_adapter(name)
    return model.eval()


@torch.inference_mode()
def surprise(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, rows: list[dict[str, Any]], spec: Spec
) -> dict[str, dict[str, float]]:
    """By id: mean nats per token of the last answer, given the messages before it; lower is better."""
    answers = [Answer(*map(tuple, base.render_answer(tokenizer, row["messages"]))) for row in rows]
    result, started = {}, time.monotonic()
    for row in pack(answers, spec.row_length):
        parts = log_probs(model, row).split([len(answers[index].answer) for index in row.members])
        for index, part in zip(row.members, parts, strict=True):
            targets = torch.tensor(answers[index].answer, device=part.device)
            nats = -part.gather(1, targets[:, None]).mean().item()
            result[rows[index]["id"]] = {"nll": round(nats, 5), "tokens": len(targets)}
        program.progress("evaluate", len(result), len(rows), started)
    return result


def swapped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each answer after the next question that is answered otherwise: nothing of it is so."""
    found = []
    for at, row in enumerate(rows):
        *_, answer = row["messages"]
        others = (rows[(at + step) % len(rows)]["messages"] for step in range(1, len(rows)))
        other = next((it for it in others if it[-1]["content"] != answer["content"]), None)
        if other:
            found.append({"id": row["id"], "messages": [*other[:-1], answer]})
    return found


@torch.inference_mode()
def drift(model: PreTrainedModel | PeftModel, known: list[anchors.Anchor], spec: Spec) -> float:
    """Mean KL to the base (nats a token) over what the base says to neutral prompts."""
    total, tokens = 0.0, 0
    for row in pack([anchor.said for anchor in known], spec.row_length):
        parts = log_probs(model, row).split([len(known[index].said.answer) for index in row.members])
        for index, part in zip(row.members, parts, strict=True):
            top = known[index].top_ids.to(part.device), known[index].top_log_probs.to(part.device)
            total += anchors.divergence(part, *top).sum().item()
            tokens += len(part)
    return round(total / tokens, 5) if tokens else 0.0


def judge(rows: list[dict[str, Any]], answers: list[str]) -> dict[str, dict[str, Any]]:
    """By id: whether the answer holds what the row expects (a regular expression, any case)."""
    return {
        row["id"]: {"right": re.search(row["expect"], answer, re.IGNORECASE) is not None, "answer": answer}
        for row, answer in zip(rows, answers, strict=True)
    }


def cache_key(spec: Spec, models_dir: Path, general: list[dict[str, Any]], model: PreTrainedModel) -> str:
    """Names the base's answers. What is expected is no part of it: answers are kept, and judged afresh."""
    fingerprint = base.fingerprint(base.folder(spec.base, models_dir))
    return base.content_key(fingerprint, [row["ask"] for row in general], spec.max_tokens, str(model.dtype))


if __name__ == "__main__":
    program.run(evaluate, nice=10)
