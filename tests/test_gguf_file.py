"""Reading what a GGUF file says of itself, also when it is damaged."""

import struct
from pathlib import Path

import pytest

from atles import wheel
from atles.gguf_file import NotGGUF, read_header


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


ARRAYS = (
    text("words") + struct.pack("<IIQ", 9, 8, 2) + text("one") + text("two")
    + text("heads") + struct.pack("<IIQ3i", 9, 5, 3, 4, 4, -2)
)  # fmt: skip
SCALARS = (
    text("name") + struct.pack("<I", 8) + text("ä model") + text("blocks") + struct.pack("<II", 4, 30)
    + text("eps") + struct.pack("<If", 6, 0.5) + text("bos") + struct.pack("<I?", 7, True)
)  # fmt: skip
TENSORS = (
    text("a.weight") + struct.pack("<I2QIQ", 2, 64, 32, 0, 0) + text("b.bias") + struct.pack("<IQIQ", 1, 32, 0, 64)
)
FILE = b"GGUF" + struct.pack("<IQQ", 3, 2, 6) + ARRAYS + SCALARS + TENSORS


def test_a_header(tmp_path: Path) -> None:
    (tmp_path / "it.gguf").write_bytes(FILE + b"weights")
    header = read_header(tmp_path / "it.gguf")
    assert header.metadata == {
        "words": None, "heads": [4, 4, -2], "name": "ä model", "blocks": 30, "eps": 0.5, "bos": True,
    }  # fmt: skip
    assert header.tensors == {"a.weight": (64, 32), "b.bias": (32,)}


def test_a_file_that_ends_too_early_anywhere(tmp_path: Path) -> None:
    for length in range(len(FILE)):
        (tmp_path / "cut.gguf").write_bytes(FILE[:length])
        with pytest.raises(NotGGUF, match=r"cut\.gguf is"):
            read_header(tmp_path / "cut.gguf")


def test_a_byte_that_is_wrong_anywhere(tmp_path: Path) -> None:
    """It is read as something else or refused; it never asks for all memory, nor fails in another way."""
    for place in range(len(FILE)):
        damaged = bytearray(FILE)
        damaged[place] ^= 0xFF
        (tmp_path / "odd.gguf").write_bytes(damaged)
        try:
            read_header(tmp_path / "odd.gguf")
        except NotGGUF:
            pass


def test_other_files_are_none(tmp_path: Path) -> None:
    (tmp_path / "v1.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0))
    (tmp_path / "text").write_text("GGML")
    for name in ("v1.gguf", "text"):
        with pytest.raises(NotGGUF, match="is not a GGUF file of version 2 or 3"):
            read_header(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "none")


def test_the_base_models(tmp_path: Path) -> None:
    path = wheel.gguf()
    if path is None:
        pytest.skip("the base model's wheel is not installed")
    assert wheel.intact(path)
    header = read_header(path)
    assert header.metadata["general.architecture"] == "llama" and header.metadata["llama.block_count"] == 30
    assert len(header.tensors) == 272 and header.tensors["blk.29.attn_k.weight"] == (576, 192)
