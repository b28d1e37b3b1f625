"""Which kinds of job there are, who may do them side by side, and the queue that a home's settings name for them."""

import os
import socket
from collections.abc import Collection, Iterable

from atles.clock import new_id
from atles.queue import Queue
from atles.queue.leases import LeaseQueue
from atles.records import Step
from atles.settings import Settings
from atles.store import Store
from atles.store.sqlite import SQLite

LEARN, TRAIN = "learn", "train"
PUBLISH, EMBED = "publish", "embed"
LANES: dict[str, tuple[str, ...]] = {
    LEARN: (Step.MEMORY, EMBED, Step.DATA, Step.LOG, PUBLISH),
    TRAIN: (Step.TRAIN, Step.GATE),
}
# What a worker can be asked to do, and the kinds of job that come with it.
STEPS: dict[str, tuple[str, ...]] = {
    "memory": (Step.MEMORY, EMBED),
    "data": (Step.DATA,),
    "train": (Step.TRAIN, Step.GATE),
    "log": (Step.LOG, PUBLISH),
}


def kinds(steps: Iterable[str]) -> set[str]:
    """The kinds of job of some of `STEPS`."""
    return {kind for step in steps for kind in STEPS[step]}


def open_queue(
    store: Store, settings: Settings, *, does: Collection[str] | None = None, labels: Collection[str] = ()
) -> Queue:
    """The queue beside a store, for one worker: the kinds of job that it does, and what it says it can (its labels)."""
    if isinstance(store.database, SQLite):
        owner = f"{socket.gethostname()}:{os.getpid()}:{new_id()}"
        return LeaseQueue(store.database, owner, settings.queue.lease_seconds)
    from atles.queue.procrastinate import ProcrastinateQueue  # its driver takes megabytes
    from atles.store.postgresql import PostgreSQL

    assert isinstance(store.database, PostgreSQL)  # there are two
    needs = dict.fromkeys(STEPS["train"], settings.train.needs) if settings.train.needs else {}
    return ProcrastinateQueue(
        store.database, LANES, does=does, needs=needs, labels=labels, lease_seconds=settings.queue.lease_seconds
    )
