"""Which adapters a model server has of us, and who uses them.

Knows leases, one question to each adapter before the first, and that servers are restarted; not the server's API, nor
which adapter is wanted. Used from any thread; no asyncio.
"""

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from atles.errors import AtlesError, EndpointError
from atles.serving.api import Api

log = logging.getLogger("atles.serving")

_PROBE = ({"role": "user", "content": "1"},)
_PAUSE, _LONGEST_PAUSE = 5.0, 600.0  # seconds before it is tried again to take adapters back; doubles


class Server(Protocol):
    """A model server that takes adapters. Every call is bounded in time, and raises AtlesError where it fails."""

    @property
    def name(self) -> str:
        """What people call such a server."""
        ...

    @property
    def url(self) -> str:
        """Where it answers chats: OpenAI's API."""
        ...

    @property
    def key(self) -> str: ...

    def model(self, adapter: str) -> str:
        """What it calls an adapter; "" is the base model."""
        ...

    def names(self) -> set[str]:
        """What it can be asked for now."""
        ...

    def has(self, adapter: str) -> bool: ...

    def load(self, adapter: str) -> None:
        """Give it the adapter. Done again it changes nothing."""
        ...

    def drop(self, adapter: str) -> None:
        """Take it back. Done again it changes nothing."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


class Lease:
    """The server, for one adapter, until `release`: as long as it is held, the adapter is not taken back."""

    def __init__(self, loaded: "Loaded", url: str, adapter: str) -> None:
        self._loaded, self._held = loaded, True
        self.url, self.adapter = url, adapter

    def release(self) -> None:
        """Give it back. Done again it changes nothing."""
        if self._held:
            self._held = False
            self._loaded.release(self.adapter)

    def failed(self) -> None:
        """Give it back because there was no answer: whether the adapter is there is asked before the next lease."""
        self._loaded.suspect(self.adapter)
        self.release()

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Loaded:
    """Which adapters the server has of us."""

    def __init__(
        self, server: Server, may_serve: Callable[[str], bool], check_seconds: float, most: int, probe_seconds: float
    ) -> None:
        self._server, self._may_serve = server, may_serve
        self._check_seconds, self._most, self._probe_seconds = check_seconds, most, probe_seconds
        self._api = Api(server.name, server.url, server.key)
        self._lock = threading.Lock()  # guards all below
        self._seen: OrderedDict[str, float] = OrderedDict()  # when it was last known to be there; longest unused first
        self._leases: Counter[str] = Counter()
        self._unwanted: set[str] = set()  # to be taken back when its leases end
        self._taking_back = False
        self._turns: dict[str, threading.Lock] = {}  # held by who loads an adapter, or takes it back
        self._failures: dict[str, tuple[float, AtlesError]] = {}
        self._closed = threading.Event()

    def lease(self, adapter: str) -> Lease:
        """The server with this adapter, given to it now if need be. Raises AtlesError."""
        asked = time.monotonic()
        if adapter and not self._may_serve(adapter):
            self.drop(adapter)
            raise AtlesError(f"the adapter {adapter} may not serve any more; `atles adapters` says why")
        if lease := self.warm(adapter):
            return lease
        with self._turn(adapter):
            if lease := self.warm(adapter):
                return lease
            at, failure = self._failures.get(adapter, (0.0, None))
            if failure and at >= asked:
                raise failure  # it failed while this one waited for it; a hundred that wait shall not try in turn
            began = time.monotonic()
            try:
                self._server.load(adapter)
                self._probe(adapter)
            except AtlesError as error:
                self._failures[adapter] = time.monotonic(), error
                raise
            self._failures.pop(adapter, None)
            log.info("%s answers with %s after %.1f s", self._server.name, adapter, time.monotonic() - began)
            with self._lock:
                self._seen[adapter] = time.monotonic()
                self._unwanted.discard(adapter)
                lease = self._leased(adapter)
        self._make_room()
        return lease

    def warm(self, adapter: str) -> Lease | None:
        """The server with this adapter if it has it already."""
        now = time.monotonic()
        with self._lock:
            if not adapter:
                return self._leased(adapter)  # the base model needs no loading
            seen = self._seen.get(adapter)
            if seen is None:
                return None
            stale = now - seen > self._check_seconds
            if stale:
                self._seen[adapter] = now  # who comes meanwhile need not ask, too
        if stale and not self._still_there(adapter):
            return None
        with self._lock:
            return self._leased(adapter) if adapter in self._seen else None

    def ready(self, adapter: str) -> bool:
        """Whether the server answers with this adapter now, for all that is known."""
        with self._lock:
            return not adapter or adapter in self._seen

    def drop(self, adapter: str) -> None:
        """Take an adapter back, as soon as its leases end. A lease that is asked for later loads it again."""
        with self._lock:
            self._seen.pop(adapter, None)
            self._unwanted.add(adapter)
        self._take_back()

    def suspect(self, adapter: str) -> None:
        with self._lock:
            if adapter in self._seen:
                self._seen[adapter] = float("-inf")

    def release(self, adapter: str) -> None:
        with self._lock:
            self._leases[adapter] -= 1
        self._take_back()

    def close(self) -> None:
        self._closed.set()
        self._api.close()
        self._server.close()

    def _leased(self, adapter: str) -> Lease:
        self._leases[adapter] += 1
        if adapter:
            self._seen.move_to_end(adapter)
        return Lease(self, self._server.url, adapter)

    def _probe(self, adapter: str) -> None:
        """One token, as clients will ask for more: only who answers has loaded it. Raises EndpointError."""
        body = {"model": self._server.model(adapter), "messages": _PROBE, "max_tokens": 1, "stream": False}
        answer = self._api.ask("POST", "/chat/completions", body, self._probe_seconds)
        if answer.status != 200 or not (isinstance(answer.document, dict) and answer.document.get("choices")):
            raise self._api.refused(answer, f"it took {adapter} and does not answer with it")

    def _still_there(self, adapter: str) -> bool:
        try:
            there = self._server.has(adapter)
        except EndpointError as error:
            log.warning("whether %s is still loaded is not known: %s", adapter, error)
            return True  # who asks it next is told that the server does not answer
        if not there:
            log.warning("%s has lost %s, it was restarted perhaps; it is given to it again", self._server.name, adapter)
            with self._lock:
                self._seen.pop(adapter, None)
        return there

    def _turn(self, adapter: str) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(adapter, threading.Lock())

    def _make_room(self) -> None:
        """Take back what nobody used the longest."""
        with self._lock:
            idle = [adapter for adapter in self._seen if not self._leases[adapter]]
            for adapter in idle[: max(len(self._seen) - self._most, 0)]:
                del self._seen[adapter]
                self._unwanted.add(adapter)
        self._take_back()

    def _take_back(self) -> None:
        """In a thread of its own: whoever gives a lease back must not wait for the server."""
        with self._lock:
            if self._taking_back or not self._to_take_back():
                return
            self._taking_back = True
        threading.Thread(target=self._until_taken_back, name="take back adapters", daemon=True).start()

    def _to_take_back(self) -> list[str]:
        return [adapter for adapter in self._unwanted if not self._leases[adapter]]

    def _until_taken_back(self) -> None:
        pause = _PAUSE
        while True:
            with self._lock:
                waiting = self._to_take_back()
                if not waiting or self._closed.is_set():
                    self._taking_back = False
                    return
            done = [self._taken_back(adapter) for adapter in waiting]
            if not all(done):
                self._closed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _taken_back(self, adapter: str) -> bool:
        with self._turn(adapter):
            with self._lock:
                if adapter not in self._unwanted or self._leases[adapter]:
                    return True  # by now it is wanted again
            try:
                self._server.drop(adapter)
            except EndpointError as error:
                log.warning("%s is still on the server and is taken back later: %s", adapter, error)
                return False
            with self._lock:
                self._unwanted.discard(adapter)
        log.info("%s has %s no more", self._server.name, adapter)
        return True
