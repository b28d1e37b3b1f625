"""LearningDaemon: starts and stops the parts, and holds the lock that makes it the only one of its home."""

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from atles import log as logs
from atles.capture.abandoned import close_abandoned
from atles.capture.inbox import Inbox
from atles.capture.monitor import Monitor
from atles.clock import new_id
from atles.config import load_settings
from atles.errors import AtlesError, HomeLocked
from atles.insights.status import owner, status
from atles.layout import Home, write_atomic
from atles.pipeline import jobs, journal, release, steps
from atles.pipeline.chosen import open_memory, open_teacher
from atles.pipeline.finetune import ModelFineTuner
from atles.pipeline.progress import ProgressNote
from atles.pipeline.worker import WakeUp, Worker
from atles.queue import Job
from atles.queue.leases import LeaseQueue
from atles.records import canonical_json
from atles.settings import Settings
from atles.store import Store
from atles.upkeep.house import Chore, House

if TYPE_CHECKING:
    from atles.gateway.server import Gateway

log = logging.getLogger("atles.daemon")

_LOCK_SECONDS = 0.5
_STATS_SECONDS = 300.0
_DRAIN_SECONDS = 15.0  # how long `stop` waits for the short steps; a training goes on at the next start


class LearningDaemon:
    """Watches a home and learns from what arrives there.

        daemon = LearningDaemon()
        daemon.start()
        ...
        daemon.stop()

    `on_progress` is called with every progress event of a training or evaluation. `embedded` says that the process is
    somebody's application, which `atles stop` must not end. With `gateway` it also answers OpenAI clients, unless the
    settings say no.
    """

    def __init__(
        self,
        home: Home | Path | str | None = None,
        settings: Settings | None = None,
        *,
        console: bool = False,
        embedded: bool = True,
        gateway: bool = False,
        on_progress: Callable[[Mapping[str, Any]], None] = lambda event: None,
    ) -> None:
        self.home = home if isinstance(home, Home) else Home(home)
        self.settings = settings or load_settings(self.home)
        self.is_running = False
        self._console = console
        self._embedded = embedded
        self._with_gateway = gateway and self.settings.gateway.enabled
        self._gateway: Gateway | None = None
        self._on_progress = on_progress
        self._stop = threading.Event()

    def start(self) -> None:
        """Take the home and begin to work, in threads of this process.

        Raises HomeLocked if another daemon has it; AtlesError or OSError if the home cannot be used.
        """
        if self.is_running:
            return
        self.home.create()
        self._lock = FileLock(self.home.lock, thread_local=False)  # whoever stops it, not only who started it
        try:
            # Whoever asks for the status holds the lock for a moment; a daemon holds it all the time.
            self._lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            other = owner(self.home) or {}
            raise HomeLocked(
                f"a daemon (pid {other.get('pid') or 'unknown'}) works on {self.home.root} already; "
                "see `atles status`, end it with `atles stop`, or choose another --home"
            ) from None
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        settings, home = self.settings, self.home
        logs.configure(home, console=self._console)
        self._stop.clear()
        self._started = time.monotonic()
        write_atomic(home.owner, canonical_json(self._owner()))
        self.store = Store(home.database)
        self.queue = LeaseQueue(
            self.store.database,
            f"{socket.gethostname()}:{os.getpid()}:{new_id()}",
            settings.queue.lease_seconds,
        )
        release.sweep(self.store, home)
        self.memory_processor = open_memory(home, self.store, settings)
        self.model_fine_tuner = ModelFineTuner(home=home, settings=settings)
        # The lock is ours, so whoever held these jobs is dead.
        freed = self.queue.release_others()
        if freed:
            log.info("taking up %d jobs that an earlier daemon left", freed)
        self._progress = ProgressNote(home, self._on_progress)
        self._context = context = jobs.Context(
            home, settings, self.store, self.queue, self.memory_processor, self.model_fine_tuner,
            self._progress, self._stop, self._started, open_teacher(self.store, settings),
        )  # fmt: skip
        self._wake = WakeUp()
        runners = steps.all_steps(context)
        self._workers = [
            Worker(lane, self.queue, self.store, runners, settings.queue, self._stop, self._wake)
            for lane in (jobs.LEARN, jobs.TRAIN)
        ]
        self.inbox = Inbox(
            home, self.store, self.queue, jobs.first_job,
            heldout_every=settings.train.heldout_every, settle_seconds=settings.daemon.settle_seconds,
            scrub=self.memory_processor.prepare, keep_raw=settings.scrub.keep_raw,
        )  # fmt: skip
        self._monitor = Monitor(home.sessions, self._take, settings.daemon.poll_seconds)
        self._house = House(self._chores(), self._stop)
        if self._with_gateway:
            self._gateway = self._open_gateway()
        self.is_running = True
        for worker in self._workers:
            worker.start()
        self._monitor.start()
        self._house.start()
        log.info("daemon started on %s, pid %d", home.root.resolve(), os.getpid())

    def _open_gateway(self) -> "Gateway":
        from atles.gateway.adapters import open_adapters  # loaded where it is used: aiohttp takes megabytes
        from atles.gateway.server import Gateway

        adapters = open_adapters(self.home, self.settings, self.store)
        gateway = Gateway(self.home, self.settings, self.store, self.memory_processor, adapters, self._wake)
        try:
            gateway.start()
        except BaseException:
            self.store.close()
            raise
        write_atomic(self.home.owner, canonical_json(self._owner() | {"gateway": gateway.url}))
        return gateway

    def _owner(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "started_at": time.time(), "embedded": self._embedded}

    def _take(self, path: Path) -> None:
        if self.inbox.take(path):
            self._wake(jobs.LEARN)

    def _chores(self) -> list[Chore]:
        beat = self.settings.queue.lease_seconds / 3
        return [
            Chore("renewing leases", beat, self._renew),
            Chore("settling the database", beat, self.store.database.settle),
            Chore("closing abandoned sessions", beat, self._close_abandoned),
            Chore("fading memories", _STATS_SECONDS, self._fade, leader=True),
            Chore("statistics", _STATS_SECONDS, lambda: journal.publish_stats(self.store, self.home, self.uptime)),
        ]

    def _renew(self) -> None:
        for worker in self._workers:
            if worker.current:
                self.queue.renew(worker.current)

    def _close_abandoned(self) -> None:
        idle_minutes = self.settings.daemon.idle_minutes
        for path in close_abandoned(self.home, idle_minutes * 60):
            log.info("closed %s: its host wrote nothing for %g minutes", path.name, idle_minutes)

    def _fade(self) -> None:
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
        if not self.is_running:
            return
        log.info("daemon stops")
        if self._gateway:
            self._gateway.stop()
        self._monitor.stop()
        deadline = time.monotonic() + _DRAIN_SECONDS
        for path in sorted(self.home.sessions.glob("completed_*.json")):  # what came just before the word to stop
            if time.monotonic() < deadline:
                try:
                    self._take(path)
                except (AtlesError, OSError, sqlite3.Error) as error:
                    log.error("%s stays where it is, for the next start: %s", path.name, error)
        while self.queue.next_due(jobs.LEARN) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        self._stop.set()
        for worker in self._workers:
            self._wake(worker.lane)
        for worker in self._workers:
            if not worker.join(_DRAIN_SECONDS):
                log.warning("lane %s did not end in time; its job is taken up at the next start", worker.lane)
        self._house.join(_DRAIN_SECONDS)
        self._progress.clear()
        try:
            journal.publish(self.store, self.home, self.uptime)
        except OSError as error:
            log.error("cannot write the logs now, they follow at the next start: %s", error)
        self.is_running = False
        self.store.close()
        self.home.owner.unlink(missing_ok=True)
        log.info("daemon stopped")
        logs.close()
        self._lock.release()

    def drain(self) -> list[Job]:
        """Work until nothing is left to do, training at once; the dead-letter list."""
        self._context.at_once = True
        while self._busy():
            time.sleep(0.05)
        return list(self.queue.dead())

    def _busy(self) -> bool:
        return bool(self.queue.open()) or self.inbox.waiting()

    def get_status(self) -> dict[str, Any]:
        """The daemon, its queue, the active adapter and the original's statistics."""
        if self.is_running:
            return status(self.home, self.store, self.queue)
        return home_status(self.home)


