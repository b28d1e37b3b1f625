"""What is so, said beside what is no more."""

import pytest

from tests.pipeline.extract.reading import read


@pytest.mark.parametrize(
    ("text", "says", "gone"),
    [
        ("I get up at 5 now, not at 7", "I get up at 5 now", "7"),
        ("The party moved: it's on the 8th now, not the 2nd, as the hall was taken", "it's on the 8th now", "2"),
        ("My aunt rang. She arrives on 3 May, not on the 1st.", "She arrives on 3 May", "1"),
        ("i play squash instead of tennis these days", "i play squash", "tennis"),
        ("I switched from Chrome to Firefox", "I switched to Firefox", "Chrome"),
        ("About my novel: the title is no longer Dust but Salt Road", "Salt Road", "Dust"),
        ("my commute is 25 minutes now, was 50", "my commute is 25 minutes now", "50"),
    ],
)
def test_the_claim_says_what_is_so_and_knows_what_is_gone(text: str, says: str, gone: str) -> None:
    claim = next(it for it in read(text).claims if says in it.text)
    assert gone in claim.replaces and gone not in claim.text and claim.changed


def test_a_state_that_has_begun_is_told_in_any_sentence() -> None:
    texts = [it.text for it in read("the nurse says that is normal now that I am on 2.5 mg of warfarin, is it?").claims]
    assert "I am on 2.5 mg of warfarin" in texts


@pytest.mark.parametrize(
    "text",
    """Should I take the bus, not the car?
make it blue, not green
write it in German instead of English
Use tabs, not spaces
I'm not sure""".split("\n"),
)
def test_what_is_asked_for_is_no_state(text: str) -> None:
    assert not [it for it in read(text).claims if it.type == "fact" and it.replaces]
