"""What of a request's headers goes up and of an answer's comes down, and what they say to ATLES itself."""

from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from atles.gateway.access import Caller
from atles.gateway.models import Target
from atles.gateway.refusal import Refusal
from atles.records import printable
from atles.store.keys import PREFIX

_HOP_BY_HOP = frozenset(
    """connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host
    content-length content-encoding accept-encoding expect cookie""".split()
)
_CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key"})
_LONGEST_NAME = 512  # characters of what a client calls a session


def upwards(request: web.Request, target: Target, caller: Caller) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        low = name.lower()
        if low in _HOP_BY_HOP or low.startswith("x-atles-"):
            continue
        # A key of the gateway's own is nobody else's business, and a server with a key of its own gets that.
        if low in _CREDENTIALS and (
            caller.has_key or target.key is not None or value.split(" ")[-1].startswith(PREFIX)
        ):
            continue
        headers.add(name, value)
    headers["Accept-Encoding"] = "identity"
    if target.key:
        headers["Authorization"] = f"Bearer {target.key}"
        if request.path.startswith("/v1/messages"):
            headers["X-Api-Key"] = target.key
    return headers


def downwards(upstream: aiohttp.ClientResponse, added: Mapping[str, str]) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in upstream.headers.items():
        # Which pages may read an answer is not the model server's to say (cors.py).
        if name.lower() not in _HOP_BY_HOP and not name.lower().startswith("access-control-"):
            headers.add(name, value)
    headers.update(added)
    return headers


def about(target: Target, session_id: str) -> dict[str, str]:
    """What ATLES says of an answer beside it."""
    added: dict[str, str] = {}
    if target.adapter is not None:
        added["X-Atles-Adapter"] = target.adapter or "base"
    if session_id and session_id.isascii() and session_id.isprintable():
        added["X-Atles-Session"] = session_id
    return added


def session_name(request: web.Request, document: Mapping[str, Any]) -> str:
    """What the client calls the session; "" where it does not. Raises Refusal for what cannot be meant."""
    given = {value.strip() for value in request.headers.getall("X-Atles-Session", ())} - {""}
    if len(given) > 1:
        raise Refusal(400, "bad_session", "several different X-Atles-Session headers; send one")
    if given:
        name = printable(given.pop())
        if len(name) > _LONGEST_NAME:
            raise Refusal(
                400, "bad_session", f"X-Atles-Session has {len(name)} characters; the most are {_LONGEST_NAME}"
            )
        return name
    metadata, conversation = document.get("metadata"), document.get("conversation")
    names = [metadata.get("session_id") if isinstance(metadata, dict) else None]
    # Of the responses API: a conversation that the model server keeps.
    names.append(conversation.get("id") if isinstance(conversation, dict) else conversation)
    # These are the model server's business, too: what is no name for us may be one for it.
    return next((printable(it) for it in names if isinstance(it, str) and 0 < len(it) <= _LONGEST_NAME), "")


def wants_memory(request: web.Request) -> bool:
    return request.headers.get("X-Atles-Memory", "on").strip().lower() not in ("off", "false", "0", "no")
