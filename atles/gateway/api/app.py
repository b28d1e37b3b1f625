"""From a request below /api to its handler and back: who may, what was asked, and how it ends. Knows no subject."""

import inspect
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from atles.errors import AtlesError, StoreError
from atles.gateway import openapi, refusal
from atles.gateway.access import Access, Caller
from atles.gateway.api import ROUTES
from atles.gateway.api.route import Asked, Needs, Parts, Route
from atles.gateway.api.schema import check_names, obj, read, read_parameter, text
from atles.gateway.refusal import Refusal
from atles.records import printable

log = logging.getLogger("atles.gateway")

_MOST_BYTES = 1 << 20  # of a body
_USER = text(most=200)
_NOTHING = obj({}, closed=True)
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Api:
    """The routes below /api, for the gateway's server."""

    def __init__(self, parts: Parts, access: Access) -> None:
        self._parts, self._access = parts, access

    def routes(self) -> list[web.RouteDef]:
        """All of them; a method that a path does not have is refused with those that it has."""
        describes = Route(
            "GET", openapi.PATH, "Daemon", "", lambda parts, asked: openapi.document(ROUTES), {}, of_user=False
        )
        paths: dict[str, list[Route]] = {}
        for route in (describes, *ROUTES):
            paths.setdefault(route.path, []).append(route)
        found: list[web.RouteDef] = []
        for path, routes in paths.items():
            found += [
                web.get(path, self._answering(it))
                if it.method == "GET"
                else web.route(it.method, path, self._answering(it))
                for it in routes
            ]
            found.append(web.route("*", path, _refusing([it.method for it in routes])))
        return found

    def _answering(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await self._answer(route, request)
            except Refusal as refused:
                return refusal.response(refused, request.path)
            except (OSError, StoreError) as error:
                log.error("%s %s failed: %s", request.method, request.path, error)
                return refusal.response(
                    Refusal(500, "storage_failed", f"the home cannot be used: {error}"), request.path
                )
            except AtlesError as error:
                return refusal.response(Refusal(400, "refused", str(error)), request.path)
            except Exception:  # what nobody foresaw must reach the client in a shape that it understands
                log.exception("%s %s failed", request.method, request.path)
                broken = Refusal(500, "internal_error", "the gateway failed; its log says why (`atles logs`)")
                return refusal.response(broken, request.path)

        return answer

    async def _answer(self, route: Route, request: web.Request) -> web.StreamResponse:
        caller = self._access.admit(request)
        if route.needs is not Needs.ENTRY and not caller.trusted:
            raise Refusal(
                401, "key_needed",
                "what is remembered is shown to those with a key (`atles keys add NAME` makes one), or at the socket "
                "learning_daemon/api.sock in the home",
            )  # fmt: skip
        if route.needs is Needs.ADMIN and not caller.admin:
            raise Refusal(403, "not_admin", "this takes an admin's key (`atles keys add NAME --admin`)")
        asked = _asked(route, request, caller, await _body(route, request))
        if inspect.iscoroutinefunction(route.handler):
            done = _done(await route.handler(self._parts, asked))
        else:
            done = await self._parts.aside(lambda: _done(route.handler(self._parts, asked)))
        done.headers.update(_HEADERS)
        return done


def _done(document: Any) -> web.Response:
    if isinstance(document, web.Response):
        return document
    try:
        said = json.dumps(document, default=str, allow_nan=False)
    except ValueError:
        said = json.dumps(_finite(document), default=str)
    return web.Response(text=said, content_type="application/json")


def _finite(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, Mapping):
        return {key: _finite(it) for key, it in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(it) for it in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refusing(methods: list[str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    allowed = ", ".join(methods)

    async def refuse(request: web.Request) -> web.StreamResponse:
        wrong = Refusal(405, "wrong_method", f"{request.path} takes {allowed}", {"Allow": allowed})
        return refusal.response(wrong, request.path)

    return refuse


async def _body(route: Route, request: web.Request) -> dict[str, Any]:
    if request.method in ("GET", "HEAD", "DELETE"):
        return {}
    too_large = Refusal(413, "too_large", f"a request to {request.path} may have {_MOST_BYTES:,} bytes at most")
    if (request.content_length or 0) > _MOST_BYTES:
        raise too_large
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    if len(data) > _MOST_BYTES:
        raise too_large
    schema = route.body or _NOTHING
    if not data and not (route.body and route.body_needed):
        return {}
    if request.content_type != "application/json":
        raise Refusal(415, "wrong_content_type", f"send application/json, not {request.content_type}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refusal(
            400, "invalid_json", f"the body is no valid JSON: {error or 'it is nested too deeply'}"
        ) from error
    return read(document, schema, "the body")


def _asked(route: Route, request: web.Request, caller: Caller, body: Mapping[str, Any]) -> Asked:
    known = {**route.query, **({"user": _USER} if route.of_user else {})}
    given = request.query
    check_names(given, known, "parameter")
    query = {name: it["default"] for name, it in route.query.items() if "default" in it}
    for name in dict.fromkeys(given):
        if len(given.getall(name)) > 1:
            raise Refusal(400, "invalid_parameter", f"{name!r} is there more than once")
        query[name] = read_parameter(given[name], known[name], repr(name))
    for name in route.required:
        if name not in query:
            raise Refusal(400, "invalid_parameter", f"the query needs {name!r}")
    user, owner = _whose(request, caller, query.get("user", body.get("user")))
    path = {name: printable(request.match_info[name]) for name in route.names}
    return Asked(caller, user, owner, path, query, body)


def _whose(request: web.Request, caller: Caller, named: str | None) -> tuple[str | None, str]:
    """Whose things the caller may see and change, and by whose name it asks."""
    own = caller.user_of(request, {} if named is None else {"user": named})
    if caller.admin:
        return named, own if named is None else named
    if caller.has_key and named not in (None, own):
        raise Refusal(403, "not_admin", "what other users said takes an admin's key (`atles keys add NAME --admin`)")
    return (own, own) if caller.has_key or named is None else (named, named)
