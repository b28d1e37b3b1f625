"""Whatever comes, it is read in a moment and nothing is raised."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atles.pipeline.extract import RuleExtractor
from atles.records import Session
from tests.pipeline.extract.reading import facts, read, statements
from tests.samples import EXAMPLES, document

PIECES = st.sampled_from(
    """i my we you she no not never if imagine forget please always when say first then lives is am have 12 may
    , . ? ! ; : " ' ( ) > ``` \n 😂 猫 كلب Ann sister called about moved from to now instead than would **""".split(" ")
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map(" ".join))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), TEXTS), max_size=8))
def test_it_never_raises_and_says_only_what_it_can_place(said: list[tuple[str, str]]) -> None:
    data = document("s")
    data["messages"] = [{"role": role, "content": text} for role, text in said]
    found = RuleExtractor().extract(Session.of(data))
    for claim in found.claims:
        assert claim.text.strip() and 0 <= claim.confidence <= 1
        assert claim.messages and all(0 <= at < len(said) for at in claim.messages)
        assert "\0" not in claim.text
    assert all(count > 0 for count in found.refused.values())


@pytest.mark.parametrize(
    "text",
    ["i have a cat and ", "my ", "a", "I live in Rome. ", "I live in Rome\n", '"', "lol, ", "if i ", "not ",
     "my dog and ", "forget what i ", "when i say ", "(", "`", "my sister Ann ", "😂", "猫", "call me "],
)  # fmt: skip
def test_a_message_of_a_hundred_thousand_characters_takes_less_than_a_second(text: str) -> None:
    long = text * (100_000 // len(text))
    began = time.process_time()
    read(f"u: {long}", f"a: {long}", f"u: no, {long}")
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize("smiley", [":)", ";)", "😂", "…", "?!"])
def test_a_smiley_after_a_fact_changes_nothing(smiley: str) -> None:
    assert facts(f"My sister lives in Oakham. {smiley}") == facts("My sister lives in Oakham.") != []


def test_an_empty_session_has_nothing() -> None:
    data = {"session_id": "s", "messages": []}
    assert RuleExtractor().extract(Session.of(data)).claims == ()


def test_of_other_languages_little_is_taken() -> None:
    assert (
        statements(
            "我住在东京，我有两只猫。", "أنا أعيش في القاهرة", "ich wohne in Wien und habe zwei Katzen", "me llamo Eva"
        )
        == []
    )


def test_the_same_session_gives_the_same_claims() -> None:
    import json

    for file in sorted(EXAMPLES.glob("*.json")):
        session = Session.of(json.loads(file.read_text()))
        assert RuleExtractor().extract(session) == RuleExtractor().extract(session)
