"""A request's body: read within limits, and written anew where something is changed in it. Knows JSON, no API."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from atles.gateway.models import Target
from atles.gateway.refusal import Refusal


async def read(request: web.Request, most_mb: float) -> tuple[bytes, dict[str, Any] | None]:
    """The body, and what it says where it is a JSON object. Raises Refusal."""
    too_large = Refusal(413, "too_large", "the request is larger than gateway.max_body_mb")
    if (request.content_length or 0) > most_mb * (1 << 20):
        raise too_large
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large from error
    if not body or "json" not in request.content_type:
        return body, None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        what = str(error) or type(error).__name__
        raise Refusal(400, "invalid_json", f"the body is no valid JSON: {what}") from error
    return body, document if isinstance(document, dict) else None


def renamed(body: bytes | None, document: Mapping[str, Any], target: Target) -> bytes:
    """The body with the model's name as its server calls it; made of the document if there is none, or that differs."""
    if target.model and "model" in document and target.model != document["model"]:
        body, document = None, {**document, "model": target.model}
    if body is not None:
        return body
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
