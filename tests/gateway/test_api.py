"""The API below /api: what each route says and does, and what it says to what it does not understand."""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from atles.cli.app import SECTIONS
from atles.gateway.api import ROUTES
from atles.pipeline.lanes import LEARN, TRAIN
from atles.queue import NewJob
from atles.records import AdapterState, Verdict
from tests.gateway.api_fixtures import (
    ANN,
    BEN,
    Served,
    a_home_of_two,
    a_home_that_trained,
    a_home_with_a_model_server,
    eventually,
)
from tests.samples import document

__all__ = ["a_home_of_two", "a_home_that_trained", "a_home_with_a_model_server"]  # fixtures


def at(session_id: str) -> str:
    return f"/api/sessions/{quote(session_id, safe='')}"


# --- sessions ---


def test_status_is_what_the_command_says(served: Served) -> None:
    seen = served.admin.get("/api/status")
    assert (seen["stats"]["sessions_processed"], seen["stats"]["total_messages"]) == (2, 6)
    assert seen["home"] == str(served.home.root.resolve()) and seen["is_running"] is False


def test_sessions_come_in_pages_newest_first(served: Served) -> None:
    first = served.admin.get("/api/sessions?limit=1")
    second = served.admin.get("/api/sessions?limit=1&offset=1")
    assert [it["sessions"][0]["session_id"] for it in (first, second)] == [BEN["session_id"], ANN["session_id"]]
    assert first["total"] == second["total"] == 2 and first["sessions"][0]["state"] == "learned"
    assert served.admin.get("/api/sessions?offset=2")["sessions"] == []


def test_a_session_is_shown_whatever_its_id_holds(served: Served) -> None:
    shown = served.admin.get(at(BEN["session_id"]))
    assert shown["session_id"] == BEN["session_id"] and shown["metadata"] == {"user": "ben"}
    assert [it["content"] for it in shown["messages"]] == [it["content"] for it in BEN["messages"]]
    assert shown["examples"] and {it["step"] for it in shown["steps"]} == {"memory", "data", "log"}


@pytest.mark.parametrize(
    "odd", ["ä/ö%2F", "..", "a?b#c", "日本/語", "50%", "x\0y", "\N{GRINNING FACE}", "a b+c", "." * 300]
)
def test_ids_may_be_anything(served: Served, odd: str) -> None:
    served.pipeline.arrive(document(f"id {odd}", "u: Hello.", "a: Hello."))
    stored = served.store.sessions.list()[-1]["session_id"]
    assert served.admin.get(at(stored))["session_id"] == stored
    answer = served.admin("GET", at(f"not {odd}"))
    assert (answer.status, answer.refused) == (404, "not_found")


def test_a_conversation_is_ended_by_its_id_or_by_its_clients_name_for_it(chatting: Served) -> None:
    told = chatting.chat("My bike is green.").headers["X-Atles-Session"]
    chatting.chat("My boat is blue.", X_Atles_Session="about/boats")
    assert chatting.anybody.post(f"{at(told)}/end") == {"session_id": told, "ended": True}
    assert chatting.anybody.post(f"{at('about/boats')}/end")["ended"]
    eventually(lambda: len(list(chatting.home.sessions.glob("completed_*.json"))) == 2)
    chatting.arrived()
    assert {it["session_id"] for it in chatting.admin.get("/api/sessions")["sessions"]} == {told, "about/boats"}
    assert chatting.anybody("POST", f"{at(told)}/end").refused == "not_found"


def test_a_user_ends_only_their_own_conversation(chatting: Served) -> None:
    chatting.chat("My boat is blue.", X_Atles_Session="boats", X_Atles_User="ann")
    assert chatting.anybody("POST", "/api/sessions/boats/end").status == 404
    assert chatting.anybody("POST", "/api/sessions/boats/end", {"user": "ben"}).status == 404
    assert chatting.anybody("POST", f"{at('ann:boats')}/end", X_Atles_User="ben").status == 404
    assert chatting.anybody("POST", "/api/sessions/boats/end", X_Atles_User="ann").status == 200
    chatting.chat("My boat is red.", X_Atles_Session="more boats", X_Atles_User="ann")
    assert chatting.admin.post(f"{at('more boats')}/end?user=ann")["session_id"] == "ann:more boats"


