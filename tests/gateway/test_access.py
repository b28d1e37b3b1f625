"""Who may come in: keys, hosts, origins, rates, the socket, and whose things each may see."""

import stat
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from atles.errors import ConfigError
from atles.gateway.access import Access
from atles.layout import Home
from atles.settings import GatewaySettings
from atles.store import Store
from tests.fakes import FakePrograms
from tests.gateway.api_fixtures import ANN, BEN, OPEN, Served, a_home_of_two, a_home_that_trained, serve
from tests.pipeline.conftest import Pipeline

__all__ = ["a_home_of_two", "a_home_that_trained"]  # fixtures

BEN_PATH = f"/api/sessions/{quote(BEN['session_id'], safe='')}"


@pytest.fixture
def limited(home: Home, fake: FakePrograms) -> Iterator[Served]:
    pipeline = Pipeline(home, fake, OPEN)
    yield from serve(pipeline, replace(OPEN, gateway=GatewaySettings(port=0, requests_per_minute=2)))
    pipeline.store.close()


# --- who ---


def test_without_a_key_v1_is_open_on_this_machine_and_what_is_remembered_is_not(served: Served) -> None:
    assert served.anybody("GET", "/v1/models").status == 200
    for method, path in (("GET", "/api/status"), ("GET", "/api/sessions"), ("DELETE", "/api/memories/1")):
        answer = served.anybody(method, path)
        assert (answer.status, answer.refused) == (401, "key_needed")
        assert "atles keys add" in answer.json["error"]["message"]


def test_a_key_opens_what_is_its_users_and_a_wrong_one_nothing(served: Served) -> None:
    mine = served.keyed("ann")
    assert Access(OPEN.gateway, served.store.keys)._needed
    assert mine.get("/v1/models")["object"] == "list" and mine.get("/api/sessions")["total"] == 1
    wrong = replace(mine, key=mine.key[:-2] + "xx")
    assert (wrong("GET", "/api/sessions").status, wrong("GET", "/v1/models").refused) == (401, "invalid_api_key")


def test_a_removed_key_is_refused_after_a_moment(store: Store) -> None:
    now = [0.0]
    access = Access(GatewaySettings(), store.keys, lambda: now[0])
    assert not access._key_needed()
    store.keys.add("phone", "ann")
    now[0] += 2.5
    assert access._key_needed()
    store.keys.remove("phone")
    now[0] += 2.5
    assert not access._key_needed()


def test_a_key_may_come_as_a_bearer_or_as_anthropic_clients_send_it(served: Served) -> None:
    key = served.keyed("ann").key
    assert served.anybody("GET", "/api/sessions", X_Api_Key=key).status == 200
    assert served.anybody("GET", "/api/sessions", Authorization=f"bearer {key}").status == 200


def test_keys_are_nowhere_in_the_files(served: Served) -> None:
    key = served.keyed("ann").key
    served.anybody("GET", "/api/sessions", Authorization=f"Bearer {key}")
    secret = key[-20:].encode()  # it may have any character, so that a part may be as short as one
    assert not [file for file in served.home.root.rglob("*") if file.is_file() and secret in file.read_bytes()]


def test_the_socket_is_the_owners_and_needs_no_key(served: Served) -> None:
    served.keyed("ann")
    assert stat.S_IMODE(served.home.socket.stat().st_mode) == 0o600
    assert served.admin.get("/api/sessions")["total"] == 2


# --- from where ---


def test_a_rebound_name_is_refused(served: Served) -> None:
    for path in ("/v1/models", "/api/sessions", "/metrics"):
        answer = served.anybody("GET", path, Host="evil.example:8765")
        assert (answer.status, answer.refused) == (403, "wrong_host")
    key = served.keyed("ann")
    assert key("GET", "/api/sessions", Host="evil.example").status == 403, "not even with a key"
    assert key("GET", "/api/sessions", Host="localhost:8765").status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example:80"])
def test_a_web_page_of_another_site_is_refused(served: Served, origin: str) -> None:
    for path in ("/v1/chat/completions", "/api/feedback"):
        answer = served.anybody("POST", path, {}, Origin=origin)
        assert (answer.status, answer.refused) == (403, "wrong_origin")
    assert served.anybody("GET", "/v1/models", Origin="http://localhost:3000").status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_another_address_is_not_opened_without_a_key(store: Store, host: str) -> None:
    with pytest.raises(ConfigError, match="atles keys add NAME"):
        Access(GatewaySettings(host=host), store.keys)
    store.keys.add("phone", "ann")
    assert Access(GatewaySettings(host=host), store.keys)._key_needed()


