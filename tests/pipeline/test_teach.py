"""What is remembered becomes questions that people ask for it, each with the user's statement as the answer."""

import pytest

from atles.pipeline.teach import lessons, second_person, taught
from atles.records import Memory, MemoryType


def memory(text: str, kind: MemoryType = MemoryType.FACT, slot: str = "") -> Memory:
    return Memory(
        "m", kind, text, "user", 0.9, slot, "", "2026-01-01", None, "", "", 1, False, False, "rules", "2026-01-01",
        None, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("I keep hens", "You keep hens."),
        ("my sister's cat likes me", "Your sister's cat likes you."),
        ("we moved to Bath", "You moved to Bath."),
        ("and I'm a nurse", "You are a nurse."),
        ("show me our list first", "Show you your list first."),
    ],
)
def test_second_person(said: str, answer: str) -> None:
    assert second_person(said) == answer


@pytest.mark.parametrize(
    ("it", "question", "answer"),
    [
        (memory("I live in Leeds", slot="home"), "What is my home town?", "You live in Leeds."),
        (memory("I keep five hens"), "How many hens do I keep?", "You keep five hens."),
        (memory("Priya runs it", slot="boss.name"), "Who is my boss?", "Priya runs it."),
        (
            memory("I started at Larkfield, they use Postgres there. It rained"),
            "Which database do I use?",
            "They use Postgres there.",
        ),
        (
            memory('When I say "wrap up": list what is done, then what is open', MemoryType.PROCEDURE, "when.wrap up"),
            "wrap up",
            'When you say "wrap up": list what is done, then what is open.',
        ),
        (
            memory("Where is the port: on 9443", MemoryType.CORRECTION),
            "Where is the port?",
            "On 9443.",
        ),
    ],
)  # fmt: skip
def test_a_memory_is_asked_for(it: Memory, question: str, answer: str) -> None:
    assert (question, answer) in lessons(it)


@pytest.mark.parametrize(
    "it",
    [
        memory("Please keep it short", MemoryType.PREFERENCE),
        memory("I scroll up otherwise"),
        memory("I'm not the singer"),
    ],
)
def test_what_nobody_would_ask_for_is_not_taught(it: Memory) -> None:
    assert lessons(it) == []


def test_examples_name_the_message_that_said_it() -> None:
    examples = taught("s", [(memory("I keep five hens"), "m1"), (memory("I keep five hens"), "m2")])
    assert {(example.session_id, example.kind) for example in examples} == {("s", "restated")}
    assert [example.instruction for example in examples[:1]] == ["What do I keep?"]
    assert {example.message_id for example in examples} == {"m2"}, "each question once, of the last that said it"
