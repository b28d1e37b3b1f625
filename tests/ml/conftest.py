"""A base model small enough for tests, and a way to run the ml programs as the daemon does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Run:
    """A program's exit code, report and stdout lines."""

    code: int
    report: dict[str, Any]
    events: list[dict[str, Any]]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with random weights that reads and writes bytes."""
    pytest.importorskip("torch")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: index for index, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>", bos_token="<|start|>"
    )
    fast.chat_template = TEMPLATE

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=fast.bos_token_id,
    )
    folder = tmp_path_factory.mktemp("tiny_base")
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def training_spec(tiny_base: Path, tmp_path: Path) -> dict[str, Any]:
    """Six facts and six anchors: a training of 12 steps."""
    examples = [
        {
            "id": f"e{n}",
            "messages": [
                {"role": "user", "content": f"who is {n}"},
                {"role": "assistant", "content": f"it is {n * 7}"},
            ],
        }
        for n in range(6)
    ]
    return {
        "base": str(tiny_base),
        "models_dir": str(tmp_path / "models"),
        "examples": write_jsonl(tmp_path / "examples.jsonl", examples),
        "anchors": write_jsonl(tmp_path / "anchors.jsonl", [{"id": f"a{n}", "ask": f"what is {n}"} for n in range(6)]),
        "output_dir": str(tmp_path / "adapter"),
        "epochs": 4,
        "batch_size": 2,
        "anchors_per_step": 2,
        "precision": "fp32",
        "device": "cpu",
        "threads": 1,
        "checkpoint_every": 2,
    }


def start(program: str, spec: dict[str, Any], folder: Path) -> subprocess.Popen[str]:
    """Start a program on its leash: it lives as long as the returned process's stdin is open."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", f"atles.ml.{program}", str(folder / "spec.json")]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    def run_to_its_end(program: str, spec: dict[str, Any], folder: str = "job") -> Run:
        with start(program, spec, tmp_path / folder) as process:
            assert process.stdout is not None
            events = [json.loads(line) for line in process.stdout]  # the leash is held until stdout ends
            code = process.wait()
        return Run(code, json.loads((tmp_path / folder / "report.json").read_text()), events)

    return run_to_its_end
