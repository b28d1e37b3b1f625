"""More wordings from a model: what is used of them, and what happens when it fails."""

from typing import Any

import pytest

from atles.errors import EndpointError
from atles.pipeline.teacher import Teacher, is_answered
from tests.fakes.endpoint import FakeModel

HENS = "I keep four hens called after Roman emperors"


def asked(statement: int, question: Any, answer: Any) -> dict[str, Any]:
    return {"statement": statement, "question": question, "answer": answer}


def test_questions_come_back_by_statement() -> None:
    model = FakeModel(
        {
            "questions": [
                asked(2, "Which place is my home?", "Leeds"),
                asked(1, "How many  birds do I own?", "four"),
                asked(1, "How many birds do I own?", "four"),
                asked(1, "What do I keep in the garden?", "hens"),
            ]
        }
    )
    found = Teacher(model).questions([HENS, "I live in Leeds"])
    assert found == [["How many birds do I own?", "What do I keep in the garden?"], ["Which place is my home?"]]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many hens do I keep", "four"),  # no question
        ("Do I keep four hens?", "four"),  # gives its answer away
        ("What eggs do I sell?", "eggs"),  # not said
        ("Which emperors did Gibbon call decadent?", "Roman emperors"),  # a name that was not said
        ("What did I buy in 1999?", "four hens"),  # a number that was not said
        ("Hens?", "four"),
        ("What is it all?", HENS),  # the statement is no answer to a question, but the whole
        ("What?" * 30 + " do I have, and so on and on and on and on and on and on and on and on and on?", "four"),
        ("What do I keep at home?", ""),
    ],
)
def test_a_question_that_the_statement_does_not_answer_is_not_used(question: str, answer: str) -> None:
    assert not is_answered(question, answer, HENS)


@pytest.mark.parametrize(
    "rubbish",
    [
        {},
        {"questions": None},
        {"questions": "none"},
        {"questions": [None, 3, "What?", {}, asked(0, "How many birds do I own?", "four")]},
        {"questions": [asked(2, "How many birds do I own?", "four"), asked(1, 4, "four"), asked(1, "Who am I?", None)]},
        {"questions": [{"statement": True, "question": "How many birds do I own?", "answer": "four"}]},
    ],
)
def test_rubbish_is_no_question(rubbish: Any) -> None:
    assert Teacher(FakeModel(rubbish)).questions([HENS]) == [[]]


def test_many_statements_are_several_calls_and_none_is_no_call() -> None:
    model = FakeModel({"questions": []})
    assert Teacher(model).questions([f"I have {n} hens" for n in range(17)]) == [[]] * 17
    assert len(model.chats) == 3
    assert Teacher(model).questions([]) == []
    assert len(model.chats) == 3


def test_an_error_of_the_server_is_raised() -> None:
    with pytest.raises(EndpointError):
        Teacher(FakeModel(EndpointError("timeout", "slow"))).questions([HENS])
