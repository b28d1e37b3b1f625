"""What was learned from sessions: stored once, and found again by any question."""

import pytest

from atles.errors import AtlesError
from atles.pipeline.memory import MemoryProcessor
from atles.records import Memory, MemoryType
from atles.store import Store
from tests.samples import session


@pytest.fixture
def memory(store: Store) -> MemoryProcessor:
    processor = MemoryProcessor(store=store)
    processor.process_session(
        session(
            "garden",
            "u: My sister Odette keeps bees behind the shed.",
            "a: Bees like lavender and borage.",
            "u: 漢字 を 書く, and my cat is called naïve Zoë",
            "a: 🤖 noted",
        )
    )
    return processor


def a_memory(name: str, **fields: object) -> Memory:
    values = {
        "id": name, "type": MemoryType.FACT, "text": f"I keep {name}", "said_by": "user", "confidence": 1.0, "slot": "",
        "value": "", "valid_from": "2026-01-01T00:00:00+00:00", "valid_to": None, "replaced_by": "", "ended_how": "",
        "count": 0, "pinned": False, "edited": False, "extractor": "test", "created_at": "2026-01-01T00:00:00+00:00",
        "last_used_at": None, "uses": 0,
    }  # fmt: skip
    return Memory(**{**values, **fields})  # type: ignore[arg-type]


def test_a_memory_that_ended_is_history_and_comes_back_when_its_successor_goes(store: Store) -> None:
    user = store.sessions.user_to_write("")
    for name in ("goats", "hens"):
        store.memories.add(a_memory(name), user, f"i keep {name}")
    store.memories.end("goats", "2026-02-01T00:00:00+00:00", "hens", "replaced")
    assert [it.id for it in store.memories.of_user(user)] == ["hens"]
    assert {it.id for it in store.memories.of_user(user, ended=True)} == {"goats", "hens"}
    ended = store.memories.get("goats")
    assert (ended.valid_to, ended.replaced_by, ended.ended_how) == ("2026-02-01T00:00:00+00:00", "hens", "replaced")
    store.memories.delete("hens")
    assert store.memories.get("goats").valid_to is None
    assert [it.id for it in store.memories.like(user, ["goats"], ["hen"], 5)] == ["goats"]


def test_what_a_deleted_memory_replaced_is_taken_over_by_what_replaced_that(store: Store) -> None:
    user = store.sessions.user_to_write("")
    for name in ("a1", "b2", "c3"):
        store.memories.add(a_memory(name), user, name)
    store.memories.end("a1", "2026-02-01T00:00:00+00:00", "b2", "replaced")
    store.memories.end("b2", "2026-03-01T00:00:00+00:00", "c3", "replaced")
    store.memories.delete("b2")
    assert store.memories.get("a1").replaced_by == "c3"
    assert [it.id for it in store.memories.of_user(user)] == ["c3"]


def test_the_beginning_of_an_id_is_enough_where_it_is_one(store: Store) -> None:
    user = store.sessions.user_to_write("")
    for name in ("abc1", "abd2"):
        store.memories.add(a_memory(name), user, name)
    assert store.memories.get("abc").id == "abc1"
    with pytest.raises(AtlesError, match="short for several memories"):
        store.memories.get("ab")
    for nothing in ("x", ""):
        with pytest.raises(AtlesError, match="there is no memory"):
            store.memories.get(nothing)


def test_a_session_has_the_documented_columns(memory: MemoryProcessor, store: Store) -> None:
    row = store.memories.session("garden")
    assert set(row) == {"id", "session_id", "timestamp", "topics", "preferences", "message_count", "data"}
    assert row["message_count"] == 4 and isinstance(row["topics"], list)
    assert store.memories.session(str(row["id"])) == row
    with pytest.raises(AtlesError, match="nothing is remembered of a session 'none'"):
        store.memories.session("none")
    assert store.memories.session(str(row["id"])) == row, "by its number, too"
    assert store.memories.session_or_none("9" * 30) is None


def test_topics_are_merged_over_sessions_and_go_with_the_last_of_them(store: Store) -> None:
    numbers = []
    for name in ("one", "two"):
        store.sessions.add(session(name, "u: a"), 5)
        numbers.append(store.sessions.number(name))
    user = store.sessions.user()
    assert user is not None
    assert store.memories.put_topics(user, numbers[0], {"bees": "Bees", "tea": "tea"}) == 2
    assert store.memories.put_topics(user, numbers[1], {"bees": "bees"}) == 0
    assert [(it["text"], it["sessions"]) for it in store.memories.topics(user)] == [("Bees", 2), ("tea", 1)]
    store.memories.put_topics(user, numbers[0], {})
    store.memories.drop_idle_topics()
    assert [(it["text"], it["sessions"]) for it in store.memories.topics(user)] == [("Bees", 1)]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Who keeps bees?", "My sister Odette keeps bees behind the shed."),
        ("bee keeping", "My sister Odette keeps bees behind the shed."),  # other forms of the words
        ("漢字", "漢字 を 書く, and my cat is called naïve Zoë"),
        ("what is my cat called? Zoe?", "漢字 を 書く, and my cat is called naïve Zoë"),  # without the dots
    ],
)
def test_the_best_message_comes_first(memory: MemoryProcessor, question: str, found: str) -> None:
    assert memory.recall(question)[0].text == found


@pytest.mark.parametrize(
    "question",
    [
        "", " ", "?!", "🤖", '"', '"bees', "bees*", "*", "NEAR(bees odette, 2)", "NEAR", "bees AND", "NOT bees", "OR",
        "body: bees", "previous:bees", "-bees", "^bees", "(bees", "bees)", "bees + odette", "a\0b bees", "\ud83d bees",
        "bees' -- ;drop table sessions", "{bees}", "https://example.org/?q=bees&x=%20", "\n\t", "İı ß ﬁ",
        "nothing like it",
        "bees " * 5_000, " ".join(f"word{n}" for n in range(5_000)),
    ],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_a_question_in_any_characters_is_a_question_not_a_query(memory: MemoryProcessor, question: str) -> None:
    found = memory.recall(question)
    assert ("bees" in question.lower().replace("'", " ")) == any("bees" in hit.text.lower() for hit in found)


def test_recall_gives_no_more_than_asked_best_first_and_nothing_twice(store: Store) -> None:
    memory = MemoryProcessor(store=store)
    for number in range(6):
        memory.process_session(session(f"s{number}", f"u: note {number} on bees and honey", "a: bees are fine"))
    found = memory.recall("bees", 3)
    assert len(found) == 3 and [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert sum(hit.text == "bees are fine" for hit in memory.recall("bees", 20)) == 1
    assert memory.recall("bees", 0) == []
    assert memory.recall("submarine") == []


def test_an_answer_is_found_by_its_question(store: Store) -> None:
    memory = MemoryProcessor(store=store)
    memory.process_session(session("s", "u: What is the plumber's number?", "a: It is 555 0199."))
    assert "It is 555 0199." in [hit.text for hit in memory.recall("plumber")]
