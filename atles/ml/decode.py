"""Greedy answers: many at once, or one token by token. Knows token ids, not files or adapters.

`model` is one of transformers' or one that PEFT has wrapped; they share no type, only their call.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedTokenizerBase

from atles.ml.program import progress


def ends(model: Any, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens after which an answer is over."""
    stops: Any = model.generation_config.eos_token_id  # one, several or none
    end: Any = tokenizer.eos_token_id
    return {token for token in (end, *(stops if isinstance(stops, list) else [stops])) if token is not None}


@torch.inference_mode()
def greedy(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    *,
    batch_size: int = 32,
    phase: str = "generate",
    observe: Callable[[list[int], torch.Tensor], None] = lambda indices, logits: None,
) -> list[list[int]]:
    """The most likely answer to each prompt (token ids, with the end token where it came within `max_tokens`).

    Prompts of like length go together, padded on the left; an answered prompt leaves its batch at once.
    `observe` sees every step's prompt indices [b] and logits [b, vocabulary].
    """
    stops, started = ends(model, tokenizer), time.monotonic()
    answers: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        # What all prompts begin with (the system message, mostly) is computed once, in a batch of one.
        shared = shared_length([prompts[index] for index in batch])
        cache = DynamicCache(config=model.config)
        if shared:
            start = torch.tensor([prompts[batch[0]][:shared]], device=model.device)
            model(input_ids=start, past_key_values=cache, logits_to_keep=1, use_cache=True)
            cache.batch_repeat_interleave(len(batch))
        rests = [list(prompts[index][shared:]) for index in batch]
        width = max(map(len, rests))
        ids = torch.tensor(
            [[tokenizer.pad_token_id] * (width - len(rest)) + rest for rest in rests], device=model.device
        )
        begins = torch.tensor([width - len(rest) for rest in rests], device=model.device)
        real = (torch.arange(width, device=model.device) >= begins[:, None]).long()
        positions = shared + (real.cumsum(1) - 1).clamp(min=0)
        mask = torch.cat([real.new_ones(len(batch), shared), real], 1)
        for _ in range(max_tokens):
            output = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                logits_to_keep=1,
                use_cache=True,
            )
            observe(batch, output.logits[:, -1])
            tokens = output.logits[:, -1].argmax(-1)
            for index, token in zip(batch, tokens.tolist(), strict=True):
                answers[index].append(token)
            going = [row for row, token in enumerate(tokens.tolist()) if token not in stops]
            if not going:
                break
            if len(going) < len(batch):
                keep = torch.tensor(going, device=model.device)
                batch = [batch[row] for row in going]
                cache.batch_select_indices(keep)
                tokens, mask, positions = tokens[keep], mask[keep], positions[keep]
            ids = tokens[:, None]
            mask = torch.cat([mask, mask.new_ones(len(batch), 1)], 1)
            positions = positions[:, -1:] + 1
        progress(phase, min(first + batch_size, len(order)), len(order), started)
    return answers


@torch.inference_mode()
def stream(model: Any, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], max_tokens: int) -> Iterator[str]:
    """The same answer as `greedy`, as pieces of text while it is written."""
    stops = ends(model, tokenizer)
    ids: Any = torch.tensor([list(prompt)], device=model.device)
    cache, tokens, shown = DynamicCache(config=model.config), [], ""
    for _ in range(max_tokens):
        output = model(input_ids=ids, past_key_values=cache, logits_to_keep=1, use_cache=True)
        ids = output.logits[:, -1:].argmax(-1)
        if (token := int(ids)) in stops:
            break
        tokens.append(token)
        whole = text(tokenizer, tokens)
        if not whole.endswith("�"):  # half a character: the rest comes with the next token
            yield whole[len(shown) :]
            shown = whole
    rest = text(tokenizer, tokens)[len(shown) :]
    if rest:
        yield rest


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; one token of each stays out, since the answer is predicted from it."""
    same = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False))
    return min(sum(1 for _ in same), min(map(len, prompts)) - 1)


def text(tokenizer: PreTrainedTokenizerBase, answer: Sequence[int]) -> str:
    return str(tokenizer.decode(list(answer), skip_special_tokens=True))
