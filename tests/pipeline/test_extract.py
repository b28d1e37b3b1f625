"""Preferences and topics: what the user asked for, and nothing that only sounds like it."""

import time

import pytest

from atles.pipeline.extract import preferences, topics
from tests.samples import messages


def found(text: str) -> list[str]:
    return [preference.text for preference in preferences(messages(f"u: {text}"))]


@pytest.mark.parametrize(
    "request_",
    [
        "Always give me metric units", "Never use exclamation marks", "Please don't use emoji",
        "please do not apologise so much", "From now on answer in French", "I prefer short answers",
        "I'd prefer a table for this", "I really prefer tea over long lists", "I like it when you are brief",
        "I want you to call me Sam", "I hate it when you use bullet points", "I don't like your long answers",
        "Don't mention my age again", "stop using my full name please", "Call me Doctor Reed",
        "Can you please keep it short", "keep your answers under three sentences", "Please keep it simple",
        "could you always show the source?", "would you never say sorry?", "Please avoid jargon",
        "pls use bullet points",
        "hey, always reply in German", "Also, never suggest meat", "I need you to be blunt with me",
        "i would rather have a list than prose",
    ],
)  # fmt: skip
def test_a_request_is_a_preference(request_: str) -> None:
    (text,) = found(request_)
    assert request_.rstrip("?").endswith(text) and len(text.split()) >= 3


@pytest.mark.parametrize(
    "text",
    [
        "I always have tea at four",
        "He always says that",
        "She never liked sushi",
        "My uncle always kept bees",
        "Always been like that",
        "Never heard of it",
        "never mind",
        "Never mind, I found it",
        "Always?",
        "Never again!",
        "never had a dog",
        "Always the same with them",
        "Never thought so",
        "Do you always answer that fast?",
        "Why do you never sleep?",
        "Should I always water it in the evening?",
        "Is it true that cats always land well?",
        "My doctor told me to please keep walking",
        "They prefer the blue one",
        "Would you prefer tea?",
        "What should I call my boat?",
        "The manual says: never open the lid",
        '"Please don\'t feed the ducks" it said',
        "The sign said please do not touch",
        "It always rains here",
        "Thanks, that helps a lot",
        "Please",
        "always",
        "What is the capital of Japan?",
        "I like jazz",
    ],
)
def test_a_habit_a_question_or_another_persons_wish_is_none(text: str) -> None:
    assert found(text) == []


def test_it_is_known_where_it_was_said_and_each_is_kept_once() -> None:
    said = messages(
        "u: Hi! My name is Ann.", "a: Please keep it short, always.", "u: Thanks. please keep it short. And tea?",
        "u: Please keep it short",
    )  # fmt: skip
    (only,) = preferences(said)
    assert (only.text, only.message, only.quote) == ("please keep it short", 2, "please keep it short.")


def test_a_request_in_the_middle_of_a_sentence_is_found() -> None:
    assert found("thanks for that list, but please don't use emoji") == ["please don't use emoji"]
    assert found("I eat no meat; never suggest chicken! ok?") == ["never suggest chicken"]


def test_nothing_is_taken_from_anyone_but_the_user() -> None:
    assert preferences(messages("a: Always call me master", "s: Never swear at all", "t: Please don't do that")) == []


def test_topics_name_what_was_talked_about_and_where() -> None:
    said = messages(
        "u: My pinball machine has a weak left flipper", "a: A weak flipper often has a worn coil sleeve.",
        "u: where do I buy a coil sleeve", "a: Shops for pinball machine parts have it.", "t: pinball noise",
    )  # fmt: skip
    extracted = topics(said, 5)
    assert 1 <= len(extracted) <= 5
    words = " ".join(topic.text for topic in extracted).lower()
    assert "pinball machine" in words and "coil sleeve" in words
    assert [topic.score for topic in extracted] == sorted(topic.score for topic in extracted)
    for topic in extracted:
        for position in topic.messages:
            assert topic.text.lower() in said[position].text.lower() and position != 4


@pytest.mark.parametrize("lines", [[], ["u: "], ["t: only a tool"], ["u: ?!"], ["u: 🤖"], ["u: the of and a"]])
def test_where_nothing_is_said_there_is_no_topic(lines: list[str]) -> None:
    assert topics(messages(*lines), 8) == []


def test_no_topics_where_none_are_wanted() -> None:
    assert topics(messages("u: My pinball machine has a weak flipper"), 0) == []


@pytest.mark.parametrize(
    "text", ["please " * 30_000, "don't " * 30_000, "a" * 300_000, "no, " * 50_000, "ok ok " * 30_000, "\n" * 300_000],
    ids=lambda text: text[:6],
)  # fmt: skip
def test_long_and_strange_texts_are_read_in_a_moment(text: str) -> None:
    began = time.process_time()
    preferences(messages(f"u: {text}"))
    topics(messages(f"u: {text}"), 8)
    assert time.process_time() - began < 2.0
