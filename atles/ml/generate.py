"""Answer chats with a base model and, if one is named, an adapter.

    python -m atles.ml.generate spec.json     (fields: see Spec)

A batch of requests becomes report.json. With "interactive", chats come as JSON lines on stdin and answers go out as
JSON lines on stdout, piece by piece, until stdin ends. Greedy: the same chat gets the same answer.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from atles.ml import base, decode, program


@dataclass(frozen=True)
class Spec:
    base: str
    models_dir: str
    adapter: str | None = None  # adapter folder
    requests: list[dict[str, Any]] = field(default_factory=list)  # {"id", "messages"}
    interactive: bool = False
    max_tokens: int = 128
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0  # 0: from the load found


def generate(fields: dict[str, Any], folder: Path) -> dict[str, Any] | None:
    spec = program.parse(Spec, fields)
    if not spec.interactive:
        program.die_with_parent()
    started = time.monotonic()
    torch.set_num_threads(program.threads(spec.threads))
    model, tokenizer = base.load(spec.base, Path(spec.models_dir), spec.precision, spec.device)
    if spec.adapter:
        # Merged into the weights: a token then costs what it costs without an adapter.
        model = PeftModel.from_pretrained(model, spec.adapter).merge_and_unload().eval()
    if spec.interactive:
        return converse(model, tokenizer, spec.max_tokens)
    prompts = [base.render(tokenizer, request["messages"]) for request in spec.requests]
    answers = decode.greedy(model, tokenizer, prompts, spec.max_tokens)
    return {
        "answers": [
            {"id": request["id"], "answer": decode.text(tokenizer, answer).strip(), "tokens": len(answer)}
            for request, answer in zip(spec.requests, answers, strict=True)
        ],
        "seconds": round(time.monotonic() - started, 1),
    }


def converse(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
    """Answer each {"messages": [...]} line of stdin as it comes."""
    program.say("ready")
    for line in sys.stdin:
        answer = ""
        prompt = base.render(tokenizer, json.loads(line)["messages"])
        for piece in decode.stream(model, tokenizer, prompt, max_tokens):
            answer += piece
            program.say("token", text=piece)
        program.say("answer", text=answer.strip())


if __name__ == "__main__":
    program.run(generate, leash=False)
