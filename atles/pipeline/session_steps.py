"""The steps of one session: memory, data, log; and what serves many of them at once: embed, publish."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atles.clock import timestamp
from atles.errors import EndpointError
from atles.pipeline import journal
from atles.pipeline.dataset import build_examples
from atles.pipeline.jobs import BURST_SECONDS, Context, forget_everywhere, made_again, session_job, train_job
from atles.pipeline.lanes import EMBED, LEARN, PUBLISH, TRAIN
from atles.pipeline.teach import lessons, second_person, taught, teachable
from atles.pipeline.teacher import Teacher
from atles.queue import Job, NewJob
from atles.records import Extraction, Memory, Step
from atles.store.sessions import StoredSession

log = logging.getLogger("atles.steps")

_PUBLISH_SECONDS = 0.25  # so that one writing of the log files serves many sessions


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
        sessions, name = self.c.store.sessions, job.payload["session_id"]
        sessions.lock(sessions.get(name).user)
        stored = sessions.get(name)  # as whoever had the lock before has left it
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
        # What holds no more is no longer taught, either.
        others = {*made["forgotten_in"], *made["ended_in"]} - {stored.session.session_id}
        embed = [NewJob(EMBED, EMBED, LEARN, delay=BURST_SECONDS)] if self.c.memory.embeds else []
        return (
            *self.following(stored.session.session_id, stored.revision),
            *made_again(self.c.store, sorted(others), retired),
            *embed,
        )

    def following(self, session_id: str, revision: int) -> Sequence[NewJob]:
        return (session_job(Step.DATA, session_id, revision),)


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
    """Makes a session's examples; where a teacher is configured, with its wordings, too."""

    step = Step.DATA

    def work(self, job: Job) -> dict[str, list[str]]:
        super().work(job)
        stored = self.c.store.sessions.get(job.payload["session_id"])
        if self.c.teacher is None or stored.revision != job.payload["revision"]:
            return {}
        try:
            return self._more_questions(self.c.teacher, stored)
        except EndpointError as error:
            if error.kind == "stopped" or (error.retryable and job.attempts < self.c.settings.queue.max_attempts):
                raise
            log.error("%s: learned without the teacher's wordings: %s", stored.session.session_id, error)
            return {}

    def _more_questions(self, teacher: Teacher, stored: StoredSession) -> dict[str, list[str]]:
        """Questions beyond the templates' to what the session says; those that an earlier run has paid for are kept."""
        known: dict[tuple[str, str], list[str]] = {}
        for example in self.c.store.examples.of_session(stored.session.session_id):
            if example.kind == "restated":
                known.setdefault((example.message_id, example.output), []).append(example.instruction)
        more: dict[str, list[str]] = {}
        unasked: list[Memory] = []
        for memory, message_id in self._said_last(stored):
            if not teachable(memory):
                continue
            templates = {question for question, _ in lessons(memory)}
            own = [q for q in known.get((message_id, second_person(memory.text)), ()) if q not in templates]
            if own:
                more[memory.id] = own
            else:
                unasked.append(memory)
        found = teacher.questions([memory.text for memory in unasked]) if unasked else []
        return more | {memory.id: questions for memory, questions in zip(unasked, found, strict=True)}

    def apply(self, job: Job, stored: StoredSession, result: dict[str, list[str]]) -> Sequence[NewJob]:
        session = stored.session
        feedback = self.c.store.feedback.of_session(session.session_id)
        examples = build_examples(session, feedback) + taught(session.session_id, self._said_last(stored), result)
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
        logged = session_job(Step.LOG, session_id, revision, delay=BURST_SECONDS)
        train = self.c.settings.train
        if train.enabled and self.c.store.examples.count_new() >= train.min_new_examples:
            base = self.c.tuner.model_name
            return logged, train_job(f"{Step.TRAIN}:{base}", delay=BURST_SECONDS)
        return (logged,)


class LogStep(_SessionStep):
    """Says what became of a session: at once, or when the training that takes it has ended."""

    step = Step.LOG

    def apply(self, job: Job, stored: StoredSession, result: Any) -> Sequence[NewJob]:
        session_id, store = stored.session.session_id, self.c.store
        if Step.DATA not in store.logs.steps(session_id, stored.revision):
            return ()  # it grew while it waited for a training; its data step is followed by a log
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
        return self.c.queue.busy(TRAIN) and self.c.store.examples.unjudged(session_id) > 0


class PublishStep:
    """Brings the log files up to date with the store; one such job serves all sessions logged before it."""

    def __init__(self, context: Context) -> None:
        self.c = context

    def work(self, job: Job) -> None:
        journal.publish(self.c.store, self.c.home, time.monotonic() - self.c.started, enough=self.c.stop.is_set)

    def record(self, job: Job, result: None, seconds: float) -> Sequence[NewJob]:
        return ()

    def failed(self, job: Job, error: str) -> Sequence[NewJob]:
        return ()
