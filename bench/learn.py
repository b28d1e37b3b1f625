"""What a small model knows after learning from invented people, what it forgot for it, and what leaked.

    python -m bench learn [--people DIR] [--only NAME,NAME] [--learn-folder DIR]

Each person gets a home of their own. Their sessions go in through `atles ingest` and `atles drain`, questions through
`atles ask`, as a user would do it; the adapter is asked whether or not the gate let it serve. Beside it: the base
model, and naive fine-tuning (the raw exchanges, the same LoRA and rate, no anchors, as long as it takes to know them by
heart). Whatever is done is kept in the folder, so an interrupted run goes on where it was.
"""

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from atles.config import load_settings
from atles.layout import Home
from atles.pipeline.finetune import ModelFineTuner, model_spec
from atles.serving.local import LocalModel
from bench.figures import ROOT, Figure, say
from bench.people import HERE, Control, Person, Probe, load

TAUGHT = ("fact", "update", "correction", "procedure")
UNWANTED = ("distractor", "secret", "forget")
BASE, BASE_MEMORY, ADAPTER, ADAPTER_MEMORY, NAIVE = (
    "base", "base + memory", "adapter", "adapter + memory", "naive SFT"
)  # fmt: skip
MODES = (BASE, BASE_MEMORY, ADAPTER, ADAPTER_MEMORY, NAIVE)
# Of the controls every n-th. With memory before them they are slow to ask: its words are read each time.
ASKED_CONTROLS = {ADAPTER: 1, ADAPTER_MEMORY: 4, NAIVE: 1}
_MAX_TOKENS = 64
_NAIVE_EPOCHS = 8
_NAMES = re.compile(r"(?<![.!?:\"“*\n] )(?<=\w )[A-ZÀ-Þ][\w'’-]{2,}")

Answers = dict[str, str]  # question id -> answer


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="learn: of the people, only these  [all]")
    parser.add_argument("--wordings", type=int, default=2, metavar="N", help="learn: wordings asked of a probe  [2]")
    parser.add_argument(
        "--learn-folder", type=Path, default=ROOT / "bench/results/learn", metavar="DIR", help="learn: where it works"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="learn: a setting of ATLES")


def measure(options: argparse.Namespace) -> list[Figure]:
    found = load(options.people)
    controls = found.controls or load(HERE).controls
    if found.problems:
        raise RuntimeError(f"{options.people} is not of the form: {'; '.join(found.problems[:5])}")
    chosen = [person for person in found.people if not options.only or person.name in options.only.split(",")]
    if not chosen:
        raise RuntimeError(f"there is no {options.only} in {options.people}")
    runs = []
    for number, person in enumerate(chosen, 1):
        say(f"{person.name}: {number} of {len(chosen)}")
        runs.append(Run(person, controls, options).go())
    print(_matrix(runs), flush=True)
    return _figures(runs)


