"""Which step follows which, on one page.

    memory ──▶ data ──▶ log                      one session each, lane "learn"
                 └────▶ train ──▶ gate ──▶ log   many sessions at once, lane "train"

`publish` follows log: it brings the log files up to date with the store.

A step that fails for good is followed by the same steps as one that succeeds, so the log step always runs.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

from atles.clock import timestamp
from atles.config import Settings
from atles.layout import Home
from atles.pipeline import journal, release, schedule
from atles.pipeline.dataset import build_examples, snapshot
from atles.pipeline.finetune import ModelFineTuner, Progress
from atles.pipeline.forget import forget_files
from atles.pipeline.gate import gate
from atles.pipeline.memory import MemoryProcessor
from atles.pipeline.prompted import prompted
from atles.pipeline.report import write_reports
from atles.pipeline.teach import taught
from atles.pipeline.worker import StepRunner
from atles.queue import Job, NewJob, Queue
from atles.records import (
    Adapter,
    AdapterState,
    Dataset,
    Example,
    Extraction,
    Memory,
    Split,
    Step,
    TrainReport,
    Verdict,
    content_id,
)
from atles.store import Store
from atles.store.sessions import StoredSession

log = logging.getLogger("atles.pipeline")

LEARN, TRAIN = "learn", "train"
_BURST_SECONDS = 2.0  # sessions that arrive together are trained together; a log waits this long to see
_LOOK_AGAIN_SECONDS = 60.0  # whether a training that was put off may run now
_PUBLISH_SECONDS = 0.25  # so that one writing of the log files serves many sessions
PUBLISH, EMBED = "publish", "embed"


def first_job(session_id: str, revision: int) -> NewJob:
    """The job that begins a stored session's way through the pipeline."""
    return _session_job(Step.MEMORY, session_id, revision)


def forget_everywhere(home: Home, store: Store, sessions: Sequence[str]) -> list[str]:
    """After something of these sessions was forgotten in the store: take it out of files and adapters. The adapters
    that were retired. Raises OSError."""
    forget_files(home, store, sessions)
    retired = release.retire(store, sessions)
    release.sweep(store, home)
    return retired


def data_job(stored: StoredSession) -> NewJob:
    """The job that makes a session's examples and files again, after something of it was forgotten."""
    return _session_job(Step.DATA, stored.session.session_id, stored.revision)


def made_again(store: Store, sessions: Iterable[str], retired: Sequence[str]) -> list[NewJob]:
    """The jobs after something of these sessions was forgotten: their data, and an adapter in the place of those that
    were retired for it."""
    jobs = [data_job(store.sessions.get(name)) for name in sessions]
    return jobs + [NewJob(Step.TRAIN, "rebuild", TRAIN, {"rebuild": True}, _BURST_SECONDS)] * bool(retired)


def at_once() -> NewJob:
    """In the place of a training that was put off: one that is not, if there is enough to train on."""
    return NewJob(Step.TRAIN, "at once", TRAIN, {"now": True})


def train_now() -> NewJob:
    """A training that waits for nothing: neither for more examples nor for a better hour."""
    return NewJob(Step.TRAIN, "now", TRAIN, {"now": True, "rebuild": True})


def _session_job(step: Step, session_id: str, revision: int, delay: float = 0.0) -> NewJob:
    payload = {"session_id": session_id, "revision": revision}
    return NewJob(step, f"{step}:{session_id}#{revision}", LEARN, payload, delay)


@dataclass
class Context:
    """What every step works with."""

    home: Home
    settings: Settings
    store: Store
    queue: Queue
    memory: MemoryProcessor
    tuner: ModelFineTuner
    progress: Progress
    stop: Event
    started: float  # time.monotonic() of the daemon's start
    at_once: bool = False  # somebody waits: no training is put off
    put_off: str = ""  # why the next training waits; no log waits for that


def all_steps(context: Context) -> dict[str, StepRunner]:
    return {
        Step.MEMORY: MemoryStep(context),
        Step.DATA: DataStep(context),
        Step.TRAIN: TrainStep(context),
        Step.GATE: GateStep(context),
        Step.LOG: LogStep(context),
        PUBLISH: PublishStep(context),
        EMBED: EmbedStep(context),
    }


class _SessionStep(ABC):
    """What the steps of one session share: which session it is, the record of how it ended, and what follows.

    These steps take milliseconds and change only the database and files named by content, so all of their work
    happens in the transaction that ends the job.
    """

    step: Step

    def __init__(self, context: Context) -> None:
        self.c = context
        self._began = 0.0

    def work(self, job: Job) -> Any:
        self._began = time.monotonic()

    def record(self, job: Job, result: Any, seconds: float) -> Sequence[NewJob]:
        stored = self.c.store.sessions.get(job.payload["session_id"])
        if stored.revision != job.payload["revision"]:
            return ()  # it has grown meanwhile: the job of the newer revision does the work
        return self.apply(job, stored, result)

    def ended(self, job: Job, made: Mapping[str, Any], error: str = "") -> None:
        """Record how the step ended, with what it made."""
        payload, seconds = job.payload, time.monotonic() - self._began
        self.c.store.logs.step(
            payload["session_id"],
            payload["revision"],
            self.step,
            seconds,
            job.attempts,
            error=error,
            result=made,
        )

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        self.ended(job, {}, error)
        return self.following(job.payload["session_id"], job.payload["revision"])

    @abstractmethod
    def apply(self, job: Job, stored: StoredSession, result: Any) -> Sequence[NewJob]:
        """Do the step with what `work` made; the jobs that follow."""

    @abstractmethod
    def following(self, session_id: str, revision: int) -> Sequence[NewJob]:
        """The jobs that follow, whether the step succeeded or not."""


