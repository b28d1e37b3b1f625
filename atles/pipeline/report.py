"""What there is to say of an adapter: how it was trained, on what, how it was judged, and its answers before and after.

`report.json` and `report.html` say it, `lineage.json` names every example's message; all lie beside the weights.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atles.layout import Home, write_atomic
from atles.pipeline.finetune import prompts
from atles.pipeline.report_page import page
from atles.records import Adapter, Dataset, Verdict
from atles.store import Store


def write_reports(
    home: Home, store: Store, adapter: Adapter, dataset: Dataset, verdict: Verdict, evaluation: Mapping[str, Any]
) -> None:
    """Write all three files. `evaluation` is the evaluator's own report. Raises OSError."""
    folder = home.adapter(adapter.name)
    trained = {row["id"] for row in _rows(home.dataset(dataset.id) / "train.jsonl")}
    examples = [row for row in store.examples.lineage(dataset.id) if row["example_id"] in trained]
    lineage = {
        "adapter": adapter.name,
        "base": adapter.base,
        "dataset": dataset.id,
        "sessions": dataset.train_sessions,
        "heldout_sessions": dataset.heldout_sessions,
        "examples": examples,
    }
    report = {
        "adapter": adapter.name,
        "base": adapter.base,
        "created_at": adapter.created_at,
        "verdict": verdict.as_json(),
        "learned": list(_learned(_rows(home.dataset(dataset.id) / "reworded.jsonl"), evaluation)),
        "kept": _kept(evaluation),
        "data": {
            "dataset": dataset.id,
            "train_examples": dataset.train_examples,
            "heldout_examples": dataset.heldout_examples,
            "reworded_examples": dataset.reworded_examples,
            "by_session": dict(Counter(it["session_id"] for it in examples)),
            "heldout_sessions": dataset.heldout_sessions,
        },
        "train": adapter.train,
        "evaluation": evaluation,
    }
    write_atomic(folder / "lineage.json", json.dumps(lineage, indent=1))
    write_atomic(folder / "report.json", json.dumps(report, indent=1, default=str))
    write_atomic(folder / "report.html", page(report))


def _rows(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line] if path.exists() else []


def _learned(reworded: Iterable[Mapping[str, Any]], evaluation: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Questions on what was taught, in words that were not: the answers of the base and of the adapter."""
    before, after = (evaluation["models"][name]["samples"] for name in ("base", "candidate"))
    for row in reworded:
        if row["id"] in after:
            yield {
                "question": row["messages"][-2]["content"],
                "taught": row["messages"][-1]["content"],
                "before": before[row["id"]],
                "after": after[row["id"]],
            }


def _kept(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """General prompts that the base has right: how many, and those that the adapter has not."""
    asked = {row["id"]: row["ask"] for row in _rows(prompts("general"))}
    before, after = (evaluation["models"][name]["general"] for name in ("base", "candidate"))
    known = [name for name, item in before.items() if item["right"]]
    lost = [
        {"question": asked.get(name, name), "before": before[name]["answer"], "after": after[name]["answer"]}
        for name in known
        if not after[name]["right"]
    ]
    gained = sum(item["right"] and not before[name]["right"] for name, item in after.items())
    return {"of": len(known), "kept": len(known) - len(lost), "lost": lost, "gained": gained}
