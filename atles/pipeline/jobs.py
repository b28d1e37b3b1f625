"""The jobs that steps and commands put into the queue, and what every step works with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from atles.layout import Home
from atles.pipeline import rating, release, schedule
from atles.pipeline.finetune import ModelFineTuner, Progress
from atles.pipeline.forget_files import drop_training_files, forget_files
from atles.pipeline.lanes import LEARN, TRAIN
from atles.pipeline.memory import MemoryProcessor
from atles.pipeline.room import Room
from atles.pipeline.shelf import Shelf, open_shelf
from atles.pipeline.teacher import Teacher
from atles.queue import NewJob, Queue
from atles.records import Feedback, Session, Step
from atles.settings import Settings
from atles.store import Store
from atles.store.sessions import StoredSession

BURST_SECONDS = 2.0  # sessions that arrive together are trained together; a log waits this long to see


def first_job(session: Session, revision: int) -> NewJob:
    """The job that begins a stored session's way through the pipeline: those of one user one after the other."""
    return replace(session_job(Step.MEMORY, session.session_id, revision), order=f"user {session.user}")


def train_job(key: str, *, priority: int = 0, delay: float = 0.0, **payload: Any) -> NewJob:
    """A training: one at a time, on however many machines."""
    return NewJob(Step.TRAIN, key, TRAIN, payload, delay, order=TRAIN, priority=priority)


def forget_everywhere(home: Home, store: Store, sessions: Sequence[str]) -> list[str]:
    """After something of these sessions was forgotten in the store: take it out of files and adapters. The adapters
    that were retired. Raises OSError."""
    if not sessions:
        return []  # as after nearly every session
    forget_files(home, store, sessions)
    drop_training_files(home, sessions)
    retired = release.retire(store, sessions)
    release.sweep(store, home)
    return retired


def data_job(stored: StoredSession) -> NewJob:
    """The job that makes a session's examples and files again, after something of it was forgotten."""
    return session_job(Step.DATA, stored.session.session_id, stored.revision)


def made_again(store: Store, sessions: Iterable[str], retired: Sequence[str]) -> list[NewJob]:
    """The jobs after something of these sessions was forgotten: their data, and an adapter in the place of those that
    were retired for it."""
    jobs = [data_job(store.sessions.get(name)) for name in sessions]
    return jobs + [train_job("rebuild", delay=BURST_SECONDS, rebuild=True)] * bool(retired)


def rate(store: Store, queue: Queue, session_id: str, position: int, feedback: Feedback, level: str) -> bool:
    """Note what a user said of an answer; whether its session is stored, so that its data is made again now."""
    with store.transaction():
        stored = rating.note(store, session_id, position, feedback, level)
        # One that is still on its way through the steps comes by there anyway.
        if stored and Step.MEMORY in store.logs.steps(session_id, stored.revision):
            queue.put(data_job(stored))
    return stored is not None


def at_once() -> NewJob:
    """In the place of a training that was put off: one that is not, if there is enough to train on. Where trainings
    are switched off, it is none."""
    return train_job("at once", priority=1, now=True)


def train_now() -> NewJob:
    """A training that waits for nothing: neither for more examples nor for a better hour, nor for `train.enabled`."""
    return train_job("now", priority=1, now=True, rebuild=True)


def ask_to_train(store: Store, queue: Queue, settings: Settings) -> bool:
    """Put `train_now`, unless what several users said would be mixed; whether it was put."""
    if schedule.mixed(settings.train, store.sessions.users()):
        return False
    queue.put(train_now())
    return True


def session_job(step: Step, session_id: str, revision: int, delay: float = 0.0) -> NewJob:
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
    teacher: Teacher | None = None
    at_once: bool = False  # somebody waits: no training is put off
    put_off: str = ""  # why the next training waits; no log waits for that

    def no_learning(self) -> str:
        """Why nothing may be learned; "" if it may. Raises OSError where the disk cannot be asked."""
        return self.store.database.damage or self.room.no_learning()

    @property
    def shelf(self) -> Shelf:
        return open_shelf(self.home, self.settings)

    @property
    def room(self) -> Room:
        return Room(self.home, self.settings.disk)
