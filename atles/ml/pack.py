"""Many sequences in one row, each shared beginning computed once.

The sequences form a prefix tree: a token that follows the same tokens in two sequences is one node. The row holds every
node once; each node attends to its ancestors and itself, at the position of its depth, so the model computes exactly
what it would compute for each sequence alone, with no padding. A chat model's system message is over a quarter of
a short chat, and the turns of one conversation are beginnings of each other.

Knows token ids and attention masks. Knows no loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Answer:
    """A prompt and the answer that follows it, as token ids. The answer's tokens are what is predicted."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Row:
    """One packed row of T tokens. The output at node `ask[i]` predicts the i-th answer token, answers in order."""

    ids: torch.Tensor  # [T] token ids
    positions: torch.Tensor  # [T] depth in the tree
    visible: torch.Tensor  # [T, T] bool: row i attends to column j
    ask: torch.Tensor  # [n] indices into the row
    members: tuple[int, ...]  # which of the caller's answers are in this row


def pack(answers: Sequence[Answer], limit: int) -> Iterator[Row]:
    """Put the answers, in order, into rows of at most `limit` tokens (more only where one answer alone is longer)."""
    tree = Tree()
    for index, answer in enumerate(answers):
        if tree.members and len(tree.ids) + tree.cost(answer) > limit:
            yield tree.row()
            tree = Tree()
        tree.add(index, answer)
    if tree.members:
        yield tree.row()


class Tree:
    """A prefix tree of token ids while it grows."""

    def __init__(self) -> None:
        self.children: dict[tuple[int, int], int] = {}  # (parent node, token) -> node
        self.ids: list[int] = []
        self.parents: list[int] = []
        self.ask: list[int] = []
        self.members: list[int] = []

    def cost(self, answer: Answer) -> int:
        """How many nodes `answer` would add."""
        node, shared = -1, 0
        for token in answer.prompt + answer.answer:
            if (node, token) not in self.children:
                break
            node, shared = self.children[node, token], shared + 1
        return len(answer) - shared

    def add(self, index: int, answer: Answer) -> None:
        path, node = [], -1
        for token in answer.prompt + answer.answer:
            child = self.children.get((node, token))
            if child is None:
                child = self.children[node, token] = len(self.ids)
                self.ids.append(token)
                self.parents.append(node)
            path.append(node := child)
        self.ask += path[len(answer.prompt) - 1 : -1]
        self.members.append(index)

    def row(self) -> Row:
        visible = torch.eye(len(self.ids), dtype=torch.bool)
        for node, parent in enumerate(self.parents):  # a parent always comes before its children
            if parent >= 0:
                visible[node] |= visible[parent]
        return Row(
            ids=torch.tensor(self.ids),
            positions=visible.sum(1) - 1,
            visible=visible,
            ask=torch.tensor(self.ask),
            members=tuple(self.members),
        )


def log_probs(model: Any, row: Row) -> torch.Tensor:
    """[n, vocabulary] log-probabilities (nats, fp32) of what follows each `ask` node. `model`: transformers' or PEFT's.

    The vocabulary layer, a fifth of a 135M model, is computed for those nodes only."""
    device, dtype = model.device, model.dtype
    hidden = torch.zeros(row.visible.shape, dtype=dtype).masked_fill_(~row.visible, torch.finfo(dtype).min)
    output = model(
        input_ids=row.ids[None].to(device),
        position_ids=row.positions[None].to(device),
        attention_mask=hidden[None, None].to(device),
        logits_to_keep=row.ask.to(device),
        use_cache=False,
    )
    return output.logits[0].float().log_softmax(-1)
