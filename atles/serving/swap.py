"""One adapter takes the place of another: the new one is loaded and asked before the old one goes.

Knows which adapter is wanted and which one answers, nothing of processes or of other people's servers.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from atles.errors import AtlesError

log = logging.getLogger("atles.serving")


class Lease(Protocol):
    """A server that answers with one adapter until it is given back."""

    @property
    def url(self) -> str: ...
    @property
    def adapter(self) -> str: ...
    def release(self) -> None: ...
    def failed(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Servers(Protocol):
    """Who has adapters: processes of this machine (`llamacpp.py`), or another server (`loaded.py`)."""

    def lease(self, adapter: str) -> Lease:
        """A server with this adapter, brought up now if need be. Raises AtlesError."""
        ...

    def warm(self, adapter: str) -> Lease | None:
        """A server with this adapter if there is one already."""
        ...

    def ready(self, adapter: str) -> bool:
        """Whether a server with this adapter answers now."""
        ...

    def drop(self, adapter: str) -> None:
        """End an adapter's server, as soon as its leases end."""
        ...

    def close(self) -> None: ...


class Swapping:
    """`may_serve` says whether an adapter may still answer: one that saw what was forgotten may not, not even for the
    seconds in which the next is loaded. A start that failed is tried again after `retry_seconds`."""

    def __init__(
        self,
        servers: Servers,
        *,
        may_serve: Callable[[str], bool] = lambda adapter: True,
        retry_seconds: float = 30.0,
    ) -> None:
        self._servers, self._may_serve, self._retry_seconds = servers, may_serve, retry_seconds
        self._lock = threading.Lock()  # guards all below
        self._wanted: str | None = None
        self._now: str | None = None  # what `current` answers with
        self._bringing = False
        self._not_before = 0.0
        self.failure: str | None = None  # why what is wanted does not answer

    def lease(self, adapter: str) -> Lease:
        """A server with just this adapter."""
        return self._servers.lease(adapter)

    def current(self, wanted: str) -> Lease:
        """A server with the adapter that is wanted; while that is being loaded, with the one before.

        The first one is waited for, and so is one whose predecessor is gone or may not serve. Raises AtlesError.
        """
        with self._lock:
            now = self._now
            if wanted != self._wanted:
                self._wanted, self.failure, self._not_before = wanted, None, 0.0
        if now is None or now == wanted:
            return self._wait_for(wanted)
        if not self._may_serve(now):
            self._servers.drop(now)
            return self._wait_for(wanted)
        if self._servers.ready(wanted):
            return self._wait_for(wanted)
        old = self._servers.warm(now)
        if old is None:
            return self._wait_for(wanted)
        self._bring(wanted, now)
        return old

    def follow(self, wanted: str) -> None:
        """Where another adapter answers now, bring up what is wanted, before anybody asks for it. Raises AtlesError."""
        with self._lock:
            now = self._now
        if now is not None and now != wanted and (self._servers.ready(now) or not self._may_serve(now)):
            self.current(wanted).release()

    def close(self) -> None:
        """End all servers."""
        self._servers.close()

    def _wait_for(self, wanted: str) -> Lease:
        try:
            lease = self._servers.lease(wanted)
        except AtlesError as error:
            with self._lock:
                if self._wanted == wanted:
                    self.failure = str(error)
            raise
        self._flip(wanted)
        return lease

    def _flip(self, wanted: str) -> None:
        with self._lock:
            if self._wanted != wanted:
                return  # by now it is another one
            before, self._now, self.failure = self._now, wanted, None
        if before in (None, wanted):
            return
        log.info("%s answers now, instead of %s", wanted or "the base model", before or "the base model")
        if not self._may_serve(before):
            self._servers.drop(before)

    def _bring(self, wanted: str, now: str) -> None:
        """Start what is wanted in the background, unless that is under way or failed a moment ago."""
        with self._lock:
            if self._bringing or time.monotonic() < self._not_before:
                return
            self._bringing = True
        threading.Thread(target=self._brought, args=(wanted, now), name=f"load {wanted}", daemon=True).start()

    def _brought(self, wanted: str, now: str) -> None:
        # Leased, or it might have to make room for the new one, and nobody would answer meanwhile.
        keep, again = self._servers.warm(now), time.monotonic() + self._retry_seconds
        try:
            with self._servers.lease(wanted):
                self._flip(wanted)
                again = 0.0
        except AtlesError as error:
            log.error(
                "%s cannot be served, so %s still answers; it is tried again in %g s: %s",
                wanted or "the base model", now or "the base model", self._retry_seconds, error,
            )  # fmt: skip
            with self._lock:
                if self._wanted == wanted:
                    self.failure = str(error)
            again = time.monotonic() + self._retry_seconds
        finally:
            if keep:
                keep.release()
            with self._lock:
                self._bringing = False
                if self._wanted == wanted:
                    self._not_before = again
