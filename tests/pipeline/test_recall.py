"""What a question asks, which messages bear on it, in which order, and why."""

from datetime import UTC, datetime

import pytest

from atles.pipeline import recall
from atles.pipeline.recall import excerpt, idf, tokens, understand
from atles.store import Store
from tests.samples import session

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is my sister's name?", {"sister", "name"}),
        ("Who is he?", {"who", "is", "he"}),  # all, where there is no other
        ("", set()),
        ("what did I say on 8 May 2023?", {"8", "may", "2023", "said20230508"}),
        ("in March 2024", {"march", "2024", "said20240300"}),
        ("on 2024-03-05", {"2024", "03", "05", "said20240305"}),
        ("on June 20th", {"june", "20th", "said0620"}),
        ("may I march?", {"may", "march"}),  # words, not months
    ],
)
def test_the_words_that_are_looked_up(question: str, words: set[str]) -> None:
    found = {word for word in understand(question).words if ":" not in word}
    assert words <= found and not {word for word in found - words if word.startswith("said2")}


@pytest.mark.parametrize(
    ("question", "when", "how_many", "who"),
    [
        ("When did I move?", True, False, False),
        ("what day is band practice?", True, False, False),
        ("How many hens do I have?", False, True, False),
        ("what's my teacher called?", False, False, True),
        ("what do I eat?", False, False, False),
    ],
)
def test_the_kind_of_answer_that_is_asked_for(question: str, when: bool, how_many: bool, who: bool) -> None:
    asked = understand(question)
    assert (asked.when, asked.how_many, asked.who) == (when, how_many, who)


def test_a_rarer_word_says_more() -> None:
    assert idf(1, 100) > idf(10, 100) > idf(100, 100) > 0


def test_a_long_message_is_cut_to_the_part_that_was_asked_for() -> None:
    text = "some words that say nothing " * 3_000 + "and the greyhound is called Bix " + "so it goes on " * 3_000
    part = excerpt(text, understand("what is the greyhound called?"))
    assert "greyhound is called Bix" in part and len(part) <= 604
    assert part.startswith("… ") and part.endswith(" …")
    assert excerpt("short", understand("what?")) == "short"
    assert len(excerpt(text, understand(""))) <= 604


def test_tokens_of_any_script_are_counted() -> None:
    assert tokens("") == 0 and tokens("four char") == 3 and tokens("北京") == 2 and tokens("\ud83d") >= 1


def test_looking_up_finds_the_answer_beside_the_question(store: Store) -> None:
    store.sessions.add(session("s", "u: Hello.", "a: What is the vet's number?", "u: 555 0199", "a: Thanks."), 5)
    store.turns.index(store.sessions.number("s"))
    found, worth = recall.look_up(store.turns, understand("the vet?"), 1)
    assert {it.turn.text for it in found} >= {"What is the vet's number?", "555 0199"} and worth["vet"] > 0
    assert recall.look_up(store.turns, understand("submarine"), 1)[0] == []
    assert recall.look_up(store.turns, understand(""), 1) == ([], {})
    assert recall.look_up(store.turns, understand("vet"), 2) == ([], {})


def test_a_neighbour_in_another_session_is_no_neighbour(store: Store) -> None:
    for name, line in (("one", "u: the vet"), ("two", "u: other things")):
        store.sessions.add(session(name, line), 5)
        store.turns.index(store.sessions.number(name))
    found, _ = recall.look_up(store.turns, understand("vet"), 1)
    assert [it.turn.text for it in found] == ["the vet"]


def test_in_a_large_store_the_commonest_words_are_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "_SAMPLE", 50)
    monkeypatch.setattr(recall, "_MOST_HITS", 30)
    lines = [f"u: note {n} of many" for n in range(200)] + ["u: a note on the greyhound"]
    store.sessions.add(session("s", *lines), 5)
    store.turns.index(store.sessions.number("s"))
    found, worth = recall.look_up(store.turns, understand("many note greyhound"), 1)
    assert "a note on the greyhound" in [it.turn.text for it in found]
    assert worth["greyhound"] > worth["note"]


def test_what_was_said_too_late_makes_room_for_what_was_not(store: Store) -> None:
    store.sessions.add(session("old", "u: bees then", start_time="2025-01-02T00:00:00+00:00"), 5)
    store.sessions.add(session("new", *[f"u: bees {n}" for n in range(450)]), 5)
    for name in ("old", "new"):
        store.turns.index(store.sessions.number(name))
    found, _ = recall.look_up(store.turns, understand("bees"), 1, "2025-06-01T00:00:00+00:00")
    assert [it.turn.text for it in found] == ["bees then"]
