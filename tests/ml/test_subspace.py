"""Where a LoRA may act, on made-up activations and on a tiny base model."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_directions_are_those_of_own_inputs_that_general_ones_lack() -> None:
    import torch

    from atles.ml.subspace import directions

    own = torch.diag(torch.tensor([9.0, 4.0, 1.0, 0.0]))
    general = torch.diag(torch.tensor([9.0, 0.0, 0.0, 4.0]))
    rows = directions(own, general, 2)
    assert rows[:, [0, 3]].abs().max() < 1e-3, "neither where general inputs are as large, nor where own ones are not"
    energies = torch.einsum("ri,ij,rj->r", rows, own, rows)
    torch.testing.assert_close(energies, torch.full((2,), own.diagonal().mean().item() / 3))


def test_directions_without_own_energy_are_no_number_blown_up() -> None:
    import torch

    from atles.ml.subspace import directions

    own = torch.zeros(6, 6)
    own[0, 0] = 1.0  # one token was seen; the rank asks for more
    rows = directions(own, torch.eye(6), 4)
    assert torch.isfinite(rows).all()


def test_a_general_prompt_hardly_moves_when_the_adapter_learns(tiny_base: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from atles.ml import subspace
    from atles.ml.pack import Answer

    own = [Answer(tuple(range(10, 18)), (20, 21)), Answer(tuple(range(30, 38)), (40, 41))]
    general = [Answer(tuple(range(60 + n, 70 + n)), (80, 81)) for n in range(5)]

    def moved(aimed: bool) -> tuple[float, float]:
        torch.manual_seed(0)
        plain = AutoModelForCausalLM.from_pretrained(tiny_base).requires_grad_(False)
        model = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
        if aimed:
            subspace.aim(model, own, general, 100)
            assert not any(weight.requires_grad for name, weight in model.named_parameters() if "lora_A" in name)
        before = [model(torch.tensor([answer.prompt])).logits.detach() for answer in (*own, *general)]
        draw = torch.Generator().manual_seed(1)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.data = 0.1 * torch.randn(weight.shape, generator=draw)
        after = [model(torch.tensor([answer.prompt])).logits.detach() for answer in (*own, *general)]
        changes = [(new - old).norm().item() for old, new in zip(before, after, strict=True)]
        return sum(changes[:2]) / 2, sum(changes[2:]) / 5

    aimed_own, aimed_general = moved(aimed=True)
    plain_own, plain_general = moved(aimed=False)
    assert aimed_general / aimed_own < 0.7 * plain_general / plain_own


def test_a_rank_above_the_width_of_the_input_leaves_rows_empty(tiny_base: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from atles.ml import subspace
    from atles.ml.pack import Answer

    plain = AutoModelForCausalLM.from_pretrained(tiny_base).requires_grad_(False)
    model = get_peft_model(plain, LoraConfig(r=500, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    subspace.aim(model, [Answer((1, 2, 3), (4,))], [Answer((5, 6), (7,))], 100)
    weight = next(weight for name, weight in model.named_parameters() if "lora_A" in name)
    assert not weight[weight.shape[1] :].any() and torch.isfinite(weight).all()
