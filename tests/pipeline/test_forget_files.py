"""What was forgotten leaves every file of a home, whatever they are called and in whatever state they are."""

import json
import os
from typing import Any

import pytest

from atles.layout import Home
from atles.pipeline import forget_files
from atles.pipeline.erase import erase, mark
from atles.records import Arrival
from tests.fakes import FakePrograms
from tests.pipeline.conftest import Pipeline
from tests.raw import everything
from tests.samples import chat, document, drop

BEES = document("s", "u: My sister Odette keeps bees.", "a: Bees like borage.")
CHANGED = document("s", "u: My sister Odette keeps bees.", "a: Odette and bees again.")


def holding(home: Home, words: str) -> list[str]:
    return [file.name for file in home.root.rglob("*") if file.is_file() and words.encode() in file.read_bytes()]


def forget(pipeline: Pipeline, **ids: list[str]) -> None:
    erase(pipeline.context.shelf, pipeline.store, pipeline.queue, mark(pipeline.store, **ids))
    pipeline.work_off()


def test_files_of_other_names_lose_the_words_too(pipeline: Pipeline, home: Home) -> None:
    grown = {**BEES, "messages": [*BEES["messages"], *chat(1)["messages"]]}
    for name, it in (("weird", BEES), ("weird", BEES), ("odd", grown)):
        pipeline.inbox.take(drop(home, it, name))
    pipeline.work_off()
    forget(pipeline, sessions=["s"])
    assert holding(home, "Odette") == [] and holding(home, "boat number 1") == []


@pytest.mark.parametrize("answer", ["a: Fine.", "a: Forgotten: Odette's bees."])
def test_what_a_chat_asks_to_forget_is_not_logged_either(pipeline: Pipeline, home: Home, answer: str) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    assert holding(home, "Odette")
    asked = document("s", "u: My sister Odette keeps bees.", "a: Bees like borage.", "u: Please forget that.", answer)
    pipeline.arrive(asked)
    pipeline.arrive(document("t", "u: My sister Odette left.", "a: Oh."))
    pipeline.arrive(document("u", "u: Please forget what I said about Odette.", answer))
    pipeline.work_off()
    pipeline.store.database.settle()
    assert holding(home, "Odette") == [] and b"odette" not in everything(pipeline.store).lower()