def test_what_failed_is_tried_again(served: Served) -> None:
    queue, woken = served.pipeline.queue, served.woken
    served.pipeline.breaks("log", RuntimeError("the disk is full"))
    served.pipeline.arrive(document("unlucky", "u: Hello.", "a: Hello.", metadata={"user": "ann"}))
    served.pipeline.work_off()
    (dead,) = served.admin.get("/api/sessions")["dead"]
    assert dead["session_id"] == "unlucky" and "disk is full" in dead["error"]
    assert served.keyed("ben").get("/api/sessions")["dead"] == []
    assert served.keyed("ben")("POST", "/api/retry", {"name": "unlucky"}).status == 404
    assert served.keyed("ann").post("/api/retry", {"name": "unlucky"}) == {"jobs": 1, "files": []}
    assert not queue.dead() and {LEARN, TRAIN} <= set(woken)
    assert served.admin.post("/api/retry", {"all": True}) == {"jobs": 0, "files": []}
    assert served.admin("POST", "/api/retry", {"name": "unlucky"}).refused == "not_found"
    assert served.admin("POST", "/api/retry", {}).refused == "invalid_parameter"


def test_a_file_in_quarantine_is_tried_again(served: Served) -> None:
    (served.home.sessions / "completed_bad.json").write_text("{")
    served.pipeline.clock.sleep(60)
    assert served.pipeline.inbox.take(served.home.sessions / "completed_bad.json") is None
    (file,) = served.admin.get("/api/sessions")["quarantine"]
    assert served.keyed("ann").get("/api/sessions")["quarantine"] == []
    assert served.admin.post("/api/retry", {"name": file["file"]}) == {"jobs": 0, "files": ["completed_bad.json"]}


# --- memory ---


def test_memories_are_added_changed_pinned_and_forgotten(served: Served) -> None:
    ann = served.keyed("ann")
    made = ann.post("/api/memories", {"text": "My token is sk-ant-REDACTED"
                                      ", and I row.", "type": "fact"})  # fmt: skip
    assert made["new"] and "[API_KEY]" in made["text"]
    again = ann.post("/api/memories", {"text": "The boiler was serviced in May."})
    assert not again["new"]
    path = f"/api/memories/{made['id']}"
    changed = ann("PATCH", path, {"text": "I row on the Ouse.", "pinned": True}).json
    assert (changed["text"], changed["pinned"], changed["edited"]) == ("I row on the Ouse.", True, True)
    assert ann("PATCH", path, {"pinned": False}).json["pinned"] is False
    assert ann.get(path)["text"] == "I row on the Ouse."
    assert ann("PATCH", path, {}).refused == "invalid_parameter"
    assert ann("DELETE", path).json["memories"] == 1
    assert ann("GET", path).status == 404


def test_an_admin_remembers_for_somebody(served: Served) -> None:
    made = served.admin.post("/api/memories?user=ben", {"text": "I like rhubarb.", "type": "preference"})
    assert [it["user"] for it in served.admin.get("/api/memories")["memories"] if it["id"] == made["id"]] == ["ben"]
    assert served.keyed("ben").get("/api/memories?type=preference")["memories"][0]["text"] == "I like rhubarb."


def test_memories_are_listed_by_type_and_with_what_is_over(served: Served) -> None:
    everything = served.admin.get("/api/memories")
    assert {it["user"] for it in everything["memories"]} == {"ann", "ben"} and everything["topics"]
    assert all(it["type"] == "fact" for it in served.admin.get("/api/memories?type=fact&all=true")["memories"])
    assert served.admin.get("/api/memories?type=procedure")["memories"] == []


def test_a_memory_says_where_it_was_said(served: Served) -> None:
    (home,) = [it for it in served.admin.get("/api/memories?user=ann")["memories"] if it["slot"] == "home"]
    shown = served.admin.get(f"/api/memories/{home['id']}")
    assert [(it["session_id"], it["position"]) for it in shown["sources"]] == [(ANN["session_id"], 0)]
    assert shown["sources"][0]["text"] == ANN["messages"][0]["content"]
    assert served.admin("GET", f"/api/memories/{home['id'][:8]}").status == 404, "an id is given whole"


def test_recall_says_what_and_why(served: Served) -> None:
    (hit, *_) = served.keyed("ann").get("/api/recall?q=where%20do%20I%20live&k=1")["recalled"]
    assert hit["session_id"] == ANN["session_id"] and hit["why"]
    earlier = served.keyed("ann").get("/api/recall?q=where%20do%20I%20live&at=2025-01-01")
    assert earlier["recalled"] == []
    assert served.admin("GET", "/api/recall?q=x&user=ann&at=soon").status == 400


def test_why_names_what_the_adapter_has_learned(trained: Served) -> None:
    (name,) = [it.name for it in trained.store.adapters.list()]
    said = trained.admin.get("/api/why?q=" + quote("What colour is the boat number 7?"))
    assert said["model"] == name and said["memories"] and said["examples"]


