"""One request on its way to a model server and back: forwarded as it comes, recorded before it ends.

Knows HTTP. An answer is in its conversation's journal before the client has seen its end, so whatever a client took for
finished survives a kill.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from atles.gateway import memory, refusal, said
from atles.gateway.access import Caller
from atles.gateway.conversations import Conversation, Conversations, is_task
from atles.gateway.metrics import Metrics
from atles.gateway.models import Models, Target
from atles.gateway.refusal import Refusal
from atles.settings import GatewaySettings

log = logging.getLogger("atles.gateway")

CONVERSATIONS = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/messages"})
_HOP_BY_HOP = frozenset(
    """connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host
    content-length content-encoding accept-encoding expect cookie""".split()
)
_CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key"})
# What says inside a stream that it is complete. JSON has no raw line ends, so no answer can hold these words.
_ENDS = {
    "/v1/chat/completions": (b"\ndata: [DONE]", b"\ndata:[DONE]"),
    "/v1/responses": (b"\nevent: response.completed", b'\ndata: {"type":"response.completed"'),
    "/v1/messages": (b"\nevent: message_stop",),
}
_LIST_SECONDS = 3.0
_MOST_RECORDED = 16 << 20  # bytes of a stream; a longer one is passed on and not recorded


@dataclass(slots=True)
class Exchange:
    """What is to be recorded of one request and its answer."""

    path: str
    said: list[said.Said]
    conversation: Conversation


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
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30), timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=True, read_bufsize=1 << 18,
        )  # fmt: skip

    async def close(self) -> None:
        if self._client:
            await self._client.close()

    async def handle(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Answer a request below /v1. Raises Refusal."""
        began = time.monotonic()
        path = request.path
        body, document = await _read(request)
        conversing = path in CONVERSATIONS and request.method == "POST"
        if conversing and document is None:
            raise Refusal(400, "invalid_json", "the body must be a JSON object with the keys model and messages")
        name = document.get("model") if document else None
        if conversing and not (isinstance(name, str) and name):
            raise Refusal(400, "no_model", 'the body must name a model: "atles", or one of GET /v1/models')
        target = await self._models.resolve(name) if isinstance(name, str) else self._models.elsewhere()
        try:
            exchange = self._exchange(request, caller, path, document) if conversing and document else None
            if document is not None:
                body = await self._body(request, caller, path, body, document, target)
            response = await self._forward(request, caller, body, target, exchange)
        finally:
            target.release()
        self._metrics.answered(path, response.status, time.monotonic() - began, target.adapter)
        return response

    async def others(self) -> list[str]:
        """The models that the server for everything else has; none if it does not say."""
        assert self._client is not None
        try:
            target = self._models.elsewhere()
            headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
            timeout = aiohttp.ClientTimeout(total=_LIST_SECONDS)
            async with self._client.get(f"{target.url}/models", headers=headers, timeout=timeout) as answer:
                document = await answer.json(content_type=None)
            return [it["id"] for it in document["data"] if isinstance(it["id"], str)]
        except (Refusal, aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
            log.info("the models of the upstream server are not known: %s", _words(error))
            return []

    def _exchange(
        self, request: web.Request, caller: Caller, path: str, document: Mapping[str, Any]
    ) -> Exchange | None:
        read = said.request(path, document)
        if read is None or is_task(read):
            return None
        name = request.headers.get("X-Atles-Session", "")
        metadata = document.get("metadata")
        if not name and isinstance(metadata, dict) and isinstance(metadata.get("session_id"), str):
            name = metadata["session_id"]
        user = caller.user_of(request, document)
        return Exchange(path, read, self._conversations.find(read, user, caller.client, name))

    async def _body(
        self, request: web.Request, caller: Caller, path: str, body: bytes, document: dict[str, Any], target: Target
    ) -> bytes:
        """What is sent on: the client's own bytes, unless something is to be changed in them."""
        changed: dict[str, Any] | None = None
        wanted = request.headers.get("X-Atles-Memory", "on").lower() not in ("off", "false", "0", "no")
        wanted = wanted and path in CONVERSATIONS and self._settings.memory and target.memory
        if wanted and (asked := memory.question(path, document)):
            user = caller.user_of(request, document)
            changed = memory.remembering(path, document, asked, await self._before(asked, user))
        if target.model and target.model != document.get("model"):
            changed = {**(changed or document), "model": target.model}
        return body if changed is None else json.dumps(changed, ensure_ascii=False).encode("utf-8", "surrogatepass")

    async def _forward(
        self, request: web.Request, caller: Caller, body: bytes, target: Target, exchange: Exchange | None
    ) -> web.StreamResponse:
        assert self._client is not None  # open() comes before any request
        url = target.url + request.raw_path.removeprefix("/v1")
        headers = _upwards(request, target, caller)
        try:
            async with self._client.request(
                request.method, url, data=body, headers=headers, allow_redirects=False
            ) as upstream:
                added = _added(target, exchange)
                if upstream.content_type == "text/event-stream":
                    return await self._stream(request, upstream, added, exchange)
                if exchange is None and request.path not in CONVERSATIONS:
                    return await _pass(request, upstream, added)
                return self._plain(request.path, upstream, await upstream.read(), added, exchange)
        except TimeoutError as error:
            silent = f"{target.url} was silent for {self._settings.timeout_seconds:g} s"
            raise Refusal(504, "upstream_timeout", f"{silent}; raise gateway.timeout_seconds") from error
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or str(error.os_error) or type(error).__name__
            raise Refusal(
                502, "upstream_unreachable", f"no server answers at {target.url} ({reason}); start it"
            ) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise Refusal(502, "upstream_failed", f"{target.url} broke off: {_words(error)}") from error

    def _plain(
        self, path: str, upstream: aiohttp.ClientResponse, body: bytes, added: Mapping[str, str],
        exchange: Exchange | None,
    ) -> web.Response:  # fmt: skip
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            status = upstream.status if upstream.status >= 400 else 502
            what = body[:200].decode("utf-8", "replace").strip() or "an empty body"
            raise Refusal(status, "upstream_failed", f"the model server answered {upstream.status} with {what!r}")
        if exchange and upstream.status == 200:
            self._record(exchange, said.answer(path, document))
        return web.Response(body=body, status=upstream.status, headers=_downwards(upstream, added))

    async def _stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse, added: Mapping[str, str],
        exchange: Exchange | None,
    ) -> web.StreamResponse:  # fmt: skip
        """Each piece goes on as it comes; the last one when the answer is recorded."""
        path = request.path
        response = web.StreamResponse(status=upstream.status, headers=_downwards(upstream, added))
        await response.prepare(request)
        seen, ends = bytearray(), _ENDS.get(path, ())
        try:
            async for piece in upstream.content.iter_any():
                if exchange:
                    seen += piece
                    if any(end in seen[-len(piece) - 64 :] for end in ends):
                        self._record(exchange, said.streamed(path, bytes(seen)))
                        exchange = None
                    elif len(seen) > _MOST_RECORDED:
                        log.warning("an answer of more than %d bytes is not recorded", _MOST_RECORDED)
                        exchange = None
                await response.write(piece)
            if exchange:
                self._record(exchange, said.streamed(path, bytes(seen)))
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, TimeoutError) as error:
            # The status is sent long since: a client learns of it from an event, as OpenAI's servers do it.
            broken = Refusal(502, "upstream_failed", f"the model server broke off: {_words(error)}")
            self._metrics.failed("upstream_failed")
            await response.write(b"\n\n" + refusal.event(broken, path))
        await response.write_eof()
        return response

    def _record(self, exchange: Exchange, answer: tuple[said.Said, str] | None) -> None:
        if answer is None:
            return
        added = self._conversations.add(exchange.conversation, exchange.said, *answer)
        self._metrics.recorded()
        if added.learn:
            self._learn(exchange.conversation)


