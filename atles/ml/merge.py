"""Put an adapter into its base model for good: one folder that plain transformers loads.

    python -m atles.ml.merge spec.json     (fields: see Spec)

Knows base models and PEFT folders, nothing of names. The sum is made in 32-bit numbers and stored in those of the base.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from atles.ml import base, program


@dataclass(frozen=True)
class Spec:
    base: str
    models_dir: str
    adapter: str  # PEFT folder
    output: str  # the folder to make


def merge(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    spec = program.parse(Spec, fields)
    models, output = Path(spec.models_dir), Path(spec.output)
    model, tokenizer = base.load(spec.base, models, "fp32", "cpu")
    merged: Any = PeftModel.from_pretrained(model, spec.adapter).merge_and_unload(safe_merge=True)
    merged.to(stored_in(base.folder(spec.base, models)))
    merged.config._name_or_path = base.public_name(spec.base)
    merged.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return {"output": str(output), "parameters": sum(weight.numel() for weight in merged.parameters())}


def stored_in(path: Path) -> torch.dtype:
    """The kind of number that a model's files hold."""
    config = json.loads((path / "config.json").read_text("utf-8"))
    return getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")


if __name__ == "__main__":
    program.run(merge)
