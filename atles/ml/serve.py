"""Serve a base model, with one adapter or none, over OpenAI's HTTP API: llama.cpp in this process.

    python -m atles.ml.serve spec.json     (fields: see Spec)

Once it answers it prints {"event": "listening", "url": …}, and it ends when its standard input does. Knows GGUF files
and llama.cpp, nothing of names, leases or chats. Without torch.

Only who knows the URL gets an answer: it holds a random word, because every user of this machine, and every web page
in a browser on it, can reach a port of 127.0.0.1, and what an adapter learned is private. The word also keeps who
asked a server that is gone from being answered by another one at the same port.
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp as compiled

from atles.ml import program

xllamacpp: Any = compiled  # it says nothing of its types
_PROMPT_CACHE_MB = 256  # of prompts that gave their slot to another; llama.cpp's default is 8 GB
_WARNINGS = 2  # what is logged; one level more is several lines for each request
_ERROR = re.compile(r"^[\d.]+ E +(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Spec:
    gguf: str
    adapter: str | None = None  # GGUF file
    name: str = "model"  # what answers call it
    threads: int = 0
    context_tokens: int = 4096  # of one chat
    slots: int = 4  # chats at once
    embeddings: bool = False


def serve(fields: dict[str, Any], folder: Path) -> None:
    spec = program.parse(Spec, fields)
    word = secrets.token_urlsafe(16)
    try:
        server = xllamacpp.Server(parameters(spec, word))
    except RuntimeError as error:
        raise _failure(spec, folder) from error
    program.say("listening", url=f"{server.listening_address}/{word}/v1")
    threading.Event().wait()  # the leash ends the process


def parameters(spec: Spec, word: str) -> Any:
    found = xllamacpp.CommonParams()
    found.model.path = spec.gguf
    found.model_alias = {spec.name}
    if spec.adapter:
        found.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(spec.adapter, 1.0)]
    found.hostnames = ["127.0.0.1"]
    found.port = 0  # any free one
    found.api_prefix = f"/{word}"
    found.cors_origins = ""  # llama.cpp allows all
    found.ui = found.endpoint_slots = False  # slots show the chats of others
    found.verbosity = _WARNINGS
    found.n_ctx = spec.context_tokens * spec.slots
    found.n_parallel = spec.slots
    found.kv_unified = False  # a long chat would take the context of the others
    found.cache_ram_mib = _PROMPT_CACHE_MB
    found.cpuparams.n_threads = found.cpuparams_batch.n_threads = _threads(spec.threads)
    if spec.embeddings:
        found.embedding = True
        found.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return found


def _threads(asked: int) -> int:
    """One core is left to others: llama.cpp's threads wait for each other by spinning, and one that has to share its
    core holds up all. On two cores with one busy, two threads make 18 tokens/s and one makes 129."""
    return asked or max(1, program.threads(0) - 1)


def _failure(spec: Spec, folder: Path) -> program.Failure:
    """What llama.cpp said on stderr, which the parent keeps in a file beside the spec."""
    try:
        said = _ERROR.findall((folder / "stderr.log").read_text("utf-8", "replace"))
    except FileNotFoundError:
        said = []  # started by hand: it stands on the terminal
    files = " with ".join(filter(None, (spec.gguf, spec.adapter)))
    kind = program.OutOfMemory if any("alloc" in line for line in said) else program.BadData
    return kind(f"llama.cpp cannot serve {files}: {said[0] if said else 'its reason stands on stderr'}")


if __name__ == "__main__":
    program.run(serve)