def home_status(home: Home) -> dict[str, Any]:
    """The status of a home's daemon, wherever it runs. Raises AtlesError if nothing was ever stored there."""
    if not home.database.exists():
        raise AtlesError(f"{home.root} holds no ATLES data; choose another --home, or begin with `atles start`")
    store = Store(home.database)
    try:
        return status(home, store, LeaseQueue(store.database, "status"))
    finally:
        store.close()


# --- The original's functions: one daemon in this process ---

_daemon: LearningDaemon | None = None
_guard = threading.Lock()


def get_daemon(home: Home | Path | str | None = None) -> LearningDaemon:
    """This process's daemon, made at the first call; it is not started."""
    global _daemon
    with _guard:
        if _daemon is None:
            _daemon = LearningDaemon(home)
        return _daemon


def start_daemon(home: Home | Path | str | None = None) -> LearningDaemon:
    """Start this process's daemon. `atles start` gives you one that outlives the process."""
    daemon = get_daemon(home)
    daemon.start()
    return daemon


def stop_daemon() -> None:
    """Stop this process's daemon, if it runs."""
    global _daemon
    with _guard:
        daemon, _daemon = _daemon, None
    if daemon:
        daemon.stop()


def get_daemon_status(home: Home | Path | str | None = None) -> dict[str, Any]:
    """The status of the home's daemon, in this process or another."""
    if _daemon and home is None:
        return _daemon.get_status()
    return home_status(home if isinstance(home, Home) else Home(home))