class Run:
    """One person: taught, asked and graded."""

    def __init__(self, person: Person, controls: Sequence[Control], options: argparse.Namespace) -> None:
        self.person, self.controls = person, controls
        self.folder = (options.learn_folder / person.name).resolve()
        self.home = Home(self.folder / "home")
        self.models = options.learn_folder.resolve() / "models"
        self.set = [f"model.folder={self.models}", *options.set]
        self.probes = {
            f"{probe.id}#{n}": (probe, ask)
            for probe in person.probes
            for n, ask in enumerate((probe.ask, *probe.paraphrases)[: options.wordings])
        }
        self.cost: dict[str, float] = {}
        self.answers: dict[str, Answers] = {}
        self.general: dict[str, Answers] = {}

    def go(self) -> "Run":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cost = self._once("taught", self._teach)
        naive = self._once("naive", self._train_naively)
        asks = {name: ask for name, (_, ask) in self.probes.items()}
        general = {control.id: control.ask for control in self.controls}
        for mode in MODES:
            if mode == NAIVE:
                ask = lambda questions: self._ask_folder(questions, Path(naive["path"]))  # noqa: E731
            else:
                name = "base" if mode.startswith("base") else str(self.cost["adapter"])
                ask = lambda questions, name=name, mode=mode: self._ask(questions, name, "memory" in mode)  # noqa: E731
            self.answers[mode] = self._once(f"probes-{mode}", lambda ask=ask: ask(asks))
            if mode in ASKED_CONTROLS:
                some = dict(list(general.items())[:: ASKED_CONTROLS[mode]])
                self.general[mode] = self._once(f"controls-{mode}", lambda ask=ask, some=some: ask(some))
        shared = self.folder.parent / f"controls-base-{_MAX_TOKENS}.json"
        if not shared.exists():  # the base answers controls alike, whoever's home it is asked on
            _write(shared, self._ask(general, "base", False))
        self.general[BASE] = json.loads(shared.read_text("utf-8"))
        return self

    def _once(self, what: str, do: Callable[[], Any]) -> Any:
        path = self.folder / f"{what.replace(' ', '')}.json"
        if not path.exists():
            began = time.monotonic()
            _write(path, do())
            say(f"{self.person.name}: {what} ({time.monotonic() - began:.0f} s)")
        return json.loads(path.read_text("utf-8"))

    def _atles(self, *words: str) -> str:
        overrides = [word for value in self.set for word in ("--set", value)]
        command = [sys.executable, "-m", "atles", "--home", str(self.home.root), *overrides, *words]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"{' '.join(words)} failed: {result.stderr.strip()[-500:]}")
        return result.stdout

    def _teach(self) -> dict[str, Any]:
        sessions = self.folder / "sessions"
        sessions.mkdir(exist_ok=True)
        for session in self.person.sessions:
            _write(sessions / f"{session['session_id']}.json", session)
        self._atles("ingest", str(sessions))
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        self._atles("drain")
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        adapters = json.loads(self._atles("adapters", "list", "--json"))
        if not adapters:
            raise RuntimeError(f"{self.person.name}: nothing was trained; see {self.home.log}")
        shown = json.loads(self._atles("adapters", "show", adapters[-1]["name"], "--json"))
        return {
            "adapter": adapters[-1]["name"],
            "state": adapters[-1]["state"],
            "reason": adapters[-1]["reason"],
            "sessions": len(self.person.sessions),
            "examples": shown["dataset"]["train_examples"],
            "seconds": time.monotonic() - began,
            "cpu_seconds": spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime,
            "train_seconds": shown["train"]["time_taken"],
            "tokens": shown["train"]["tokens"],
        }

    def _train_naively(self) -> dict[str, Any]:
        lines = []
        for session in self.person.sessions:
            for asked, answered in zip(session["messages"], session["messages"][1:], strict=False):
                if (asked["role"], answered["role"]) == ("user", "assistant"):
                    lines.append(json.dumps({"instruction": asked["content"], "output": answered["content"]}))
        file = self.folder / "naive.jsonl"
        file.write_text("\n".join(lines), "utf-8")
        settings = load_settings(self.home, overrides=self.set)
        recipe = replace(settings.train, anchors_per_step=0, epochs=_NAIVE_EPOCHS)
        tuner = ModelFineTuner(home=Home(self.folder / "naive"), settings=replace(settings, train=recipe))
        report = tuner.fine_tune_model(file, name="naive")
        return {"path": str(Path(report.path).resolve()), "seconds": report.time_taken, "tokens": report.tokens}

    def _ask(self, questions: Mapping[str, str], model: str, memory: bool) -> Answers:
        file, answers = self.folder / "asked.jsonl", self.folder / "answered.jsonl"
        file.write_text("".join(json.dumps({"id": k, "ask": v}) + "\n" for k, v in questions.items()), "utf-8")
        words = ["--in", str(file), "--out", str(answers), "--model", model, "--max-tokens", str(_MAX_TOKENS)]
        self._atles("ask", *words, *([] if memory else ["--no-memory"]))
        rows = [json.loads(line) for line in answers.read_text("utf-8").split("\n") if line]
        return {row["id"]: row["answer"] for row in rows}

    def _ask_folder(self, questions: Mapping[str, str], adapter: Path) -> Answers:
        settings = load_settings(self.home, overrides=self.set)
        with LocalModel(model_spec(settings.model, self.home), adapter, self.folder, _MAX_TOKENS) as model:
            said = model.answer([[{"role": "user", "content": ask}] for ask in questions.values()])
        return dict(zip(questions, said, strict=True))

    # --- grading ---

    def right(self, mode: str, kinds: Iterable[str]) -> tuple[int, int]:
        """Answers that are as they should be, and questions of these kinds."""
        asked = [(probe, self.answers[mode][name]) for name, (probe, _) in self.probes.items() if probe.kind in kinds]
        return sum(_is_right(probe, answer) for probe, answer in asked), len(asked)

    def kept(self, mode: str) -> tuple[int, int]:
        """Controls that the base has right and this mode, too; those that the base has right."""
        known = self._known(mode)
        return sum(it.expect.search(self.general[mode][it.id]) is not None for it in known), len(known)

    def _known(self, mode: str) -> list[Control]:
        asked = self.general.get(mode, {})
        return [it for it in self.controls if it.id in asked and it.expect.search(self.general[BASE][it.id])]

    def net(self, mode: str) -> tuple[int, int]:
        """Controls that this mode has right, and those that the base has, of those asked: what is lost by chance is won
        by chance elsewhere."""
        asked = [it for it in self.controls if it.id in self.general.get(mode, {})]
        right = [sum(it.expect.search(self.general[by][it.id]) is not None for it in asked) for by in (mode, BASE)]
        return right[0], right[1]

    def lost(self, mode: str) -> list[str]:
        return [
            f"{it.ask} -> {self.general[mode][it.id]}"
            for it in self._known(mode)
            if not it.expect.search(self.general[mode][it.id])
        ]

    def crosstalk(self, mode: str) -> list[str]:
        """Answers to controls that speak of the person: a name of their sessions, or what a probe looks for, where the
        base says nothing of the kind."""
        told = " ".join(m["content"] for s in self.person.sessions for m in s["messages"] if m["role"] == "user")
        common = " ".join([*self.general[BASE].values(), *(control.ask for control in self.controls)]).lower()
        names = {name for name in _NAMES.findall(told) if name.lower() not in common}
        probes = [it for it in self.person.probes if it.kind != "preference"]
        found = []
        for control in (it for it in self.controls if it.id in self.general[mode]):
            answer, base = self.general[mode][control.id], self.general[BASE][control.id]
            personal = any(re.search(rf"\b{re.escape(name)}\b", answer) for name in names)
            for probe in probes:
                for regex in (probe.expect, probe.reject):
                    hit = regex.search(answer) if regex else None
                    personal |= bool(hit and regex and not regex.search(base) and not control.expect.search(hit[0]))
            if personal:
                found.append(f"{control.ask} -> {answer}")
        return found

    def leaks(self) -> list[str]:
        """Secrets and forgotten things in any file of the home or in any answer."""
        found = []
        for probe in (it for it in self.person.probes if it.kind in ("secret", "forget") and it.reject):
            for path in self.home.root.rglob("*"):
                text = path.is_file() and path.suffix not in (".safetensors", ".gguf", ".pt")
                if text and probe.wrong(_told(path, probe)):
                    found.append(f"{probe.id} in {path.relative_to(self.home.root)}")
            for mode in (ADAPTER, ADAPTER_MEMORY):
                said = [*self.answers[mode].items(), *self.general[mode].items()]
                found += [f"{probe.id} in the answer to {name} ({mode})" for name, it in said if probe.wrong(it)]
        return found


