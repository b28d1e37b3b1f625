"""One training in a process of its own, measured from inside: ATLES's recipe, or TRL's SFTTrainer on the same job.

    python -m bench.trainer atles|trl job.json       (made by training.py; prints one JSON line)

The clock runs from the first forward pass in training mode to the end of the last optimizer step, by the same two
hooks of torch in both, so that neither loading nor saving counts. Peak memory is that of the whole process.
"""

import contextlib
import io
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

Clock = tuple[float, float]  # wall and CPU seconds


def now() -> Clock:
    return time.perf_counter(), time.process_time()


class Stopwatch:
    """Runs from the first forward pass in training mode to the end of the last optimizer step."""

    def __init__(self) -> None:
        from torch.nn.modules.module import register_module_forward_pre_hook
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.begin: Clock | None = None
        self.end: Clock | None = None
        self.steps = 0
        self._forward = register_module_forward_pre_hook(self._started)
        register_optimizer_step_post_hook(self._stepped)

    def _started(self, module: Any, _: Any) -> None:
        # The base model answers in evaluation mode, when anchors are made; that is not training.
        if module.training:
            self.begin = now()
            self._forward.remove()

    def _stepped(self, *_: Any) -> None:
        self.end = now()
        self.steps += 1

    def seconds(self) -> Clock:
        if self.begin is None or self.end is None:
            raise RuntimeError("nothing was trained")
        return self.end[0] - self.begin[0], self.end[1] - self.begin[1]


def atles(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    began = now()
    from atles.ml import train as recipe

    imported = now()
    watch = Stopwatch()
    report = recipe.train({"base": _base(), **job}, folder)
    return {
        "version": f"atles {version_of('atles')}",
        "computed": report["tokens"],
        "loss": _mean([entry["own"] for entry in report["losses"]]),
        "precision": report["precision"],
        **_measured(watch, began, imported, job),
    }


def trl(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    began = now()
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    imported = now()
    torch.set_num_threads(job["threads"])
    watch = Stopwatch()
    from atles.ml import base

    path = base.folder(_base(), Path(job["models_dir"]))
    rows = [
        {"prompt": messages[:-1], "completion": messages[-1:]}
        for messages in (json.loads(line)["messages"] for line in Path(job["examples"]).read_text("utf-8").splitlines())
    ]
    trainer = SFTTrainer(
        model=str(path),
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(
            r=job["lora_rank"], lora_alpha=job["lora_alpha"], lora_dropout=0.0,
            target_modules="all-linear", task_type="CAUSAL_LM",
        ),
        args=SFTConfig(
            output_dir=str(folder / "trl"),
            model_init_kwargs={"dtype": {"fp32": torch.float32, "bf16": torch.bfloat16}[job["precision"]]},
            per_device_train_batch_size=job["batch_size"],
            gradient_accumulation_steps=1,
            max_steps=job["max_steps"],
            learning_rate=job["learning_rate"],
            weight_decay=0.0,
            max_grad_norm=1.0,
            warmup_steps=1,
            max_length=job["max_length"],
            completion_only_loss=True,
            packing=False,
            gradient_checkpointing=False,  # TRL's default trades time for memory; ours does not, either
            bf16=False,  # no autocast: the frozen base has its dtype, the adapter is fp32, as in ours
            include_num_input_tokens_seen="all",
            use_cpu=True,
            logging_steps=1,
            disable_tqdm=True,
            save_strategy="no",
            report_to="none",
            dataloader_pin_memory=False,
            seed=0,
        ),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(job["output_dir"])
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "version": f"TRL {version_of('trl')}",
        "computed": trainer.state.num_input_tokens_seen,
        "loss": _mean(losses),
        "precision": job["precision"],
        **_measured(watch, began, imported, job),
    }


def _mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)


def _measured(watch: Stopwatch, began: Clock, imported: Clock, job: dict[str, Any]) -> dict[str, Any]:
    seconds, cpu_seconds = watch.seconds()
    if watch.steps != job["max_steps"]:
        raise RuntimeError(f"{watch.steps} steps were made, not {job['max_steps']}")
    return {
        "tokens": _tokens(job),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "import_seconds": imported[0] - began[0],
        "import_cpu_seconds": imported[1] - began[1],
        "process_cpu_seconds": time.process_time(),
        "peak_mb": _peak_mb(),
        "steps": watch.steps,
    }


def _tokens(job: dict[str, Any]) -> int:
    """Tokens of the examples that the steps went through, each example whole, without padding: the work asked for.

    Counted here for both. A program that computes more (padding) or less (shared beginnings once) says so itself.
    """
    from transformers import AutoTokenizer

    from atles.ml import base

    tokenizer = AutoTokenizer.from_pretrained(base.folder(_base(), Path(job["models_dir"])))
    lengths = []
    for line in Path(job["examples"]).read_text("utf-8").splitlines():
        prompt, answer = base.render_answer(tokenizer, json.loads(line)["messages"])
        lengths.append(min(job["max_length"], len(prompt) + len(answer)))
    whole, rest = divmod(job["max_steps"] * job["batch_size"], len(lengths))
    if rest and whole:
        raise RuntimeError(f"steps x batch must be at most, or a multiple of, the {len(lengths)} examples")
    return sum(lengths) * max(1, whole) if not rest else sum(lengths[:rest])


def _base() -> str:
    from atles.ml import base

    return base.DEFAULT


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def version_of(package: str) -> str:
    try:
        return version(package)
    except ImportError:  # run from a checkout that is not installed
        from importlib import import_module

        return import_module(package).__version__


def main() -> None:
    kind, file = sys.argv[1:]
    job = json.loads(Path(file).read_text("utf-8"))
    with contextlib.redirect_stdout(io.StringIO()):  # both print their progress there
        result = {"atles": atles, "trl": trl}[kind](job, Path(file).parent)
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}))


if __name__ == "__main__":
    main()
