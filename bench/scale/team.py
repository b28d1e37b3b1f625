"""Who works on a store, who puts what is to be done, and what that is. Knows no figures."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from atles.layout import Home
from atles.pipeline import lanes
from atles.pipeline.jobs import first_job
from atles.records import Session
from atles.settings import Settings, StoreSettings
from atles.store import open_store
from bench import sessions
from bench.running import Running, settings
from bench.scale.program import ORDER
from bench.stores import Place

_SILENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_DIFFERENT = 1000  # chats


class Team:
    """Processes that do the three steps of a session by waiting `seconds` in each: so many `atles worker`, or one
    `atles run` where there are none. A context, entered when all are ready. Raises RuntimeError where one is not."""

    def __init__(self, place: Place, seconds: float, workers: int = 0) -> None:
        self._place, self._seconds, self._workers = place, seconds, workers
        self._folder = place.home.root.with_name(f"team-{time.monotonic_ns()}")
        self._running: list[Running] = []
        self._ending = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        with ExitStack() as started:
            for number in range(self._workers or 1):
                self._running.append(started.enter_context(self._start(number)))
            self._ending = started.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.close()

    def _start(self, number: int) -> Running:
        home, what = self._place.home.root, ["run", "--quiet"]
        if self._workers:
            home, what = self._folder / f"home-{number}", ["worker", "--steps", "memory,data,log"]
        off = settings(train_enabled="false", gateway_enabled="false")
        return Running(
            "bench.scale.program", str(self._seconds), str(self._folder / f"notes-{number}"),
            "--home", str(home), *off, *self._place.settings, *what, log=self._folder / "stderr.log",
        )  # fmt: skip

    def notes(self) -> Iterator[dict[str, Any]]:
        """Every step that was begun: when, which, and of which session."""
        for file in self._folder.glob("notes-*"):
            yield from map(json.loads, file.read_text("utf-8").splitlines())

    def began(self) -> dict[str, float]:
        """When the first step of each session was begun, by time.monotonic()."""
        return {note["session"]: note["at"] for note in self.notes() if note["step"] == ORDER[0]}

    def cpu_seconds(self) -> float:
        return sum(running.cpu_seconds() for running in self._running)

    def finish(self, given: Sequence[Session]) -> float:
        """Wait until sessions that followed each other in the supply went through all steps; when that was, by
        time.monotonic(). Raises RuntimeError if it takes too long."""
        first, last = given[0].session_id, given[-1].session_id
        before, heard = -1, time.monotonic()
        while True:
            done = self._place.count(f"select count(*) from steps where session_id between '{first}' and '{last}'")
            now = time.monotonic()
            if done == len(ORDER) * len(given):
                return now
            if done > before:
                before, heard = done, now
            if now - heard > _SILENCE_SECONDS:
                raise RuntimeError(f"{done} steps were done, and no more followed: {self._running[0].errors()}")
            time.sleep(_LOOK_SECONDS)

    def repeated(self, sessions: Sequence[Session]) -> int:
        """How many steps of these sessions were not begun exactly once."""
        begun = Counter((note["session"], note["step"]) for note in self.notes())
        return sum(begun[session.session_id, step] != 1 for session in sessions for step in ORDER)


class Supply:
    """Sessions of six messages, each once; the same in every run."""

    def __init__(self, file: Path) -> None:
        self._chats, self.source = sessions.make(file, _DIFFERENT)
        self._taken = 0

    def take(self, count: int, users: int) -> list[Session]:
        """The next ones, of so many users in turn."""
        numbers = range(self._taken, self._taken + count)
        self._taken += count
        return [
            Session.of(
                self._chats[number % len(self._chats)]
                | {"session_id": f"scale_{number:06d}", "metadata": {"user": f"user {number % users} of {users}"}}
            )
            for number in numbers
        ]


class Giver:
    """Stores sessions and puts their first jobs, from this process. A context."""

    def __init__(self, place: Place) -> None:
        self._settings = Settings(store=StoreSettings(url=place.url))
        self._store = open_store(Home(place.home.root), self._settings)
        self._queue = lanes.open_queue(self._store, self._settings)

    def give(self, *sessions: Session) -> None:
        """In one transaction."""
        with self._store.transaction():
            for session in sessions:
                _, revision = self._store.sessions.add(session, self._settings.train.heldout_every)
                self._queue.put(first_job(session, revision))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._store.close()
