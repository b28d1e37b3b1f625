"""Which messages hold a word: in any script, of one user only, and gone without a trace once taken out."""

import sqlite3

import pytest

from atles.store import Store
from atles.store.turns import Turn, words
from tests.samples import session


def put(store: Store, session_id: str, *lines: str, user: str = "", **fields: object) -> int:
    """Store a session and index it; its number."""
    store.sessions.add(session(session_id, *lines, metadata={"user": user} if user else {}, **fields), 5)
    number = store.sessions.number(session_id)
    store.turns.index(number)
    return number


def found(store: Store, word: str, user: str = "", at: str | None = None) -> list[str]:
    """The texts of the messages of a user that hold the word."""
    number = store.sessions.user(user)
    assert number is not None
    first, last = store.turns.span(number)
    return [
        turn.text for turn in store.turns.get((first + row for row in store.turns.with_word(word, first, last)), at)
    ]


def indexed(store: Store) -> set[bytes]:
    """Every block of the index, as it lies in the file."""
    with sqlite3.connect(store.database.path) as connection:
        return {row[0] for row in connection.execute("select block from turns_data")}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("My sister keeps bees.", "bee"),
        ("My sister keeps bees.", "keeping"),
        ("My cat is called Zoë", "zoe"),
        ("Zoe\u0308 again", "zoë"),  # the dots as a sign of their own
        ("我在北京工作", "北京"),
        ("我在北京工作", "京"),
        ("ねこが好きです", "好き"),
        ("고양이를 키워요", "양이"),
        ("I live in 東京 now", "live"),
        ("Straße 12b", "12b"),
    ],
)
def test_a_word_is_found_in_its_forms_and_in_any_script(store: Store, text: str, word: str) -> None:
    put(store, "s", f"u: {text}", "a: Nothing of that.")
    assert found(store, word) == [text]


def test_signs_that_do_not_stand_together_are_not_a_word(store: Store) -> None:
    put(store, "s", "u: 北の京")
    assert found(store, "北京") == []


def test_the_words_of_a_question() -> None:
    assert words("Who's keeping the BEES, 2 of them?") == ["who", "s", "keeping", "the", "bees", "2", "of", "them"]
    assert words("我在北京 now") == ["我在", "在北", "北京", "now"]
    assert words("猫") == ["猫"] and words("?! 🤖 _ \ud83d") == []


@pytest.mark.parametrize("word", ['"', "-bee*s", "a:b", "NEAR", 'x" OR "bees', "-", "", "a\0b"])
def test_no_word_is_syntax(store: Store, word: str) -> None:
    put(store, "s", "u: bees")
    assert found(store, word) == []


def test_users_never_see_each_other(store: Store) -> None:
    for user in ("ann", "bo"):
        put(store, f"{user}_1", f"u: {user} keeps bees", user=user)
        put(store, f"{user}_2", f"u: more bees of {user}", user=user)
    assert found(store, "bees", "ann") == ["ann keeps bees", "more bees of ann"]
    assert found(store, "bo", "ann") == [] and len(found(store, "bo", "bo")) == 2


def test_only_what_was_said_is_indexed_and_once(store: Store) -> None:
    number = put(store, "s", "s: You like bees.", "u: bees", "a: ", "t: bees", "a: bees, too")
    assert found(store, "bees") == ["bees", "bees, too"]
    assert store.turns.index(number) == 0
    assert len(found(store, "bees")) == 2


def test_a_session_that_grew_is_indexed_from_where_it_was(store: Store) -> None:
    put(store, "s", "u: bees")
    put(store, "other", "u: hens")
    put(store, "s", "u: bees", "a: How many bees?")
    assert found(store, "bees") == ["bees", "How many bees?"]


def test_what_was_said_later_or_rejected_is_not_got(store: Store) -> None:
    put(store, "old", "u: bees then", start_time="2025-01-02T00:00:00+00:00")
    put(store, "new", "u: bees now", "a: wasps, bees", start_time="2026-01-02T00:00:00+00:00")
    assert found(store, "bees", at="2025-06-01T00:00:00+00:00") == ["bees then"]
    rejected = store.sessions.get("new").session.messages[1].id
    store.memories.reject([rejected])
    assert found(store, "bees") == ["bees then", "bees now"]


def test_a_turn_says_where_it_stands(store: Store) -> None:
    number = put(store, "s", "u: one bee", "a: two", "u: three")
    first, last = store.turns.span(1)
    (turn,) = store.turns.get(first + row for row in store.turns.with_word("bee", first, last))
    message = store.sessions.get("s").session.messages[0]
    assert turn == Turn(first + 1, message.id, number, "s", 0, 3, "user", "", "one bee", "2026-01-02T03:04:05+00:00")
    assert last == first + 3


@pytest.mark.parametrize("word", ["said20260102", "said20260100", "said0102", "said0100"])
def test_a_day_is_a_word(store: Store, word: str) -> None:
    put(store, "s", "u: bees")
    put(store, "t", "u: hens", start_time="2025-03-04T00:00:00+00:00")
    assert found(store, word) == ["bees"]


def test_what_is_taken_out_is_found_no_more_and_nothing_else_is_lost(store: Store) -> None:
    gone = put(store, "gone", "u: Ottoline has beehives", "a: Ottoline, noted")
    put(store, "kept", "u: hives of my own")
    assert store.turns.remove(gone) == 2 and store.turns.remove(gone) == 0
    assert found(store, "ottoline") == [] and found(store, "hives") == ["hives of my own"]
    assert store.turns.index(gone) == 2, "it could be put back"
    assert len(found(store, "ottoline")) == 2


def test_single_messages_are_taken_out(store: Store) -> None:
    put(store, "s", "u: bees one", "u: bees two")
    _, last = store.turns.span(1)
    assert store.turns.remove_messages([last, 12345]) == 1
    assert found(store, "bees") == ["bees one"]


def test_after_wiping_no_word_is_left_in_the_file(sqlite: Store) -> None:
    put(sqlite, "kept", "u: hens")
    gone = put(sqlite, "gone", "u: Ottoline has bees")
    assert any(b"ottolin" in block for block in indexed(sqlite))
    sqlite.turns.remove(gone)
    sqlite.turns.wipe()
    assert not any(b"ottolin" in block for block in indexed(sqlite))
    assert found(sqlite, "hens") == ["hens"]


def test_a_user_of_whom_nothing_is_stored_has_an_empty_span(store: Store) -> None:
    first, last = store.turns.span(7)
    assert last == first - 1 and store.turns.with_word("bees", first, last) == []


def test_one_of_several_words_is_enough(store: Store) -> None:
    put(store, "s", "u: bees and hens", "a: hens", "u: cows")
    first, last = store.turns.span(1)
    assert store.turns.with_any(["bees", "hens"], first, last) == [1, 2]
    assert store.turns.how_many(["bees", "hens"], first, last) == 2
    assert store.turns.how_many(["hens"], first + 2, last) == 1
