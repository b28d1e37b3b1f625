"""The vectors of messages: which are still to be made, and what becomes of them."""

import pytest

from atles.errors import Duplicate
from atles.store import Store
from atles.store.vectors import Vectors
from tests.raw import execute
from tests.samples import session

DIM = 384


@pytest.fixture
def vectors(store: Store) -> Vectors:
    store.sessions.add(session("one", "s: Be brief.", "u: I keep bees.", "a: How many hives?", "u: "), 5)
    store.sessions.add(session("two", "u: The boat is green.", "a: 🤖 noted", "t: 42"), 5)
    return store.vectors


def rowid(vectors: Vectors, text: str) -> int:
    return {words: number for number, words in vectors.pending(100)}[text]


def test_messages_with_words_are_pending_newest_first(vectors: Vectors) -> None:
    assert [text for _, text in vectors.pending(10)] == [
        "🤖 noted",
        "The boat is green.",
        "How many hives?",
        "I keep bees.",
    ]
    assert [text for _, text in vectors.pending(1)] == ["🤖 noted"]


def test_what_was_put_is_found_and_no_longer_pending(vectors: Vectors) -> None:
    bees, boat = rowid(vectors, "I keep bees."), rowid(vectors, "The boat is green.")
    assert vectors.put([(bees, b"\x01" * DIM), (boat, b"\xff" * DIM)]) == 2
    assert vectors.of([boat, bees, 12345]) == {bees: b"\x01" * DIM, boat: b"\xff" * DIM}
    assert vectors.of([]) == {}
    assert [text for _, text in vectors.pending(10)] == ["🤖 noted", "How many hives?"]
    assert vectors.count() == 2


def test_putting_again_replaces(vectors: Vectors) -> None:
    bees = rowid(vectors, "I keep bees.")
    vectors.put([(bees, b"\x01" * DIM)])
    vectors.put([(bees, b"\x02" * DIM)])
    assert vectors.of([bees]) == {bees: b"\x02" * DIM} and vectors.count() == 1


def test_a_message_that_was_forgotten_meanwhile_is_skipped(vectors: Vectors) -> None:
    bees = rowid(vectors, "I keep bees.")
    assert vectors.put([(1 << 50, b"\x01" * DIM), (bees, b"\x02" * DIM)]) == 1
    assert vectors.count() == 1 and vectors.of([1 << 50]) == {}


def test_a_vector_goes_with_its_message(vectors: Vectors, store: Store) -> None:
    bees, boat = rowid(vectors, "I keep bees."), rowid(vectors, "The boat is green.")
    vectors.put([(bees, b"\x01" * DIM), (boat, b"\x02" * DIM)])
    execute(store, "delete from sessions where session_id = 'one'")
    assert vectors.of([bees, boat]) == {boat: b"\x02" * DIM}


def test_a_removed_vector_is_pending_again(vectors: Vectors) -> None:
    bees, boat = rowid(vectors, "I keep bees."), rowid(vectors, "The boat is green.")
    vectors.put([(bees, b"\x01" * DIM), (boat, b"\x02" * DIM)])
    vectors.remove([bees, 12345])
    assert vectors.of([bees, boat]) == {boat: b"\x02" * DIM}
    assert (bees, "I keep bees.") in vectors.pending(10)


def test_putting_is_all_or_nothing(vectors: Vectors) -> None:
    bees, boat = rowid(vectors, "I keep bees."), rowid(vectors, "The boat is green.")
    with pytest.raises(Duplicate):
        vectors.put([(bees, b"\x01" * DIM), (boat, None)])  # type: ignore[list-item]
    assert vectors.count() == 0
