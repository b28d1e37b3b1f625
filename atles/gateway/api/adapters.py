"""Adapters: what each learned and kept, and which of them answers. Their reports quote what users said."""

from typing import Any

from aiohttp import web

from atles.errors import AtlesError, UnknownAdapter
from atles.gateway.api import finding, schema
from atles.gateway.api.route import Asked, Needs, Parts, Route
from atles.gateway.refusal import Refusal
from atles.insights import adapters as insights
from atles.pipeline import release
from atles.pipeline.shelf import Shelf, open_shelf
from atles.records import AdapterState, Dataset
from atles.store.adapters import BASE

_TEXT, _TEXT_OR_NULL = schema.text(), schema.or_null(schema.text())


def _list(parts: Parts, asked: Asked) -> Any:
    found = insights.listed(parts.home, parts.store)
    if not asked.admin:  # a reason may quote what somebody else said
        found = [{**it, "reason": None, "path": None} for it in found]
    return {"adapters": found}


def _show(parts: Parts, asked: Asked) -> Any:
    return insights.shown(parts.home, parts.store, _known(parts, asked.path["name"]))


def _report(parts: Parts, asked: Asked) -> Any:
    name = _known(parts, asked.path["name"])
    try:
        return insights.report(insights.report_file(_shelf(parts), parts.store, name))
    except AtlesError as error:
        raise Refusal(404, "no_report", str(error)) from error


def _page(parts: Parts, asked: Asked) -> web.Response:
    name = _known(parts, asked.path["name"])
    try:
        page = insights.report_file(_shelf(parts), parts.store, name).with_name("report.html").read_text("utf-8")
    except (AtlesError, FileNotFoundError) as error:
        raise Refusal(404, "no_report", f"{name} has no report: {parts.store.adapters.get(name).reason}") from error
    # What models said is in it: it may run nothing, whatever it holds.
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(text=page, content_type="text/html", charset="utf-8", headers=headers)


def _diff(parts: Parts, asked: Asked) -> Any:
    both = [_known(parts, asked.path[it]) for it in ("name", "other")]
    try:
        return insights.compared(_shelf(parts), parts.store, *both)
    except AtlesError as error:
        raise Refusal(404, "no_report", str(error)) from error


def _promote(parts: Parts, asked: Asked) -> Any:
    name = _known(parts, asked.path["name"])
    _, before = parts.store.adapters.active()
    try:
        release.promote(parts.store, name)
    except AtlesError as error:
        raise Refusal(409, "not_promoted", str(error)) from error
    return _moved(before, name)


def _rollback(parts: Parts, asked: Asked) -> Any:
    try:
        return _moved(*release.rollback(parts.store))
    except AtlesError as error:
        raise Refusal(409, "not_rolled_back", str(error)) from error


def _moved(before: str, now: str) -> dict[str, str | None]:
    return {"from": None if before == BASE else before, "to": None if now == BASE else now}


def _shelf(parts: Parts) -> Shelf:
    return open_shelf(parts.home, parts.settings)


def _known(parts: Parts, name: str) -> str:
    try:
        return parts.store.adapters.get(name).name
    except UnknownAdapter:
        raise finding.missing("adapter", name) from None


_STATE = schema.text(one_of=list(AdapterState))
_LIST = schema.obj(
    {
        "adapters": schema.array(
            schema.obj(
                {
                    "name": _TEXT, "active": schema.truth("It answers now."), "state": _STATE,
                    "gain": schema.NUMBER, "kept": schema.NUMBER, "created_at": _TEXT, "base": _TEXT,
                    "reason": schema.or_null(schema.text("Of the verdict; for admins only.")),
                    "path": schema.or_null(schema.text("For admins only.")),
                }
            ),
            "Oldest first.",
        )
    }
)  # fmt: skip
_SHOWN = schema.obj(
    {
        "name": _TEXT, "base": _TEXT, "dataset_id": _TEXT, "path": _TEXT, "state": _STATE, "reason": _TEXT,
        "created_at": _TEXT, "train": schema.OBJECT, "verdict": schema.or_null(schema.OBJECT),
        "active": schema.truth(), "dataset": schema.of(Dataset),
    }
)  # fmt: skip
_REPORT = schema.obj(
    {
        "adapter": _TEXT, "base": _TEXT, "created_at": _TEXT, "verdict": schema.OBJECT,
        "learned": schema.array(schema.OBJECT, "Questions in new words, with the answers before and after."),
        "kept": schema.OBJECT, "data": schema.OBJECT, "train": schema.OBJECT, "evaluation": schema.OBJECT,
    }
)  # fmt: skip
_DIFF = schema.obj(
    {
        "adapters": schema.array(_TEXT), "numbers": schema.OBJECT,
        "answers": schema.array(schema.obj({"prompt": _TEXT, "right": schema.array(schema.truth()),
                                            "answers": schema.array(_TEXT)})),
    }
)  # fmt: skip
_MOVED = schema.obj(
    {"from": schema.or_null(schema.text("What answered before; null: the base model.")), "to": _TEXT_OR_NULL}
)
_MISSING = {404: "There is no such adapter."}
_NO_REPORT = {404: "There is no such adapter, or it has no report."}


def _route(method: str, path: str, does: str, handler: Any, answer: schema.Schema, **more: Any) -> Route:
    return Route(method, path, "Adapters", does, handler, answer, **{"needs": Needs.ADMIN, "of_user": False, **more})


ROUTES = (
    _route("GET", "/api/adapters", "List adapters and how they were judged", _list, _LIST, needs=Needs.KEY),
    _route(
        "GET", "/api/adapters/{name}", "Show an adapter: verdict, training, and what it was trained on", _show, _SHOWN,
        refused=_MISSING,
    ),
    _route(
        "GET", "/api/adapters/{name}/report", "What an adapter learned and kept", _report, _REPORT, refused=_NO_REPORT
    ),
    _route(
        "GET", "/api/adapters/{name}/report.html", "The same as a page", _page, _TEXT, media="text/html",
        refused=_NO_REPORT,
    ),
    _route(
        "GET", "/api/adapters/{name}/diff/{other}", "Compare two adapters", _diff, _DIFF, refused=_NO_REPORT
    ),
    _route(
        "POST", "/api/adapters/{name}/promote", "Let an adapter answer that passed the gate earlier", _promote, _MOVED,
        refused={**_MISSING, 409: "It may not serve, or serves already."},
    ),
    _route(
        "POST", "/api/rollback", "Let answer what answered before the active adapter", _rollback, _MOVED,
        refused={409: "The base model answers already."},
    ),
)  # fmt: skip
