"""Who works for a store: as people ask for it, not as the queue has it."""

from typing import Any, cast

from atles.insights.cluster import cluster
from atles.pipeline.lanes import STEPS, kinds
from atles.queue.procrastinate import ProcrastinateQueue


class Seen:
    def __init__(self, **steps: list[str]) -> None:
        self._steps = steps

    def workers(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "steps": sorted(kinds(steps)), "labels": [], "doing": "", "silent": 1.0}
            for name, steps in self._steps.items()
        ]

    def counts(self) -> list[dict[str, Any]]:
        return [{"queue": kind, "state": "waiting", "n": 1} for kind in ("embed", "gate")]


def test_a_worker_does_what_it_was_asked_to_do() -> None:
    seen = cluster(cast(ProcrastinateQueue, Seen(one=["memory", "log"], all=list(STEPS))), 30.0)
    assert [it["steps"] for it in seen["workers"]] == [["memory", "log"], list(STEPS)]
    assert seen["nobody_does"] == []


def test_what_nobody_does_is_named() -> None:
    assert cluster(cast(ProcrastinateQueue, Seen(one=["memory"])), 30.0)["nobody_does"] == ["gate"]
    assert cluster(cast(ProcrastinateQueue, Seen(one=list(STEPS))), 0.5)["nobody_does"] == ["embed", "gate"]
