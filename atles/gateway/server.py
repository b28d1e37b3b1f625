"""Gateway: starts and ends the HTTP server, in a thread with an event loop of its own; and its routes."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from atles.capture import outbox
from atles.capture.open_session import OpenSession
from atles.capture.outbox import Finished
from atles.errors import AtlesError
from atles.gateway import refusal
from atles.gateway.access import Access
from atles.gateway.api.app import Api
from atles.gateway.api.route import Parts
from atles.gateway.conversations import Conversation, Conversations
from atles.gateway.cors import Cors
from atles.gateway.metrics import Metrics
from atles.gateway.models import Adapters, Models
from atles.gateway.proxy import Proxy
from atles.gateway.refusal import Refusal
from atles.layout import Home
from atles.pipeline.lanes import open_queue
from atles.pipeline.memory import MemoryProcessor
from atles.pipeline.room import Room
from atles.settings import Settings
from atles.store import Store

log = logging.getLogger("atles.gateway")

_LONGEST_SOCKET = 100  # bytes of a socket's path; systems allow 104 to 108
_ANSWER_SECONDS = 10.0  # in which an event loop that turns comes to a new task
_DRAIN_SECONDS = 10.0  # for the answers in progress, at the end
_HEADER_BYTES = 32_768
_LOOK_SECONDS = 2.0


class Gateway:
    """OpenAI's API on `settings.gateway.host`, and the API of ATLES; on a socket in the home's folder, too.

    `wake` is told which lane of the queue has new jobs; without it, workers find them when they look.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        store: Store,
        memory: MemoryProcessor,
        adapters: Adapters,
        wake: Callable[[str], None] = lambda lane: None,
    ) -> None:
        self._home, self._settings, self._store = home, settings, store
        self._memory, self._adapters = memory, adapters
        self._recalling = ThreadPoolExecutor(2, "atles-recall")
        self._slow = ThreadPoolExecutor(4, "atles-gateway")
        # One that waits for a cold adapter must not keep those waiting whose adapter is there.
        self._leasing = ThreadPoolExecutor(settings.gateway.max_concurrent + 2, "atles-lease")
        self._aside = ThreadPoolExecutor(4, "atles-api")
        self._metrics = Metrics()
        self._access = Access(settings.gateway, store.keys)
        self._cors = Cors(self._access)
        self.conversations = Conversations(home, store.sessions, self._hand_over, settings.gateway.learn_every)
        self._models = Models(settings, store, adapters, self._leasing)
        self._proxy = Proxy(
            settings.gateway, self._models, self.conversations, self._before, self._learn, self._metrics
        )
        queue = open_queue(store, settings)  # to put jobs; it claims none
        self._api = Api(
            Parts(home, settings, store, queue, memory, self.conversations, wake, self._aside), self._access
        )
        self._at_once = 0
        self._ready = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._keeping_up: asyncio.Task[None] | None = None
        self.url = ""

    # --- beginning and end, from any thread ---

    def start(self) -> None:
        """Listen. Raises AtlesError where the address cannot be used."""
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="atles-gateway", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), loop).result()
        except BaseException:
            self.stop()
            raise
        log.info("the gateway answers at %s/v1", self.url)

    def stop(self) -> None:
        """Answer what was asked, for a while, then end."""
        loop = self._loop
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
        self._loop = None
        self._adapters.close()  # first: it ends what the threads wait for
        self._recalling.shutdown()
        self._leasing.shutdown()
        self._slow.shutdown()
        self._aside.shutdown()

    def alive(self) -> bool:
        """Whether its event loop turns. Waits for it, for a few seconds."""
        loop = self._loop
        if loop is None or not self._ready:
            return True  # it was told to end
        turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop)
        try:
            turn.result(_ANSWER_SECONDS)
        except TimeoutError:
            turn.cancel()
            return not self._ready  # it was told to end meanwhile
        return True

    async def _open(self) -> None:
        taken_up = self.conversations.take_up_all()
        if taken_up:
            log.info("%d conversations go on where an earlier gateway left them", taken_up)
        await self._proxy.open()
        app = web.Application(client_max_size=int(self._settings.gateway.max_body_mb * (1 << 20)))
        app.add_routes(self._routes())
        app.on_response_prepare.append(self._cors.on_prepare)
        # A client that hangs up ends its request here, and with it the one to the model server.
        runner = self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=_DRAIN_SECONDS,
            max_line_size=_HEADER_BYTES, max_field_size=_HEADER_BYTES,
        )  # fmt: skip
        await runner.setup()
        host, port = self._settings.gateway.host, self._settings.gateway.port
        site = web.TCPSite(runner, host, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise AtlesError(
                f"the gateway cannot listen on {host}:{port} ({error.strerror}); set gateway.port to another, or "
                "gateway.enabled = false"
            ) from error
        address = runner.addresses[0]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.url = f"http://{shown}:{address[1]}"
        await self._open_socket(runner)
        self._keeping_up = asyncio.create_task(self._keep_up())
        self._ready = True

    async def _open_socket(self, runner: web.AppRunner) -> None:
        path = self._home.socket.absolute()
        if not hasattr(os, "getuid") or len(os.fsencode(path)) > _LONGEST_SOCKET:
            log.warning("%s is too long for a socket: commands that need it want a key instead", path)
            return
        path.unlink(missing_ok=True)  # of a daemon that was killed; the home's lock says that it is gone
        await web.UnixSite(runner, str(path)).start()
        Path(path).chmod(0o600)

    async def _keep_up(self) -> None:
        """Write what could not be written, and load what was promoted meanwhile."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                self.conversations.settle()
                if not self._store.database.damage:
                    await self._models.follow()
            except Exception:  # or nobody would do it any more
                log.exception("what is due every %g s failed; it is tried again", _LOOK_SECONDS)

    async def _close(self) -> None:
        self._ready = False
        if self._keeping_up:
            self._keeping_up.cancel()
        if self._runner:
            await self._runner.cleanup()
        if not self.conversations.settle():
            log.error("what was said last could not be written to %s and is lost", self._home.open_sessions)
        await self._proxy.close()
        self._home.socket.unlink(missing_ok=True)

    # --- requests ---

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.options("/v1/{rest:.*}", self._cors.preflight),
            web.options("/api/{rest:.*}", self._cors.preflight),
            web.get("/healthz", self._health),
            web.get("/readyz", self._readiness),
            web.get("/metrics", self._show_metrics),
            web.get("/v1/models", self._list_models),
            web.route("*", "/v1/{rest:.*}", self._forward),
            *self._api.routes(),
            web.route("*", "/{rest:.*}", self._nothing),
        ]

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        if self._at_once >= self._settings.gateway.max_concurrent:
            self._metrics.failed("overloaded")
            busy = Refusal(503, "overloaded", "too many requests at once; try again", {"Retry-After": "1"})
            return refusal.response(busy, request.path)
        self._at_once += 1
        self._metrics.at_once(1)
        try:
            return await self._proxy.handle(request, self._access.admit(request))
        except Refusal as refused:
            self._metrics.failed(refused.code)
            return refusal.response(refused, request.path)
        except Exception:  # what nobody foresaw must reach the client in a shape that it understands
            log.exception("%s %s failed", request.method, request.path)
            self._metrics.failed("internal_error")
            broken = Refusal(500, "internal_error", "the gateway failed; its log says why (`atles logs`)")
            return refusal.response(broken, request.path)
        finally:
            self._at_once -= 1
            self._metrics.at_once(-1)

    async def _list_models(self, request: web.Request) -> web.StreamResponse:
        try:
            self._access.admit(request)
        except Refusal as refused:
            return refusal.response(refused, request.path)
        names = list(dict.fromkeys([*self._models.names(), *await self._proxy.others()]))
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "atles"} for name in names]
        return web.json_response({"object": "list", "data": models})

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readiness(self, request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        room = await loop.run_in_executor(self._aside, Room(self._home, self._settings.disk).seen)
        damaged = bool(self._store.database.damage)
        says = {
            "status": "stopping" if not self._ready else "not ready" if damaged else "ready",
            "disk": room["state"],
            "database": "damaged" if damaged else "ok",  # where it lies is not for everybody
        }
        return web.json_response(says, status=200 if says["status"] == "ready" else 503)

    async def _show_metrics(self, request: web.Request) -> web.StreamResponse:
        try:
            self._access.admit(request)
        except Refusal as refused:
            return refusal.response(refused, request.path)
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        nothing = Refusal(404, "not_found", f"there is nothing at {request.path}; the OpenAI API is below /v1")
        return refusal.response(nothing, request.path)

    # --- what blocks ---

    async def _before(self, question: str, user: str) -> list[dict[str, str]]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._recalling, self._memory.before, question, user)

    def _learn(self, conversation: Conversation) -> None:
        """Hand a conversation over that goes on: its session grows later."""
        finished = conversation.session.finished()
        self._slow.submit(outbox.deliver, Finished(finished.home, finished.session_id, finished.text, None))

    def _hand_over(self, session: OpenSession) -> None:
        self._slow.submit(outbox.deliver, session.finished())
