"""The workers of one process, and what they work with: all that a daemon and `atles worker` have in common."""

import logging
import threading
import time
from collections.abc import Collection

from atles.errors import StoreError
from atles.layout import Home
from atles.pipeline import lanes, release, steps
from atles.pipeline.chosen import open_memory, open_teacher
from atles.pipeline.finetune import ModelFineTuner, Progress
from atles.pipeline.jobs import Context
from atles.pipeline.worker import WakeUp, Worker
from atles.settings import Settings
from atles.store import Store

log = logging.getLogger("atles.worker")


class Crew:
    """Works off the queue beside a store: the steps named (`lanes.STEPS`), `hands` sessions and one training at once.

    `labels` say what this machine can. On one machine (no `store.url`) nobody else is there, so it does all steps,
    whatever it needs. Nothing is worked on before `start`.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        store: Store,
        *,
        on_progress: Progress,
        does: Collection[str] = tuple(lanes.STEPS),
        labels: Collection[str] = (),
        hands: int = 1,
    ) -> None:
        alone = not settings.store.url
        if alone and set(does) != set(lanes.STEPS):
            log.warning("daemon.steps is for several machines: without store.url nobody else does the others")
        kinds = lanes.kinds(lanes.STEPS if alone else does)
        trains_elsewhere = not alone and settings.train.needs not in ("", *labels)
        self.does = kinds - set(lanes.STEPS["train"]) if trains_elsewhere else kinds
        self.stop_word = threading.Event()
        self.store, self.queue = store, lanes.open_queue(store, settings, does=kinds, labels=labels)
        release.sweep(store, home)
        self.memory = open_memory(home, store, settings)
        self.tuner = ModelFineTuner(home=home, settings=settings)
        self.context = Context(
            home, settings, store, self.queue, self.memory, self.tuner, on_progress, self.stop_word, time.monotonic(),
            open_teacher(store, settings),
        )  # fmt: skip
        self.context.shelf.check()
        self.wake = WakeUp()
        runners = steps.all_steps(self.context)
        self.workers = [
            Worker(
                lane, self.queue, store, runners, settings.queue, self.stop_word, self.wake,
                may_not_work=self.context.no_learning,
            )
            for lane in (*[lanes.LEARN] * hands, lanes.TRAIN) if kinds.intersection(lanes.LANES[lane])
        ]  # fmt: skip

    def start(self) -> None:
        self.queue.listen(self.wake, self.stop_word)
        for worker in self.workers:
            worker.start()

    def renew(self) -> None:
        """Say that what is worked on here goes on; and let what silent workers left wait again."""
        self.queue.renew(*[job for worker in self.workers for job in worker.held])
        if freed := self.queue.recover():
            log.warning("%d jobs of a worker that fell silent wait again", freed)
            for lane in lanes.LANES:
                self.wake(lane)

    def stop(self, seconds: float) -> bool:
        """End what is short, interrupt a training at its checkpoint; wait so long for each. Whether all ended."""
        self.stop_word.set()
        for worker in self.workers:
            self.wake(worker.lane)
        still = [worker.lane for worker in self.workers if not worker.join(seconds)]
        for lane in still:
            log.warning("lane %s did not end in time; its job is taken up at the next start", lane)
        try:
            self.queue.leave()
        except StoreError as error:
            log.warning("the others learn by its silence that this worker has gone: %s", error)
        return not still