def test_a_pipe_keeps_no_forgetting_waiting(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    for folder, name in (
        (home.processed, "completed_s.2.json"), (home.quarantine, "completed_s.json"),
        (home.logs, "session_log_s_20200101_000000.json"),
    ):  # fmt: skip
        os.mkfifo(folder / name)
    forget(pipeline, sessions=["s"])
    assert holding(home, "Odette") == []
    (home.processed / "completed_s.json").unlink()
    os.mkfifo(home.processed / "completed_s.json")
    forget(pipeline, sessions=["s"])


def test_what_an_application_noted_of_a_session_goes_with_its_words(pipeline: Pipeline, home: Home) -> None:
    noted = {"user": "ann", "title": "Odette's bees", "tags": ["Odette"], "named": "Odette"}
    told = {**BEES, "metadata": noted}
    pipeline.arrive(told)
    pipeline.work_off()
    (first, _) = pipeline.store.sessions.get("s").session.messages
    forget(pipeline, messages=[first.id])
    grown = {**told, "messages": [*told["messages"], *document("s", "u: Rain again", "a: Indeed.")["messages"]]}
    assert pipeline.arrive(grown) == [Arrival.GROWN]
    pipeline.work_off()
    assert holding(home, "Odette") == [] and b"Odette" not in everything(pipeline.store)
    assert pipeline.store.sessions.get("s").session.metadata == {"user": "ann"}


def test_what_is_still_to_come_is_named(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    for name in ("s.jsonl", "s.01arz3ndektsv4rrffq69g5fav.closing", "s2.jsonl"):
        (home.open_sessions / name).write_text("{}")
    drop(home, BEES)
    done = erase(pipeline.context.shelf, pipeline.store, pipeline.queue, mark(pipeline.store, sessions=["s"]))
    assert [it.rpartition("/")[2] for it in done["on_their_way"]] == [
        "s.01arz3ndektsv4rrffq69g5fav.closing", "s.jsonl", "completed_s.json",
    ]  # fmt: skip


def test_a_file_that_was_learned_goes_while_it_is_looked_for(
    pipeline: Pipeline, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    listed = forget_files.names

    def pruned(folder: Any) -> list[str]:
        return [*listed(folder), *(["completed_s.2.json", "completed_s.3.json"] if folder == home.processed else [])]

    monkeypatch.setattr(forget_files, "names", pruned)
    forget(pipeline, sessions=["s"])
    assert holding(home, "Odette") == []


@pytest.mark.parametrize("broken", [b"", b"{", b"[1]", b"\xff\xfe{", b"[" * 100_000])
def test_a_log_that_is_broken_is_written_anew(
    pipeline: Pipeline, home: Home, broken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    (log,) = home.logs.glob("session_log_s_*")
    before = json.loads(log.read_bytes())
    assert before["improvements"]
    log.write_bytes(broken + b"Odette" * bool(broken))
    other = log.with_name("session_log_s_20200101_000000.json")
    other.write_bytes(b"Odette")
    monkeypatch.setattr(pipeline.store.logs, "after", None)  # those of all sessions
    erase(pipeline.context.shelf, pipeline.store, pipeline.queue, mark(pipeline.store, sessions=["s"]))
    assert holding(home, "Odette") == []
    assert json.loads(log.read_bytes()) == {**before, "improvements": []}
    assert not other.exists(), "of that one the store has nothing"


def test_a_line_of_the_master_log_that_is_broken_loses_the_words(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    whole = home.master_log.read_bytes()
    strange = b"of somebody else: Odette \xff\n"
    home.master_log.write_bytes(
        whole[:-60] + b"\n" + strange + b'{"session_id": "t", "x": {"session_id": "s"}}\n' + whole
    )
    forget(pipeline, sessions=["s"])
    said = home.master_log.read_bytes()
    assert b"Odette" in said, "whose that is, nobody can say"
    lines = [json.loads(it) for it in said.split(b"\n") if it and not it.startswith(b"of somebody")]
    assert [it["session_id"] for it in lines][:2] == ["t", "s"] and not any(it.get("improvements") for it in lines[:2])


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"train": 3}', '{"train": {"sessions": [{}]}, "heldout": {}}'])
def test_a_dataset_of_which_nobody_can_say_what_is_in_it_goes(pipeline: Pipeline, home: Home, broken: str) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    for name, said in (("broken", broken), ("whole", '{"train": {"sessions": ["t"]}, "heldout": {"sessions": []}}')):
        home.dataset(name).mkdir()
        (home.dataset(name) / "manifest.json").write_text(said)
    forget(pipeline, sessions=["s"])
    assert [it.name for it in home.datasets.iterdir()] == ["whole"] and holding(home, "Odette") == []


def aside(home: Home, name: str, content: bytes) -> None:
    (home.quarantine / name).write_bytes(content)
    (home.quarantine / f"{name}.reason.txt").write_text("why\n")


HUGE = b'{"messages": ["' + b"x" * (1 << 12)
AS_JSON = json.dumps(CHANGED).encode()
OTHERS = {
    "completed_t.json": json.dumps({**CHANGED, "session_id": "t", "metadata": {"session_id": "s"}}).encode(),
    "completed_s.b.json": b"{",
    "completed_s2.json": b"",
    "completed_5.json": b'{"session_id": 5.5}',
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("completed_s.json", AS_JSON),
        ("completed_other.json", AS_JSON),
        ("completed_bom.json", b"\xef\xbb\xbf" + AS_JSON),
        ("completed_other.json", AS_JSON[:-30]),
        ("completed_s.3.json", b"\xff\x00 Odette"),
        ("completed_s.json", b"[" * 100_000),
        ("completed_s.json", b""),
        ("completed_s.json", json.dumps({"messages": CHANGED["messages"]}).encode()),
        (f"s.{'0' * 26}.closing", b"Odette"),
        (f"journal.{'0' * 26}.closing", b'\n{"session_id": "s", "start_time": 1}\n{"message": {"content": "Odette'),
        (f"completed_s.json.123.abc.tmp.{'0' * 26}", b"Odette"),
        ("completed_huge.json", HUGE + b'Odette"], "session_id" : "s"}'),
    ],
)
def test_what_was_set_aside_goes_with_a_session_that_is_forgotten_as_a_whole(
    pipeline: Pipeline, home: Home, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    if name == "completed_huge.json":
        for what, size in (("_PARSED", 100), ("_WINDOW", len(HUGE) + 20), ("_OVERLAP", 100)):
            monkeypatch.setattr(forget_files, what, size)
    pipeline.arrive(BEES)
    pipeline.work_off()
    aside(home, name, content)
    for other, its in OTHERS.items() if name != "completed_huge.json" else ():
        aside(home, other, its)
    (home.quarantine / "completed_s.json.d").mkdir()
    there = {it.name for it in home.quarantine.iterdir()} - {name, f"{name}.reason.txt"}
    first, _ = pipeline.store.sessions.get("s").session.messages
    forget(pipeline, messages=[first.id])
    assert [it.name for it in forget_files.set_aside(home, ["s"])] == [name], "it stays while some of it is known"
    forget(pipeline, sessions=["s"])
    assert {it.name for it in home.quarantine.iterdir()} == there
    assert forget_files.set_aside(home, ["s"]) == [] == forget_files.set_aside(home, [])


def test_what_cannot_be_read_is_known_by_its_name(
    pipeline: Pipeline, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: Any) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    aside(home, "completed_s.json", AS_JSON)
    aside(home, "completed_t.json", AS_JSON)
    monkeypatch.setattr(forget_files, "_ids_in", refused)
    assert [it.name for it in forget_files.set_aside(home, ["s"])] == ["completed_s.json"]


@pytest.mark.parametrize("forgotten", ["session_000", "session_002"])
def test_what_an_interrupted_training_was_to_learn_is_forgotten_at_once(
    pipeline: Pipeline, home: Home, fake: FakePrograms, forgotten: str
) -> None:
    """And goes on where it was, if that was not in it."""
    fake.modes("train", "slow")
    pipeline.arrive(*(chat(number) for number in range(20)))
    pipeline.context.progress = lambda event: pipeline.stop.set()
    while pipeline.queue.busy("learn"):
        pipeline.clock.until(pipeline.queue.next_due("learn") or 0)
        pipeline.workers[0].run_one()
    pipeline.clock.sleep(10)
    pipeline.workers[1].run_one()
    (left,) = home.work.glob("train-*")
    words = {"session_000": "Boat number 0 is painted", "session_002": "Boat number 2 is painted"}[forgotten]
    held_out = pipeline.store.sessions.get(forgotten).split == "heldout"
    erase(pipeline.context.shelf, pipeline.store, pipeline.queue, mark(pipeline.store, sessions=[forgotten]))
    assert holding(home, words) == [] and left.exists() == held_out
