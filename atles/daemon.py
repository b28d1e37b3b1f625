"""LearningDaemon: starts and stops the parts, and holds the lock that makes it the only one of its home."""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from atles import log as logs
from atles.capture.abandoned import Quiet, close_abandoned
from atles.capture.inbox import Inbox
from atles.capture.monitor import Monitor
from atles.config import load_settings
from atles.errors import AtlesError, Damaged, HomeLocked
from atles.insights.status import owner, status
from atles.layout import Home, write_atomic
from atles.pipeline import jobs, journal, lanes
from atles.pipeline.crew import Crew
from atles.pipeline.progress import ProgressNote
from atles.queue import Job
from atles.records import canonical_json
from atles.settings import Settings, listed
from atles.store import existing_store, open_store
from atles.upkeep.check_files import database
from atles.upkeep.clocks import Clocks, last_seen, passed, set_meanwhile
from atles.upkeep.disk import DiskWatch
from atles.upkeep.errands import errands
from atles.upkeep.finding import OK
from atles.upkeep.house import Chore, House
from atles.upkeep.notify import Supervisor
from atles.upkeep.pulse import Part, Pulse
from atles.upkeep.retention import pruning

if TYPE_CHECKING:
    from atles.gateway.server import Gateway

log = logging.getLogger("atles.daemon")

_LOCK_SECONDS = 0.5
_STATS_SECONDS = 300.0
_DRAIN_SECONDS = 15.0  # how long `stop` waits for the short steps; a training goes on at the next start
# More than `stop` takes: 10 s for the gateway's answers, then 15 s each for what came last, two lanes, the house, the
# errands and the logs. The rest is for what cannot be cut short: a model server that ends, a large file that is read.
STOP_SECONDS = 8 * _DRAIN_SECONDS


