"""Who works for a PostgreSQL store, at what, and what nobody would ever do."""

from collections.abc import Collection
from typing import Any

from atles.pipeline.lanes import STEPS
from atles.queue.procrastinate import ProcrastinateQueue

_STATES = ("waiting", "running", "dead")


def cluster(queue: ProcrastinateQueue, lease_seconds: float) -> dict[str, Any]:
    """`workers`: name, steps (those of `atles worker --steps`), labels, what each does, seconds since it was heard of,
    and whether it is given up. `queues`: jobs by kind (and the label they need) and state. `nobody_does`: the queues
    that no worker claims from."""
    seen = queue.workers()
    workers = [{**it, "steps": _steps(it["steps"]), "lost": it["silent"] > lease_seconds} for it in seen]
    queues: dict[str, dict[str, Any]] = {}
    for it in queue.counts():
        queues.setdefault(it["queue"], {"queue": it["queue"], **dict.fromkeys(_STATES, 0)})[it["state"]] = it["n"]
    done = {
        f"{kind}@{label}" if label else kind
        for it in seen
        if it["silent"] <= lease_seconds
        for kind in it["steps"]
        for label in ("", *it["labels"])
    }
    nobody = [name for name, it in queues.items() if it["waiting"] and name not in done]
    return {"workers": workers, "queues": list(queues.values()), "nobody_does": nobody}


def _steps(kinds: Collection[str]) -> list[str]:
    """What somebody who does these kinds of job was asked to do."""
    return [step for step, belonging in STEPS.items() if not set(kinds).isdisjoint(belonging)]
