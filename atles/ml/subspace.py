"""Where a LoRA may act: in the directions in which the user's examples differ most from general prompts.

A LoRA adds B A x to what a layer makes of its input x. Where A x is nearly nothing, nothing changes. So A is
not drawn at random and trained, but set, once, to the directions in which own inputs have the most energy for that of
general ones, and only B is trained. This is LoRA-Null (Tang et al., arXiv 2503.02659: A from the null space of general
activations, and frozen) with the own examples taken into account, which makes it a generalized eigenproblem as in
common spatial patterns (Koles et al., EEG and Clinical Neurophysiology 77, 1990). What it buys: docs/lab-notes.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel

from atles.ml import program
from atles.ml.pack import Answer, log_probs, pack

RIDGE = 0.05  # share of the mean general energy that is added in every direction: what was not seen may come up


@torch.no_grad()
def aim(model: PeftModel, own: Sequence[Answer], general: Sequence[Answer], row_length: int) -> None:
    """Set every A of the model's LoRA (B is zero by then), and let it be trained no more."""
    layers = {name: module for name, module in model.named_modules() if "default" in getattr(module, "lora_A", {})}
    own_energy, general_energy = (energy(model, layers, answers, row_length) for answers in (own, general))
    found: dict[int, torch.Tensor] = {}
    for name, layer in layers.items():
        weight: torch.Tensor = layer.lora_A["default"].weight
        key = id(own_energy[name])  # layers that read the same input share the answer
        if key not in found:
            found[key] = directions(own_energy[name], general_energy[name], len(weight))
        weight.zero_()[: len(found[key])] = found[key].to(weight)  # a rank above the input's width is of no use
        weight.requires_grad_(False)


def directions(own: torch.Tensor, general: torch.Tensor, rank: int) -> torch.Tensor:
    """[rank, d] rows a that make aᵀ own a / aᵀ general a largest; own and general: [d, d] mean outer products.

    Each row has on own inputs the energy of a row drawn as LoRA draws it, so that one learning rate fits both.
    """
    size = len(own)
    ridge = RIDGE * general.diagonal().mean() * torch.eye(size, device=own.device)
    lower = torch.linalg.cholesky(general + ridge)
    half = torch.linalg.solve_triangular(lower, own, upper=False)
    whitened = torch.linalg.solve_triangular(lower, half.T, upper=False)
    _, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    rows = torch.linalg.solve_triangular(lower.T, vectors[:, -rank:], upper=True).T
    energies = torch.einsum("ri,ij,rj->r", rows, own, rows)
    wanted = own.diagonal().mean() / 3
    return rows * (wanted / energies.clamp(min=1e-6 * wanted)).sqrt()[:, None]


def energy(
    model: PeftModel, layers: dict[str, Any], answers: Sequence[Answer], row_length: int
) -> dict[str, torch.Tensor]:
    """By layer: [d, d] mean outer product of its inputs, over all tokens of the answers and of what is before them.
    Layers that read the same input have the same tensor."""
    sums: dict[str, torch.Tensor] = {}
    tokens = 0
    started = time.monotonic()
    with watched(layers, sums):
        for row in pack(answers, row_length):
            log_probs(model, row)
            tokens += len(row.ids)
            program.progress("aim", max(row.members) + 1, len(answers), started)
    for total in {id(it): it for it in sums.values()}.values():
        total /= tokens
    return sums


@contextmanager
def watched(layers: dict[str, Any], sums: dict[str, torch.Tensor]) -> Iterator[None]:
    """Add up the outer products of what the layers read."""
    last: list[Any] = [None, ""]  # an input, and the first layer that read it

    def watch(name: str) -> Any:
        def read(_: Any, inputs: tuple[torch.Tensor]) -> None:
            if inputs[0] is last[0]:
                sums.setdefault(name, sums[last[1]])
                return
            last[:] = inputs[0], name
            flat = inputs[0].reshape(-1, inputs[0].shape[-1]).float()
            if name in sums:
                sums[name].addmm_(flat.T, flat)
            else:
                sums[name] = flat.T @ flat

        return read

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
