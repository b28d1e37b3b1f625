"""The model servers of this machine: started when somebody asks, one process for each adapter, ended when nobody does.

Knows leases, processes and how many there may be. What a process is stands in `served.py`, which files it gets in
`gguf.py`, and how one adapter takes the place of another in `swap.py`. Used from any thread; no asyncio.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from atles.clock import new_id
from atles.errors import AtlesError, ProgramFailed
from atles.serving.gguf import Files, adapter_gguf, base_gguf
from atles.serving.served import Served

__all__ = ["Files", "Lease", "ModelServers", "base_gguf"]
log = logging.getLogger("atles.serving")


@dataclass(eq=False)
class _Server:
    """A process that answered, and who counts on it."""

    adapter: str
    served: Served
    leases: int = 0
    idle_since: float = field(default_factory=time.monotonic)
    dropped: bool = False  # no lease of it is given any more


class Lease:
    """A server that answers with one adapter, and nothing else, until `release`."""

    def __init__(self, servers: "ModelServers", server: _Server) -> None:
        self._servers, self._server, self._held = servers, server, True
        self.url, self.adapter = server.served.url, server.adapter

    def release(self) -> None:
        """Give it back. Done again it changes nothing."""
        self._servers._release(self)

    def failed(self) -> None:
        """Give it back because the server did not answer: unless it does now, it is ended, and the next lease is of
        another."""
        self._servers._suspect(self._server)
        self.release()

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class ModelServers:
    """`find` says what an adapter is made of ("" is the base model) or raises AtlesError; it is asked before a start.

    `work` is a folder for the processes' files. A server without leases ends after `idle_seconds`, and earlier if
    `most` live and another one is needed; one that is leased never does. `context_tokens` is what one chat can hold,
    `slots` how many are answered at once: memory is taken for all of it. 0 `threads`: from the load found.
    """

    def __init__(
        self,
        find: Callable[[str], Files],
        work: Path,
        *,
        idle_seconds: float = 600,
        most: int = 2,
        threads: int = 0,
        context_tokens: int = 4096,
        slots: int = 4,
        start_seconds: float = 120,
    ) -> None:
        self._find, self._work = find, work
        self._idle_seconds, self._most, self._start_seconds = idle_seconds, most, start_seconds
        self._spec = {"threads": threads, "context_tokens": context_tokens, "slots": slots}
        self._changed = threading.Condition()  # guards all below
        self._servers: dict[str, _Server] = {}
        self._draining: set[_Server] = set()  # dropped, but leased
        self._starting: set[Served] = set()
        self._turns: dict[str, threading.Lock] = {}  # held by who starts an adapter's server
        self._failures: dict[str, tuple[float, AtlesError]] = {}
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    def lease(self, adapter: str) -> Lease:
        """A server with this adapter, started now if none runs. Raises ProgramFailed, or what `find` raises."""
        asked = time.monotonic()
        lease = self.warm(adapter)
        if lease:
            return lease
        with self._changed:
            turn = self._turns.setdefault(adapter, threading.Lock())
        with turn:
            lease = self.warm(adapter)
            if lease:
                return lease
            at, failure = self._failures.get(adapter, (0.0, None))
            if failure and at >= asked:
                raise failure  # it failed while this one waited for it; a hundred that wait shall not try in turn
            try:
                served = self._start(adapter)
            except AtlesError as error:
                self._failures[adapter] = time.monotonic(), error
                raise
            return self._take_in(_Server(adapter, served))

    def warm(self, adapter: str) -> Lease | None:
        """A server with this adapter that runs already, if there is one. Raises ProgramFailed after `close`."""
        with self._changed:
            self._refuse_closed()
            server = self._servers.get(adapter)
            if server is None:
                return None
            if server.served.alive():
                server.leases += 1
                return Lease(self, server)
            del self._servers[adapter]
        log.warning("the model server of %s died; it is started again when it is asked", _named(adapter))
        server.served.stop()
        return None

    def ready(self, adapter: str) -> bool:
        """Whether a server with this adapter answers now."""
        with self._changed:
            server = self._servers.get(adapter)
        return server is not None and server.served.answers()

    def drop(self, adapter: str) -> None:
        """End an adapter's server, as soon as its leases end. A lease that is asked for later starts another."""
        with self._changed:
            server = self._servers.pop(adapter, None)
            if server is None:
                return
            server.dropped = True
            if server.leases:
                self._draining.add(server)
                return
        self._end(server, "it is not wanted any more")

    def close(self) -> None:
        """End all servers, leased or not. There are no leases afterwards."""
        self._closed.set()
        with self._changed:
            ending = {server.served for server in (*self._servers.values(), *self._draining)} | self._starting
            self._servers.clear()
            self._draining.clear()
            self._changed.notify_all()
        for served in ending:
            served.stop()

    def __enter__(self) -> "ModelServers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, adapter: str) -> Served:
        files = self._find(adapter)
        lora = adapter_gguf(files, self._work, self._closed)
        self._make_room()
        spec = {**self._spec, "gguf": str(files.gguf.resolve()), "adapter": str(lora) if lora else None}
        started = time.monotonic()
        self._refuse_closed()
        served = Served({**spec, "name": _named(adapter)}, self._work / f"serve-{_named(adapter)}-{new_id()}")
        with self._changed:
            self._starting.add(served)
        try:
            self._refuse_closed()  # `close` may not have seen it
            served.wait(self._start_seconds)
        except BaseException:
            served.stop()
            self._refuse_closed()
            raise
        finally:
            with self._changed:
                self._starting.discard(served)
        log.info("the model server of %s answers after %.1f s", _named(adapter), time.monotonic() - started)
        return served

    def _take_in(self, server: _Server) -> Lease:
        with self._changed:
            if not self._closed.is_set():
                self._servers[server.adapter] = server
                server.leases = 1
                if self._watcher is None:
                    self._watcher = threading.Thread(target=self._watch, name="idle model servers", daemon=True)
                    self._watcher.start()
                return Lease(self, server)
        server.served.stop()
        raise _closed()

    def _make_room(self) -> None:
        """End what is idle the longest, until there is room for one more or all are leased."""
        while True:
            with self._changed:
                idle = [server for server in self._servers.values() if not server.leases]
                alive = len(self._servers) + len(self._draining) + len(self._starting)
                if alive < self._most or not idle:
                    return
                server = min(idle, key=lambda it: it.idle_since)
                del self._servers[server.adapter]
            self._end(server, "another one needs its place")

    def _watch(self) -> None:
        """End what has been idle for too long; return when nothing runs."""
        while True:
            with self._changed:
                latest = time.monotonic() - self._idle_seconds
                over = [it for it in self._servers.values() if not it.leases and it.idle_since <= latest]
                for server in over:
                    del self._servers[server.adapter]
                if not over:
                    if not self._servers:
                        self._watcher = None
                        return
                    # One that is leased cannot be over before it has been idle from now on.
                    since = [it.idle_since for it in self._servers.values() if not it.leases]
                    self._changed.wait(min(since, default=time.monotonic()) - latest)
            for server in over:
                self._end(server, "nobody asked for it")

    def _release(self, lease: Lease) -> None:
        with self._changed:
            if not lease._held:
                return
            lease._held = False
            server = lease._server
            server.leases -= 1
            server.idle_since = time.monotonic()
            if server.leases or server not in self._draining:
                return
            self._draining.remove(server)
        self._end(server, "it is not wanted any more")

    def _suspect(self, server: _Server) -> None:
        if server.served.answers():
            return
        with self._changed:
            if self._servers.get(server.adapter) is server:
                del self._servers[server.adapter]
            self._draining.discard(server)
        self._end(server, "it does not answer")

    def _end(self, server: _Server, why: str) -> None:
        log.info("the model server of %s ends: %s", _named(server.adapter), why)
        server.served.stop()

    def _refuse_closed(self) -> None:
        if self._closed.is_set():
            raise _closed()


def _closed() -> ProgramFailed:
    return ProgramFailed("serve", "stopped", "the model servers are closed, because the daemon stops")


def _named(adapter: str) -> str:
    return adapter or "base"
