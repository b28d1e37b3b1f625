"""The OpenAPI document: it says what is served, and what is served is as it says, whatever is sent."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator

from atles import programs
from atles.gateway import openapi
from atles.gateway.api import ROUTES
from atles.layout import Home
from atles.pipeline import curate
from tests.fakes import FakePrograms
from tests.gateway.api_fixtures import OPEN, Served, serve
from tests.pipeline.conftest import Pipeline
from tests.samples import chat

DOCUMENT = openapi.document(ROUTES)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SHARED = replace(OPEN, train=replace(OPEN.train, shared=True))
SEVERAL = 2  # one in so many ids is one that exists


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from learned(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from learned(tmp_path_factory.mktemp("fuzzed"))


@pytest.fixture(scope="module")
def key(fuzzed: Served) -> str:
    return fuzzed.keyed("ann", admin=True).key


def learned(folder: Path) -> Iterator[Served]:
    """A home with sessions of two users, memories, and an adapter that serves."""
    fakes = FakePrograms(folder / "control")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "command", fakes.command)
        pipeline = Pipeline(Home(folder / "home").create(), fakes, SHARED)
        pipeline.arrive(*({**chat(n), "metadata": {"user": ("ann", "ben")[n % 2]}} for n in range(1, 14)))
        pipeline.work_off()
        for number in range(20):
            curate.add(pipeline.store, f"I have boat number {number}.", level="off", user=("ann", "ben")[number % 2])
        yield from serve(pipeline, SHARED)
        pipeline.store.close()


def known(served: Served, name: str) -> list[str]:
    """Ids that exist, of the kind that a parameter or key of this name takes; none where it takes no id."""
    store = served.store
    if name in ("session", "sessions"):
        return [row["session_id"] for row in store.sessions.list()]
    if name in ("id", "memories"):
        return [it.id for user in (1, 2) for it in store.memories.of_user(user)]
    return [it.name for it in store.adapters.list()] if name in ("name", "other") else []


def with_known(served: Served, made: dict[str, Any], path: str) -> None:
    """Put ids that exist in the place of some that were made up."""
    for name, value in made.items():
        ids = known(served, "session" if name == "id" and "sessions" in path else name)
        if ids and len(str(value)) % SEVERAL == 0:
            chosen = ids[len(str(value)) % len(ids)]
            made[name] = [chosen] if isinstance(value, list) else chosen


def whatever_is_sent_is_answered_as_the_document_says(case: Any, fuzzed: Served, key: str) -> None:
    if case.meta.generation.mode.is_positive:
        with_known(fuzzed, case.path_parameters, case.path)
        with_known(fuzzed, case.body if isinstance(case.body, dict) and "text" not in case.body else {}, case.path)
    checks = schemathesis.checks
    methods = [checks.unsupported_method] * case.path.startswith("/api/")
    case.call_and_validate(
        base_url=fuzzed.gateway.url,
        headers={"Authorization": f"Bearer {key}"},
        checks=[
            checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
            checks.response_schema_conformance, checks.response_headers_conformance, checks.negative_data_rejection,
            *methods,
        ],
    )  # fmt: skip


def _tests() -> Iterator[tuple[str, Any]]:
    """A function for each operation: schemathesis gives all tests of a function one id, and processes that share tests
    out would run one of them. What passes the gateway (/v1/) is as its model server makes it."""
    for path, operations in DOCUMENT["paths"].items():
        for method in () if path.startswith("/v1/") else operations:

            def test(case: Any, fuzzed: Served, key: str) -> None:
                whatever_is_sent_is_answered_as_the_document_says(case, fuzzed, key)

            often = settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
            name = "_".join(["test_whatever_is_sent_to", method, *re.findall(r"\w+", path)])
            yield name, pytest.mark.slow(SCHEMA.include(path=path, method=method.upper()).parametrize()(often(test)))


globals().update(_tests())


def test_each_route_answers_as_the_document_says(full: Served) -> None:
    """One good request to each, so that no answer goes unchecked because nothing that was made up is good."""
    session = "session_004"
    (adapter,) = known(full, "name")
    memory = full.admin.post("/api/memories?user=ann", {"text": "I row on the Ouse."})["id"]
    queries = {"/api/recall": "?q=boat&user=ann", "/api/why": "?q=boat&user=ann"}
    bodies: dict[str, Any] = {
        "POST /api/memories": {"text": "I like rhubarb."}, "PATCH /api/memories/{id}": {"pinned": True},
        "POST /api/retry": {"all": True}, "POST /api/forget": {"sessions": ["session_001"]},
        "POST /api/feedback": {"session": session, "position": 1, "rating": "edit", "text": "It is green."},
    }  # fmt: skip
    last = ["/api/rollback", "/promote", "DELETE", "/api/forget", "/end"]
    for route in sorted(ROUTES, key=lambda it: [part in f"{it.method}{it.path}" for part in reversed(last)]):
        path = route.path.replace("{id}", memory if "memories" in route.path else session)
        path = path.replace("{name}", adapter).replace("{other}", adapter) + queries.get(route.path, "")
        answer = full.admin(route.method, path, bodies.get(f"{route.method} {route.path}"))
        assert answer.status == (404 if path.endswith("/end") else 200), (path, answer.body)  # no conversation is open
        responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
        ((media, told),) = responses[str(answer.status)]["content"].items()
        assert answer.headers["Content-Type"].startswith(media)
        said = answer.json if media == "application/json" else answer.body.decode()
        Draft202012Validator({**told["schema"], "components": DOCUMENT["components"]}).validate(said)


def test_the_document_is_served_and_is_valid(full: Served) -> None:
    assert full.admin.get(openapi.PATH) == json.loads(json.dumps(DOCUMENT))
    assert full.anybody("GET", openapi.PATH).status == 401
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_every_path_that_is_served_is_described(full: Served) -> None:
    served = {
        (method, re.sub(r":[^}]*", "", route.path))
        for route in full.gateway._routes()
        if (method := route.method) not in ("*", "OPTIONS") and route.path != openapi.PATH
    }
    described = {(method.upper(), path) for path, it in DOCUMENT["paths"].items() for method in it}
    assert served <= described
    passed = described - served
    assert {path for _, path in passed} == set(openapi._PASSED) - {"/v1/models"}


def test_operations_have_names_of_their_own() -> None:
    names = [it["operationId"] for path in DOCUMENT["paths"].values() for it in path.values()]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)


def test_the_page_in_docs_names_every_route() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    assert not [route.path for route in ROUTES if f"`{route.method} {route.path}`" not in page]
