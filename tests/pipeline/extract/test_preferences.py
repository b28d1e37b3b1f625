"""Preferences: what the user asked for in general, and nothing that only sounds like it."""

import time

import pytest

from atles.pipeline.extract.preferences import preferences
from atles.pipeline.extract.topics import topics
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
        "i would rather have a list than prose", "keep ur answers short with me",
    ],
)  # fmt: skip
def test_a_request_is_a_preference(request_: str) -> None:
    (text,) = found(request_)
    assert request_.rstrip("?").endswith(text) and len(text.split()) >= 3


@pytest.mark.parametrize(
    "request_",
    [
        "no emojis please", "I think in metric", "bullet points work best for me", "prefer British spelling",
        "answer in Spanish from now on", "give the price first", "stop apologising",
        "When you recommend a film, tell me who directed it first.",
        "Don't call me Elizabeth, it's Liz.", "One question at a time please.",
        "Whenever you list prices, put them in Swiss francs.", "use celsius, i dont get fahrenheit",
        "It would be great if you could always end with a question.", "Address me formally, please.",
        "Give me three options whenever I ask for ideas.", "Add a source to every claim you make.",
        "no long paragraphs pls, i zone out", "Try to be less formal with me.", "give distances in miles, I'm American",
        "tables are easier for me than text", "you can skip the safety warnings", "Let's stick to English, please.",
        "round numbers to the nearest ten for me", "less yapping pls", "Weights in pounds and ounces, if you please.",
        "You may call me Margaret", "I can't be doing with bullet points.", "british spelling please",
        "If you quote prices to me, include VAT.", "I want the conclusion first and the reasoning afterwards, always.",
        "could u not use emojis", "Keep your replies brief, I read them on a watch.", "spare me the disclaimers",
    ],
)  # fmt: skip
def test_so_is_a_wish_in_other_words(request_: str) -> None:
    assert len(found(request_)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "I always have tea at four", "He always says that", "She never liked sushi", "My uncle always kept bees",
        "Always been like that", "Never heard of it", "never mind", "Never mind, I found it", "Always?", "Never again!",
        "never had a dog", "Always the same with them", "Never thought so", "Do you always answer that fast?",
        "Why do you never sleep?", "Should I always water it in the evening?", "Is it true that cats always land well?",
        "My doctor told me to please keep walking", "They prefer the blue one", "Would you prefer tea?",
        "What should I call my boat?", "The manual says: never open the lid",
        '"Please don\'t feed the ducks" it said', "The sign said please do not touch", "It always rains here",
        "Thanks, that helps a lot", "Please", "always", "What is the capital of Japan?", "I like jazz",
    ],
)  # fmt: skip
def test_a_habit_a_question_or_another_persons_wish_is_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "request_",
    [
        "can u give me pandas when its python pls", "can you do 24h times for me?",
        "In recipes give me the weights in grams", "with medical matters, begin with the conclusion",
        "when you explain a proof to me, end with one sentence on why it matters",
        "listen when you tell me how far something is say it in miles",
        "if someone asks for chords just give me the fret numbers",
        "could you put a tiny summary at the end of long answers", "no more emojis pls",
        "no bullet points and no numbered lists, please",
    ],
)  # fmt: skip
def test_so_is_one_for_a_certain_kind_of_answer(request_: str) -> None:
    (text,) = found(request_)
    assert text.rstrip("?") == request_.removeprefix("listen ").rstrip("?")  # no "no" is lost


@pytest.mark.parametrize(
    "text",
    [
        "Make it shorter please", "translate this to Spanish", "Can you give me a list of ten names?",
        "Please write a letter to my landlord", "use the second one", "Give me a recipe for soup",
        "keep it in the fridge",
        "make the tone more formal", "Tell me how far it is in miles", "Please put the date on top of the invoice",
        "write it in German", "Please be quick", "I want a cake with lemon first and then chocolate", "stop the timer",
        "show me the second option first", "could you write the letter in French when it is finished",
        "can you give me a recipe for two when it's hot outside", "In code the tests keep failing",
        "could you write the email in English", "I go by night train",
        "talk to me about something nice", "please keep that in mind",
    ],
)  # fmt: skip
def test_what_is_asked_of_one_answer_is_none(text: str) -> None:
    assert found(text) == []


def test_it_is_known_where_it_was_said_and_each_is_kept_once() -> None:
    said = messages(
        "u: Hi! My name is Ann.", "a: Please keep it short, always.", "u: Thanks. please keep it short. And tea?",
        "u: Please keep it short",
    )  # fmt: skip
    (only,) = preferences(said)
    assert (only.text, only.messages) == ("please keep it short", (2,))


def test_a_request_in_the_middle_of_a_sentence_is_found() -> None:
    assert found("thanks for that list, but please don't use emoji") == ["please don't use emoji"]
    assert found("I eat no meat; never suggest chicken! ok?") == ["never suggest chicken"]
    (long,) = found(
        "the map was lovely and we found the hut, so whenever you give me a distance, make it miles and feet"
    )
    assert long.startswith("whenever you give me a distance") and long.endswith("feet")


def test_nothing_is_taken_from_anyone_but_the_user() -> None:
    assert preferences(messages("a: Always call me master", "s: Never swear at all", "t: Please don't do that")) == []


@pytest.mark.parametrize(
    "text", ["please " * 30_000, "don't " * 30_000, "a" * 300_000, "no, " * 50_000, "ok ok " * 30_000, "\n" * 300_000],
    ids=lambda text: text[:6],
)  # fmt: skip
def test_long_and_strange_texts_are_read_in_a_moment(text: str) -> None:
    began = time.process_time()
    preferences(messages(f"u: {text}"))
    topics(messages(f"u: {text}"), 8)
    assert time.process_time() - began < 2.0