def test_forgetting_is_everywhere_and_all_or_nothing(trained: Served) -> None:
    (adapter,) = [it.name for it in trained.store.adapters.list()]
    assert trained.admin("POST", "/api/forget", {"sessions": ["session_001", "nobody's"]}).status == 404
    assert "painted" in trained.admin.get("/api/sessions/session_001")["messages"][1]["content"]
    message = trained.admin.get("/api/sessions/session_002")["messages"][1]["id"]
    trained.store.database.settle()
    copy = Path(shutil.copy(trained.home.database, trained.home.migrated))
    done = trained.admin.post("/api/forget", {"sessions": ["session_001"], "messages": [message]})
    assert done["sessions"] == ["session_001", "session_002"] and done["messages"] == 5
    assert done["retired"] == [adapter] and done["serves"] is None
    assert done["copies"] == ["atles.db.migrated"] and done["set_aside"] == []
    copy.unlink()
    assert trained.admin.get("/api/sessions/session_001")["messages"][1]["content"] == ""
    assert {LEARN, TRAIN} <= set(trained.woken) and {job.kind for job in trained.pipeline.queue.open()} >= {
        "data",
        "train",
    }
    words = b"Boat number 1 is painted"
    assert not [it for it in trained.home.root.rglob("*") if it.is_file() and words in it.read_bytes()]
    assert trained.admin("POST", "/api/forget", {}).refused == "invalid_parameter"
    assert trained.admin("POST", "/api/forget", {"sessions": []}).refused == "invalid_parameter"


def test_a_conversation_that_goes_on_is_forgotten_with_its_journal(chatting: Served) -> None:
    told = chatting.chat("My boat is blue.").headers["X-Atles-Session"]
    assert chatting.admin("POST", "/api/forget", {"sessions": ["x", told]}).status == 404
    assert len(list(chatting.home.open_sessions.glob("*.jsonl"))) == 1
    assert chatting.admin.post("/api/forget", {"sessions": [told]})["conversations"] == [told]
    assert not list(chatting.home.open_sessions.glob("*.jsonl"))
    assert (
        chatting.chat("My boat is blue.", "You said: My boat is blue.", "And tall.").headers["X-Atles-Session"] != told
    )


# --- adapters and training ---


def test_an_adapter_is_shown_reported_and_moved(trained: Served) -> None:
    (listed,) = trained.admin.get("/api/adapters")["adapters"]
    path = f"/api/adapters/{listed['name']}"
    assert listed["active"] and listed["reason"] and listed["path"]
    shown = trained.admin.get(path)
    assert shown["verdict"]["promote"] and shown["dataset"]["train_examples"] > 0
    assert trained.admin.get(f"{path}/report")["adapter"] == listed["name"]
    page = trained.admin("GET", f"{path}/report.html")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert b"<!doctype html>" in page.body and "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert trained.admin.get(f"{path}/diff/{listed['name']}")["answers"] == []
    assert trained.admin("POST", f"{path}/promote").refused == "not_promoted", "it serves already"
    assert trained.admin.post("/api/rollback") == {"from": listed["name"], "to": None}
    assert trained.admin("POST", "/api/rollback").refused == "not_rolled_back"
    assert trained.admin.post(f"{path}/promote") == {"from": None, "to": listed["name"]}
    for missing in ("/api/adapters/0009-x", "/api/adapters/..%2F..%2Fetc", f"{path}/diff/x", "/api/adapters/x/report"):
        assert trained.admin("GET", missing).status == 404


def test_a_rejected_adapter_does_not_serve_and_one_without_a_report_says_so(trained: Served) -> None:
    (adapter,) = trained.store.adapters.list()
    trained.store.adapters.judge(adapter.name, Verdict(False, "It forgot too much.", {"gain": float("-inf")}))
    assert trained.store.adapters.get(adapter.name).state is AdapterState.REJECTED
    answer = trained.admin("POST", f"/api/adapters/{adapter.name}/promote")
    assert answer.status == 409 and "It forgot too much." in answer.json["error"]["message"]
    assert trained.admin.get("/api/adapters")["adapters"][0]["gain"] is None, "JSON has no infinity"
    for file in trained.home.adapter(adapter.name).glob("report.*"):
        file.unlink()
    for name in ("report", "report.html", f"diff/{adapter.name}"):
        assert trained.admin("GET", f"/api/adapters/{adapter.name}/{name}").refused == "no_report"


def test_a_training_is_asked_for(trained: Served) -> None:
    assert trained.admin.get("/api/train")["queued"] is False
    assert trained.admin.post("/api/train")["queued"] is True
    assert [job.key for job in trained.pipeline.queue.open()] == ["now"] and trained.woken == [TRAIN]