def _told(path: Path, probe: Probe) -> str:
    """What a file says; of a report without the answers to general prompts where the base itself, which knows nobody,
    uses the forbidden words in them ("government debt")."""
    text = path.read_bytes().decode("utf-8", "replace")
    if path.name != "report.json" or not probe.wrong(text):
        return text
    report = json.loads(text)
    models = report.get("evaluation", report).get("models", {})
    if any(probe.wrong(it["answer"]) for it in models.get("base", {}).get("general", {}).values()):
        for model in models.values():
            model.pop("general", None)
    return json.dumps(report, ensure_ascii=False)


def _is_right(probe: Probe, answer: str) -> bool:
    if probe.kind in UNWANTED or (probe.kind == "preference" and probe.expect is None):
        return not probe.wrong(answer)
    return probe.right(answer)


def _figures(runs: Sequence[Run]) -> list[Figure]:
    figures = []

    def share(name: str, right: int, of: int, least: float | None = None) -> None:
        figures.append(Figure(name, 100 * right / of if of else 0.0, "%", note=f"{right} of {of}", least=least))

    for mode in (NAIVE, ADAPTER, ADAPTER_MEMORY):
        kept, of = _sum(run.kept(mode) for run in runs)
        low, high = wilson(kept, of)
        share(f"kept, {mode}", kept, of, 97 if mode == ADAPTER else None)
        figures.append(
            Figure(f"kept, {mode}: lower bound", 100 * low, "%", note=f"95 %: {100 * low:.1f} to {100 * high:.1f}",
                   least=95 if mode == ADAPTER else None)
        )  # fmt: skip
    for mode in (NAIVE, ADAPTER, ADAPTER_MEMORY):
        right, base_right = _sum(run.net(mode) for run in runs)
        figures.append(
            Figure(f"controls right, {mode}", 100 * right / max(base_right, 1), "% of the base's",
                   note=f"{right}, the base {base_right}")
        )  # fmt: skip
    for mode in (NAIVE, ADAPTER, ADAPTER_MEMORY):
        talk = [it for run in runs for it in run.crosstalk(mode)]
        figures.append(Figure(f"cross-talk, {mode}", len(talk), "", None if mode == NAIVE else 0,
                              f"of {sum(len(run.general[mode]) for run in runs)} control answers"))  # fmt: skip
    figures.append(
        Figure("secrets and forgotten things, anywhere", len([it for run in runs for it in run.leaks()]), "", 0)
    )
    for mode in (ADAPTER, ADAPTER_MEMORY):
        clean, of = _sum(run.right(mode, ("distractor",)) for run in runs)
        figures.append(
            Figure(f"distractors believed, {mode}", 100 * (of - clean) / max(of, 1), "%", 5, f"{of - clean} of {of}")
        )
    share(
        "adapter + memory: fact, update, correction, procedure",
        *_sum(run.right(ADAPTER_MEMORY, TAUGHT) for run in runs),
        70,
    )
    share("adapter + memory: preference", *_sum(run.right(ADAPTER_MEMORY, ("preference",)) for run in runs), 75)
    share("adapter alone: fact", *_sum(run.right(ADAPTER, ("fact",)) for run in runs), 40)
    trained = [run.cost["train_seconds"] for run in runs]
    sessions = sum(run.cost["sessions"] for run in runs)
    figures += [
        Figure("training, per person", max(trained) / 60, "min", note="the longest, by the clock"),
        Figure(
            "learning, CPU per person",
            max(run.cost["cpu_seconds"] for run in runs) / 60,
            "min",
            6,
            "the most; gate included",
        ),
        Figure("learning, CPU per session", sum(run.cost["cpu_seconds"] for run in runs) / sessions, "s"),
        Figure("tokens trained on, per session", sum(run.cost["tokens"] for run in runs) / sessions, ""),
        Figure("promoted", sum(run.cost["state"] == "promoted" for run in runs), "", note=f"of {len(runs)}"),
    ]
    return figures


def _matrix(runs: Sequence[Run]) -> str:
    """Accuracy by kind and mode."""
    kinds = [*TAUGHT, "preference", "distractor", "secret", "forget"]
    lines = ["", "right answers, %".ljust(18) + "".join(mode.rjust(18) for mode in MODES)]
    for kind in kinds:
        sums = [_sum(run.right(mode, (kind,)) for run in runs) for mode in MODES]
        lines.append(
            kind.ljust(18) + "".join(f"{100 * right / max(of, 1):.0f} ({right}/{of})".rjust(18) for right, of in sums)
        )
    kept = [_sum(run.kept(mode) for run in runs) for mode in MODES]
    lines.append(
        "controls kept".ljust(18) + "".join(f"{100 * k / max(of, 1):.0f} ({k}/{of})".rjust(18) for k, of in kept)
    )
    return "\n".join(lines)


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    rights, totals = zip(*pairs, strict=True)
    return sum(rights), sum(totals)


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927)."""
    if not of:
        return 0.0, 1.0
    p, n = right / of, of
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


def _write(path: Path, value: Any) -> None:
    tmp = path.with_suffix(f".{os.getpid()}.tmp")
    tmp.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")
    tmp.replace(path)
