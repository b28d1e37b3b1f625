"""The OpenAPI document: what is at which path. Made from the declarations by which the routes are served."""

from collections.abc import Iterable, Mapping
from typing import Any

from atles.gateway.api.route import Needs, Route
from atles.gateway.api.schema import Schema, obj, or_null, text

PATH = "/api/openapi.json"
_VERSION = "1"  # of the routes, not of ATLES

_ERROR = obj({"error": obj({"message": text(), "type": text(), "param": or_null(text()), "code": text()})})
_REFUSED = {
    400: "What was sent is not understood; the message says what is wrong.",
    401: "It takes a key.",
    403: "The key, the host or the origin may not do this.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    429: "Too many requests; `Retry-After` says when to try again.",
    500: "It failed; the daemon's log says why.",
}
_WHO = {
    Needs.ENTRY: "For whoever may use /v1.",
    Needs.KEY: "Takes a key, or the socket. Without an admin's key, of one's own things only.",
    Needs.ADMIN: "Takes an admin's key, or the socket.",
}
_USER = {
    "name": "user", "in": "query", "schema": text(most=200),
    "description": "Whose things. An admin's default is everybody's, others may name only themselves.",
}  # fmt: skip
# What passes the gateway is described by those who answer it.
_PASSED = {
    "/v1/chat/completions": ("post", "Chat, as OpenAI's API; recorded"),
    "/v1/responses": ("post", "Responses, as OpenAI's API; recorded"),
    "/v1/messages": ("post", "Messages, as Anthropic's API; recorded"),
    "/v1/completions": ("post", "Text completions, as OpenAI's API; passed through"),
    "/v1/embeddings": ("post", "Embeddings, as OpenAI's API; passed through"),
    "/v1/models": ("get", "The models that can be named"),
}
_OWN = {
    "/healthz": ("Whether the process is there", obj({"status": text()}), {}),
    "/readyz": (
        "Whether it answers, and learns",
        obj(
            {
                "status": text("ready, not ready, or stopping"),
                "disk": text("ok, no training, or no learning"),
                "database": text("ok, or damaged"),
            }
        ),
        {503: "It is stopping, or its database is damaged."},
    ),
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for path, (does, answer, refused) in _OWN.items():
        paths[path] = {"get": {**_named("get", path, "Daemon", does), "security": [], "responses": {
            "200": _json("It is.", answer), **{str(status): _json(says, answer) for status, says in refused.items()},
        }}}  # fmt: skip
    paths["/metrics"] = {"get": {**_named("get", "/metrics", "Daemon", "Counts, for Prometheus"), "responses": {
        "200": {"description": "Text format 0.0.4.", "content": {"text/plain": {"schema": text()}}}, **_refusals({}),
    }}}  # fmt: skip
    for path, (method, does) in _PASSED.items():
        answered = {"description": "As the model server answers.", "content": {"application/json": {"schema": {}}}}
        passed = {**_named(method, path, "OpenAI", does), "responses": {"200": answered, "default": answered}}
        if method == "post":
            passed["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        paths[path] = {method: passed}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ATLES",
            "version": _VERSION,
            "description": "What ATLES learned from chats: to see it, to change it, to forget it. docs/api.md.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "`atles keys add NAME`"}},
        },
        "security": [{"key": []}, {}],
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [{"name": name, "in": "path", "required": True, "schema": text(least=1)} for name in route.names]
    for name, schema in route.query.items():
        said = {key: value for key, value in schema.items() if key != "description"}
        told = {"description": schema["description"]} if "description" in schema else {}
        parameters.append({"name": name, "in": "query", "required": name in route.required, "schema": said} | told)
    if route.of_user:
        parameters.append(_USER)
    made: dict[str, Any] = {
        **_named(route.method, route.path, route.tag, route.does),
        "description": _WHO[route.needs],
        "parameters": parameters,
    }
    if route.body:
        made["requestBody"] = {"required": route.body_needed, "content": {"application/json": {"schema": route.body}}}
    answer = {"description": "Done.", "content": {route.media: {"schema": route.answer}}}
    return made | {"responses": {"200": answer, **_refusals(route.refused)}}


def _named(method: str, path: str, tag: str, does: str) -> dict[str, Any]:
    words = [word.strip("{}").replace(".", "_") for word in path.split("/") if word]
    return {"operationId": "_".join([method.lower(), *words]), "tags": [tag], "summary": does}


def _refusals(more: Mapping[int, str]) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    return {str(status): _json(says, error) for status, says in sorted({**_REFUSED, **more}.items())}


def _json(says: str, schema: Schema) -> dict[str, Any]:
    return {"description": says, "content": {"application/json": {"schema": schema}}}