class MemoryStep(_SessionStep):
    """Reads a session and remembers what it says; what it asks to forget is forgotten, and the data made again."""

    step = Step.MEMORY

    def work(self, job: Job) -> Extraction | None:
        super().work(job)
        stored = self.c.store.sessions.get(job.payload["session_id"])
        return self.c.memory.extract(stored) if stored.revision == job.payload["revision"] else None

    def apply(self, job: Job, stored: StoredSession, result: Extraction) -> Sequence[NewJob]:
        made = self.c.memory.remember(stored, result)
        retired = forget_everywhere(self.c.home, self.c.store, made["forgotten_in"])
        self.ended(job, made | {"retired": retired})
        others = [name for name in made["forgotten_in"] if name != stored.session.session_id]
        embed = [NewJob(EMBED, EMBED, LEARN, delay=_BURST_SECONDS)] if self.c.memory.embeds else []
        return (
            *self.following(stored.session.session_id, stored.revision),
            *made_again(self.c.store, others, retired),
            *embed,
        )

    def following(self, session_id: str, revision: int) -> Sequence[NewJob]:
        return (_session_job(Step.DATA, session_id, revision),)


class EmbedStep:
    """Embeds messages that are not yet, some at a time, so that no session waits for it."""

    def __init__(self, context: Context) -> None:
        self.c = context

    def work(self, job: Job) -> int:
        return self.c.memory.embed_pending()

    def record(self, job: Job, result: int, seconds: float) -> Sequence[NewJob]:
        return (NewJob(EMBED, EMBED, LEARN),) if result else ()

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        return ()


class DataStep(_SessionStep):
    step = Step.DATA

    def apply(self, job: Job, stored: StoredSession, result: Any) -> Sequence[NewJob]:
        session = stored.session
        examples = build_examples(session) + taught(session.session_id, self._said_last(stored))
        path = self.c.tuner.prepare_training_data(session, examples, stored.received_at, grown=stored.revision > 1)
        new = self.c.store.examples.replace(session.session_id, examples)
        self.ended(job, {"examples": len(examples), "new_examples": new, "file": path.name})
        return self.following(session.session_id, stored.revision)

    def _said_last(self, stored: StoredSession) -> Iterator[tuple[Memory, str]]:
        """What holds and was said in this session, and in none after it; each with the message."""
        for memory in self.c.store.memories.of_session(stored.number):
            *_, last = self.c.store.memories.sources(memory)
            if memory.valid_to is None and last["session_id"] == stored.session.session_id:
                yield memory, last["id"]

    def following(self, session_id: str, revision: int) -> Sequence[NewJob]:
        logged = _session_job(Step.LOG, session_id, revision, delay=_BURST_SECONDS)
        train = self.c.settings.train
        if train.enabled and self.c.store.examples.count_new() >= train.min_new_examples:
            base = self.c.tuner.model_name
            return logged, NewJob(Step.TRAIN, f"{Step.TRAIN}:{base}", TRAIN, delay=_BURST_SECONDS)
        return (logged,)


@dataclass(frozen=True)
class _Trained:
    """What a training read, and what came of it. `made`: examples that are this training's alone."""

    dataset: Dataset
    train: list[Example]
    made: list[Example]
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
        few = store.examples.count_new() < self.c.settings.train.min_new_examples
        if few and not job.payload.get("rebuild"):
            return None  # an earlier training has read most of what this job was put for
        train = list(store.examples.of_split(Split.TRAIN))
        made = prompted(self.c.memory, train, self.c.settings.train.prompted)
        dataset = snapshot(self.c.home.datasets, train + made, store.examples.of_split(Split.HELDOUT))
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
        return _Trained(dataset, train, made, report)

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
        dataset, train, made, report = result.dataset, result.train, result.made, result.report
        self.c.store.examples.put(made, in_force=False)
        self.c.store.examples.add_dataset(dataset, [example.id for example in train + made])
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
        jobs.append(_session_job(Step.LOG, session_id, stored.revision))
    return jobs


class LogStep(_SessionStep):
    """Says what became of a session: at once, or when the training that takes it has ended."""

    step = Step.LOG

    def apply(self, job: Job, stored: StoredSession, result: Any) -> Sequence[NewJob]:
        session_id, store = stored.session.session_id, self.c.store
        if self._training_to_come(session_id):
            store.sessions.wait_for_training(session_id, True)
            return ()
        self.ended(job, {})
        store.logs.add(journal.entry(store, self.c.settings, self.c.tuner.model_name, stored), timestamp())
        return (NewJob(PUBLISH, PUBLISH, LEARN, delay=_PUBLISH_SECONDS),)

    def following(self, session_id: str, revision: int) -> Sequence[NewJob]:
        return ()

    def _training_to_come(self, session_id: str) -> bool:
        # Only TRAIN and GATE are done in that lane.
        if self.c.put_off:
            return False
        return self.c.queue.next_due(TRAIN) is not None and self.c.store.examples.unjudged(session_id) > 0


class PublishStep:
    """Brings the log files up to date with the store; one such job serves all sessions logged before it."""

    def __init__(self, context: Context) -> None:
        self.c = context

    def work(self, job: Job) -> None:
        journal.publish(self.c.store, self.c.home, time.monotonic() - self.c.started)

    def record(self, job: Job, result: None, seconds: float) -> Sequence[NewJob]:
        return ()

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        return ()
