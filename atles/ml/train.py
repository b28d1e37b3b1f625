"""Teach a base model what was said: one LoRA, from examples to adapter folder.

    python -m atles.ml.train spec.json        (fields: see Spec; leaves report.json and the adapter)

Each step takes a few of the user's examples (objective.py) and a few anchors (KL to what the base model says to general
prompts, see anchors.py), all packed into rows without padding (pack.py). Knows nothing of sessions, gates or which
adapter is in use.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import platform
import random
import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    load_peft_weights,
    set_peft_model_state_dict,
)
from transformers import PreTrainedTokenizerBase

from atles.ml import anchors, base, objective, program
from atles.ml.pack import Answer


@dataclass(frozen=True)
class Spec:
    """What to train on, and how. The defaults were chosen by measuring on a 135M model: docs/lab-notes.md."""

    base: str
    models_dir: str
    examples: str  # JSONL {"id", "messages", "notes"?, "rejected"?}; the last message is the assistant's
    output_dir: str  # adapter folder to create
    anchors: str | None = None  # JSONL {"id", "ask"}
    start: str | None = None  # adapter folder whose weights to begin with; its rank must be the same
    rehearse: str | None = None  # JSONL like `examples`, mixed in: what `start` knows and is to keep
    method: str = "sft"  # or distill, dpo: objective.py
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    learning_rate: float = 1e-3
    epochs: int = 6
    repeat: int = 1  # how often an epoch shows a short example; the longer, the less often, so that each costs alike
    batch_size: int = 4  # own examples a step
    anchors_per_step: int = 4
    anchor_weight: float = 40.0
    max_length: int = 512  # tokens of one example
    row_length: int = 384  # tokens of one packed row: the unit of memory
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0  # 0: from the load found
    max_steps: int = 0  # 0: no cap
    checkpoint_every: int = 10  # steps


SHORT_TOKENS = 40  # question and answer of an example that is shown as often as any
SHARED_TOKENS = 80  # of two prompts' beginning, for it to be more than a system message


@dataclass(frozen=True)
class Step:
    """Indices of what one optimizer step sees."""

    own: tuple[int, ...]
    anchors: tuple[int, ...]


def train(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    spec = program.parse(Spec, fields)
    if spec.method not in objective.METHODS:
        raise program.BadData(f"method is {spec.method!r}; it can be {', '.join(objective.METHODS)}")
    started = time.monotonic()
    torch.set_num_threads(program.threads(spec.threads))
    torch.manual_seed(spec.seed)
    models_dir = Path(spec.models_dir)
    model, tokenizer = base.load(spec.base, models_dir, spec.precision, spec.device)
    own, truncated = read(spec, spec.examples, tokenizer)
    rehearsed, _ = read(spec, spec.rehearse, tokenizer) if spec.rehearse else ([], 0)
    asks = [row["ask"] for row in program.read_jsonl(spec.anchors)] if spec.anchors and spec.anchors_per_step else []
    known = anchors.load_or_make(
        model, tokenizer, asks, models_dir, base.fingerprint(base.folder(spec.base, models_dir))
    )
    anchors_seconds = time.monotonic() - started

    adapted = get_peft_model(
        model,
        LoraConfig(
            r=spec.lora_rank,
            lora_alpha=spec.lora_alpha,
            lora_dropout=spec.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    adapted.peft_config["default"].base_model_name_or_path = base.public_name(spec.base)
    if spec.start:
        set_peft_model_state_dict(adapted, load_peft_weights(spec.start, device="cpu"))
    seen = objective.prepare(adapted, own + rehearsed, spec.method, spec.row_length)
    adapted.train()
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=spec.learning_rate, weight_decay=0.0)
    said = [lesson.said for lesson in seen]
    later = alike(said[len(own) :])
    groups = repeated(said[: len(own)], spec.repeat) + [[len(own) + index for index in group] for group in later]
    steps = plan(groups, len(known), spec)
    checkpoint = folder / "checkpoint.pt"
    identity = identify(spec)
    history = resume(checkpoint, identity, adapted, optimizer)
    first, tokens, train_started = len(history), 0, time.monotonic()

    for number, step in enumerate(steps[first:], first + 1):
        for group in optimizer.param_groups:
            group["lr"] = spec.learning_rate * schedule(number, len(steps))
        own_loss, anchor_loss, computed = objective.one_step(
            adapted,
            [seen[i] for i in step.own],
            [known[i] for i in step.anchors],
            spec.anchor_weight,
            spec.row_length,
        )
        if not math.isfinite(own_loss + anchor_loss):
            raise program.NanLoss(
                f"the loss is not a number at step {number} of {len(steps)}; lower learning_rate ({spec.learning_rate})"
            )
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += computed
        loss = own_loss + spec.anchor_weight * anchor_loss
        history.append(
            {"step": number, "loss": round(loss, 4), "own": round(own_loss, 4), "anchor": round(anchor_loss, 4)}
        )
        speed = tokens / (time.monotonic() - train_started)
        eta = (time.monotonic() - train_started) / (number - first) * (len(steps) - number)
        program.say(
            "progress", phase="train", step=number, steps=len(steps), loss=round(loss, 4),
            tokens_per_second=round(speed), eta_seconds=round(eta, 1),
        )  # fmt: skip
        if number % spec.checkpoint_every == 0 and number < len(steps):
            save_checkpoint(checkpoint, identity, adapted, optimizer, history)
        torch.set_num_threads(program.threads(spec.threads, running=torch.get_num_threads()))

    save_adapter(adapted, Path(spec.output_dir))
    checkpoint.unlink(missing_ok=True)
    train_seconds = time.monotonic() - train_started
    own_losses = [entry["own"] for entry in history]
    tenth = max(1, len(own_losses) // 10)  # one step's loss says more of its few examples than of the model
    return {
        "base": spec.base,
        "adapter": spec.output_dir,
        "sha256": hashlib.sha256((Path(spec.output_dir) / "adapter_model.safetensors").read_bytes()).hexdigest(),
        "examples": len(own),
        "anchors": len(known),
        "steps": len(history),
        "tokens": tokens,
        "seconds": round(time.monotonic() - started, 1),
        "seconds_before_training": round(anchors_seconds, 1),
        "tokens_per_second": round(tokens / train_seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "loss_first": round(sum(own_losses[:tenth]) / tenth, 4),
        "loss_last": round(sum(own_losses[-tenth:]) / tenth, 4),
        "losses": history,
        "threads": torch.get_num_threads(),
        "precision": {torch.float32: "fp32", torch.bfloat16: "bf16"}[model.dtype],
        "device": str(model.device),
        "truncated": truncated,
        "resumed_from_step": first,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "transformers", "peft")},
    }


def read(spec: Spec, path: str, tokenizer: PreTrainedTokenizerBase) -> tuple[list[objective.Lesson], int]:
    """The examples as token ids, and how many answers had to be cut."""
    lessons, truncated = objective.read(program.read_jsonl(path), tokenizer, spec.max_length)
    if not lessons:
        raise program.BadData(f"{path} holds no examples")
    return lessons, truncated


def repeated(own: Sequence[Answer], times: int) -> list[list[int]]:
    """Indices of the examples, in groups as `alike` makes them, short ones several times."""
    first, last = min(answer.prompt for answer in own), max(answer.prompt for answer in own)
    alike_so_far = (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    shared = next(alike_so_far, len(first))  # by all: the system message, which costs nothing

    def often(index: int) -> int:
        return max(1, min(times, round(times * SHORT_TOKENS / max(1, len(own[index]) - shared))))

    groups = alike(own)
    return groups + [group for group in groups if len(group) == 1 for _ in range(often(group[0]) - 1)]


def alike(own: Sequence[Answer]) -> list[list[int]]:
    """Indices of the examples, in groups whose prompts begin alike: trained on together, the beginning costs once."""
    groups: list[list[int]] = []
    last: tuple[int, ...] = ()
    for index in sorted(range(len(own)), key=lambda i: own[i].prompt):
        prompt = own[index].prompt
        if groups and prompt[:SHARED_TOKENS] == last[:SHARED_TOKENS] and len(prompt) > SHARED_TOKENS:
            groups[-1].append(index)
        else:
            groups.append([index])
        last = prompt
    return groups


def plan(groups: Sequence[Sequence[int]], anchors: int, spec: Spec) -> list[Step]:
    """Every example once per epoch, in a new order but for groups, which stay together; the anchors go round
    independently."""
    order = random.Random(spec.seed)
    deck: list[int] = []
    steps = []
    for _ in range(spec.epochs):
        own = [index for group in order.sample(groups, len(groups)) for index in order.sample(group, len(group))]
        for first in range(0, len(own), spec.batch_size):
            if anchors and len(deck) < spec.anchors_per_step:
                deck += order.sample(range(anchors), anchors)
            drawn, deck = deck[: spec.anchors_per_step], deck[spec.anchors_per_step :]
            steps.append(Step(tuple(own[first : first + spec.batch_size]), tuple(drawn)))
    return steps[: spec.max_steps or None]


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: 5 % warm-up, then a cosine down to a tenth."""
    warmup = max(1, steps // 20)
    if step <= warmup:
        return step / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def identify(spec: Spec) -> str:
    """Names the training: the spec and the files' content, without what only changes its speed or place."""
    fields = dataclasses.asdict(spec) | {"threads": 0, "output_dir": "", "checkpoint_every": 0}
    for name in ("examples", "anchors", "rehearse"):
        fields[name] = hashlib.sha256(Path(fields[name]).read_bytes()).hexdigest() if fields[name] else None
    return base.content_key(fields)


def save_checkpoint(
    path: Path, identity: str, model: PeftModel, optimizer: torch.optim.Optimizer, history: list[dict[str, Any]]
) -> None:
    state = {
        "identity": identity,
        "adapter": get_peft_model_state_dict(model),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "history": history,
    }
    program.write_atomically(path, lambda tmp: torch.save(state, tmp))


def resume(path: Path, identity: str, model: PeftModel, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """The history of an interrupted run of the same training, its state restored; empty where there is none."""
    if not path.exists():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["identity"] != identity:
        return []
    set_peft_model_state_dict(model, state["adapter"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return state["history"]


def save_adapter(model: PeftModel, output_dir: Path) -> None:
    """Write the adapter in PEFT format; the folder appears whole or not at all."""
    tmp = output_dir.with_name(f".{output_dir.name}.tmp")
    shutil.rmtree(tmp, ignore_errors=True)
    model.save_pretrained(str(tmp))
    (tmp / "README.md").unlink(missing_ok=True)  # PEFT's template of a model card, all blanks
    if output_dir.exists():  # an earlier attempt at this training got this far and lost its report
        shutil.rmtree(output_dir)
    program.into_place(tmp, output_dir)


def peak_memory_mb() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    program.run(train, nice=10)
