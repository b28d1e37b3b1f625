"""What every ml program shares: spec in, report out, progress, the leash to its parent.

Knows JSON, processes and the machine's load. Knows no model, and does not import torch.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from atles.layout import sync_folder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


class Failure(Exception):
    """A program cannot go on, for a reason that its user can act on. `kind` is what the parent branches on."""

    kind = "crash"


class MissingBase(Failure):
    kind = "missing_base"


class OutOfMemory(Failure):
    kind = "out_of_memory"


class NanLoss(Failure):
    kind = "nan_loss"


class BadData(Failure):
    kind = "bad_data"


def run(work: Callable[[dict[str, Any], Path], dict[str, Any] | None], *, nice: int = 0, leash: bool = True) -> None:
    """Run `work(spec, folder)` on the spec named on the command line; leave `report.json` beside the spec.

    `work` returns the report, or None when it has answered on stdout instead. Any failure becomes
    `{"error": {"kind", "message"}}` in the report and exit code 1, with the traceback on stderr.
    """
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m atles.ml.{work.__name__} spec.json")
    path = Path(sys.argv[1]).resolve()
    if leash:
        die_with_parent()
    os.nice(nice)
    try:
        report = work(json.loads(path.read_text()), path.parent)
    except Exception as error:  # noqa: BLE001 - the parent learns of every failure through the report
        traceback.print_exc()
        write_json(path.parent / "report.json", {"error": {"kind": kind_of(error), "message": message_of(error)}})
        sys.exit(1)
    if report is not None:
        write_json(path.parent / "report.json", report)


def parse(kind: type[S], fields: dict[str, Any]) -> S:
    """The fields of a spec file as the dataclass `kind`; a missing or unknown one is named."""
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(fields) - known):
        raise BadData(f"the spec has unknown fields {unknown}; known are {sorted(known)}")
    try:
        return kind(**fields)
    except TypeError as error:
        raise BadData(f"the spec is incomplete: {error}") from error


def kind_of(error: Exception) -> str:
    if isinstance(error, Failure):
        return error.kind
    # torch raises a plain RuntimeError when the CPU allocator fails, and its own OutOfMemoryError on a GPU.
    out_of_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    return "out_of_memory" if out_of_memory or "can't allocate memory" in str(error) else "crash"


def message_of(error: Exception) -> str:
    if kind_of(error) == "out_of_memory" and not isinstance(error, Failure):
        return (
            f"memory ran out ({error}); lower batch_size, anchors_per_step or max_length, or take a smaller base model"
        )
    return str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error}"


def die_with_parent() -> None:
    """End this process when stdin closes. The parent holds the other end, so it closes however the parent dies."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(2)

    threading.Thread(target=wait, name="leash", daemon=True).start()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write all of `value` or nothing: a reader never sees half a report."""
    write_atomically(path, lambda tmp: tmp.write_text(json.dumps(value, indent=1, ensure_ascii=False)))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, then fsync it and rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(tmp)
        with tmp.open("rb") as file:
            os.fsync(file.fileno())
        tmp.replace(path)
    finally:
        tmp.unlink(missing_ok=True)


def into_place(tmp: Path, target: Path) -> None:
    """Give a finished folder its name: whoever finds it under that name finds it whole, even after power loss."""
    for path in tmp.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(tmp)
    tmp.rename(target)
    sync_folder(target.parent)


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    rows = []
    # Not splitlines(): JSON may hold U+2028 and U+0085, which are no ends of lines there.
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise BadData(f"{path}:{number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise BadData(f"{path}:{number} is not a JSON object")
            rows.append(row)
    return rows


def say(event: str, **fields: Any) -> None:
    """One JSON line on stdout for the parent; nothing else is written there."""
    print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)


def progress(phase: str, step: int, steps: int, started: float, **fields: Any) -> None:
    """Report `step` of `steps` in a phase that began at `started` (time.monotonic() seconds)."""
    seconds = time.monotonic() - started
    eta = round(seconds / step * (steps - step), 1) if step else None
    say("progress", phase=phase, step=step, steps=steps, eta_seconds=eta, **fields)


def free_cores(cores: int, load: float) -> int:
    """Threads to use when others take `load` (1-minute average) of `cores`: what is free, at least 1."""
    return max(1, min(cores, round(cores - load)))


def threads(asked: int, running: int = 0) -> int:
    """`asked` threads, or as many as the machine has free when `asked` is 0. `running` of the load found are our own.

    Two threads on a machine with one free core wait for each other: 16 tokens/s, where one thread makes 70."""
    return asked or free_cores(len(os.sched_getaffinity(0)), max(0.0, os.getloadavg()[0] - running))
