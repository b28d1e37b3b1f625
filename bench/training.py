"""What training costs: tokens per second, CPU, memory and start of atles.ml.train beside TRL's SFTTrainer.

    python -m bench training [--steps 10] [--repeats 2]

The same examples (of examples/sessions), batch size, steps, LoRA rank and targets, precision and threads; the loss on
the answers alone in both; anchors off in the line to compare, on in the one to know. Each run is a process of its
own, in turning order. The programs that run are in trainer.py.
"""

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.figures import ROOT, Figure, say

REQUIREMENTS = ROOT / "requirements/bench.txt"
OURS, TRL, ANCHORED = "atles", "trl", "atles, anchors"


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--steps", type=int, default=10, help="optimizer steps of a run [%(default)s]")
    parser.add_argument("--batch", type=int, default=6, help="examples a step [%(default)s]")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each kind [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of both [%(default)s]")
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16, the same in both [%(default)s]")
    parser.add_argument("--models", type=Path, metavar="DIR", help="keep the base model there [temporary]")


def measure(options: argparse.Namespace) -> list[Figure]:
    install()
    with tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch:
        job = {
            "models_dir": str((options.models or Path(scratch) / "models").resolve()),
            "examples": str(examples(Path(scratch) / "examples.jsonl", options.steps * options.batch)),
            "anchors": None,
            "precision": options.precision,
            "threads": options.threads,
            "batch_size": options.batch,
            "max_steps": options.steps,
            "epochs": 1000,  # max_steps ends it
            "max_length": 256,
            "lora_rank": 16,
            "lora_alpha": 32,
            "learning_rate": 5e-4,
            "checkpoint_every": 1_000_000,
        }
        anchored = {**job, "anchors": str(files("atles") / "data/anchors.jsonl"), "anchors_per_step": 12}
        say("training: one step to convert the base model and make the anchors; not counted")
        first = run(OURS, {**anchored, "max_steps": 1}, Path(scratch))
        # What "auto" finds may change with the load; all runs take what it found now.
        jobs = {OURS: job, TRL: job, ANCHORED: anchored}
        jobs = {kind: {**fields, "precision": first["precision"]} for kind, fields in jobs.items()}
        runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in jobs}
        order = [OURS, TRL, ANCHORED]
        for repeat in range(options.repeats):
            for kind in order if repeat % 2 == 0 else reversed(order):
                runs[kind].append(run(kind, jobs[kind], Path(scratch)))
                say(f"training: {kind}: {json.dumps(runs[kind][-1])}")
    if {result["tokens"] for result in runs[OURS]} != {result["tokens"] for result in runs[TRL]}:
        raise RuntimeError("the two did not train on the same tokens; their figures cannot be compared")
    return figures(runs, f"{first['precision']}, {options.threads} threads, {options.steps} steps of {options.batch}")


def figures(runs: dict[str, list[dict[str, Any]]], setting: str) -> list[Figure]:
    found = []
    middle = {kind: {key: _median(kind_runs, key) for key in _NUMBERS} for kind, kind_runs in runs.items()}
    for kind, it in middle.items():
        tokens, version = it["tokens"], runs[kind][0]["version"]
        rows = (
            ("tokens per second", tokens / it["seconds"], "tokens/s", f"{version}; {setting}"),
            ("tokens per CPU second", tokens / it["cpu_seconds"], "tokens/s", "of the examples, no padding"),
            ("training", it["seconds"], "s", f"{it['cpu_seconds']:.1f} CPU-s"),
            ("tokens through the model", it["computed"], "tokens", f"for {tokens:.0f} of the examples"),
            ("peak RSS", it["peak_mb"], "MB", ""),
            ("imports", it["import_seconds"], "s", f"{it['import_cpu_seconds']:.1f} CPU-s"),
            ("whole process", it["process_cpu_seconds"], "CPU-s", "imports, loading, training, saving"),
            ("loss, mean of the steps", it["loss"], "nats/token", "to see that both learn; not comparable"),
        )
        found += [Figure(f"{kind}: {name}", value, unit, note=note) for name, value, unit, note in rows]
    ours, trl, anchored = middle[OURS], middle[TRL], middle[ANCHORED]
    rows = (
        (
            "speed, atles : TRL, CPU time",
            trl["cpu_seconds"] / ours["cpu_seconds"],
            "on the same tokens; above 1: faster",
        ),
        ("speed, atles : TRL, wall", trl["seconds"] / ours["seconds"], ""),
        ("peak RSS, atles : TRL", ours["peak_mb"] / trl["peak_mb"], "below 1: less"),
        ("price of the anchors, CPU time", anchored["cpu_seconds"] / ours["cpu_seconds"], "atles with them : without"),
    )
    return [*found, *(Figure(name, value, "times", note=note) for name, value, note in rows)]


_NUMBERS = (
    "tokens computed seconds cpu_seconds peak_mb import_seconds import_cpu_seconds process_cpu_seconds loss"
).split()


def _median(runs: list[dict[str, Any]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def run(kind: str, job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """One run of trainer.py in a fresh process; what it reports."""
    with _folder(scratch) as folder:
        file = folder / "job.json"
        file.write_text(json.dumps({**job, "output_dir": str(folder / "adapter")}), "utf-8")
        environment = {
            **os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(job["threads"]),
            "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1",
        }  # fmt: skip
        program = "trl" if kind == TRL else "atles"
        answer = subprocess.run(
            [sys.executable, "-m", "bench.trainer", program, str(file)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if answer.returncode:
            raise RuntimeError(f"{kind} ended with code {answer.returncode}:\n{answer.stderr[-2000:]}")
        return json.loads(answer.stdout.splitlines()[-1])


@contextmanager
def _folder(scratch: Path):
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield Path(folder)


def examples(file: Path, count: int) -> Path:
    """Up to `count` examples of the example sessions, made as the daemon makes them, in mixed order."""
    from atles.pipeline.dataset import build_examples
    from atles.records import Session

    made = []
    for path in sorted((ROOT / "examples/sessions").glob("*.json")):
        made += build_examples(Session.of(json.loads(path.read_text("utf-8"))))
    random.Random(0).shuffle(made)
    rows = [{"id": example.id, "messages": example.messages} for example in made[:count]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def install() -> None:
    """TRL and what it needs, into the virtual environment that runs this; elsewhere, say what is missing."""
    if all(importlib.util.find_spec(name) for name in ("trl", "datasets")):
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)]
    words = " ".join(command)
    if sys.prefix == sys.base_prefix:
        raise RuntimeError(f"TRL is not installed; in a virtual environment, run: {words}")
    say(f"training: {words}")
    if subprocess.run(command, check=False).returncode:
        raise RuntimeError(f"TRL could not be installed; this failed: {words}")
    importlib.invalidate_caches()
