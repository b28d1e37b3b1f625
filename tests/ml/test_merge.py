"""An adapter merged into its base: plain transformers makes of it what PEFT makes of the two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

pytestmark = pytest.mark.slow


def test_a_merged_model_is_base_and_adapter(tiny_base: Path, tmp_path: Path, run: Callable[..., Run]) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = tmp_path / "base"
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    model.to(torch.float16).save_pretrained(base)  # the numbers of the result are those of its base
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(base)
    adapted = get_peft_model(model.float(), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.eval().save_pretrained(tmp_path / "peft")
    spec = {"base": str(base), "models_dir": str(tmp_path), "adapter": str(tmp_path / "peft"),
            "output": str(tmp_path / "merged")}  # fmt: skip

    result = run("merge", spec)

    assert result.code == 0 and result.report["output"] == spec["output"]
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert merged.dtype == torch.float16 and not any("lora" in name for name, _ in merged.named_parameters())
    ids = torch.tensor([[5, 9, 200, 33, 17]])
    with torch.no_grad():
        own, both = merged.float()(ids).logits, adapted(ids).logits
        with adapted.disable_adapter():
            plain = adapted(ids).logits
    assert (own - both).abs().max() < 0.05 < 0.5 < (own - plain).abs().max()
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
    config = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]


def test_what_fails_leaves_no_folder(tiny_base: Path, tmp_path: Path, run: Callable[..., Run]) -> None:
    (tmp_path / "peft").mkdir()
    spec = {"base": str(tiny_base), "models_dir": str(tmp_path), "adapter": str(tmp_path / "peft"),
            "output": str(tmp_path / "merged")}  # fmt: skip
    assert run("merge", spec).code == 1 and not (tmp_path / "merged").exists()
