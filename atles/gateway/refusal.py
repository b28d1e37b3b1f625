"""Why a request is not answered, in the words and shapes that clients of OpenAI and Anthropic understand."""

import json
from collections.abc import Mapping

from aiohttp import web


class Refusal(Exception):
    """A request that is not answered. `code` is for programs, the message for people: what to do."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
}


def shape(refusal: Refusal, path: str) -> dict[str, object]:
    """The body of the answer: Anthropic's for its API, else OpenAI's."""
    kind = _TYPES.get(refusal.status, "invalid_request_error" if refusal.status < 500 else "server_error")
    if path.startswith("/v1/messages"):
        kind = "api_error" if kind == "server_error" else kind
        return {"type": "error", "error": {"type": kind, "message": str(refusal)}}
    return {"error": {"message": str(refusal), "type": kind, "param": None, "code": refusal.code}}


def response(refusal: Refusal, path: str) -> web.Response:
    return web.json_response(shape(refusal, path), status=refusal.status, headers=refusal.headers)


def event(refusal: Refusal, path: str) -> bytes:
    """The same inside a stream that has begun."""
    name = b"event: error\n" if path.startswith("/v1/messages") else b""
    return name + b"data: " + json.dumps(shape(refusal, path)).encode("ascii") + b"\n\n"
