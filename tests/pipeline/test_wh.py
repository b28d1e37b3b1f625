"""The questions that a statement answers, by its grammar."""

import pytest

from atles.pipeline.wh import ask


@pytest.mark.parametrize(
    ("statement", "questions"),
    [
        ("you keep five hens", ["How many hens do I keep?", "What do I keep?"]),
        ("you run the Sula marathon in October", ["What do I run?", "When do I run the Sula marathon?"]),
        ("the proxy listens on 9443", ["Where does the proxy listen?"]),
        ("you moved to Lyon in May", ["Where did I move?", "When did I move to Lyon?"]),
        ("you usually run at lunch", ["When do I run?"]),
        ("your shop opens at nine", ["When does my shop open?"]),
        ("you carry the pager every third week", ["What do I carry?", "How often do I carry the pager?"]),
        ("your sister works as a nurse in Oslo", []),
        ("you store your bike behind the shed", ["What do I store?", "Where do I store my bike?"]),
        ("you stopped the pills", ["What did I stop?"]),
        ("you schedule the jobs with Nomad", ["What do I schedule?", "What do I schedule the jobs with?"]),
        ("your bell practice moved to Thursday", ["When did my bell practice move?"]),
    ],
)
def test_what_is_asked(statement: str, questions: list[str]) -> None:
    assert [question for question, _ in ask(statement)] == questions


@pytest.mark.parametrize(
    "statement", ["you are going to Rome", "you think it rains", "you scroll up otherwise", "she keeps hens",
                  "the key is rotated", ""]
)  # fmt: skip
def test_what_cannot_be_asked(statement: str) -> None:
    assert list(ask(statement)) == []


def test_the_answer_is_the_statement() -> None:
    assert {answer for _, answer in ask("you keep five hens")} == {"You keep five hens."}
