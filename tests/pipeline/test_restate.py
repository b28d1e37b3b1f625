"""Plain facts become direct questions; what is not plain becomes nothing."""

import pytest

from atles.pipeline.restate import restate


@pytest.mark.parametrize(
    ("said", "question", "answer"),
    [
        ("My dog is called Biscuit.", "What is my dog called?", "Your dog is called Biscuit."),
        ("i have a cat named Miso", "What is the name of my cat?", "Your cat is called Miso."),
        ("My brother's name is Tom", "Who is my brother?", "Your brother is called Tom."),
        ("my boss Ingrid is away", "Who is my boss?", "Your boss is called Ingrid."),
        ("Ann is my sister", "What is my sister called?", "Your sister is called Ann."),
        ("The boat you are mending is called Tern.", "What is my boat called?", "Your boat is called Tern."),
        ("we moved in May, I live in Tartu now", "Where do I live?", "You live in Tartu."),
        ("You live in Tartu.", "Do you remember where I live?", "You live in Tartu."),
        ("I work as a nurse at St Mary's", "What is my job?", "You work as a nurse at St Mary's."),
        ("Noted: you are badly allergic to nuts, so none.", "What am I allergic to?", "You are allergic to nuts."),
        ("my car's a blue Saab", "What is my car?", "Your car is a blue Saab."),
        ("Your choir practice is on Monday evening.", "When is my choir practice?",
         "Your choir practice is on Monday evening."),
        ("my flight is at 7:40 on friday", "When is my flight?", "Your flight is at 7:40 on friday."),
        ("I play the cello", "What do I play?", "You play the cello."),
        ("You are flying to Lisbon in May.", "Where am I flying?", "You are flying to Lisbon in May."),
    ],
)  # fmt: skip
def test_a_plain_fact_is_asked_for_directly(said: str, question: str, answer: str) -> None:
    assert (question, answer) in restate(said)


@pytest.mark.parametrize(
    "said",
    [
        "if i lived in Rome i'd be happy", "I might work at the bakery", "My dog is not called Rex",
        "I used to play golf",
        "Do you know what my sister is called?", "Imagine my car is a Ferrari", "you are allergic to it", "Thanks!",
        "my name is on the list of things that somebody should have read before the meeting began last week or so",
        "She lives in Bergen", "Thursday is your choir practice", "his dog is called Rex", "",
    ],
)  # fmt: skip
def test_a_doubt_a_question_or_somebody_elses_fact_is_passed_over(said: str) -> None:
    asked = dict(restate(said))
    assert not any(
        word in question for question in asked for word in ("called", "live", "work", "car", "allergic", "play")
    )