def test_no_training_mixes_what_several_users_said(served: Served) -> None:
    assert "2 users" in served.admin.get("/api/train")["mixed"]
    answer = served.admin("POST", "/api/train", {})
    assert (answer.status, answer.refused) == (409, "no_training") and "train.shared" in answer.json["error"]["message"]


# --- requests ---


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"txet": "I row."}, 400, "did you mean text?"),
        ({"text": "I row.", "zzzzzz": 1}, 400, "there are text, type"),
        ({}, 400, "needs 'text'"),
        ({"text": 5}, 400, "'text' must be a text"),
        ({"text": ""}, 400, "must not be empty"),
        ({"text": "x" * 10_001}, 400, "10,000 characters at most, not 10,001"),
        ({"text": "I row.", "type": "topic"}, 400, "must be one of fact"),
        ({"text": "?!"}, 400, "nothing to remember"),
        ([], 400, "must be an object"),
        (None, 415, "send application/json"),
    ],
)
def test_what_is_not_understood_is_told(served: Served, body: Any, status: int, says: str) -> None:
    answer = served.admin("POST", "/api/memories", body)
    assert answer.status == status and says in answer.json["error"]["message"]
    assert answer.refused


def test_bodies_are_json_and_of_a_size(served: Served) -> None:
    send = {"Content_Type": "application/json"}
    for data in (b"{", b'{"text": NaN', b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"):
        assert served.admin("POST", "/api/memories", data=data, **send).status == 400, data[:20]
    assert served.admin("POST", "/api/memories", data=b"text=x", Content_Type="text/plain").status == 415
    huge = json.dumps({"text": "x" * (1 << 20)}).encode()
    assert served.admin("POST", "/api/memories", data=huge, **send).refused == "too_large"
    half = served.admin.post("/api/memories", data=b'{"text": "I row \\ud83d and sing."}', **send)
    assert half["text"] == "I row \ufffd and sing."


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limt=5", "did you mean limit?"), ("limit=x", "must be a whole number"), ("limit=0", "from 1 to 1000"),
        ("limit=" + "9" * 400, "must be a whole number"), ("offset=-1", "from 0"),
        ("limit=1&limit=2", "more than once"),
    ],
)  # fmt: skip
def test_queries_are_read_strictly(served: Served, query: str, says: str) -> None:
    answer = served.admin("GET", f"/api/sessions?{query}")
    assert answer.status == 400 and says in answer.json["error"]["message"]


def test_a_question_is_needed(served: Served) -> None:
    for path in ("/api/recall", "/api/why", "/api/recall?q="):
        assert served.admin("GET", path).status == 400


def test_a_path_says_which_methods_it_takes(served: Served) -> None:
    answer = served.admin("PUT", "/api/memories")
    assert (answer.status, answer.refused, answer.headers["Allow"]) == (405, "wrong_method", "GET, POST")
    assert served.admin("GET", "/api/nothing").status == 404
    assert served.admin("HEAD", "/api/status").status == 200


def test_nothing_of_it_is_cached(served: Served) -> None:
    assert served.admin("GET", "/api/sessions").headers["Cache-Control"] == "no-store"


def test_a_failure_that_nobody_foresaw_has_the_one_shape(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.store.sessions, "list", lambda: 1 / 0)
    assert served.admin("GET", "/api/sessions").refused == "internal_error"
    monkeypatch.setattr(served.store.sessions, "list", lambda: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert served.admin("GET", "/api/sessions").refused == "storage_failed"


def test_the_api_does_what_the_commands_do() -> None:
    """A command that shows or changes what is remembered has a route; the others start things or talk."""
    elsewhere = (
        "start stop restart run worker cluster ingest drain logs chat ask export demo doctor config keys"
        " install uninstall prune backup restore migrate"
    ).split()
    commands = {name for section in SECTIONS.values() for name in section} - set(elsewhere)
    paths = " ".join(route.path for route in ROUTES)
    spoken = {"memory": "memories", "report": "report"}
    assert all(spoken.get(name, name) in paths for name in commands), commands


def test_jobs_of_another_kind_have_no_session(served: Served) -> None:
    served.pipeline.queue.put(NewJob("odd", "odd", LEARN))
    job = served.pipeline.queue.claim(LEARN)
    assert job
    served.pipeline.queue.bury(job, "broken")
    assert served.admin.get("/api/sessions")["dead"][0]["session_id"] is None
    assert served.keyed("ann").get("/api/sessions")["dead"] == []
