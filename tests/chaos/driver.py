"""A chaos run: sessions keep coming while processes are killed, at every boundary and at random, and started again.

Knows what to kill and when; what was said stands in the ledger (`traffic.py`), and what must have come of it in
`verdict.py`. That is asked for at the end. After each kill it is seen that what lives on its parent dies with it, that
a killed program is tried again, and that a killed server is replaced.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from atles.config import load_settings
from atles.layout import Home
from atles.pipeline.lanes import open_queue
from atles.store import open_store
from tests.chaos import boundaries
from tests.chaos.killable import Killable, children
from tests.chaos.traffic import Files, Hosts, Ledger, Source, Talker, crowded
from tests.fakes import FakePrograms
from tests.fakes.process import gone, until

ANY = "whoever comes there"
DAEMON, WORKER, TRAINER, EVALUATOR, SERVER, HOST = (
    "daemon", "worker", "trainer", "evaluator", "model server", "tracker's host"
)  # fmt: skip
AT_RANDOM = "at random"
_PROGRAMS = {TRAINER: "train", EVALUATOR: "evaluate", SERVER: "serve"}
_RANDOM = (DAEMON, DAEMON, TRAINER, DAEMON, EVALUATOR, SERVER, HOST)  # each as often as it stands here
_CLIENTS, _FIRST_SESSIONS = 3, 16
_ORPHAN_SECONDS = 10.0  # programs poll nothing: this is for a machine that is busy with something else
_PATIENCE = 60.0

SETTINGS = (
    # A job may be killed more often than the default allows for, here and nowhere else; and a wait that doubles each
    # time would outlast the run.
    "queue.max_attempts=100000", "queue.backoff_seconds=0", "queue.lease_seconds=6", "daemon.poll_seconds=0.5",
    "daemon.idle_minutes=2", "train.max_load=0", "train.min_new_examples=4", "gate.min_heldout=2",
    "memory.rerank=minilm", "gateway.port=0", "gateway.learn_every=2", "disk.train_mb=0", "disk.learn_mb=0",
    "retention.rollback_adapters=0",
)  # fmt: skip
AT_THE_END = "daemon.idle_minutes=0.02"  # conversations that nobody ends


@dataclass(frozen=True)
class Kill:
    """One to come: of a process, or of whichever one comes to a boundary."""

    victim: str
    where: str = AT_RANDOM


@dataclass
class Run:
    """What a run has done so far. `wrong` is what it has seen that may not be."""

    killed: Counter[Kill] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def plan(chance: random.Random, kills: int, workers: int = 0) -> list[Kill]:
    """Kills in a random order: every boundary as often, or some of them once; two of five are at random."""
    kinds = (*_RANDOM, *[WORKER] * workers)
    at = kills * 3 // 5
    rounds = [chance.sample(boundaries.ALL, len(boundaries.ALL)) for _ in range(at // len(boundaries.ALL))]
    where = [*chain(*rounds)] or chance.sample(boundaries.ALL, at)
    found = [Kill(ANY, boundary) for boundary in where]
    found += [Kill(kinds[n % len(kinds)]) for n in range(kills - len(where))]
    chance.shuffle(found)
    return found


def endless(chance: random.Random, workers: int = 0) -> Iterator[Kill]:
    """One plan after the other."""
    while True:
        yield from plan(chance, 3 * len(boundaries.ALL), workers)


class Driver:
    """`store` are the settings of the store, `workers` are so many beside the daemon; `say` is told of each kill."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        store: tuple[str, ...] = (),
        workers: int = 0,
        pace: float = 0.5,
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        self.folder, self.seed, self.ledger, self.so_far = folder, seed, Ledger(), Run()
        self.home = Home(folder / "home").create()
        self.fake = FakePrograms(folder / "control")
        self._chance, self._say, self._pace = random.Random(seed), say, pace
        self._orders = boundaries.Orders(self.fake.control)
        gguf = folder / "base.gguf"
        gguf.write_bytes(b"GGUF")
        self.fake.modes("serve", "unique")
        self.settings = (*SETTINGS, f"serve.gguf={gguf}", *store)
        self._workers = workers
        self._settings = load_settings(self.home, environment={}, overrides=self.settings)
        self._store = open_store(self.home, self._settings)

    # --- the run ---

    def run(self, kills: Iterable[Kill], seconds: float = float("inf")) -> Run:
        """Kill and restart, until there are no kills left or no time; let everything run dry, and end. Raises
        AssertionError where something that must happen does not."""
        began = time.monotonic()
        run = self.so_far
        self._files = Files(self.home, self.ledger, str(self.seed), self._pace)
        for _ in range(_FIRST_SESSIONS):
            self._files.one()
        self.daemon = Killable(DAEMON, self.home, self.fake, ["run", "--quiet"], self.settings)
        self._processes = [self.daemon]
        for number in range(1, self._workers + 1):
            command = ["worker", "--hands", str(number)]  # not all are alike
            self._processes.append(Killable(f"{WORKER} {number}", self.home, self.fake, command, self.settings))
        self._hosts = Hosts(self.home, self.ledger, str(self.seed), self._pace)

        def room() -> bool:
            return not crowded(self.home)

        talkers = [
            Talker(self.daemon, number, self.ledger, 2 * self._pace, room, "atles", str(self.seed), streams=0.5)
            for number in range(_CLIENTS)
        ]
        sources = [self._files, self._hosts, *talkers]
        for source in sources:
            source.start()
        try:
            for number, kill in enumerate(kills, 1):
                if time.monotonic() - began > seconds:
                    break
                self._prepare(kill)
                at = time.monotonic()
                done = self._kill(kill)
                run.killed[done] += 1
                self._say(f"{number}: {done.victim}, {done.where} ({time.monotonic() - at:.1f} s)")
                self._look_after(sources)
            self._run_dry(sources)
        finally:
            for source in sources:
                source.stop()
            for process in self._processes:
                process.kill()
            self._store.close()
            run.seconds = time.monotonic() - began
        return run

    def _prepare(self, kill: Kill) -> None:
        """A program that lasts long enough to be killed, also with its daemon; and adapters of both kinds."""
        often = 0.5 if kill == Kill(DAEMON) else 0.0
        for victim in (TRAINER, EVALUATOR):
            slow = kill.victim == victim or self._chance.random() < often
            self.fake.modes(_PROGRAMS[victim], "slow" if slow else "ok")
        good = kill.where.startswith("promote") or self._chance.random() < 0.7
        self.fake.scores(base=(3.0, 1.0), active=(2.0, 1.0), candidate=(1.0 if good else 2.9, 1.0))

    def _kill(self, kill: Kill) -> Kill:
        """Kill, and start again what was killed; which it was."""
        if kill.where != AT_RANDOM:
            return self._kill_at(kill.where)
        if kill.victim == HOST:
            time.sleep(self._chance.uniform(0, 1))
            self._hosts.kill()
        elif kill.victim in (DAEMON, WORKER):
            time.sleep(self._chance.uniform(0, 2))  # in the midst of its start, too
            self._again(self.daemon if kill.victim == DAEMON else self._chance.choice(self._processes[1:]))
        else:
            self._kill_program(kill.victim)
        return kill

    def _kill_at(self, boundary: str) -> Kill:
        self._orders.give(boundary)

        def dead() -> Killable | None:
            return next((process for process in self._processes if process.ended), None)

        try:
            victim = until(dead, f"somebody comes to “{boundary}”", _PATIENCE)
        finally:
            died = self._orders.take_back()
        if not died:
            self._wrong(f"the {victim.name} ended by itself, while “{boundary}” was waited for")
        self._again(victim)
        return Kill(victim.name, boundary)

    def _again(self, process: Killable) -> None:
        """Kill a process, if it is not dead yet, and start it again at once."""
        process.kill()
        if process.process.returncode != -signal.SIGKILL:
            self._wrong(f"the {process.name} ended with {process.process.returncode}; see {process.errors}")
        alive = [it.process.pid for it in self._processes if not it.ended]
        orphans = [pid for pid, parent in children(self.fake.control).items() if parent not in alive]
        process.start()
        self._gone(orphans)

    def _gone(self, pids: Collection[int]) -> None:
        try:
            until(lambda: all(map(gone, pids)), "orphans end", _ORPHAN_SECONDS)
        except AssertionError:
            left = [pid for pid in pids if not gone(pid)]
            self._wrong(f"{len(left)} programs outlived their parent for {_ORPHAN_SECONDS:g} s: {left}")
            for pid in left:
                os.kill(pid, signal.SIGKILL)

    def _kill_program(self, victim: str) -> None:
        name = _PROGRAMS[victim]

        def running() -> int | None:
            pids = [run["pid"] for run in self.fake.runs(name)[-3:]]
            return next((pid for pid in reversed(pids) if not gone(pid)), None)

        pid = until(running, f"a {victim} runs", _PATIENCE)
        time.sleep(self._chance.uniform(0, 0.3))
        runs = len(self.fake.runs(name))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            self._kill_program(victim)  # it has done its work meanwhile: another one
            return
        if victim == SERVER:
            # Not which one answers: another adapter may have been promoted.
            finished = len(self.ledger.turns)
            until(lambda: len(self.ledger.turns) > finished + _CLIENTS, "the gateway answers again", _PATIENCE)
        else:
            until(lambda: len(self.fake.runs(name)) > runs, f"the killed {victim} is tried again", _PATIENCE)

    def _look_after(self, sources: list[Source]) -> None:
        for process in self._processes:
            if process.ended:
                code = process.process.returncode
                self._wrong(f"the {process.name} ended by itself with {code}; see {process.errors}")
                process.start()
        for source in sources:
            if source.error:
                raise source.error

    def _wrong(self, words: str) -> None:
        self._say(f"WRONG: {words}")
        self.so_far.wrong.append(words)

    # --- the end ---

    def _run_dry(self, sources: list[Source]) -> None:
        until(lambda: all(process.began.is_set() for process in self._processes), "all work", _PATIENCE)
        for source in sources:
            source.stop()
        for source in sources:
            source.join(_PATIENCE)
            if source.is_alive():
                raise AssertionError(f"{type(source).__name__} does not end")
        for name in ("train", "evaluate"):
            self.fake.modes(name, "ok")
        self._end(self.daemon)
        self.daemon.settings = (*self.settings, AT_THE_END)
        self.daemon.start()
        until(self._is_dry, "everything is learned and logged", 10 * _PATIENCE)
        for process in self._processes:
            self._end(process)
        self._gone(children(self.fake.control))

    def _end(self, process: Killable) -> None:
        if code := process.terminate():
            self._wrong(f"the {process.name} ended with {code} when it was told to; see {process.errors}")

    def _is_dry(self) -> bool:
        if dead := [process for process in self._processes if process.ended]:
            raise AssertionError(f"the {dead[0].name} ended by itself at the end; see {dead[0].errors}")
        time.sleep(0.2)
        # Closed, taken in, learned: in this order, so that nothing slips through between two looks.
        closed = not any(self.home.open_sessions.iterdir())
        taken = closed and not any(self.home.sessions.glob("completed_*.json"))
        return taken and not open_queue(self._store, self._settings).open()
