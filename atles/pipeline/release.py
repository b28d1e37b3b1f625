"""The gate, and the pointer it guards: which adapter serves. `gate` decides; the rest acts."""

import json
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any

from atles import programs
from atles.config import GateSettings, Settings
from atles.errors import AtlesError
from atles.layout import Home, write_atomic
from atles.pipeline.finetune import model_spec, prompts
from atles.records import Adapter, AdapterState, Dataset, EvalReport, Score, Verdict
from atles.store import Store
from atles.store.adapters import BASE

Progress = Callable[[Mapping[str, Any]], None]


def gate(report: EvalReport, settings: GateSettings) -> Verdict:
    """Promote a candidate only if it learned something and kept what the base knew.

    Learned: its mean loss on held-out examples is below that of what serves now (and of the base) by the relative
    `min_gain`. Kept: of the general prompts that the base gets right, at most `keep_margin` are lost.
    """
    base, active, candidate = report.base, report.active, report.candidate
    heldout = len(candidate.heldout)
    numbers: dict[str, float] = {"heldout_examples": heldout, "general_right_base": len(base.right)}
    if heldout < settings.min_heldout:
        return Verdict(
            False,
            f"There are {heldout} held-out examples, {settings.min_heldout} are needed to judge; "
            "they come with more sessions.",
            numbers,
        )
    if not base.right:
        return Verdict(False, "The base model gets no general prompt right, so nothing shows what was kept.", numbers)

    rivals = {"base": base.heldout_loss} | ({"active adapter": active.heldout_loss} if active else {})
    rival = min(rivals, key=lambda name: rivals[name])
    gain = (rivals[rival] - candidate.heldout_loss) / rivals[rival] if rivals[rival] > 0 else 0.0
    kept = len(base.right & candidate.right) / len(base.right)
    numbers |= {
        "heldout_loss_base": base.heldout_loss,
        "heldout_loss_candidate": candidate.heldout_loss,
        "gain": gain,
        "general_right_kept": len(base.right & candidate.right),
        "kept": kept,
    }
    if active:
        numbers["heldout_loss_active"] = active.heldout_loss

    losses = f"{rivals[rival]:.3f} -> {candidate.heldout_loss:.3f} nats a token on {heldout} unseen examples"
    keeping = f"{numbers['general_right_kept']:.0f} of the {len(base.right)} general answers that the base has right"
    # `not >=`, so that a loss that is not a number is a rejection.
    if not gain >= settings.min_gain:
        return Verdict(False, f"It did not learn enough: {losses}, against the {rival}.", numbers)
    if not kept >= 1 - settings.keep_margin:
        return Verdict(
            False,
            f"It forgot too much: it kept {keeping} ({kept:.0%}; {1 - settings.keep_margin:.0%} are needed).",
            numbers,
        )
    return Verdict(True, f"It learned ({losses}, against the {rival}) and kept {keeping} ({kept:.0%}).", numbers)


def evaluate(
    candidate: Adapter,
    dataset: Dataset,
    *,
    store: Store,
    home: Home,
    settings: Settings,
    on_progress: Progress = lambda event: None,
    stop: Event | None = None,
) -> tuple[EvalReport, dict[str, Any]]:
    """Ask the base, the active adapter and the candidate the same questions, in a subprocess.

    Returns the scores and the program's full report (with every answer). Raises ProgramFailed.
    """
    _, active = store.adapters.active()
    adapters = {"candidate": str(home.adapter(candidate.name).resolve())}
    if active != BASE and store.adapters.get(active).base == candidate.base:
        adapters["active"] = str(home.adapter(active).resolve())
    spec = {
        **model_spec(settings.model, home),
        "base": candidate.base,
        "adapters": adapters,
        "heldout": str((home.dataset(dataset.id) / "heldout.jsonl").resolve()),
        "general": str(prompts("general")),
        "max_tokens": settings.gate.max_tokens,
    }
    folder = home.work / f"gate-{candidate.name}-{active or 'base'}"
    result = programs.run("evaluate", spec, folder, on_progress=on_progress, stop=stop)
    models = result["models"]
    active_score = _score(models["active"]) if "active" in models else None
    return EvalReport(_score(models["base"]), active_score, _score(models["candidate"]), result["seconds"]), result


def _score(model: Mapping[str, Any]) -> Score:
    return Score(
        {name: item["nll"] for name, item in model["heldout"].items()},
        {name: item["right"] for name, item in model["general"].items()},
    )


def settle(store: Store, candidate: Adapter, verdict: Verdict, version: int) -> None:
    """Write the verdict down and, if it says so, let the candidate serve. In one transaction.

    `version` is the pointer's from before the evaluation. Raises PointerMoved if somebody moved it since: the
    candidate was then compared with what no longer serves.
    """
    with store.transaction():
        store.adapters.judge(candidate.name, verdict)
        if verdict.promote:
            store.adapters.point(candidate.name, "promote", verdict.reason, version)


def write_reports(
    home: Home, store: Store, adapter: Adapter, dataset: Dataset, verdict: Verdict, evaluation: Mapping[str, Any] | None
) -> None:
    """`report.json` (training, evaluation, verdict) and `lineage.json` (every example's message) beside the weights."""
    folder = home.adapter(adapter.name)
    lineage = {
        "adapter": adapter.name,
        "base": adapter.base,
        "dataset": dataset.id,
        "sessions": dataset.train_sessions,
        "heldout_sessions": dataset.heldout_sessions,
        "examples": store.examples.lineage(dataset.id),
    }
    report = {
        "adapter": adapter.name,
        "verdict": verdict.as_json(),
        "train": adapter.train,
        "evaluation": evaluation,
    }
    write_atomic(folder / "lineage.json", json.dumps(lineage, indent=1))
    write_atomic(folder / "report.json", json.dumps(report, indent=1, default=str))


def promote(store: Store, name: str, reason: str = "promoted by hand") -> None:
    """Let an adapter serve. Raises UnknownAdapter; AtlesError for one that the gate has not judged or rejected."""
    adapter = store.adapters.get(name)
    if adapter.state is not AdapterState.PROMOTED:
        raise AtlesError(f"{name} is {adapter.state}: {adapter.reason} Only an adapter that passed the gate can serve.")
    with store.transaction():
        version, active = store.adapters.active()
        if active == name:
            raise AtlesError(f"{name} serves already")
        store.adapters.point(name, "promote", reason, version)


def rollback(store: Store, reason: str = "rolled back by hand") -> tuple[str, str]:
    """Let serve what served before the active adapter was promoted: (from, to); BASE is the base model.

    Done again it goes back one more. Raises AtlesError when the base serves already.
    """
    with store.transaction():
        version, active = store.adapters.active()
        if active == BASE:
            raise AtlesError("there is nothing to roll back to: the base model serves")
        before = _served(store.adapters.releases())[-2]
        store.adapters.point(before, "rollback", reason, version)
        return active, before


def _served(releases: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a rollback can go back through, the active adapter last: a promotion adds to it, a rollback takes away."""
    served = [BASE]
    for move in reversed(releases):
        if move["action"] == "promote":
            served.append(move["adapter"])
        else:
            served.pop()
    return served
