"""What a route declares, and what its handler gets. From these declarations come the routes and their description."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from atles.gateway.access import Caller
from atles.gateway.api.schema import Schema, whole
from atles.gateway.conversations import Conversations
from atles.layout import Home
from atles.pipeline.memory import MemoryProcessor
from atles.queue import Queue
from atles.settings import Settings
from atles.store import Store

T = TypeVar("T")


class Needs(Enum):
    """Who may use a route."""

    ENTRY = "whoever may use /v1"
    KEY = "a key, or the socket; of other users' things only an admin's"
    ADMIN = "an admin's key, or the socket"


@dataclass(frozen=True)
class Parts:
    """What handlers work with. `wake` says that a lane of the queue has new jobs; `conversations` are for the event
    loop's thread only."""

    home: Home
    settings: Settings
    store: Store
    queue: Queue
    memory: MemoryProcessor
    conversations: Conversations
    wake: Callable[[str], None]
    blocking: Executor

    async def aside(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do what blocks in another thread."""
        return await asyncio.get_running_loop().run_in_executor(self.blocking, work, *arguments)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read. `user` is whose things it may see and change: None is everybody's. `owner` is who asks, by whose
    name a client's own names of sessions are known."""

    caller: Caller
    user: str | None
    owner: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]

    @property
    def admin(self) -> bool:
        return self.caller.admin


@dataclass(frozen=True, slots=True)
class Route:
    """`handler` gets Parts and Asked and returns a document or a response; one that is no coroutine may block.
    `refused` are the statuses beyond those that every route has, each with when."""

    method: str
    path: str
    tag: str
    does: str
    handler: Callable[[Parts, Asked], Any]
    answer: Schema
    needs: Needs = Needs.KEY
    query: Mapping[str, Schema] = field(default_factory=dict)
    required: tuple[str, ...] = ()  # of the query
    of_user: bool = True  # it takes ?user=
    body: Schema | None = None
    body_needed: bool = True
    refused: Mapping[int, str] = field(default_factory=dict)
    media: str = "application/json"

    @property
    def names(self) -> list[str]:
        """The parts of the path that a request fills in."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


PAGE: Mapping[str, Schema] = {
    "limit": whole("How many at most.", least=1, most=1000, default=100),
    "offset": whole("How many to leave out before them.", most=1_000_000_000, default=0),
}
