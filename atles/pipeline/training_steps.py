"""The steps that serve many sessions at once: train an adapter, and judge it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Event

from atles.clock import timestamp
from atles.pipeline import release, schedule
from atles.pipeline.dataset import Limits, snapshot
from atles.pipeline.gate import gate
from atles.pipeline.jobs import Context, session_job, train_job
from atles.pipeline.lanes import TRAIN
from atles.pipeline.report import write_reports
from atles.pipeline.room import Room
from atles.queue import Job, NewJob
from atles.records import Adapter, AdapterState, Dataset, Example, Split, Step, Verdict, content_id

log = logging.getLogger("atles.pipeline")

_LOOK_AGAIN_SECONDS = 60.0  # whether a training that was put off may run now


@dataclass(frozen=True)
class _Trained:
    """What a training read, and what came of it."""

    dataset: Dataset
    train: list[Example]
    candidate: Adapter


class TrainStep:
    """Snapshot -> adapter. One such job waits at most; it takes every session that is there when it starts."""

    def __init__(self, context: Context) -> None:
        self.c = context

    def work(self, job: Job) -> _Trained | None:
        store, tuner = self.c.store, self.c.tuner
        self.c.put_off = ""
        asked = job.payload.get("now") and job.payload.get("rebuild")  # by `atles train --now`
        if not self.c.settings.train.enabled and not asked:
            return None  # a rebuild after something was forgotten: it comes with the next training, if there is one
        self.c.put_off = self.c.room.no_training()
        if not (self.c.put_off or self.c.at_once or job.payload.get("now")):
            self.c.put_off = self._not_now()
        if self.c.put_off:
            return None
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
        number = len(store.adapters.list()) + 1
        name = f"{number:04d}-{content_id(tuner.model_name, dataset.id)[:8]}"
        enough = dataset.heldout_examples >= self.c.settings.gate.min_heldout
        release.clear(store, self.c.home, but=(name, dataset.id) if enough else ())
        if not enough:
            log.info("training waits: no adapter can be judged on %d held-out examples", dataset.heldout_examples)
            return None
        log.info(
            "training %s on %d examples of %d sessions",
            name,
            dataset.train_examples,
            len(dataset.train_sessions),
        )
        report = tuner.fine_tune_model(
            Path(dataset.path) / "train.jsonl",
            name=name,
            on_progress=self.c.progress,
            stop=_StopOrFull(self.c.stop, self.c.room),
        )
        log.info("trained %s: loss %.3f -> %.3f in %.0f s", name, report.loss_first, report.loss, report.time_taken)
        candidate = Adapter(
            name, report.base, dataset.id, report.path, AdapterState.CANDIDATE, "not judged yet", timestamp(),
            report.as_json(),
        )  # fmt: skip
        self.c.shelf.offer([candidate])  # before it is recorded: whoever sees the row can have it
        return _Trained(dataset, train, candidate)

    def _not_now(self) -> str:
        today = datetime.now().astimezone()
        spent = schedule.minutes_on(today.date(), self.c.store.adapters.list())
        return schedule.not_now(self.c.settings.train, today, schedule.load_per_core(), schedule.on_battery(), spent)

    def record(self, job: Job, result: _Trained | None, seconds: float) -> Sequence[NewJob]:
        if self.c.put_off:
            log.info("training waits: %s", self.c.put_off)
            again = train_job(job.key, delay=_LOOK_AGAIN_SECONDS, **job.payload)
            return (again, *_waiting_logs(self.c))
        if result is None:
            return _waiting_logs(self.c)
        name = result.candidate.name
        self.c.store.examples.add_dataset(result.dataset, [example.id for example in result.train])
        self.c.store.adapters.add(result.candidate)
        if forgotten := self._forgotten(result):
            log.info("%s saw what was forgotten while it was trained; another one is trained without it", name)
            release.retire(self.c.store, forgotten)
            release.sweep(self.c.store, self.c.home)
            return (train_job("rebuild", rebuild=True),)
        return (NewJob(Step.GATE, f"{Step.GATE}:{name}", TRAIN, {"adapter": name}, order=TRAIN, priority=1),)

    def _forgotten(self, result: _Trained) -> list[str]:
        """The sessions of which something was forgotten since their examples were read."""
        read: dict[str, set[str]] = {name: set() for name in result.dataset.train_sessions}
        for example in result.train:
            read.get(example.session_id, set()).add(example.id)
        store, found = self.c.store, []
        stored = [store.sessions.get(name) for name in read]
        for user in sorted({it.user for it in stored}):  # who forgets at this moment has ended, or sees our rows
            store.sessions.lock(user)
        for name in read:
            now = store.sessions.get(name).session
            in_force = {example.id for example in store.examples.of_session(name)}
            if any(message.is_forgotten for message in now.messages) and read[name] - in_force:
                found.append(name)
        if not (self.c.home.dataset(result.dataset.id) / "manifest.json").exists():  # what it is to be judged by
            held_out = {name: store.sessions.get(name).session for name in result.dataset.heldout_sessions}
            found += [name for name, it in held_out.items() if any(message.is_forgotten for message in it.messages)]
        return found

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        return _waiting_logs(self.c, failed=Step.TRAIN, error=error)


class _StopOrFull:
    """Set once the daemon stops, or the disk has no room for a training to go on."""

    def __init__(self, stop: Event, room: Room) -> None:
        self._stop, self._room, self._full = stop, room, ""

    def is_set(self) -> bool:
        if not self._full and (why := self._room.no_training(runs=True)):
            self._full = why
            log.warning("the training stops at its checkpoint: %s", why)
        return bool(self._full) or self._stop.is_set()


class GateStep:
    """Candidate -> verdict -> pointer."""

    def __init__(self, context: Context) -> None:
        self.c = context

    def work(self, job: Job) -> tuple[Adapter, Verdict, int] | None:
        store = self.c.store
        version, _ = store.adapters.active()
        candidate = store.adapters.get(job.payload["adapter"])
        if candidate.state is AdapterState.RETIRED:
            return None
        dataset = store.examples.dataset(candidate.dataset_id)
        report, full = release.evaluate(
            candidate,
            dataset,
            store=store,
            shelf=self.c.shelf,
            settings=self.c.settings,
            on_progress=self.c.progress,
            stop=self.c.stop,
        )
        verdict = gate(report.base, report.active, report.candidate, self.c.settings.gate)
        write_reports(self.c.home, store, candidate, dataset, verdict, full)
        self.c.shelf.offer([replace(candidate, verdict=verdict.as_json())])
        return candidate, verdict, version

    def record(self, job: Job, result: tuple[Adapter, Verdict, int] | None, seconds: float) -> Sequence[NewJob]:
        if result is None or not release.settle(self.c.store, *result):
            log.info("%s is not judged any more: it saw what was forgotten since", job.payload["adapter"])
            return _waiting_logs(self.c)
        candidate, verdict, _ = result
        log.info("%s %s: %s", "promoted" if verdict.promote else "rejected", candidate.name, verdict.reason)
        return _waiting_logs(self.c, gate_seconds=seconds)

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        candidate = self.c.store.adapters.get(job.payload["adapter"])
        if candidate.state is AdapterState.CANDIDATE:  # not one that was retired meanwhile
            verdict = Verdict(False, f"It could not be judged: {error}", {})
            self.c.store.adapters.judge(candidate.name, verdict)
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