async def _read(request: web.Request) -> tuple[bytes, dict[str, Any] | None]:
    """The body, and what it says where it is a JSON object. Raises Refusal."""
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Refusal(413, "too_large", "the request is larger than gateway.max_body_mb") from error
    if not body or "json" not in request.content_type:
        if body and request.path in CONVERSATIONS:
            raise Refusal(415, "wrong_content_type", f"send application/json, not {request.content_type}")
        return body, None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is no valid JSON: {_words(error)}") from error
    return body, document if isinstance(document, dict) else None


async def _pass(request: web.Request, upstream: aiohttp.ClientResponse, added: Mapping[str, str]) -> web.StreamResponse:
    """An answer that nobody looks into, piece by piece."""
    response = web.StreamResponse(status=upstream.status, headers=_downwards(upstream, added))
    await response.prepare(request)
    async for piece in upstream.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


def _upwards(request: web.Request, target: Target, caller: Caller) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        low = name.lower()
        if low in _HOP_BY_HOP or low.startswith("x-atles-"):
            continue
        # A key of the gateway's own is nobody else's business, and a server with a key of its own gets that.
        if low in _CREDENTIALS and (caller.has_key or target.key is not None):
            continue
        headers.add(name, value)
    headers["Accept-Encoding"] = "identity"
    if target.key:
        headers["Authorization"] = f"Bearer {target.key}"
        if request.path.startswith("/v1/messages"):
            headers["X-Api-Key"] = target.key
    return headers


def _downwards(upstream: aiohttp.ClientResponse, added: Mapping[str, str]) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in upstream.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            headers.add(name, value)
    headers.update(added)
    return headers


def _added(target: Target, exchange: Exchange | None) -> dict[str, str]:
    """What ATLES says of an answer beside it."""
    added: dict[str, str] = {}
    if target.adapter is not None:
        added["X-Atles-Adapter"] = target.adapter or "base"
    if exchange is not None and (name := exchange.conversation.id).isascii() and name.isprintable():
        added["X-Atles-Session"] = name
    return added


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
