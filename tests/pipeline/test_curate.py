"""What people do to memories by hand."""

import json

import pytest

from atles.errors import AtlesError
from atles.pipeline import curate
from atles.pipeline.memory import MemoryProcessor
from atles.store import Store
from tests.pipeline.test_memory import Scripted, fact, said, state

LINES = [
    '{"type": "fact", "text": "I live in Leeds", "valid_from": "2026-01-01T00:00:00+00:00"}',
    "",
    '{"text": "Answer in French", "type": "preference", "pinned": true}',
]


def test_what_was_changed_by_hand_stays_when_its_session_is_learned_again(store: Store) -> None:
    memory = MemoryProcessor(store=store, extractor=Scripted(a=[fact("I keep hens")]))
    memory.process_session(said("a", 1, "u: I keep hens"))
    user = store.sessions.user()
    assert user is not None
    (found,) = store.memories.of_user(user)
    edited = curate.edit(store, found.id, "I keep  ducks,\nno hens", "secrets")
    assert (edited.id, edited.text, edited.edited, edited.said_by) == (found.id, "I keep ducks, no hens", True, "you")
    memory.process_session(said("a", 1, "u: I keep hens"))
    assert [text for text, *_ in state(store)] == ["I keep ducks, no hens"]
    assert [hit.text for hit in memory.recall("hens or ducks?")] == ["I keep ducks, no hens"]


def test_import_writes_once_and_recall_finds_it(store: Store) -> None:
    assert curate.import_(store, LINES, "secrets") == (2, 0)
    assert curate.import_(store, LINES, "secrets") == (0, 2)
    memory = MemoryProcessor(store=store)
    (hit,) = memory.recall("Leeds")
    assert (hit.text, hit.kind, hit.why) == ("I live in Leeds", "fact", ("says ‘leeds’", "written by you"))
    assert [it.text for it in memory.preferences()] == ["Answer in French"]


def test_export_and_import_are_one_round_trip(store: Store, tmp_path) -> None:
    memory = MemoryProcessor(store=store, extractor=Scripted(a=[fact("I keep hens")], b=[fact("I live in Bath")]))
    memory.process_session(said("a", 1, "u: I keep hens"))
    memory.process_session(said("b", 2, "u: I live in Bath", metadata={"user": "ada"}))
    lines = [json.dumps(it) for it in curate.export(store)]
    other = Store(tmp_path / "other.db")
    assert curate.import_(other, lines, "secrets") == (2, 0)
    assert state(other, "") == state(store, "") and state(other, "ada") == state(store, "ada")
    assert [json.loads(line)["text"] for line in lines if json.loads(line)["user"] == "ada"] == ["I live in Bath"]
    assert len(list(curate.export(store, "ada"))) == 1
    other.close()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[" * 100_000, "line 2 is not JSON"),
        ("17", "line 2: a memory is an object like"),
        ('{"type": "fact"}', "line 2: a memory is an object like"),
        ('{"text": "I ski", "type": "poem"}', "line 2: 'poem' is no type of memory; there are fact, preference"),
        ('{"text": "it is so"}', "line 2: there is nothing to remember"),
        ('{"text": "I ski", "slot": 3}', "line 2: `slot` is no text"),
        (json.dumps({"text": "ski " * 1000}), "line 2: a memory has at most 2,000 characters"),
    ],
    ids=lambda it: it[:20],
)
def test_a_bad_line_is_named_and_nothing_is_imported(store: Store, line: str, message: str) -> None:
    with pytest.raises(AtlesError, match=message.replace("[", r"\[")):
        curate.import_(store, [LINES[0], line], "secrets")
    assert store.memories.count() == 0


def test_what_is_written_by_hand_is_scrubbed(store: Store) -> None:
    found, new = curate.add(store, "the wifi password is Blue-Heron-77", level="secrets")
    assert new and "Blue-Heron" not in found.text and "[PASSWORD]" in found.text
