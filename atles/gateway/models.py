"""Which server answers for a model's name. Knows settings and adapters, nothing of requests.

`atles` is the active adapter, `atles:NAME` a given one, `atles:base` the base model. Other names are those of
`[models.NAME]` in the settings, where `*` stands for anything; whatever else is asked of `gateway.upstream`.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from atles.config import environment
from atles.errors import AtlesError, UnknownAdapter
from atles.gateway.refusal import Refusal
from atles.records import AdapterState
from atles.serving.http import is_loopback
from atles.settings import ModelServer, Settings
from atles.store import Store
from atles.store.adapters import BASE

log = logging.getLogger("atles.gateway")

OURS = "atles"


class Lease(Protocol):
    """A model server that answers with one adapter until it is given back."""

    @property
    def url(self) -> str: ...
    @property
    def adapter(self) -> str: ...
    def release(self) -> None: ...
    def failed(self) -> None:
        """Give it back because it did not answer: the next lease is of a server that does."""
        ...


class Adapters(Protocol):
    """Who serves adapters. May block. Raises AtlesError. `key` is what its server wants; "" for none."""

    @property
    def key(self) -> str: ...

    def lease(self, adapter: str) -> Lease:
        """A server with just this adapter; "" is the base model."""
        ...

    def current(self, wanted: str) -> Lease:
        """The same for the active adapter; while it is being loaded, that of the one before it."""
        ...

    def follow(self, wanted: str) -> None:
        """Bring up the active adapter where another one answers now; start nothing where nobody has asked."""
        ...

    def model(self, adapter: str) -> str:
        """What the server calls it; "" for any name."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `model` is what the model is called there, `key` the server's own API key (None: the
    client's is passed on), `adapter` what answers, where it is one of ours. `release` it afterwards, or say that it
    `failed`."""

    url: str
    model: str
    key: str | None
    memory: bool
    adapter: str | None = None
    release: Callable[[], None] = lambda: None
    failed: Callable[[], None] = lambda: None

    @property
    def shown(self) -> str:
        """The server for clients to read: our own one's URL holds the word that keeps others out."""
        at = urlsplit(self.url)
        return at._replace(netloc=at.netloc.rpartition("@")[2]).geturl() if self.adapter is None else "the model server"

    @property
    def proxy(self) -> str | None:
        """The proxy that the environment names for the server; none leads back to this machine."""
        return _proxy(self.url)


class Models:
    """`blocking` runs what may wait: the start of a model server."""

    def __init__(self, settings: Settings, store: Store, adapters: Adapters, blocking: Executor) -> None:
        self._settings, self._store, self._adapters, self._blocking = settings, store, adapters, blocking
        self._servers = [*settings.models.values()]
        if settings.gateway.upstream:
            upstream, key = settings.gateway.upstream, settings.gateway.upstream_key_env
            self._servers.append(ModelServer("*", upstream, api_key_env=key))
        # More of a name is more to the point: "llama*" before "*".
        self._servers.sort(key=lambda server: ("*" in server.name, -len(server.name)))
        self._keys = {
            it.name: environment(it.api_key_env, _names(settings, it)) for it in self._servers if it.api_key_env
        }

    async def resolve(self, name: str) -> Target:
        """Raises Refusal."""
        if is_ours(name):
            return await self._ours(name)
        for server in self._servers:
            if _matches(name, server.name):
                return self._target(server, server.model or name)
        known = ", ".join(sorted({*self.names(), *(server.name for server in self._servers)})[:20])
        raise Refusal(
            404,
            "model_not_found",
            f"no server is set up for the model {name!r}; known are {known}. Add a [models.NAME] with its url to "
            "atles.toml, or set gateway.upstream",
        )

    def elsewhere(self) -> Target:
        """Where requests go that name no model. Raises Refusal."""
        for server in self._servers:
            if server.name == "*" or len(self._servers) == 1:
                return self._target(server, "")
        raise Refusal(404, "no_upstream", "nothing is set up to answer this; set gateway.upstream in atles.toml")

    def _target(self, server: ModelServer, model: str) -> Target:
        return Target(server.url.rstrip("/"), model, self._keys.get(server.name), server.memory)

    async def _ours(self, name: str) -> Target:
        coming = asyncio.get_running_loop().run_in_executor(self._blocking, self._lease, name)
        try:
            lease = await asyncio.shield(coming)
        except asyncio.CancelledError:
            coming.add_done_callback(_give_back)  # the client has hung up while the server starts
            raise
        except AtlesError as error:
            known = name == OURS or name.removeprefix(f"{OURS}:") in self._promoted()
            raise Refusal(
                503 if known else 404, "model_unavailable" if known else "model_not_found", str(error)
            ) from error
        model = self._adapters.model(lease.adapter) or name
        return Target(lease.url, model, self._adapters.key, True, lease.adapter, lease.release, lease.failed)

    def _lease(self, name: str) -> Lease:
        if name == OURS:
            _, active = self._store.adapters.active()
            try:
                return self._may_answer(self._adapters.current(active))
            except UnknownAdapter:  # another one is active by now
                _, active = self._store.adapters.active()
                return self._may_answer(self._adapters.current(active))
        asked = name.removeprefix(f"{OURS}:")
        if asked == "base":
            return self._adapters.lease(BASE)
        adapter = self._store.adapters.get(asked)
        if adapter.state is AdapterState.RETIRED:
            raise UnknownAdapter(f"{asked} is retired: {adapter.reason}")
        return self._may_answer(self._adapters.lease(asked))

    def _may_answer(self, lease: Lease) -> Lease:
        """It may have been retired while it was being loaded. Raises UnknownAdapter."""
        if lease.adapter != BASE and self._store.adapters.get(lease.adapter).state is AdapterState.RETIRED:
            lease.release()
            raise UnknownAdapter(f"{lease.adapter} was retired just now; ask again")
        return lease

    async def instead(self, target: Target, name: str) -> Target:
        """Another server for one of our models, whose server did not answer. Raises Refusal."""
        await asyncio.get_running_loop().run_in_executor(self._blocking, target.failed)
        return await self._ours(name)

    async def follow(self) -> None:
        """Load what was promoted or rolled back to, so that nobody waits for it."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._blocking, self._follow)
        except AtlesError as error:
            log.warning("the active adapter cannot be served: %s", error)

    def _follow(self) -> None:
        _, active = self._store.adapters.active()
        self._adapters.follow(active)

    def _promoted(self) -> list[str]:
        return ["base", *(it.name for it in self._store.adapters.list() if it.state == "promoted")]

    def names(self) -> Iterator[str]:
        """The models that are known without asking anybody."""
        yield OURS
        yield from (f"{OURS}:{name}" for name in self._promoted())
        yield from (server.name for server in self._servers if "*" not in server.name)


def _names(settings: Settings, server: ModelServer) -> str:
    """The setting that names where a server's key is."""
    return f"models.{server.name}.api_key_env" if server.name in settings.models else "gateway.upstream_key_env"


@lru_cache(256)
def _proxy(url: str) -> str | None:
    at = urlsplit(url)
    if not at.hostname or is_loopback(at.hostname) or proxy_bypass(at.hostname):
        return None
    return getproxies().get(at.scheme)


def is_ours(name: object) -> bool:
    """Whether a name is that of one of ATLES's own models."""
    return isinstance(name, str) and (name == OURS or name.startswith(f"{OURS}:"))


def _matches(name: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def _give_back(coming: asyncio.Future[Lease]) -> None:
    if not coming.cancelled() and coming.exception() is None:
        coming.result().release()
