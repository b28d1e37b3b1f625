"""The pipeline without threads and without waiting: its clock jumps to whatever is due next."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from atles.capture.inbox import Inbox
from atles.layout import Home
from atles.pipeline import jobs, lanes, steps
from atles.pipeline.finetune import ModelFineTuner
from atles.pipeline.memory import MemoryProcessor
from atles.pipeline.worker import WakeUp, Worker
from atles.records import Arrival
from atles.settings import GateSettings, QueueSettings, Settings, StoreSettings
from atles.store import open_store
from tests.fakes import FakePrograms
from tests.passing import Clock, queue_of
from tests.samples import drop

SETTINGS = Settings(
    queue=QueueSettings(max_attempts=3, backoff_seconds=2.0),
    gate=GateSettings(min_heldout=2),
    train=replace(Settings().train, max_exchanges=1000),
)


class Pipeline:
    """Everything between a session file and its log entry, done step by step by the caller."""

    def __init__(self, home: Home, fake: FakePrograms, settings: Settings = SETTINGS) -> None:
        self.home, self.fake, self.settings = home, fake, settings
        self.clock: Clock
        self.stop = threading.Event()
        self.open()

    def open(self) -> None:
        """Begin, or begin again as a new process would."""
        home, settings = self.home, self.settings
        self.store = open_store(home, settings)
        self.clock = Clock(self.store, getattr(self, "clock", None))
        self.queue = queue_of(self.store, f"worker-{time.monotonic_ns()}", lambda: self.clock())
        if hasattr(self, "workers"):
            self.clock.sleep(61)  # whoever had these jobs is silent since
        self.queue.release_others()
        self.queue.recover()
        self.memory = MemoryProcessor(store=self.store, settings=settings)
        self.tuner = ModelFineTuner(home=home, settings=settings)
        self.context = jobs.Context(
            home, settings, self.store, self.queue, self.memory, self.tuner, lambda event: None, self.stop,
            time.monotonic(), at_once=True,
        )  # fmt: skip
        self.steps = steps.all_steps(self.context)
        self.workers = [
            Worker(lane, self.queue, self.store, self.steps, settings.queue, self.stop, WakeUp())
            for lane in (lanes.LEARN, lanes.TRAIN)
        ]
        self.inbox = Inbox(
            home, self.store, self.queue, jobs.first_job,
            heldout_every=settings.train.heldout_every, settle_seconds=10, scrub=self.memory.prepare,
            clock=lambda: self.clock(),
        )  # fmt: skip

    def arrive(self, *sessions: dict[str, Any]) -> list[Arrival | None]:
        return [self.inbox.take(drop(self.home, session)) for session in sessions]

    def work_off(self) -> None:
        """Do all that is to do, waiting included."""
        while dues := [due for lane in (lanes.LEARN, lanes.TRAIN) if (due := self.queue.next_due(lane)) is not None]:
            self.clock.until(min(dues))
            for worker in self.workers:
                while worker.run_one():
                    pass

    def breaks(self, step: str, error: Exception, times: int = 1_000) -> None:
        """Let a step fail the next `times` times, after it has done its work."""
        runner: Any = self.steps[step]
        record, left = runner.record, [times]

        def failing(job: Any, result: Any, seconds: float) -> Any:
            following = record(job, result, seconds)
            if left[0] > 0:
                left[0] -= 1
                raise error
            return following

        runner.record = failing

    def log(self, session_id: str) -> dict[str, Any]:
        (*_, entry) = self.store.logs.of_session(session_id)
        return entry


@pytest.fixture(params=["sqlite", "postgresql"])
def pipeline(request: pytest.FixtureRequest, home: Home, fake: FakePrograms) -> Iterator[Pipeline]:
    url = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    opened = Pipeline(home, fake, replace(SETTINGS, store=StoreSettings(url)))
    yield opened
    opened.store.close()


@pytest.fixture
def settings() -> Settings:
    return replace(SETTINGS)
