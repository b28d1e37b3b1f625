"""Adapters: what each was measured to do, and which of them serves."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline.shelf import Shelf
from atles.records import Adapter, AdapterState
from atles.store import Store

_COMPARED = (("right", "right"), ("answers", "answer"))


def listed(home: Home, store: Store) -> list[dict[str, Any]]:
    """All adapters, oldest first."""
    _, active = store.adapters.active()
    return [_summary(home, adapter, active) for adapter in store.adapters.list()]


def _summary(home: Home, adapter: Adapter, active: str) -> dict[str, Any]:
    numbers = (adapter.verdict or {}).get("numbers", {})
    return {
        "name": adapter.name,
        "active": adapter.name == active,
        "state": adapter.state,
        "gain": numbers.get("gain"),
        "kept": numbers.get("kept"),
        "created_at": adapter.created_at,
        "base": adapter.base,
        "reason": adapter.reason,
        "path": str(home.adapter(adapter.name)),
    }


def shown(home: Home, store: Store, name: str) -> dict[str, Any]:
    """One adapter: verdict, training and what it was trained on. Raises UnknownAdapter."""
    adapter = store.adapters.get(name)
    _, active = store.adapters.active()
    dataset = store.examples.dataset(adapter.dataset_id)
    path = str(home.adapter(adapter.name))
    return {**asdict(adapter), "path": path, "active": adapter.name == active, "dataset": asdict(dataset)}


def compared(shelf: Shelf, store: Store, one: str, other: str) -> dict[str, Any]:
    """Two adapters: their numbers side by side, and the general prompts that one of them gets wrong. Raises
    AtlesError."""
    both = [store.adapters.get(name) for name in (one, other)]
    numbers = [(adapter.verdict or {}).get("numbers", {}) for adapter in both]
    answers = [_judged(shelf, adapter)["evaluation"]["models"]["candidate"]["general"] for adapter in both]
    return {
        "adapters": [adapter.name for adapter in both],
        "numbers": {name: [it.get(name) for it in numbers] for name in {**numbers[0], **numbers[1]}},
        "answers": [
            {"prompt": name, **{key: [it[name][part] for it in answers] for key, part in _COMPARED}}
            for name in answers[0].keys() & answers[1].keys()
            if answers[0][name]["right"] != answers[1][name]["right"]
        ],
    }  # fmt: skip


def _judged(shelf: Shelf, adapter: Adapter) -> dict[str, Any]:
    try:
        report = json.loads(shelf.report(adapter).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AtlesError(f"{adapter.name} has no report that can be read ({error}): {adapter.reason}") from error
    if not report.get("evaluation"):
        raise AtlesError(f"{adapter.name} was not judged: {adapter.reason}")
    return report


def newest_judged(store: Store) -> str:
    """The name of the adapter that was judged last. Raises AtlesError if there is none."""
    judged = [it for it in store.adapters.list() if it.state not in (AdapterState.CANDIDATE, AdapterState.RETIRED)]
    if not judged:
        raise AtlesError("no adapter has been judged yet; `atles adapters` lists them")
    return judged[-1].name


def report_file(shelf: Shelf, store: Store, name: str) -> Path:
    """Where the adapter's report lies, as JSON; its page lies beside it. Raises AtlesError."""
    adapter = store.adapters.get(name)
    path = shelf.report(adapter)
    if not path.exists():
        raise AtlesError(f"{name} has no report: {adapter.reason}")
    return path


def report(path: Path) -> dict[str, Any]:
    """What an adapter learned and kept, and why it serves or does not. Raises AtlesError."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AtlesError(f"{path} cannot be read: {error}") from error
