"""Turn a LoRA adapter of PEFT into a GGUF file, which llama.cpp puts on the base model's GGUF file.

    python -m atles.ml.gguf spec.json     (fields: see Spec)

Knows how PEFT and llama.cpp name and order the same weights; no torch, no model is loaded. What llama.cpp would apply
wrongly or not at all is refused. The file notes the sha256 of the weights that it was made from (`atles.sha256`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from gguf import MODEL_ARCH_NAMES, GGUFType, GGUFWriter, Keys, TensorNameMap

from atles.gguf_file import Header, NotGGUF, read_header
from atles.ml import program
from atles.ml.program import BadData

# Architecture -> whether llama.cpp wants the rows of q and k in another order than transformers has them (it rotates
# neighbours, transformers halves). Only what was compared with PEFT is here: tests/ml/test_gguf.py.
PERMUTED = {"llama": True, "qwen2": False, "qwen3": False}
# Options of LoraConfig that do not change what the saved weights mean; all others have to be off.
_HARMLESS = frozenset(
    """task_type peft_type auto_mapping peft_version base_model_name_or_path revision inference_mode r target_modules
    exclude_modules lora_alpha lora_dropout use_rslora init_lora_weights layers_to_transform layers_pattern
    megatron_core loftq_config eva_config corda_config lora_ga_config runtime_config qalora_group_size
    ensure_weight_tying""".split()
)
_OFF = (None, False, "none", [], {})
_PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")  # the others change the base model as well
_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<part>[AB])\.weight")
_ROTATED = re.compile(r"blk\.\d+\.attn_(?P<which>[qk])\.weight")


@dataclass(frozen=True)
class Spec:
    base_gguf: str
    adapter: str  # PEFT folder
    output: str  # the file to write


@dataclass(frozen=True)
class Pair:
    """One module's weights, named and ordered as llama.cpp has them: its change is b @ a, times alpha / rank."""

    name: str
    a: np.ndarray
    b: np.ndarray


