"""Packing and the anchor loss, on a tiny base model."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_a_packed_row_computes_what_each_sequence_alone_would(tiny_base: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from atles.ml.pack import Answer, log_probs, pack

    model = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    answers = [
        Answer((1, 2, 3), (4, 5)),
        Answer((1, 2, 3), (4, 6, 7)),
        Answer((1, 2, 8, 9), (3,)),
        Answer((5,), (1, 2)),
    ]
    (row,) = pack(answers, limit=100)
    assert len(row.ids) == 13  # of 19 tokens, 6 are shared
    packed = log_probs(model, row).split([len(answer.answer) for answer in answers])
    for answer, together in zip(answers, packed, strict=True):
        ids = torch.tensor([answer.prompt + answer.answer])
        alone = model(ids).logits[0].log_softmax(-1)[len(answer.prompt) - 1 : -1]
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_rows_keep_to_their_length_and_hold_every_sequence_once() -> None:
    from atles.ml.pack import Answer, pack

    answers = [Answer((n, n + 1, n + 2), (n + 3, n + 4)) for n in range(0, 100, 10)]
    rows = list(pack(answers, limit=17))
    assert all(len(row.ids) <= 17 for row in rows)
    assert [index for row in rows for index in row.members] == list(range(10))


def test_a_model_that_equals_the_base_does_not_diverge_from_it() -> None:
    import torch

    from atles.ml.anchors import divergence

    torch.manual_seed(0)
    base, other = torch.randn(2, 5, 100).log_softmax(-1)
    top = base.topk(32)
    assert divergence(base, top.indices, top.values).abs().max() < 1e-4
    assert divergence(other, top.indices, top.values).min() > 0


def test_a_plan_shows_every_example_once_per_epoch_and_every_anchor_equally_often() -> None:
    from collections import Counter

    from atles.ml.train import Spec, plan

    spec = Spec(base="", models_dir="", examples="", output_dir="", epochs=3, batch_size=4, anchors_per_step=5)
    groups = [[0], [1, 2, 3], *([index] for index in range(4, 10))]
    steps = plan(groups, 15, spec)
    assert len(steps) == 9
    assert set(Counter(index for step in steps for index in step.own).values()) == {3}
    assert set(Counter(index for step in steps for index in step.anchors).values()) == {3}
    assert steps == plan(groups, 15, spec)
