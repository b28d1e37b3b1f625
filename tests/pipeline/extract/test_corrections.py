"""Corrections: what the assistant had wrong and what is right; the wrong never becomes memory."""

import pytest

from atles.records import MemoryType
from tests.pipeline.extract.reading import claims, statements


@pytest.mark.parametrize(
    ("wrong", "reply", "right", "old"),
    [
        ("So rehearsal is on Tuesday.", "It's Wednesday, actually.", "It's Wednesday", ""),
        ("As a teacher you know that.", "I'm a nurse, not a teacher.", "I'm a nurse", "teacher"),
        ("Your son Max will like it.", "Max is my nephew. I have no son.", "Max is my nephew", ""),
        ("With your two dogs that is hard.", "two? i have one dog", "i have one dog", ""),
        ("You live in Bergen.", "I don't live in Bergen, I live in Voss.", "I live in Voss", "live in Bergen"),
        ("That is by May 12.", "you got the date wrong, it's the 21st", "it's the 21st", ""),
        ("Your Kenworth needs oil.", "Peterbilt, not Kenworth.", "Your Peterbilt needs oil.", "Kenworth"),
        ("You are in first year.", "im not first year!! second year.", "im second year", "first year"),
        ("The tractor is nice.", "It is not a tractor; I am building a crane.", "I am building a crane", "a tractor"),
        ("You study at Oxford.", "close, it's Cambridge", "it's Cambridge", ""),
        ("You play mid lane.", "bro i play support", "i play support", ""),
        ("It meets on Fridays.", "That is a mistake. The club meets on Mondays.", "The club meets on Mondays", ""),
        ("You drive to Omaha.", "nope, Boise to Reno", "Boise to Reno", ""),
        ("The hall has 64 seats.", "no no. 46. you turn the number", "46", ""),
        ("The Elbe flows through Berlin.",
         "I must object! The Elbe does not flow through Berlin. Berlin lies on the Spree.",
         "Berlin lies on the Spree", "flow through Berlin"),
        ("The drive takes two hours.", "two hours lol no way. its closer to 4", "its closer to 4", ""),
        ("You run on Kubernetes.", "there's no kubernetes, we use Nomad for it", "we use Nomad for it", "kubernetes"),
    ],
)  # fmt: skip
def test_what_is_right_is_kept_without_what_was_wrong(wrong: str, reply: str, right: str, old: str) -> None:
    (claim,) = claims(MemoryType.CORRECTION, "u: hello there", f"a: {wrong}", f"u: {reply}")
    assert (claim.text, claim.replaces, claim.changed) == (right, old, True)
    assert claim.messages[0] == 2


def test_a_bare_it_is_kept_with_what_was_asked() -> None:
    (claim,) = claims(
        MemoryType.CORRECTION, "u: which night are my bells", "a: Tuesday.", "u: No, that's wrong, it's on Thursdays"
    )
    assert claim.text == "which night are my bells: it's on Thursdays"


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("Is there something for tonight?", "no. tonight is full"), ("Shall I go on?", "no thanks"),
        ("Here is the draft.", "no, make it shorter"), ("It rains in Oslo.", "not bad at all"),
        ("Add cheese.", "no cheese, thanks"), ("Here is your poem.", "no, the second line is better"),
        ("Do you need notes?", "No, I have always spoken without."),
    ],
)  # fmt: skip
def test_a_no_is_not_always_a_correction(said: str, reply: str) -> None:
    assert claims(MemoryType.CORRECTION, "u: hello", f"a: {said}", f"u: {reply}") == []


def test_the_wrong_value_is_nowhere() -> None:
    told = statements("u: which night are my bells", "a: Your bells are on Tuesday.", "u: no, thursday, not tuesday")
    assert told and not any("uesday" in text for text in told)
