"""Requests to forget, and what they are about."""

import pytest

from tests.pipeline.extract.reading import read


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("please forget what I told you about my ex", "my ex"),
        ("forget that", ""),
        ("Forget that, please.", ""),
        ("don't remember this", ""),
        ("delete what I said on my salary", "my salary"),
        ("scrap what i said about the move", "the move"),
        ("can you forget the stuff about my dad", "my dad"),
        ("Please remove everything about my health from your memory.", "my health"),
        ("I'd rather you didn't keep what I said about Anna.", "Anna"),
        ("pls dont store anything on my diagnosis", "my diagnosis"),
        ("what I told you about the loan, forget it", "the loan"),
        ("Forget I ever mentioned the drinking.", "the drinking"),
        ("wipe that from your memory", ""),
        ("unlearn my address please", "my address"),
        ("take what I said about my son off your records", "my son"),
        ("First of all I should like you to forget what I told you about Ruth's fall, as all is well", "Ruth's fall"),
        ("the thing about Mo and me that I told you in march, please drop it, we're fine", "Mo and me"),
        ("can u forget that i failed the driving test", "i failed the driving test"),
        ("Forget the item about the tribunal. It is over.", "the tribunal"),
        ("please forget about the row with Jo which I told you", "the row with Jo"),
        ("Also forget the audition that I mentioned; it never was", "the audition"),
        ("could you forget about that betting business I told you?", "that betting business"),
        (
            "In March I told you something about my uncle. Please forget it.",
            "my uncle",
        ),
        (
            "I turned the post in Ghent down. Please delete that whole affair from your records.",
            "I turned the post in Ghent down",
        ),
        ("what i told you before xmas about mo and the loan. forget that please, not mine to tell", "mo and the loan"),
        (
            "Strike something from the record: the audition in Ghent that I mentioned. Do forget about it.",
            "Strike something from the record: the audition in Ghent that I mentioned",
        ),
    ],
)  # fmt: skip
def test_a_request_says_what_it_is_about(text: str, about: str) -> None:
    (request,) = read(text).forget
    assert (request.message, request.about) == (0, about)
    assert read(text).claims == ()


@pytest.mark.parametrize(
    "text",
    """I forgot my keys
don't forget the milk
forget it, let's move on
I can never remember names
I always forget my umbrella
don't remember where I put it
delete the second paragraph
remove the comma
forget about the sauce, just give me the pasta
please remember this
I don't want to forget this
drop the last line please
keep it short
did you forget about my question?
She told me to forget about him
never mind, forget it""".split("\n"),
)
def test_other_words_on_forgetting_are_none(text: str) -> None:
    assert read(text).forget == ()


def test_nothing_is_learned_from_the_message_that_asks_for_it() -> None:
    found = read("u: I live in Hove", "a: Nice.", "u: forget what I said about my rash, I have a new cream")
    assert [request.message for request in found.forget] == [2]
    assert {claim.messages[0] for claim in found.claims} == {0}