class LearningDaemon:
    """Watches a home and learns from what arrives there.

        daemon = LearningDaemon()
        daemon.start()
        ...
        daemon.stop()

    `on_progress` is called with every progress event of a training or evaluation. `embedded` says that the process is
    somebody's application, which `atles stop` must not end. With `gateway` it also answers OpenAI clients, unless the
    settings say no. `supervisor` hears that the daemon works, as often as it wants to.
    """

    def __init__(
        self,
        home: Home | Path | str | None = None,
        settings: Settings | None = None,
        *,
        console: bool = False,
        embedded: bool = True,
        gateway: bool = False,
        supervisor: Supervisor | None = None,
        on_progress: Callable[[Mapping[str, Any]], None] = lambda event: None,
    ) -> None:
        self.home = home if isinstance(home, Home) else Home(home)
        self.settings = settings or load_settings(self.home)
        self.is_running = False
        self._console = console
        self._embedded = embedded
        self._with_gateway = gateway and self.settings.gateway.enabled
        self._gateway: Gateway | None = None
        self._supervisor = supervisor or Supervisor({})
        self._on_progress = on_progress
        self._stop = threading.Event()

    def start(self) -> None:
        """Take the home and begin to work, in threads of this process.

        Raises HomeLocked if another daemon has it; AtlesError or OSError if the home cannot be used.
        """
        if self.is_running:
            return
        self.home.create()
        # thread_local: whoever stops it gives it back, not only who started it.
        self._lock = FileLock(self.home.lock, mode=0o600, thread_local=False)
        try:
            # Whoever asks for the status holds the lock for a moment; a daemon holds it all the time.
            self._lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            other = owner(self.home) or {}
            raise HomeLocked(
                f"a daemon (pid {other.get('pid') or 'unknown'}) works on {self.home.root} already; "
                "see `atles status`, end it with `atles stop`, or choose another --home"
            ) from None
        with ExitStack() as undo:
            undo.callback(self._lock.release)
            self._open(undo)
            undo.pop_all()
        atexit.register(self._at_exit, os.getpid())

    def _open(self, undo: ExitStack) -> None:
        """Make the parts and start them. `undo` is told what to give back if one of them cannot be made."""
        settings, home = self.settings, self.home
        seen = last_seen(home)  # before anything is written
        undo.callback(logs.close)
        logs.configure(home, settings.log, console=self._console)
        self._stop.clear()
        self._started, self._started_passed = time.monotonic(), passed()
        self._gateway, self._damage = None, ""  # of an earlier start
        undo.callback(self._disown)
        self._tell_owner()
        if not settings.store.url and (lost := database(home)).state != OK:
            log.error("%s: %s", lost.detail, lost.fix)
        self.store = open_store(home, settings)
        undo.callback(self.store.close)
        self._progress = ProgressNote(home, self._on_progress)
        self._crew = Crew(
            home, settings, self.store, on_progress=self._progress,
            does=listed(settings.daemon.steps), labels=listed(settings.daemon.labels),
        )  # fmt: skip
        self.queue, self._wake = self._crew.queue, self._crew.wake
        self.memory_processor, self.model_fine_tuner = self._crew.memory, self._crew.tuner
        # The lock is ours, so whoever held these jobs is dead.
        freed = self.queue.release_others()
        if freed:
            log.info("taking up %d jobs that an earlier daemon left", freed)
        set_meanwhile(seen, self.queue.clock_was_set)
        self._clocks = Clocks(self._clock_was_set)
        self._quiet = Quiet()
        self.inbox = Inbox(
            home, self.store, self.queue, jobs.first_job,
            heldout_every=settings.train.heldout_every, settle_seconds=settings.daemon.settle_seconds,
            scrub=self.memory_processor.prepare, keep_raw=settings.scrub.keep_raw,
        )  # fmt: skip
        self._monitor = Monitor(home.sessions, self._take, settings.daemon.poll_seconds)
        self._house = House(self._chores(), self._stop, self.store.database.leads)
        self._errands = errands(self.store, self._crew.context.shelf, self.model_fine_tuner, self._stop)
        if self._with_gateway:
            self._gateway = self._open_gateway()
            undo.callback(self._gateway.stop)
            self._tell_owner()
        undo.callback(self._monitor.stop)
        self._monitor.start()
        self._crew.start()
        self._errands.start()
        self._house.start()  # last: it looks after the others
        self.is_running = True
        log.info("daemon started on %s, pid %d", home.root.resolve(), os.getpid())

    def _open_gateway(self) -> "Gateway":
        from atles.gateway.adapters import open_adapters  # loaded where it is used: aiohttp takes megabytes
        from atles.gateway.server import Gateway

        adapters = open_adapters(self.home, self.settings, self.store)
        gateway = Gateway(self.home, self.settings, self.store, self.memory_processor, adapters, self._wake)
        gateway.start()
        return gateway

    def _tell_owner(self) -> None:
        started = time.time() - (passed() - self._started_passed)  # by the clock as it is now
        told = {"pid": os.getpid(), "started_at": started, "embedded": self._embedded}
        if self._damage:
            told["damage"] = self._damage
        if self._gateway:
            told["gateway"] = self._gateway.url
        self._told = canonical_json(told)
        write_atomic(self.home.owner, self._told)

    def _tell_again(self) -> None:
        """Without that file, or with another, `atles stop` does not find this process. How the database is damaged only
        who uses it knows, so that it is said there, too."""
        if self._damage != self.store.database.damage:
            self._damage = self.store.database.damage
            self._tell_owner()
        with suppress(OSError, ValueError):
            if self.home.owner.read_text("utf-8") == self._told:
                return
        write_atomic(self.home.owner, self._told)

    def _disown(self) -> None:
        with suppress(OSError):  # a home that is read-only by now keeps it; the lock says who owns it
            self.home.owner.unlink(missing_ok=True)

    def _take(self, path: Path) -> None:
        if self._crew.context.no_learning():
            return  # it stays where it is: taking it in would need room for it once more
        if self.inbox.take(path):
            self._wake(lanes.LEARN)

    def _chores(self) -> list[Chore]:
        beat = self.settings.queue.lease_seconds / 3
        pulse = Pulse(self._parts(), self._ask_the_store, self._stop, self._supervisor)
        return [
            Chore("looking after the parts", pulse.seconds or beat, pulse.look),
            Chore("looking at the clock", beat, self._clocks.look),
            Chore("saying who works here", beat, self._tell_again),
            Chore("looking at the disk", beat, DiskWatch(self._crew.context.room).look),
            Chore("renewing leases", beat, self._crew.renew),
            Chore("settling the database", beat, self.store.database.settle),
            Chore("closing abandoned sessions", beat, self._close_abandoned),
            Chore("fading memories", _STATS_SECONDS, self._fade, leader=True),
            pruning(self.home, self.store, self.settings.retention, self._clocks),
        ]

    def _ask_the_store(self) -> None:
        if self.store.database.damage:
            raise Damaged(self.store.database.damage)
        self.queue.next_due(lanes.LEARN)

    def _parts(self) -> list[Part]:
        """What must not end by itself."""
        return [
            *(Part(f"lane {it.lane}", lambda worker=it: not worker.join(0)) for it in self._crew.workers),
            Part("the monitor", self._monitor.alive),
            Part("the errands", lambda: not self._errands.join(0)),
            Part("the gateway", lambda: self._gateway is None or self._gateway.alive()),
        ]

    def _close_abandoned(self) -> None:
        idle_minutes = self.settings.daemon.idle_minutes
        for path in close_abandoned(self.home, idle_minutes * 60, quiet=self._quiet):
            log.info("closed %s: its host wrote nothing for %g minutes", path.name, idle_minutes)

    def _clock_was_set(self, by: float, before: float) -> None:
        if moved := self.queue.clock_was_set(by, before):
            log.info("%d waiting jobs are due when they were meant to be", moved)
        self._tell_owner()

    def _fade(self) -> None:
        if not self._clocks.trusted():
            return
        if faded := self.memory_processor.fade():
            log.info("%d memories faded", faded)

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers; "" where there is none."""
        return self._gateway.url if self._gateway else ""

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def stop(self) -> None:
        """Finish the short steps, interrupt a training at its checkpoint, and give the home back."""
        self._end(_DRAIN_SECONDS)

    def _at_exit(self, pid: int) -> None:
        """The program around this daemon ends: the steps at hand are finished, and the next daemon does the others.

        A thread that is still at work when the interpreter ends can abort the whole process.
        """
        if os.getpid() == pid:  # not in a child that was forked
            self._end(0.0)

    def _end(self, drain_seconds: float) -> None:
        if not self.is_running:
            return
        atexit.unregister(self._at_exit)
        log.info("daemon stops")
        if self._gateway:
            _tried(self._gateway.stop, "the gateway did not end in order")
        self._monitor.stop()
        self._finish(time.monotonic() + drain_seconds)
        self._stop.set()
        ended = [self._crew.stop(_DRAIN_SECONDS), self._house.join(_DRAIN_SECONDS), self._errands.join(_DRAIN_SECONDS)]
        _tried(self._progress.clear, "what the training said last stays")
        deadline = time.monotonic() + drain_seconds
        _tried(lambda: self._publish(deadline), "cannot write the logs now, they follow at the next start")
        if all(ended):  # a connection that is closed under a thread's feet takes the process with it
            self.store.close()
        self.is_running = False
        self._disown()
        log.info("daemon stopped")
        logs.close()
        self._lock.release()

    def _finish(self, deadline: float) -> None:
        """Take in what came just before the word to stop, and have what is due learned; the lanes still work."""
        for path in sorted(self.home.sessions.glob("completed_*.json")):
            if time.monotonic() < deadline:
                _tried(lambda path=path: self._take(path), f"{path.name} stays where it is, for the next start")
        _tried(lambda: self._let_learn(deadline), "what is left is learned after the next start")

    def _let_learn(self, deadline: float) -> None:
        while self.queue.next_due(lanes.LEARN) is not None and time.monotonic() < deadline:
            if self._crew.context.no_learning():
                return
            time.sleep(0.05)

    def _publish(self, deadline: float) -> None:
        journal.publish(self.store, self.home, self.uptime, enough=lambda: time.monotonic() > deadline)

    def drain(self) -> list[Job]:
        """Work until nothing is left that this daemon does, training at once; the dead-letter list.

        Raises AtlesError where the disk has no room for what is left, or the database is damaged.
        """
        self._crew.context.at_once = True
        while self._busy():
            if damage := self.store.database.damage:
                raise Damaged(f"not everything could be learned: {damage}")
            if full := self._crew.context.room.stuck(self.queue.open()):
                raise AtlesError(f"not everything could be learned: {full}; make room, then go on with `atles drain`")
            time.sleep(0.05)
        return list(self.queue.dead())

    def _busy(self) -> bool:
        # Files first: one that is taken between the two looks has a job by then.
        return self.inbox.waiting() or any(job.kind in self._crew.does for job in self.queue.open())

    def get_status(self) -> dict[str, Any]:
        """The daemon, its queue, the active adapter and the original's statistics."""
        if self.is_running:
            return status(self.home, self.store, self.queue, self.settings)
        return home_status(self.home)


def _tried(do: Callable[[], object], otherwise: str) -> None:
    """Do something that may fail for a reason outside, and what comes after it all the same."""
    try:
        do()
    except (AtlesError, OSError) as error:
        log.error("%s: %s", otherwise, error)


def home_status(home: Home) -> dict[str, Any]:
    """The status of a home's daemon, wherever it runs. Raises AtlesError if nothing was ever stored there."""
    settings = load_settings(home)
    store = existing_store(home, settings)
    try:
        return status(home, store, lanes.open_queue(store, settings), settings)
    finally:
        store.close()
