"""Cross-origin requests (the Fetch standard): which web pages' scripts may read what the gateway answers.

Pages of this machine may; pages of other sites only where a key is asked for, which they would have to know. No cookie
is ever looked at, so none has to be allowed.
"""

from aiohttp import web

from atles.gateway.access import Access

_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "X-Atles-Session, X-Atles-Adapter, Retry-After"


class Cors:
    def __init__(self, access: Access) -> None:
        self._access = access

    async def preflight(self, request: web.Request) -> web.Response:
        """What a browser asks before it sends a request of a page's."""
        if not self._access.may_read(request):
            return web.Response(status=403)
        asked = request.headers.get("Access-Control-Request-Headers", "")
        return web.Response(status=204, headers={**_ALLOWED, "Access-Control-Allow-Headers": asked})

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """On every answer: whether a page may read it."""
        if self._access.may_read(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            response.headers.add("Vary", "Origin")
