"""The steps that serve many sessions at once: train an adapter, and judge it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from atles.clock import timestamp
from atles.pipeline import release, schedule
from atles.pipeline.dataset import Limits, snapshot
from atles.pipeline.gate import gate
from atles.pipeline.jobs import TRAIN, Context, session_job
from atles.pipeline.report import write_reports
from atles.queue import Job, NewJob
from atles.records import Adapter, AdapterState, Dataset, Example, Split, Step, TrainReport, Verdict, content_id

log = logging.getLogger("atles.pipeline")

_LOOK_AGAIN_SECONDS = 60.0  # whether a training that was put off may run now


@dataclass(frozen=True)
class _Trained:
    """What a training read, and what came of it."""

    dataset: Dataset
    train: list[Example]
    report: TrainReport


class TrainStep:
    """Snapshot -> adapter. One such job waits at most; it takes every session that is there when it starts."""

    def __init__(self, context: Context) -> None:
        self.c = context

    def work(self, job: Job) -> _Trained | None:
        store, tuner = self.c.store, self.c.tuner
        self.c.put_off = "" if self.c.at_once or job.payload.get("now") else self._not_now()
        if self.c.put_off:
            return None
        if not self.c.settings.train.enabled and not job.payload.get("now"):
            return None  # a rebuild after something was forgotten: it comes with the next training, if there is one
        if blocked := schedule.mixed(self.c.settings.train, store.sessions.users()):
            log.warning("training waits: %s", blocked)
            return None
        few = store.examples.count_new() < self.c.settings.train.min_new_examples
        if few and not job.payload.get("rebuild"):
            return None  # an earlier training has read most of what this job was put for
        train = list(store.examples.of_split(Split.TRAIN))
        settings = self.c.settings
        limits = Limits(settings.train.max_exchanges, settings.train.max_taught, settings.gate.max_heldout)
        held_out = store.examples.of_split(Split.HELDOUT)
        paired = settings.train.method == "dpo"
        dataset = snapshot(self.c.home.datasets, train, held_out, limits, turned_down=paired)
        if dataset.heldout_examples < self.c.settings.gate.min_heldout:
            log.info("training waits: no adapter can be judged on %d held-out examples", dataset.heldout_examples)
            return None
        number = len(store.adapters.list()) + 1
        name = f"{number:04d}-{content_id(tuner.model_name, dataset.id)[:8]}"
        log.info(
            "training %s on %d examples of %d sessions",
            name,
            dataset.train_examples,
            len(dataset.train_sessions),
        )
        report = tuner.fine_tune_model(
            Path(dataset.path) / "train.jsonl", name=name, on_progress=self.c.progress, stop=self.c.stop
        )
        log.info("trained %s: loss %.3f -> %.3f in %.0f s", name, report.loss_first, report.loss, report.time_taken)
        return _Trained(dataset, train, report)

    def _not_now(self) -> str:
        today = datetime.now().astimezone()
        spent = schedule.minutes_on(today.date(), self.c.store.adapters.list())
        return schedule.not_now(self.c.settings.train, today, schedule.load_per_core(), schedule.on_battery(), spent)

    def record(self, job: Job, result: _Trained | None, seconds: float) -> Sequence[NewJob]:
        if self.c.put_off:
            log.info("training waits: %s", self.c.put_off)
            again = NewJob(Step.TRAIN, job.key, TRAIN, job.payload, _LOOK_AGAIN_SECONDS)
            return (again, *_waiting_logs(self.c))
        if result is None:
            return _waiting_logs(self.c)
        dataset, train, report = result.dataset, result.train, result.report
        self.c.store.examples.add_dataset(dataset, [example.id for example in train])
        self.c.store.adapters.add(
            Adapter(
                report.adapter,
                report.base,
                dataset.id,
                report.path,
                AdapterState.CANDIDATE,
                "not judged yet",
                timestamp(),
                report.as_json(),
            )
        )
        return (NewJob(Step.GATE, f"{Step.GATE}:{report.adapter}", TRAIN, {"adapter": report.adapter}),)

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        return _waiting_logs(self.c, failed=Step.TRAIN, error=error)


class GateStep:
    """Candidate -> verdict -> pointer."""

    def __init__(self, context: Context) -> None:
        self.c = context

    def work(self, job: Job) -> tuple[Adapter, Verdict, int]:
        store = self.c.store
        version, _ = store.adapters.active()
        candidate = store.adapters.get(job.payload["adapter"])
        dataset = store.examples.dataset(candidate.dataset_id)
        report, full = release.evaluate(
            candidate,
            dataset,
            store=store,
            home=self.c.home,
            settings=self.c.settings,
            on_progress=self.c.progress,
            stop=self.c.stop,
        )
        verdict = gate(report.base, report.active, report.candidate, self.c.settings.gate)
        write_reports(self.c.home, store, candidate, dataset, verdict, full)
        return candidate, verdict, version

    def record(self, job: Job, result: tuple[Adapter, Verdict, int], seconds: float) -> Sequence[NewJob]:
        candidate, verdict, version = result
        release.settle(self.c.store, candidate, verdict, version)
        log.info("%s %s: %s", "promoted" if verdict.promote else "rejected", candidate.name, verdict.reason)
        return _waiting_logs(self.c, gate_seconds=seconds)

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        verdict = Verdict(False, f"It could not be judged: {error}", {})
        self.c.store.adapters.judge(job.payload["adapter"], verdict)
        return _waiting_logs(self.c, failed=Step.GATE, error=error)


def _waiting_logs(
    context: Context, *, failed: Step | None = None, error: str = "", gate_seconds: float = 0.0
) -> list[NewJob]:
    """The log jobs of the sessions that waited for the training that has now ended, and how it ended for them."""
    jobs = []
    for session_id in context.store.sessions.waiting_for_training():
        stored = context.store.sessions.get(session_id)
        if failed:
            context.store.logs.step(session_id, stored.revision, failed, 0.0, 1, error=error)
        elif gate_seconds and not context.store.examples.unjudged(session_id):
            context.store.logs.step(session_id, stored.revision, Step.GATE, gate_seconds, 1)
        context.store.sessions.wait_for_training(session_id, False)
        jobs.append(session_job(Step.LOG, session_id, stored.revision))
    return jobs
