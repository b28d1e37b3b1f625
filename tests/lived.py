"""A home that has seen everything: what may lie in any table, a promoted adapter, and jobs in every state."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from atles.layout import Home
from atles.pipeline import lanes
from atles.pipeline.erase import erase, mark
from atles.pipeline.jobs import rate, session_job, train_job
from atles.pipeline.lanes import LEARN
from atles.pipeline.shelf import open_shelf
from atles.queue import NewJob
from atles.records import Feedback, Rating, Step
from atles.settings import Settings, StoreSettings
from atles.store import Store
from tests.fakes import FakePrograms
from tests.passing import queue_of
from tests.pipeline.conftest import SETTINGS, Pipeline
from tests.samples import chat, document

SESSIONS = 14  # that `lived_in` learned; two more wait
FACTS = ("u: I live in Leeds and my dog is called Biscuit.", "a: Nice.", "u: Please keep answers short.", "a: Sure.")


_lived: list[Path] = []  # a home in a SQLite file, once there is one: to copy is quicker than to live


def lived_in(home: Home, fake: FakePrograms, url: str = "") -> Settings:
    """Live in a home whose store is a SQLite file or, with a `url`, in PostgreSQL; the settings that it has."""
    settings = replace(SETTINGS, store=StoreSettings(url), train=replace(SETTINGS.train, shared=True))
    if not url:
        if not _lived:
            _live(home, fake, settings)
            _lived.append(home.root.with_name("lived"))
            shutil.copytree(home.root, _lived[0])
        elif not home.database.exists():
            shutil.copytree(_lived[0], home.root, dirs_exist_ok=True)
        return settings
    _live(home, fake, settings)
    return settings


def _live(home: Home, fake: FakePrograms, settings: Settings) -> None:
    pipeline = Pipeline(home, fake, settings)
    store = pipeline.store
    pipeline.arrive(*(chat(number) for number in range(1, SESSIONS - 1)))
    pipeline.arrive(document("facts", *FACTS, metadata={"user": "ann"}))
    pipeline.work_off()
    pipeline.arrive(chat(SESSIONS - 1))  # which no adapter has seen
    pipeline.work_off()
    last = store.sessions.get(f"session_{SESSIONS - 1:03d}").session.messages[-1]
    erase(open_shelf(home, settings), store, pipeline.queue, mark(store, messages=[last.id]))
    store.keys.add("phone", "ann")
    rate(store, pipeline.queue, "session_001", 1, Feedback(Rating.EDIT, "Boat 1 is red."), "secrets")
    pipeline.work_off()
    store.spending.spend(12)
    store.vectors.put([(store.vectors.pending(1)[0][0], bytes(range(256)) + bytes(128))])
    pipeline.clock.slept = 0.0  # what comes now is due now
    pipeline.arrive(document("late/one", "u: What\tis ü?", "a: A vowel \U0001f600.", metadata={"user": "ann"}))
    pipeline.arrive(chat(99))
    running(store)
    dying(store)
    store.close()


def running(store: Store) -> None:
    """Somebody works on the first of the two sessions that wait."""
    assert queue_of(store, "somebody", time.time).claim(LEARN)


def dying(store: Store) -> None:
    """A job that failed three times, with an error that quotes something odd; and a training that is to come."""
    queue = lanes.open_queue(store, SETTINGS)
    queue.put(NewJob(Step.TRAIN, "train:x", lanes.TRAIN, {"rebuild": True}, order=lanes.TRAIN))
    for again in (True, True, False):
        job = queue.claim(lanes.TRAIN)
        assert job
        queue.retry(job, "Broken: é \U0001f600", 0.0) if again else queue.bury(job, "Broken: é \U0001f600")
    queue.put(train_job("rebuild", delay=3600.0, rebuild=True), session_job(Step.LOG, "session_002", 1, delay=60.0))
    queue.leave()
