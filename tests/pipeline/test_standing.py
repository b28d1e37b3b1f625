"""Which messages stand, where a client went back or its user rated an answer."""

from typing import Any

import pytest

from atles.pipeline.dataset import rejected_answers, turns
from atles.pipeline.forget import forget
from atles.pipeline.memory import MemoryProcessor
from atles.pipeline.standing import branch, standing
from atles.records import Feedback, Message, Rating, Session
from atles.settings import Settings
from atles.store import Store
from tests.samples import said

UP, DOWN = Feedback(Rating.UP), Feedback(Rating.DOWN)


def tree(*lines: str) -> tuple[Message, ...]:
    """Messages from lines such as "u: Hello", or "2 > a: Hi" where they follow another than the one before."""
    messages = []
    for line in lines:
        parent, arrow, rest = line.partition(" > ")
        (message,) = said(rest if arrow else line)
        messages.append(message | ({"metadata": {"parent": int(parent)}} if arrow else {}))
    return of(messages)


def of(messages: list[dict[str, Any]]) -> tuple[Message, ...]:
    return Session.of({"session_id": "s", "messages": messages}).messages


def words(messages: list[Message]) -> str:
    return " ".join(message.text for message in messages)


@pytest.mark.parametrize(
    ("lines", "stands"),
    [
        ((), ""),
        (("u: q", "a: a"), "q a"),
        (("s: s", "u: q1", "a: a1", "u: q2", "a: a2"), "s q1 a1 q2 a2"),
        # An answer made again is put before the one that took its place.
        (("u: q", "a: a", "0 > a: b"), "q a b"),
        (("u: q", "a: a", "0 > a: b", "0 > a: c"), "q a b c"),
        # The client went on from the first one after all.
        (("u: q", "a: a", "0 > a: b", "1 > u: q2", "a: d"), "q b a q2 d"),
        # A changed question.
        (("u: q1", "a: a1", "u: q2", "a: a2", "1 > u: changed", "a: b2"), "q1 a1 changed b2"),
        # Changed in the middle, and back to the older branch.
        (("u: q1", "a: a1", "u: q2", "a: a2", "1 > u: changed", "a: b2", "3 > u: q3", "a: a3"), "q1 a1 q2 a2 q3 a3"),
        # The very first question changed: what the system says stays in front.
        (("s: s", "u: q1", "a: a1", "-1 > u: changed", "a: b"), "s changed b"),
        # A question whose answer is not there yet.
        (("u: q1", "a: a1", "0 > a: b1", "1 > u: q2"), "q1 b1 a1 q2"),
    ],
)
def test_what_stands_is_the_branch_that_ends_with_the_last_message(lines: tuple[str, ...], stands: str) -> None:
    assert words(standing(tree(*lines))) == stands


def test_a_call_of_tools_that_was_made_again_is_dropped() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}
    question, answer = said("u: q", "a: the answer")
    messages = of([question, call, answer | {"metadata": {"parent": 0}}])
    assert [message.position for message in standing(messages)] == [0, 2]
    (turn,) = turns(messages)
    assert turn.learned, "it rests on no tool"


@pytest.mark.parametrize("parent", [99, 2, -7, "1", None, True, 0.5, [0]])
def test_a_parent_that_cannot_be_is_no_trouble(parent: Any) -> None:
    messages = said("u: q1", "a: a1", "u: q2", "a: a2")
    messages[2]["metadata"] = {"parent": parent}
    stood = standing(of(messages))
    assert words(stood) in ("q1 a1 q2 a2", "q2 a2")
    assert words(stood).startswith("q1") == (parent != -7)


@pytest.mark.parametrize("metadata", ["text", 5, [1], None])
def test_other_metadata_is_no_trouble(metadata: Any) -> None:
    messages = said("u: q1", "a: a1", "u: q2")
    messages[1]["metadata"] = metadata
    assert words(standing(of(messages))) == "q1 a1 q2"


def test_a_long_conversation_with_branches_takes_no_time() -> None:
    lines = ["u: q"]
    for number in range(3000):
        lines += [f"a: {number}", f"{2 * number} > a: again {number}" if number % 3 == 0 else "u: q"]
    assert len(standing(tree(*lines))) > 1000


def test_the_branch_is_given_by_positions() -> None:
    assert branch(tree("s: s", "u: q1", "a: a1", "u: q2", "2 > u: q3", "a: a3")) == [0, 1, 2, 4, 5]
    assert branch(()) == []


