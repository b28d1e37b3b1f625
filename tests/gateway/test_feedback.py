"""Feedback over HTTP: an answer is found by the id that its client was given, whenever it is rated."""

from typing import Any

import pytest

from atles.pipeline.lanes import LEARN
from tests.gateway.api_fixtures import (
    ANN,
    Client,
    Served,
    a_home_of_two,
    a_home_with_a_model_server,
    eventually,
    serve,
)
from tests.gateway.upstream import FakeUpstream, answers

__all__ = ["a_home_of_two", "a_home_with_a_model_server"]  # fixtures

ASKED = "When is bell practice?"
WRONG, RIGHT = "Bell practice is on Mondays.", "Bell practice is on Thursdays."
ANTHROPIC_ID = "msg_01XFDUDYJgAACzvnptvVoYEL"


@pytest.fixture
def wrong(chatting: Served, upstream: FakeUpstream) -> Served:
    upstream.reply(answers(WRONG))
    return chatting


def rated(client: Client, **body: Any) -> Any:
    return client.post("/api/feedback", body)


def learned(served: Served) -> dict[str, str]:
    (session,) = [it["session_id"] for it in served.store.sessions.list()]
    return {it.output: it.rejected for it in served.store.examples.of_session(session) if it.kind != "restated"}


def test_an_answer_is_rated_while_its_conversation_goes_on(wrong: Served) -> None:
    answer = wrong.chat(ASKED)
    done = rated(wrong.anybody, id=answer.json["id"], rating="edit", text=RIGHT)
    session = answer.headers["X-Atles-Session"]
    assert done == {"session_id": session, "position": 1, "rating": "edit", "stored": False}
    wrong.anybody.post(f"/api/sessions/{session}/end")
    wrong.arrived()
    assert learned(wrong) == {RIGHT: WRONG}


def test_an_answer_is_rated_long_after(wrong: Served) -> None:
    answer = wrong.chat(ASKED)
    wrong.anybody.post(f"/api/sessions/{answer.headers['X-Atles-Session']}/end")
    wrong.arrived()
    assert learned(wrong) == {WRONG: ""}
    wrong.woken.clear()
    assert rated(wrong.anybody, id=answer.json["id"], rating="down")["stored"] is True
    assert wrong.woken == [LEARN]
    wrong.pipeline.work_off()
    assert learned(wrong) == {}
    assert WRONG not in {it["text"] for it in wrong.admin.get("/api/recall?q=bell+practice+mondays")["recalled"]}


@pytest.mark.parametrize("stored", [True, False])
def test_a_gateway_that_was_started_again_knows_the_answer(wrong: Served, upstream: FakeUpstream, stored: bool) -> None:
    upstream.reply(answers(WRONG, id=ANTHROPIC_ID))  # it looks like a key, and is none
    answer = wrong.chat(ASKED)
    assert answer.json["id"] == ANTHROPIC_ID
    if stored:
        wrong.anybody.post(f"/api/sessions/{answer.headers['X-Atles-Session']}/end")
        wrong.arrived()
    wrong.gateway.stop()
    for again in serve(wrong.pipeline, wrong.pipeline.settings):
        done = rated(again.anybody, id=ANTHROPIC_ID, rating="down")
        assert (done["position"], done["stored"]) == (1, stored)


def test_an_answer_is_named_by_session_and_position_or_by_its_message(served: Served) -> None:
    ann, message = served.keyed("ann"), served.store.sessions.get(ANN["session_id"]).session.messages[3]
    assert rated(ann, session=ANN["session_id"], position=3, rating="up")["stored"]
    assert rated(ann, id=message.id, rating="down")["position"] == 3
    assert rated(ann, id=message.id, rating="up"), "also when it was turned down"
    assert [it.rating for it in served.store.feedback.of_session(ANN["session_id"]).values()] == ["up"]


def test_a_live_answer_is_named_by_its_clients_own_name_for_the_session(wrong: Served) -> None:
    wrong.chat(ASKED, X_Atles_Session="bells", X_Atles_User="ann")
    named = {"session": "bells", "position": 1, "rating": "up"}
    assert wrong.anybody("POST", "/api/feedback", named).status == 404
    assert wrong.anybody("POST", "/api/feedback", {**named, "user": "ben"}).status == 404
    assert rated(wrong.anybody, **named, user="ann")["session_id"] == "ann:bells"


def test_another_users_answer_is_not_there(wrong: Served) -> None:
    answer = wrong.chat(ASKED, X_Atles_User="ann").json["id"]
    for user in ("ben", ""):
        assert wrong.anybody("POST", "/api/feedback", {"id": answer, "rating": "down"}, X_Atles_User=user).status == 404
    assert rated(wrong.anybody, id=answer, rating="down", user="ann")
    assert rated(wrong.admin, id=answer, rating="up")


def test_one_that_is_just_being_stored_is_asked_for_again(wrong: Served) -> None:
    answer = wrong.chat(ASKED)
    wrong.anybody.post(f"/api/sessions/{answer.headers['X-Atles-Session']}/end")
    eventually(lambda: list(wrong.home.sessions.glob("completed_*.json")))
    refused = wrong.anybody("POST", "/api/feedback", {"id": answer.json["id"], "rating": "down"})
    assert (refused.status, refused.refused) == (409, "being_stored")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"rating": "down"}, 400),
        ({"id": "x", "session": "s", "position": 1, "rating": "down"}, 400),
        ({"session": "s", "rating": "down"}, 400),
        ({"position": 1, "rating": "down"}, 400),
        ({"id": "x", "rating": "great"}, 400),
        ({"id": "x", "rating": "edit"}, 400),
        ({"id": "x", "rating": "edit", "text": "  "}, 400),
        ({"id": "x", "rating": "up", "text": "but"}, 400),
        ({"id": "x", "rating": "up"}, 404),
        ({"session": ANN["session_id"], "position": 0, "rating": "up"}, 404),  # the user's own words
        ({"session": ANN["session_id"], "position": 99, "rating": "up"}, 404),
        ({"session": "nobody's", "position": 1, "rating": "up"}, 404),
    ],
)
def test_what_is_no_rating_of_an_answer_is_refused(served: Served, body: dict[str, Any], status: int) -> None:
    assert served.admin("POST", "/api/feedback", body).status == status


def test_a_forgotten_answer_is_not_rated(served: Served) -> None:
    served.admin.post("/api/forget", {"sessions": [ANN["session_id"]]})
    named = {"session": ANN["session_id"], "position": 1, "rating": "edit", "text": "Hello, Ann."}
    assert served.admin("POST", "/api/feedback", named).status == 404
