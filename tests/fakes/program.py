"""Stands in for `python -m atles.ml.<name> spec.json`: same spec, same lines on stdout, same report; no model.

    python program.py CONTROL NAME spec.json

CONTROL is a folder. `<NAME>.modes` in it lists one mode a line, the n-th for the n-th run, the last one for all
further runs: ok, slow, killed, out_of_memory, nan_loss, missing_base, garbage, silent, vanish. `scores.json` gives
the evaluator's numbers: {"base": [loss, right], "active": …, "candidate": …}. Every run is noted in `<NAME>.runs`.
Like the real ones it ends when its standard input does, and goes on at its last checkpoint.
"""

import hashlib
import json
import os
import shutil
import signal
import struct
import sys
import threading
import time
from pathlib import Path

STEPS = 5
SLOW_STEPS, SLOW_SECONDS = 40, 0.05
DEFAULT_SCORES = {"base": [3.0, 1.0], "active": [2.0, 1.0], "candidate": [1.0, 1.0]}
FAILURES = {
    "out_of_memory": "memory ran out (fake); lower batch_size",
    "nan_loss": "the loss is not a number at step 3 of 5; lower learning_rate (0.0005)",
    "missing_base": "base model 'none' is no folder with a config.json; set model.base",
}


def main() -> None:
    control, name, spec_file = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    threading.Thread(target=leash, daemon=True).start()
    spec, folder = json.loads(spec_file.read_text()), spec_file.parent
    with open(control / f"{name}.runs", "a+") as runs:
        runs.seek(0)
        number = len(runs.readlines())
        runs.write(json.dumps({"pid": os.getpid(), "spec": spec}) + "\n")
    modes = control / f"{name}.modes"
    listed = modes.read_text().split() if modes.exists() else ["ok"]
    mode = listed[min(number, len(listed) - 1)]
    if mode in FAILURES:
        write(folder / "report.json", {"error": {"kind": mode, "message": FAILURES[mode]}})
        sys.exit(1)
    if mode == "garbage":
        sys.stdout.buffer.write(b"\xff\xfe{]\n[1, 2]\n17\n")
        sys.stdout.flush()
        (folder / "report.json").write_text("{no report")
        return
    if mode == "vanish":
        print("Traceback: something odd", file=sys.stderr)
        sys.exit(3)
    if mode == "silent":
        return
    if name == "train":
        report = train(spec, folder, mode)
    elif name == "gguf":
        report = gguf(spec)
    elif name == "merge":
        report = merge(spec)
    else:
        report = evaluate(spec, control, mode)
    write(folder / "report.json", report)


def train(spec: dict, folder: Path, mode: str) -> dict:
    examples = [json.loads(line) for line in Path(spec["examples"]).read_text().strip("\n").split("\n")]
    steps = SLOW_STEPS if mode == "slow" else STEPS
    checkpoint = folder / "checkpoint.json"
    first = json.loads(checkpoint.read_text()) if checkpoint.exists() else 0
    losses = [{"step": n, "loss": round(4.0 / n, 4), "own": round(3.0 / n, 4)} for n in range(1, steps + 1)]
    for done in losses[first:]:
        write(checkpoint, done["step"])
        say(phase="train", steps=steps, tokens_per_second=100, eta_seconds=steps - done["step"], **done)
        if mode == "slow":
            time.sleep(SLOW_SECONDS)
        if mode == "killed" and done["step"] >= 2:
            os.kill(os.getpid(), signal.SIGKILL)
    adapter = Path(spec["output_dir"])
    weights = b"fake" + hashlib.sha256(Path(spec["examples"]).read_bytes()).hexdigest().encode()
    whole(
        adapter,
        {
            "adapter_config.json": json.dumps({"peft_type": "LORA", "base_model_name_or_path": spec["base"]}).encode(),
            "adapter_model.safetensors": weights,
        },
    )
    checkpoint.unlink()
    return {
        "base": spec["base"], "adapter": spec["output_dir"], "examples": len(examples), "anchors": 240,
        "steps": steps, "tokens": 50 * len(examples), "seconds": 1.5, "seconds_before_training": 0.1,
        "tokens_per_second": 100.0, "peak_memory_mb": 100, "loss_first": 3.0, "loss_last": losses[-1]["own"],
        "losses": losses, "threads": 1, "precision": "fp32", "device": "cpu", "truncated": 0,
        "resumed_from_step": first, "versions": {"python": "fake"}, "sha256": hashlib.sha256(weights).hexdigest(),
    }  # fmt: skip


def evaluate(spec: dict, control: Path, mode: str) -> dict:
    heldout = [json.loads(line)["id"] for line in Path(spec["heldout"]).read_text().strip("\n").split("\n")]
    general = [json.loads(line)["id"] for line in Path(spec["general"]).read_text().strip("\n").split("\n")]
    reworded = [json.loads(it)["id"] for it in Path(spec["reworded"]).read_text().split("\n") if it]
    leading = [json.loads(it)["id"] for it in Path(spec["leading"]).read_text().split("\n") if it]
    scores = control / "scores.json"
    numbers = {**DEFAULT_SCORES, **(json.loads(scores.read_text()) if scores.exists() else {})}
    models = {}
    for number, name in enumerate(["base", *spec["adapters"]], 1):
        loss, right = numbers[name]
        say(phase="evaluate", step=number, steps=3, eta_seconds=1)
        if mode == "slow":
            time.sleep(0.5)
        if mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        models[name] = {
            "heldout": {key: {"nll": loss, "tokens": 10} for key in heldout},
            "reworded": {key: {"nll": loss, "tokens": 10} for key in reworded},
            "swapped": {key: {"nll": 3.0, "tokens": 10} for key in reworded},
            "leading": dict.fromkeys(leading, "I do not know."),
            "samples": dict.fromkeys(reworded[:8], f"the {name} says …"),
            "drift": 0.0,
            "general": {
                key: {"right": place < right * len(general), "answer": "…"} for place, key in enumerate(general)
            },
        }
    return {"base": spec["base"], "models": models, "asked": {}, "seconds": 0.5, "threads": 1, "device": "cpu"}


def gguf(spec: dict) -> dict:
    """A GGUF file with one word in it: what it was made from."""
    digest = hashlib.sha256((Path(spec["adapter"]) / "adapter_model.safetensors").read_bytes()).hexdigest()

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
    Path(spec["output"]).write_bytes(head + text("atles.sha256") + struct.pack("<I", 8) + text(digest))
    template = "<|im_start|>system\nYou are a fake<|im_end|>\n"
    return {"output": spec["output"], "architecture": "llama", "tensors": 2, "alpha": 32.0, "sha256": digest,
            "chat_template": template}  # fmt: skip


def merge(spec: dict) -> dict:
    output = Path(spec["output"])
    output.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (output / name).write_text("{}")
    return {"output": str(output)}


def say(**fields: object) -> None:
    print(json.dumps({"event": "progress", **fields}), flush=True)


def write(path: Path, value: object) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    sync(temporary, json.dumps(value).encode())
    temporary.replace(path)


def whole(folder: Path, files: dict[str, bytes]) -> None:
    """The folder appears with all files or not at all, also after power loss."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    for there in (temporary, folder):
        shutil.rmtree(there, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, data in files.items():
        sync(temporary / name, data)
    sync(temporary)
    temporary.replace(folder)
    sync(folder.parent)


def sync(path: Path, data: bytes | None = None) -> None:
    """Write a file, and let it be on the disk; or only that, of a folder."""
    if data is not None:
        path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def leash() -> None:
    while os.read(0, 4096):
        pass
    os._exit(2)


if __name__ == "__main__":
    main()