@pytest.mark.parametrize(
    ("lines", "feedback", "stands"),
    [
        (("u: q1", "a: a1", "u: q2", "a: a2"), {1: UP}, "q1 a1 q2 a2"),
        # A bad answer goes, and its question with it.
        (("u: q1", "a: a1", "u: q2", "a: a2"), {1: DOWN}, "q2 a2"),
        (("u: q1", "a: a1", "u: q2", "a: a2"), {3: DOWN}, "q1 a1"),
        (("s: s", "u: q1", "u: and", "a: a1"), {3: DOWN}, "s"),
        (("s: s", "a: a1"), {1: DOWN}, "s"),
        # Also with what it rested on.
        (("u: q1", "a: a1", "u: q2", "a: call", "t: result", "a: a2", "u: q3", "a: a3"), {5: DOWN}, "q1 a1 q3 a3"),
        # The better answer comes after the one that it was given for.
        (("u: q1", "a: a1", "u: q2", "a: a2"), {1: Feedback(Rating.EDIT, "better")}, "q1 a1 better q2 a2"),
        # Thumbs down, then made again: the new one was not rated.
        (("u: q0", "a: a0", "u: q", "a: bad", "2 > a: good"), {3: DOWN}, "q0 a0 q bad good"),
        # Made again, and no better.
        (("u: q0", "a: a0", "u: q", "a: first", "2 > a: bad"), {4: DOWN}, "q0 a0"),
        # What was said of an answer that does not stand.
        (("u: q", "a: a", "0 > a: b"), {1: Feedback(Rating.EDIT, "better a")}, "q a b"),
        (("u: q1", "a: a1", "u: q2", "a: a2", "1 > u: other", "a: b"), {3: DOWN}, "q1 a1 other b"),
        # Of what is no answer, and of what is not there.
        (("u: q1", "a: a1"), {0: DOWN, 7: DOWN}, "q1 a1"),
    ],
)
def test_what_a_user_said_of_answers_counts(lines: tuple[str, ...], feedback: dict[int, Feedback], stands: str) -> None:
    assert words(standing(tree(*lines), feedback)) == stands


def test_an_answer_that_was_rated_bad_and_made_again_leaves_its_question_to_the_new_one() -> None:
    messages = tree("u: q0", "a: a0", "u: q", "a: bad", "2 > a: good")
    assert [(turn.question, turn.answer) for turn in turns(messages, {3: DOWN})] == [("q0", "a0"), ("q", "good")]


def test_a_bad_answer_to_a_question_with_tools_leaves_no_question_behind() -> None:
    messages = tree("u: q1", "a: call", "t: result", "a: bad", "u: q2", "a: a2")
    assert [(turn.question, turn.answer) for turn in turns(messages, {3: DOWN})] == [("q2", "a2")]


def test_answers_that_were_made_again_left_or_rated_bad_are_rejected() -> None:
    messages = tree(
        "u: q", "a: first", "0 > a: second", "u: q2", "a: left", "2 > u: changed", "a: b", "u: q3", "a: bad"
    )
    ids = {message.id: message.text for message in messages}
    assert sorted(ids[it] for it in rejected_answers(messages)) == ["first", "left"]
    assert sorted(ids[it] for it in rejected_answers(messages, {8: DOWN})) == ["bad", "first", "left"]
    assert rejected_answers(tree("u: q", "a: one", "a: two")) == [], "a log of an answer in two parts says nothing"


def test_nothing_is_remembered_of_a_question_that_was_changed(store: Store) -> None:
    memory = MemoryProcessor(store=store, settings=Settings())
    lines = said("u: My sister Anna lives in Oslo.", "a: Nice.", "u: My sister Anna lives in Bergen.", "a: Rainy!")
    lines[2]["metadata"] = {"parent": -1}
    session = Session.of({"session_id": "s", "messages": lines})
    store.sessions.add(session, 5)
    stored = store.sessions.get("s")
    made = memory.extract(stored)
    assert "Bergen" in repr(made)
    assert "Oslo" not in repr(made)
    assert {message for claim in made.claims for message in claim.messages} <= {2, 3}


def test_what_was_forgotten_still_follows_what_it_followed(store: Store) -> None:
    lines = said("u: q1", "a: a1", "u: q2", "a: left", "u: changed", "a: b", "a: c")
    lines[4]["metadata"], lines[6]["metadata"] = {"parent": 1}, {"parent": 4}
    store.sessions.add(Session.of({"session_id": "s", "messages": lines}), 5)
    rows = {row["position"]: row["rowid"] for row in store.sessions.message_rows(store.sessions.number("s"))}
    answers = {row["rowid"] for row in store.sessions.answers_to([rows[4]])}
    assert answers == {rows[5], rows[6]}, "both answers to it, and not the one before it"
    forget(store, messages={rows[4], *answers})
    messages = store.sessions.get("s").session.messages
    assert branch(messages) == [0, 1, 4, 6]
    assert [(turn.question, turn.answer) for turn in turns(messages)] == [("q1", "a1")]
