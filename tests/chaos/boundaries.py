"""The places at which a process of a test can be killed: before, in and after each step, commit and file.

A test writes a boundary's name with `order`; whichever process comes there next kills itself with SIGKILL. Nothing of
this is in the product: `install` wraps what a daemon is made of, before one is started.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from atles.capture.inbox import Inbox
from atles.pipeline import steps
from atles.pipeline.jobs import Context
from atles.pipeline.lanes import EMBED, PUBLISH
from atles.records import Step

STEPS = (*Step, PUBLISH, EMBED)
INBOX = "inbox"
# What a step or the inbox writes under its final name only when it is complete, by the folder that it lies in.
_FILES = ("training_data", "chat", "datasets", "adapters", "logs", "processed")
SCRUBBED = "scrubbed file: named"  # and the file as it came, secrets and all, is still there

ALL = (
    *(f"{step}: {where}" for step in STEPS for where in ("before work", "after work", "before commit", "after commit")),
    *(f"{INBOX}: {where}" for where in ("before commit", "after commit")),
    *(f"promote: {where}" for where in ("before the pointer moves", "after the pointer moved")),
    *(f"file in {folder}: written, not named" for folder in _FILES),
    SCRUBBED,
)


class Orders:
    """One order at a time, between a test and the processes of its home; `folder` is theirs in common."""

    def __init__(self, folder: Path) -> None:
        self._order, self._done = folder / "die_at", folder / "died_at"

    def give(self, boundary: str) -> None:
        assert boundary in ALL, boundary
        self._done.unlink(missing_ok=True)
        temporary = self._order.with_suffix(".tmp")
        temporary.write_text(boundary)
        temporary.replace(self._order)

    def take_back(self) -> bool:
        """No process shall die any more; whether one has."""
        self._order.unlink(missing_ok=True)
        return self._done.exists()

    def obey(self, boundary: str) -> None:
        """Called by a process that is at a boundary. It does not return where that one was ordered."""
        try:
            if self._order.read_text() != boundary:
                return
            self._order.rename(self._done)  # of several processes, one
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


def install(orders: Orders) -> None:
    """Make every daemon and worker of this process obey."""
    thread = threading.local()  # `doing`: what is to be committed next; `inside`: a transaction

    def transaction(begin: Callable[[], AbstractContextManager[None]]) -> Callable[[], AbstractContextManager[None]]:
        @contextmanager
        def watched() -> Iterator[None]:
            if getattr(thread, "inside", False):
                with begin():
                    yield
                return
            thread.inside = True
            try:
                with begin():
                    yield
                    doing = getattr(thread, "doing", "")  # a step's `record` says so, within the transaction
                    orders.obey(f"{doing}: before commit")
            finally:
                thread.inside = False
            thread.doing = ""
            orders.obey(f"{doing}: after commit")

        return watched

    def step(name: str, runner: Any) -> None:
        work, record = runner.work, runner.record

        def watched_work(job: Any) -> Any:
            thread.doing = ""
            orders.obey(f"{name}: before work")
            result = work(job)
            orders.obey(f"{name}: after work")
            return result

        def watched_record(job: Any, result: Any, seconds: float) -> Any:
            thread.doing = name
            return record(job, result, seconds)

        runner.work, runner.record = watched_work, watched_record

    def all_steps(context: Context) -> dict[str, Any]:
        runners = build(context)
        for name, runner in runners.items():
            step(str(name), runner)
        store = context.store
        store.transaction = transaction(store.transaction)
        point = store.adapters.point

        def watched_point(adapter: str, action: str, reason: str, expected: int) -> None:
            orders.obey("promote: before the pointer moves")
            point(adapter, action, reason, expected)
            orders.obey("promote: after the pointer moved")

        store.adapters.point = watched_point
        return runners

    def watched_take(self: Inbox, path: Path) -> Any:
        thread.doing = INBOX
        try:
            return take(self, path)
        finally:
            thread.doing = ""

    def named(give: Callable[..., None]) -> Callable[..., None]:
        def watched(source: Any, target: Any, **where: Any) -> None:
            into = Path(target).parent
            # Datasets and adapters have a folder each.
            folder = into.parent.name if into.parent.name in ("datasets", "adapters") else into.name
            if folder in _FILES:
                orders.obey(f"file in {folder}: written, not named")
            give(source, target, **where)
            if folder == "processed" and Path(source).parent == into:
                orders.obey(SCRUBBED)

        return watched

    build, steps.all_steps = steps.all_steps, all_steps
    take, Inbox.take = Inbox.take, watched_take
    os.replace, os.link = named(os.replace), named(os.link)
