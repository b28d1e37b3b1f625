"""What a GGUF file says of itself: its metadata, and the shape of each tensor. Never reads a weight.

Knows the file's form (version 2 and 3, little-endian), nothing of models. Standard library only: the daemon asks a
file what it was made from, and the converter asks the base model for its heads; for neither is it worth loading numpy.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

# Type number -> form of one value, as in GGUF's specification.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MOST_BYTES = 1 << 30  # of one value; a damaged length would ask for any amount of memory


class NotGGUF(ValueError):
    """The file is not GGUF, or is damaged."""


@dataclass(frozen=True)
class Header:
    """`tensors`: name -> shape, the fastest-running dimension first, as llama.cpp says it."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, tuple[int, ...]]


def read_header(path: Path) -> Header:
    """Arrays of strings (the vocabulary) are left out. Raises NotGGUF, OSError."""
    with path.open("rb") as file:
        try:
            if file.read(4) != b"GGUF" or _number(file, "<I") not in (2, 3):
                raise NotGGUF(f"{path} is not a GGUF file of version 2 or 3")
            return _header(file)
        except (struct.error, UnicodeDecodeError, KeyError) as error:
            raise NotGGUF(f"{path} is damaged: its header cannot be read") from error


def _header(file: BinaryIO) -> Header:
    tensors, values = _number(file, "<Q"), _number(file, "<Q")
    metadata = {_string(file): _value(file, _number(file, "<I")) for _ in range(values)}
    return Header(metadata, dict(_tensor(file) for _ in range(tensors)))


def _tensor(file: BinaryIO) -> tuple[str, tuple[int, ...]]:
    name, dimensions = _string(file), _number(file, "<I")
    shape = struct.unpack(f"<{dimensions}Q", _read(file, 8 * dimensions))
    _read(file, 4 + 8)  # type and offset
    return name, shape


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _number(file, _SCALARS[kind])
    kind, count = _number(file, "<I"), _number(file, "<Q")
    if kind == _STRING:
        for _ in range(count):
            _read(file, _number(file, "<Q"))
        return None
    form = _SCALARS[kind]
    return [number for (number,) in struct.iter_unpack(form, _read(file, struct.calcsize(form) * count))]


def _string(file: BinaryIO) -> str:
    return _read(file, _number(file, "<Q")).decode("utf-8")


def _number(file: BinaryIO, form: str) -> Any:
    (number,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return number


def _read(file: BinaryIO, count: int) -> bytes:
    found = file.read(count) if count <= _MOST_BYTES else b""
    if len(found) != count:
        raise struct.error("the file ends too early")
    return found
