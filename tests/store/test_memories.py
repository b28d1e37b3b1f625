"""What was learned from sessions: stored once, and found again by any question."""

import pytest

from atles.errors import AtlesError
from atles.pipeline.memory import MemoryProcessor
from atles.records import Preference, Topic
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


def test_putting_a_session_again_creates_nothing_new(store: Store) -> None:
    s = session("s", "u: a", "a: b")
    store.sessions.add(s, 5)
    topics, asked = [Topic("bees", 0.1, (0,))], [Preference("always be short", 0, "always be short.")]
    assert store.memories.put(s, topics, asked) == 2
    assert store.memories.put(s, topics, asked) == 0
    assert store.memories.put(s, [*topics, Topic("tea", 0.2, (1,))], asked) == 1
    assert len(store.memories.list()) == 1
    assert len(store.memories.search('"b"', 10)) == 1, "each message is in the index once"


def test_a_memory_has_the_documented_columns(memory: MemoryProcessor, store: Store) -> None:
    row = store.memories.get("garden")
    assert set(row) == {"id", "session_id", "timestamp", "topics", "preferences", "message_count", "data"}
    assert row["message_count"] == 4 and isinstance(row["topics"], list)
    assert store.memories.get(str(row["id"])) == row
    with pytest.raises(AtlesError, match="there is no memory 'none'"):
        store.memories.get("none")


def test_preferences_of_all_sessions_newest_first(store: Store) -> None:
    for name in ("one", "two"):
        s = session(name, "u: a")
        store.sessions.add(s, 5)
        store.memories.put(s, [], [Preference(f"always {name}", 0, "")])
    assert store.memories.preferences() == ["always two", "always one"]


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
