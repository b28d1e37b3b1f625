"""Learns how recall weighs what it knows of a message: `python -m bench.recall.weights [--write]`.

Linear weights, by a listwise loss (Cao et al., Learning to Rank: From Pairwise to Listwise Approach, 2007). LoCoMo
teaches what words and context are worth; the invented people teach what it is worth that the
user said something, or lately (between two people who chat, roles mean nothing). Every figure printed is of questions
of a conversation or person that the weights did not see. With --write, the weights of all go to
`atles/pipeline/weights.json`, and
those without each LoCoMo conversation to `locomo_weights.json` here, which its score needs to be honest.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atles.clock import now
from atles.pipeline import recall
from atles.pipeline.memory import MemoryProcessor, cosine
from atles.serving.embedder import Embedder
from bench.figures import ROOT
from bench.people import HERE as PEOPLE
from bench.recall.data import LOCOMO, Group, locomo, people

SHIPPED = ROOT / "atles/pipeline/weights.json"
HELD_OUT = Path(__file__).with_name("locomo_weights.json")
_DEPTHS = (5, 10)
_DECAY = 1e-3  # of the squared weights
_STEPS, _RATE, _SHARPNESS = 220, 0.03, 4.0
_SHARES = {
    "locomo": 0.75,
    "people": 0.25,
}  # of the loss: words and context are LoCoMo's to teach, it has the most of them


@dataclass
class Case:
    """A question: features of its candidates, which of them hold the answer, and how many messages do in all."""

    group: str
    source: str
    kind: str
    features: np.ndarray
    right: np.ndarray
    evidence: int


def collect(groups: Sequence[Group], embedder: Embedder | None) -> list[Case]:
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        memory = MemoryProcessor(Path(folder) / "atles.db", embedder=embedder)
        for group in groups:
            memory.index(group.sessions)
        while embedder and memory.embed_pending(512):
            print(f"\rembedded {memory.store.vectors.count()}", end="", file=sys.stderr)
        at = now()
        for group in groups:
            user = memory.store.sessions.user(group.name)
            assert user is not None  # it was just stored
            for question in group.questions:
                asked = recall.understand(question.text)
                candidates, worth = recall.look_up(memory.store.turns, asked, user)
                if not candidates:
                    continue
                cosines = None
                if embedder:
                    (vector,) = embedder.embed([question.text])
                    known = memory.store.vectors.of(it.turn.rowid for it in candidates)
                    cosines = [cosine(vector, known[it.turn.rowid]) for it in candidates]
                rows = recall.features(asked, candidates, worth, at, cosines)
                right = [(it.turn.session_id, it.turn.position) in question.evidence for it in candidates]
                cases.append(
                    Case(
                        group.name,
                        group.source,
                        question.kind,
                        np.array(rows, np.float32),
                        np.array(right),
                        len(question.evidence),
                    )
                )
        memory.store.close()
    return cases


def learn(cases: Sequence[Case]) -> np.ndarray:
    """Weights by full-batch Adam, averaged over the second half of its way; each source counts by its share.

    Half of the loss is the listwise softmax. The other half asks for what is judged: that the right messages stand
    above the tenth of the wrong ones.
    """
    usable = [case for case in cases if case.right.any()]
    size, count = max(len(case.right) for case in usable), len(recall.FEATURES)
    features = np.zeros((len(usable), size, count), np.float32)
    wrong, right = np.zeros((len(usable), size), bool), np.zeros((len(usable), size), np.float32)
    blank = np.full((len(usable), size), -1e9, np.float32)
    number = {source: sum(case.source == source for case in usable) for source in {case.source for case in usable}}
    share = np.array([_SHARES[case.source] / number[case.source] for case in usable], np.float32)
    share /= share.sum()
    for at, case in enumerate(usable):
        n = len(case.right)
        features[at, :n], blank[at, :n], right[at, :n] = case.features, 0.0, case.right / case.right.sum()
        wrong[at, :n] = ~case.right
    weights, first, second, total = (np.zeros(count) for _ in range(4))
    for step in range(1, _STEPS + 1):
        scores = features @ weights.astype(np.float32) * _SHARPNESS
        chosen = np.exp(scores + blank - (scores + blank).max(axis=1, keepdims=True))
        chosen /= chosen.sum(axis=1, keepdims=True)
        tenth = -np.partition(-np.where(wrong, scores, -1e9), 9, axis=1)[:, 9:10]
        above = 1 / (1 + np.exp(np.clip(scores - tenth, -30, 30)))
        pull = -right * above * (1 - above) * 4
        beside = np.exp(-2 * (scores - tenth) ** 2) * wrong
        beside /= beside.sum(axis=1, keepdims=True) + 1e-9
        slope = 0.5 * (chosen - right) + pull - beside * pull.sum(axis=1, keepdims=True)
        gradient = np.einsum("q,qn,qnf->f", share, slope, features) * _SHARPNESS + 2 * _DECAY * weights
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        weights -= _RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        if step > _STEPS // 2:
            total += weights
    return total / (_STEPS - _STEPS // 2)


def recalled(case: Case, weights: np.ndarray, depth: int) -> float:
    order = np.argsort(-(case.features @ weights), kind="stable")[:depth]
    return float(case.right[order].sum()) / case.evidence


def judge(cases: Sequence[Case]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Recall by kind, each group with weights that were learned without it; and these weights."""
    held_out = {group: learn([c for c in cases if c.group != group]) for group in sorted({c.group for c in cases})}
    table: dict[str, dict[str, float]] = {}
    for source in sorted({case.source for case in cases}):
        ours = [case for case in cases if case.source == source]
        for kind in [*sorted({case.kind for case in ours}), "all"]:
            some = [case for case in ours if kind in (case.kind, "all")]
            row = {f"recall@{k}": float(np.mean([recalled(c, held_out[c.group], k) for c in some])) for k in _DEPTHS}
            found = float(np.mean([case.right.sum() / case.evidence for case in some]))
            table[f"{source}, {kind}"] = {"questions": len(some), **row, "among the candidates": found}
    return table, held_out


def named(weights: np.ndarray) -> dict[str, float]:
    return {
        name: round(float(value), 4) for name, value in zip(recall.FEATURES, weights, strict=True) if abs(value) > 1e-3
    }


def _write(file: Path, name: str, values: Any) -> None:
    """One set of the file; the other stays."""
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps({**known, name: values}, indent=1) + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--locomo", type=Path, default=LOCOMO)
    parser.add_argument("--people", type=Path, default=PEOPLE)
    parser.add_argument(
        "--sets", default="words,cosine", help="words, cosine (needs atles[embed]), or both  [words,cosine]"
    )
    parser.add_argument("--write", action="store_true", help="write the weights that ship")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    groups = [*locomo(options.locomo), *people(options.people)]
    report = {}
    for name in options.sets.split(","):
        with tempfile.TemporaryDirectory() as work:
            embedder = Embedder(Path(work)) if name == "cosine" else None
            cases = collect(groups, embedder)
            if embedder:
                embedder.close()
        table, held_out = judge(cases)
        weights = named(learn(cases))
        without = {g.name: named(held_out[g.name]) for g in groups if g.source == "locomo"}
        report[name] = {"weights": weights, "held out": table}
        print(f"\n{name}: {weights}")
        if options.write:
            _write(SHIPPED, name, weights)
            _write(HELD_OUT, name, without)
        for row, values in table.items():
            print(
                f"  {row:<24}"
                + "  ".join(
                    f"{key} {value:.3f}" if value <= 1 else f"{key} {value:5.0f}" for key, value in values.items()
                )
            )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
