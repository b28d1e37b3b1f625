"""What a question asks, which messages bear on it, in which order, and why."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from atles.pipeline import recall
from atles.pipeline.forms import forms
from atles.pipeline.recall import FEATURES, Candidate, excerpt, features, idf, learned, rank, tokens, understand
from atles.store import Store
from atles.store.turns import Turn
from tests.samples import session

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def turn(text: str, at: int = 0, role: str = "user", name: str = "", when: str = "2026-05-08T10:00:00+00:00") -> Turn:
    return Turn(100 + at, f"m{at}", 1, "s", at, 50, role, name, text, when)


def candidates(question: recall.Query, turns: Sequence[Turn]) -> list[Candidate]:
    """Which words each turn and the turn before it hold, by plain spelling."""
    masks = [sum(1 << place for place, word in enumerate(question.words) if word in it.text.lower()) for it in turns]
    return [
        Candidate(it, mask, masks[at - 1] if at else 0, 0, mask)
        for at, (it, mask) in enumerate(zip(turns, masks, strict=True))
    ]


def ranked(text: str, *turns: Turn, **how: object) -> list[recall.Ranked]:
    question = understand(text)
    worth = dict.fromkeys(question.words, 2.0)
    return rank(question, candidates(question, turns), worth, NOW, **how)  # pyright: ignore[reportArgumentType]


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


@pytest.mark.parametrize(
    ("word", "other"), [("buy", "bought"), ("buying", "bought"), ("children", "child"), ("writes", "wrote")]
)
def test_forms_that_no_stemmer_knows(word: str, other: str) -> None:
    assert forms(word)[0] == word and other in forms(word)


def test_a_word_has_no_forms_but_its_own_if_none_are_known() -> None:
    assert forms("greyhound") == ("greyhound",) and forms("") == ("",)


def test_a_rarer_word_says_more() -> None:
    assert idf(1, 100) > idf(10, 100) > idf(100, 100) > 0


def test_what_holds_more_of_the_question_comes_first() -> None:
    found = ranked("name of my greyhound", turn("My greyhound's name is Bix.", 0), turn("A name, then.", 20))
    assert [it.turn.position for it in found] == [0, 20]
    assert found[0].score > found[1].score


def test_the_user_is_believed_before_the_assistant() -> None:
    said = ("I keep bees.", "The bees, then.")
    found = ranked("bees", turn(said[1], 0, "assistant"), turn(said[0], 20, "user"))
    assert found[0].turn.role == "user"


def test_the_same_words_come_once_at_their_best_place() -> None:
    found = ranked("bees", turn("I keep  bees", 0), turn("i keep bees", 20), turn("Bees sting.", 40))
    assert len(found) == 2


def test_no_more_than_asked_for_and_no_more_than_fits() -> None:
    turns = [turn(f"bees of kind {n} " + "and so on " * n, n) for n in range(8)]
    assert len(ranked("bees", *turns, k=3)) == 3
    fitting = ranked("bees", *turns, budget_tokens=40)
    assert 1 < len(fitting) < 8 and sum(tokens(it.text) for it in fitting) <= 40
    assert ranked("bees", *turns, k=0) == [] and ranked("bees", *turns, budget_tokens=0) == []
    assert ranked("bees") == []


def test_why_is_said_in_words() -> None:
    (it, *_) = ranked("name of my greyhound on 8 May 2026", turn("My greyhound's name is Bix."))
    assert it.why[0] == "says ‘name’, ‘greyhound’"
    assert "the user said it" in it.why
    question = understand("bees on 8 May 2026")
    mask = sum(1 << place for place, word in enumerate(question.words) if word in ("bees", "said20260508"))
    (it,) = rank(question, [Candidate(turn("bees"), mask)], dict.fromkeys(question.words, 2.0), NOW)
    assert "said on 8 May 2026" in it.why


def test_a_neighbour_is_named_as_the_reason() -> None:
    found = ranked("vet", turn("What's the vet called?", 0, "assistant"), turn("Dr Prym.", 1))
    assert next(it for it in found if it.turn.position == 1).why[0] == "just before: ‘vet’"


def test_there_is_a_feature_for_each_name_and_a_weight_for_no_other() -> None:
    question = understand("When did Ann buy two hens, and who sold them?")
    turns = [turn("Ann bought two hens from Bo yesterday?", 0, name="Ann"), turn("I did.", 1)]
    for cosines in (None, [0.1, 0.7]):
        rows = features(question, candidates(question, turns), dict.fromkeys(question.words, 1.0), NOW, cosines)
        assert [len(row) for row in rows] == [len(FEATURES)] * 2
        assert all(isinstance(value, float) and -1 <= value <= 5 for row in rows for value in row)
    for with_cosines in (False, True):
        assert set(learned(with_cosines)) <= set(FEATURES)
    assert "cosine" not in learned(False) and learned(True)["cosine"] > 0


def test_meaning_can_put_another_first() -> None:
    turns = [turn("bees here", 0), turn("bees there", 20)]
    assert ranked("bees", *turns, cosines=[0.1, 0.9])[0].turn.position == 20
    assert ranked("bees", *turns, cosines=[0.9, 0.1])[0].turn.position == 0


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