def test_too_many_requests_are_told_when_to_come_again(limited: Served) -> None:
    answers = [limited.anybody("GET", "/v1/models") for _ in range(4)]
    assert [it.status for it in answers] == [200, 200, 429, 429]
    assert answers[2].refused == "rate_limit_exceeded" and 1 <= int(answers[2].headers["Retry-After"]) <= 30
    assert limited.anybody("GET", "/api/status").status == 429, "one count for all paths"
    assert limited.keyed("ann").get("/api/status"), "and one for each key"


# --- whose ---


def test_a_key_sees_only_its_own_user(served: Served) -> None:
    ann, other = served.keyed("ann"), served.store.sessions.get(BEN["session_id"])
    assert [it["session_id"] for it in ann.get("/api/sessions")["sessions"]] == [ANN["session_id"]]
    assert {it["user"] for it in ann.get("/api/memories")["memories"]} == {"ann"}
    assert {it["session_id"] for it in ann.get("/api/recall?q=Where+do+I+live")["recalled"]} == {ANN["session_id"]}
    assert {it["session_id"] for it in ann.get("/api/why?q=Where+do+I+live")["memories"]} == {ANN["session_id"]}
    (memory,) = [it for it in served.admin.get("/api/memories?user=ben")["memories"] if "York" in it["text"]]
    answer = other.session.messages[1].id
    for method, path, body in (
        ("GET", BEN_PATH, None), ("GET", f"/api/memories/{memory['id']}", None),
        ("PATCH", f"/api/memories/{memory['id']}", {"text": "I live in Rome"}),
        ("DELETE", f"/api/memories/{memory['id']}", None), ("POST", f"{BEN_PATH}/end", None),
        ("POST", "/api/forget", {"sessions": [BEN["session_id"]]}), ("POST", "/api/forget", {"messages": [answer]}),
        ("POST", "/api/forget", {"memories": [memory["id"]]}),
        ("POST", "/api/feedback", {"id": answer, "rating": "down"}),
        ("POST", "/api/feedback", {"session": BEN["session_id"], "position": 1, "rating": "down"}),
        ("POST", "/api/retry", {"name": BEN["session_id"]}),
    ):  # fmt: skip
        refused, unknown = ann(method, path, body), None
        assert (refused.status, refused.refused) == (404, "not_found"), (method, path)
        if body and "sessions" in body:
            unknown = ann(method, path, {"sessions": ["nobody's"]})
        assert unknown is None or unknown.status == 404
    assert "York" in served.admin.get(f"/api/memories/{memory['id']}")["text"]
    assert not served.store.feedback.of_session(BEN["session_id"])


def test_a_key_that_is_no_admins_changes_no_models(trained: Served) -> None:
    mine, (adapter,) = trained.keyed(""), trained.store.adapters.list()
    for method, path in (
        ("POST", "/api/train"), ("POST", "/api/rollback"), ("POST", f"/api/adapters/{adapter.name}/promote"),
        ("GET", f"/api/adapters/{adapter.name}"), ("GET", f"/api/adapters/{adapter.name}/report"),
        ("GET", f"/api/adapters/{adapter.name}/report.html"),
        ("GET", f"/api/adapters/{adapter.name}/diff/{adapter.name}"),
    ):  # fmt: skip
        answer = mine(method, path)
        assert (answer.status, answer.refused) == (403, "not_admin"), path
    (listed,) = mine.get("/api/adapters")["adapters"]
    assert listed["active"] and listed["reason"] is None and listed["path"] is None
    assert mine.get("/api/status")["home"] is None
    assert mine("POST", "/api/retry", {"all": True}).status == 403


def test_nobody_names_another_user_but_an_admin(served: Served) -> None:
    ann, admin = served.keyed("ann"), served.keyed("", admin=True)
    for path in ("/api/sessions", "/api/memories", "/api/recall?q=tuba"):
        other = f"{path}{'&' if '?' in path else '?'}user=ben"
        assert ann("GET", other).refused == "not_admin"
        assert ann("GET", other.replace("ben", "ann")).status == 200
        assert admin("GET", other).status == 200
    assert ann.get("/api/sessions", X_Atles_User="ben")["total"] == 1, "a header counts only where no key says it"
    assert admin.get("/api/sessions")["total"] == 2
    assert admin.get("/api/sessions?user=ben")["sessions"][0]["session_id"] == BEN["session_id"]
    assert admin.get("/api/sessions?user=nobody")["total"] == 0


def test_whose_memory_is_meant_is_asked_where_several_people_s_are_stored(served: Served) -> None:
    answer = served.admin("GET", "/api/recall?q=tuba")
    assert answer.status == 400 and "say of whom (ann, ben)" in answer.json["error"]["message"]