def gguf(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    spec = program.parse(Spec, fields)
    source, output = Path(spec.adapter), Path(spec.output)
    try:
        base = read_header(Path(spec.base_gguf))
    except (NotGGUF, OSError) as error:
        raise BadData(f"the base model's GGUF file cannot be read: {error}") from error
    try:
        config = json.loads((source / "adapter_config.json").read_text("utf-8"))
        weights = (source / "adapter_model.safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise BadData(f"the adapter in {source} cannot be read: {error}") from error
    alpha = effective_alpha(config)
    pairs = sorted(converted(tensors(weights), config["r"], base), key=lambda pair: pair.name)
    if not output.parent.is_dir():  # it would be made anew, and hold weights that were to be forgotten
        raise BadData(f"{output.parent} is gone, the adapter was deleted meanwhile")
    architecture, digest = base.metadata["general.architecture"], hashlib.sha256(weights).hexdigest()
    program.write_atomically(output, lambda path: write(path, architecture, alpha, digest, pairs))
    return {"output": str(output), "architecture": architecture, "tensors": 2 * len(pairs), "alpha": alpha,
            "sha256": digest, "chat_template": base.metadata.get("tokenizer.chat_template")}  # fmt: skip


def effective_alpha(config: Mapping[str, Any]) -> float:
    """The alpha by which llama.cpp, which divides it by the rank, comes to PEFT's scale. Raises BadData."""
    if config.get("peft_type") != "LORA":
        raise BadData(f"the adapter is {config.get('peft_type')}, not LORA; llama.cpp applies no other")
    on = sorted(name for name, value in config.items() if name not in _HARMLESS and value not in _OFF)
    if on:
        raise BadData(f"the adapter uses {', '.join(on)}, which llama.cpp cannot apply; serve it another way")
    start = config.get("init_lora_weights", True)
    if start not in _PLAIN_STARTS:
        raise BadData(f"the adapter began as {start}, which changes the base model, too; serve it another way")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float):
        raise BadData("adapter_config.json says no r or no lora_alpha")
    if not alpha > 0:
        raise BadData(f"lora_alpha is {alpha}: the adapter has no effect, and llama.cpp would give it one")
    return float(alpha * math.sqrt(rank) if config.get("use_rslora") else alpha)


def tensors(file: bytes) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file as 32-bit numbers. Raises BadData."""
    try:
        entries = safetensors.deserialize(file)
    except safetensors.SafetensorError as error:
        raise BadData(f"adapter_model.safetensors is damaged: {error}") from error
    return {name: _numbers(name, entry).reshape(entry["shape"]) for name, entry in entries}


def _numbers(name: str, entry: Mapping[str, Any]) -> np.ndarray:
    data, kind = entry["data"], entry["dtype"]
    if kind == "BF16":  # the upper half of a 32-bit number; numpy knows none
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if kind not in ("F32", "F16"):
        raise BadData(f"the tensor {name} holds {kind}; an adapter's are F32, F16 or BF16")
    return np.frombuffer(data, "<f4" if kind == "F32" else "<f2").astype(np.float32)


def converted(found: Mapping[str, np.ndarray], rank: int, base: Header) -> Iterator[Pair]:
    """The adapter's weights as llama.cpp has them. Raises BadData for what has no place in the base model."""
    architecture = base.metadata.get("general.architecture")
    if architecture not in PERMUTED:
        raise BadData(f"adapters of {architecture} models cannot be converted, only those of {', '.join(PERMUTED)}")
    names = TensorNameMap(
        next(number for number, name in MODEL_ARCH_NAMES.items() if name == architecture),
        base.metadata[f"{architecture}.block_count"],
    )
    parts: dict[str, dict[str, np.ndarray]] = {}
    for tensor, numbers in found.items():
        match = _TENSOR.fullmatch(tensor)
        if not match:
            raise BadData(f"llama.cpp cannot apply the adapter's tensor {tensor}; serve it another way")
        parts.setdefault(match["module"], {})[match["part"]] = numbers
    if not parts:
        raise BadData("the adapter holds no weights")
    for module, part in parts.items():
        name = f"{names.get_name(module)}.weight"
        if name not in base.tensors:
            raise BadData(f"the base model's GGUF file has no weights for the adapter's module {module}")
        if part.keys() != {"A", "B"}:
            raise BadData(f"the adapter has no lora_{'B' if 'A' in part else 'A'} for its module {module}")
        a, b = part["A"], part["B"]
        inputs, outputs = base.tensors[name]
        if a.shape != (rank, inputs) or b.shape != (outputs, rank):
            raise BadData(
                f"the adapter's module {module} is {b.shape} × {a.shape}, its rank {rank} and the base's weights "
                f"{outputs} × {inputs}: it was trained on another base model"
            )
        rotated = _ROTATED.fullmatch(name) if PERMUTED[architecture] else None
        yield Pair(name, a, permuted(b, heads(base, rotated["which"])) if rotated else b)


def heads(base: Header, which: str) -> int:
    """How many heads the rows of q or k are."""
    architecture = base.metadata["general.architecture"]
    count = base.metadata[f"{architecture}.attention.head_count"]
    if which == "k":
        count = base.metadata.get(f"{architecture}.attention.head_count_kv", count)
    if not isinstance(count, int):
        raise BadData(f"the base model's layers differ in their heads ({count}); its adapters cannot be converted")
    return count


def permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """The rows in llama.cpp's order: within a head, row i of the first half is followed by row i of the second."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def write(path: Path, architecture: str, alpha: float, digest: str, pairs: list[Pair]) -> None:
    writer = GGUFWriter(path, architecture)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_string("atles.sha256", digest)
    for pair in pairs:
        writer.add_tensor(f"{pair.name}.lora_a", np.ascontiguousarray(pair.a))
        writer.add_tensor(f"{pair.name}.lora_b", np.ascontiguousarray(pair.b))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    program.run(gguf)
