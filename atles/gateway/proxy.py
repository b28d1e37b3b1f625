"""One request on its way to a model server and back: forwarded as it comes, recorded before it ends.

Knows HTTP. An answer is in its conversation's journal before the client has seen its end, so whatever a client took for
finished survives a kill.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from atles.errors import AtlesError
from atles.gateway import bodies, headers, memory, refusal, said
from atles.gateway.access import Caller
from atles.gateway.conversation import Conversation
from atles.gateway.conversations import Conversations, Place
from atles.gateway.metrics import Metrics
from atles.gateway.models import Models, Target, is_ours
from atles.gateway.refusal import Refusal
from atles.gateway.streamed import Overheard
from atles.settings import GatewaySettings

log = logging.getLogger("atles.gateway")

CONVERSATIONS = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/messages"})
_ANSWERED = CONVERSATIONS | {"/v1/completions", "/v1/embeddings"}  # by our own models
# vLLM's, with which whoever asks puts another adapter in the place of one of ours.
_MANAGE = frozenset({"/v1/load_lora_adapter", "/v1/unload_lora_adapter"})
_LIST_SECONDS = 3.0
_KEEP_SECONDS = 4.0  # an idle connection; servers close theirs after five, and should not do it while we send
_AT_ONCE_SECONDS = 1.0  # within which a server that just then closed a connection says so


@dataclass(slots=True)
class Exchange:
    """One request of a conversation, until it is answered and recorded."""

    path: str
    place: Place
    recorded: bool = False


class Proxy:
    """`learn` is given conversations that it is time to learn from, `before` puts memory before a question."""

    def __init__(
        self,
        settings: GatewaySettings,
        models: Models,
        conversations: Conversations,
        before: Callable[[str, str], Awaitable[list[dict[str, str]]]],
        learn: Callable[[Conversation], None],
        metrics: Metrics,
    ) -> None:
        self._settings, self._models, self._conversations = settings, models, conversations
        self._before, self._learn, self._metrics = before, learn, metrics
        self._client: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self._settings.timeout_seconds)
        # No trust_env: it would put what ~/.netrc says of a host in the place of the client's key.
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_SECONDS), timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 18,
            skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
        )  # fmt: skip

    async def close(self) -> None:
        if self._client:
            await self._client.close()

    async def handle(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Answer a request below /v1. Raises Refusal."""
        began, path = time.monotonic(), request.path
        if any(part in (".", "..") for part in path.split("/")):
            raise Refusal(404, "not_found", f"{path} leads out of /v1")  # to what else the model server can do
        if re.sub("/+", "/", path).rstrip("/") in _MANAGE and not caller.admin:
            raise Refusal(403, "not_admin", "this changes the model server; it takes an admin's key")
        body, document = await bodies.read(request, self._settings.max_body_mb)
        conversing = path in CONVERSATIONS and request.method == "POST"
        if conversing and body and document is None and "json" not in request.content_type:
            raise Refusal(415, "wrong_content_type", f"send application/json, not {request.content_type}")
        if conversing and document is None:
            raise Refusal(400, "invalid_json", "the body must be a JSON object with the keys model and messages")
        name = document.get("model") if document else None
        if conversing and not (isinstance(name, str) and name):
            raise Refusal(400, "no_model", 'the body must name a model: "atles", or one of GET /v1/models')
        if is_ours(name) and (request.method != "POST" or path not in _ANSWERED):
            raise Refusal(404, "not_found", f"ATLES's own models do not answer {request.method} {path}")
        if is_ours(name) and document and "lora" in document:
            raise Refusal(400, "no_lora", "which adapter answers is said by the model's name, not by lora")
        target = await self._models.resolve(name) if isinstance(name, str) else self._models.elsewhere()
        exchange: Exchange | None = None
        try:
            if conversing and document:
                exchange = self._exchange(request, caller, document)
                body = await self._body(request, caller, body, document, target, remember=exchange is not None)
            elif document:
                body = bodies.renamed(body, document, target)
            try:
                response = await self._forward(request, caller, body, target, exchange)
            except Refusal as refused:
                # Nothing was sent to the client yet, and what our own server was doing when it died harms nobody.
                if target.adapter is None or refused.code not in ("upstream_unreachable", "upstream_failed"):
                    raise
                target = await self._models.instead(target, str(name))
                response = await self._forward(request, caller, body, target, exchange)
        finally:
            target.release()
            if exchange:
                self._conversations.leave(exchange.place)
        self._metrics.answered(path, response.status, time.monotonic() - began, target.adapter)
        return response

    async def others(self) -> list[str]:
        """The models that the server for everything else has; none if it does not say."""
        assert self._client is not None
        try:
            target = self._models.elsewhere()
            key = {"Authorization": f"Bearer {target.key}"} if target.key else {}
            timeout = aiohttp.ClientTimeout(total=_LIST_SECONDS)
            async with self._client.get(
                f"{target.url}/models", headers=key, timeout=timeout, proxy=target.proxy
            ) as answer:
                document = await answer.json(content_type=None)
            return [it["id"] for it in document["data"] if isinstance(it["id"], str)]
        except (Refusal, aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
            log.info("the models of the upstream server are not known: %s", _words(error))
            return []

    def _exchange(self, request: web.Request, caller: Caller, document: Mapping[str, Any]) -> Exchange | None:
        """What is to be recorded; None for what an interface asks for itself, and for what nobody can read."""
        name, path = headers.session_name(request, document), request.path
        read = said.request(path, document)
        if read is None or said.is_task(read):
            return None
        user, after = caller.user_of(request, document), document.get("previous_response_id")
        after = after if isinstance(after, str) else ""
        return Exchange(path, self._conversations.find(read, user, caller.client, name, after))

    async def _body(
        self, request: web.Request, caller: Caller, body: bytes, document: dict[str, Any], target: Target,
        *, remember: bool,
    ) -> bytes:  # fmt: skip
        """What is sent on: the client's own bytes, unless something is to be changed in them."""
        wanted = remember and self._settings.memory and target.memory and headers.wants_memory(request)
        if wanted and (asked := memory.question(request.path, document)):
            try:
                before = await self._before(asked, caller.user_of(request, document))
            except AtlesError as error:
                # A chat goes on without memory; that something is wrong with it, the log says.
                log.error("nothing is put before a question: %s", error)
                self._metrics.failed("memory_failed")
            else:
                if changed := memory.remembering(request.path, document, asked, before):
                    return bodies.renamed(None, changed, target)
        return bodies.renamed(body, document, target)

    async def _forward(
        self, request: web.Request, caller: Caller, body: bytes, target: Target, exchange: Exchange | None
    ) -> web.StreamResponse:
        try:
            async with await self._ask(request, caller, body, target) as upstream:
                session = exchange.place.conversation.id if exchange else ""
                down = headers.downwards(upstream, headers.about(target, session))
                if upstream.content_type != "text/event-stream" and request.path in CONVERSATIONS:
                    return self._plain(upstream, await upstream.read(), down, exchange)
                return await self._stream(request, upstream, down, exchange)
        except TimeoutError as error:
            silent = f"{target.shown} was silent for {self._settings.timeout_seconds:g} s"
            raise Refusal(504, "upstream_timeout", f"{silent}; raise gateway.timeout_seconds") from error
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or str(error.os_error) or type(error).__name__
            raise Refusal(
                502, "upstream_unreachable", f"no server answers at {target.shown} ({reason}); start it"
            ) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise Refusal(502, "upstream_failed", f"{target.shown} broke off: {_words(error)}") from error

    async def _ask(self, request: web.Request, caller: Caller, body: bytes, target: Target) -> aiohttp.ClientResponse:
        assert self._client is not None  # open() comes before any request
        # Not raw_path: that is a whole URL where a client sends one (RFC 9112, 3.2.2).
        url, began = target.url + request.rel_url.raw_path_qs.removeprefix("/v1"), time.monotonic()
        given: dict[str, Any] = {
            "data": body or None, "headers": headers.upwards(request, target, caller), "allow_redirects": False,
            "proxy": target.proxy,
        }  # fmt: skip
        try:
            return await self._client.request(request.method, url, **given)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            at_once = time.monotonic() - began < _AT_ONCE_SECONDS and not isinstance(
                error, aiohttp.ClientConnectorError
            )
            if not at_once or request.path not in CONVERSATIONS:
                raise
            # It closed a connection that had been idle just when this was sent. To ask a model again does no harm.
            return await self._client.request(request.method, url, **given)

    def _plain(
        self, upstream: aiohttp.ClientResponse, body: bytes, down: CIMultiDict[str], exchange: Exchange | None
    ) -> web.Response:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            status = upstream.status if upstream.status >= 400 else 502
            what = body[:200].decode("utf-8", "replace").strip() or "an empty body"
            kept = {name: down[name] for name in ("Retry-After",) if name in down}
            raise Refusal(status, "upstream_failed", f"the model server answered {upstream.status} with {what!r}", kept)
        if exchange and upstream.status == 200:
            self._record(exchange, said.answer(exchange.path, document))
        return web.Response(body=body, status=upstream.status, headers=down)

    async def _stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse, down: CIMultiDict[str],
        exchange: Exchange | None,
    ) -> web.StreamResponse:  # fmt: skip
        """Each piece goes on as it comes; of a conversation's answer the last one when it is recorded."""
        events = upstream.content_type == "text/event-stream"
        heard = Overheard(exchange.path) if exchange and events and upstream.status == 200 else None
        if "Content-Length" in upstream.headers and "Content-Encoding" not in upstream.headers:
            down["Content-Length"] = upstream.headers["Content-Length"]
        response = web.StreamResponse(status=upstream.status, headers=down)
        last = b"\n"
        try:
            await response.prepare(request)
            while True:
                try:
                    piece = await upstream.content.readany()
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    self._metrics.failed("upstream_failed")
                    return await _break_off(request, response, error, last if events else b"")
                if not piece:
                    break
                if exchange and heard and heard.hear(piece):
                    self._record(exchange, heard.answer())
                    heard = None  # or it would be read once more at the end
                await response.write(piece)
                last = piece
            if exchange and heard:
                self._record(exchange, heard.answer())
                if heard.too_long:
                    log.warning("an answer was too long to be recorded")
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError) as error:
            # The client has hung up. What it saw the end of is recorded, though no end was marked.
            if exchange and heard:
                self._record(exchange, heard.answer())
            if isinstance(error, asyncio.CancelledError):
                raise
        return response

    def _record(self, exchange: Exchange, answer: tuple[said.Said, str] | None) -> None:
        if answer is None or exchange.recorded:
            return
        exchange.recorded = True
        added = self._conversations.add(exchange.place, *answer)
        self._metrics.recorded()
        if added.learn:
            self._learn(exchange.place.conversation)


async def _break_off(
    request: web.Request, response: web.StreamResponse, error: Exception, last: bytes
) -> web.StreamResponse:
    """End an answer that the model server did not. The status is sent long since: the client learns of it from an
    event, as OpenAI's servers do it. Between two events, that is; elsewhere the connection breaks, as the other did."""
    if last.endswith((b"\n", b"\r")):
        broken = Refusal(502, "upstream_failed", f"the model server broke off: {_words(error)}")
        await response.write(b"\n\n" + refusal.event(broken, request.path))
        await response.write_eof()
    elif request.transport:
        log.info("%s: the model server broke off: %s", request.path, _words(error))
        request.transport.abort()
    return response


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
