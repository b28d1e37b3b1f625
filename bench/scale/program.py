"""`atles` itself, whose steps wait instead of working, and note when they began. A program of its own.

    python -m bench.scale.program SECONDS NOTES ARGUMENT…      (the arguments are those of `atles`)

Queue, worker, transactions and commits are the real ones, and so is what every step reads and records of its session.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from atles.cli import main as atles
from atles.pipeline import steps
from atles.pipeline.jobs import Context, session_job
from atles.pipeline.worker import StepRunner
from atles.queue import Job, NewJob
from atles.records import Step

ORDER = (Step.MEMORY, Step.DATA, Step.LOG)


@dataclass(frozen=True)
class Waiting:
    """A step of one session that takes `seconds` and no CPU. Each beginning is a line in `notes`."""

    context: Context
    step: Step
    seconds: float
    notes: TextIO

    def work(self, job: Job) -> Any:
        began = time.monotonic()  # the same clock in all processes of a machine
        self.notes.write(json.dumps({"at": began, "step": self.step, "session": job.payload["session_id"]}) + "\n")
        if self.seconds:
            time.sleep(self.seconds)

    def record(self, job: Job, result: Any, seconds: float) -> Sequence[NewJob]:
        session, revision, store = job.payload["session_id"], job.payload["revision"], self.context.store
        store.sessions.lock(store.sessions.get(session).user)
        store.logs.step(session, revision, self.step, seconds, job.attempts, result={})
        return [session_job(following, session, revision) for following in ORDER[ORDER.index(self.step) + 1 :][:1]]

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        return ()


def main(seconds: str, notes: str, *arguments: str) -> None:
    with Path(notes).open("a", buffering=1, encoding="utf-8") as file:

        def waiting(context: Context) -> dict[str, StepRunner]:
            return {step: Waiting(context, step, float(seconds), file) for step in ORDER}

        steps.all_steps = waiting
        atles(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
