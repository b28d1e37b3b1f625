"""Anchors: what the base model says to general prompts, kept so that learning does not change it.

An anchor holds the base's own greedy answer and, for each of its tokens, the base's most likely `TOP` tokens with their
log-probabilities. Training pulls the adapted model towards them (KL), with no second pass through the base.
Made once per base and set of prompts, then read from `<models_dir>/anchors/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from atles.ml import base, decode
from atles.ml.pack import Answer
from atles.ml.program import write_atomically

TOP = 32  # tokens kept per position; with the rest as one more outcome, 32 hold 93 % of SmolLM2's probability
ANSWER_TOKENS = 8  # how an answer begins decides on the rest; 16 and 32 kept no more, and cost in proportion


@dataclass(frozen=True)
class Anchor:
    said: Answer
    top_ids: torch.Tensor  # [n, TOP] token ids
    top_log_probs: torch.Tensor  # [n, TOP] nats


def load_or_make(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asks: list[str], models_dir: Path, fingerprint: str
) -> list[Anchor]:
    """Anchors for `asks`, in their order. `model` is the base itself, without an adapter."""
    if not asks:
        return []
    key = base.content_key(fingerprint, asks, TOP, ANSWER_TOKENS, str(model.dtype))
    path = models_dir / "anchors" / f"{key}.safetensors"
    if not path.exists():
        made = make(model, tokenizer, asks)
        write_atomically(path, lambda tmp: save_file(flatten(made), tmp))
    return unflatten(load_file(path))


def make(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asks: list[str]) -> list[Anchor]:
    prompts = [base.render(tokenizer, [{"role": "user", "content": ask}]) for ask in asks]
    tops: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in asks]

    def keep_top(indices: list[int], logits: torch.Tensor) -> None:
        values, ids = logits.float().log_softmax(-1).topk(TOP)
        for index, its_ids, its_values in zip(indices, ids.cpu(), values.cpu(), strict=True):
            tops[index].append((its_ids, its_values))

    answers = decode.greedy(model, tokenizer, prompts, ANSWER_TOKENS, phase="anchors", observe=keep_top)
    return [
        Anchor(
            Answer(tuple(prompt), tuple(answer)),
            torch.stack([ids for ids, _ in top]),
            torch.stack([lp for _, lp in top]),
        )
        for prompt, answer, top in zip(prompts, answers, tops, strict=True)
    ]


def flatten(anchors: list[Anchor]) -> dict[str, torch.Tensor]:
    return {
        "prompts": torch.tensor([token for anchor in anchors for token in anchor.said.prompt], dtype=torch.int32),
        "answers": torch.tensor([token for anchor in anchors for token in anchor.said.answer], dtype=torch.int32),
        "lengths": torch.tensor([(len(anchor.said.prompt), len(anchor.said.answer)) for anchor in anchors]),
        "top_ids": torch.cat([anchor.top_ids for anchor in anchors]).int(),
        "top_log_probs": torch.cat([anchor.top_log_probs for anchor in anchors]),
    }


def unflatten(tensors: dict[str, torch.Tensor]) -> list[Anchor]:
    prompt_lengths, answer_lengths = tensors["lengths"].T.tolist()
    parts = zip(
        tensors["prompts"].split(prompt_lengths),
        tensors["answers"].split(answer_lengths),
        tensors["top_ids"].long().split(answer_lengths),
        tensors["top_log_probs"].split(answer_lengths),
        strict=True,
    )
    return [Anchor(Answer(tuple(p.tolist()), tuple(a.tolist())), ids, values) for p, a, ids, values in parts]


def divergence(log_probs: torch.Tensor, top_ids: torch.Tensor, top_log_probs: torch.Tensor) -> torch.Tensor:
    """[n] KL(base || model) in nats per token, over the base's TOP tokens and "any other token" as the last outcome.

    log_probs: [n, vocabulary] of the model; top_ids and top_log_probs: [n, TOP] of the base."""
    mine = log_probs.gather(1, top_ids)
    p, q = with_rest(top_log_probs), with_rest(mine)
    return (p.exp() * (p - q)).sum(1)


def with_rest(top: torch.Tensor) -> torch.Tensor:
    """[n, TOP + 1]: append the log-probability of everything else."""
    rest = (1 - top.exp().sum(1, keepdim=True)).clamp(min=1e-6).log()
    return torch.cat([top, rest], 1)
