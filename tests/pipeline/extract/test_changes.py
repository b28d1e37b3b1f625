"""What is new, over, or in place of something else; and which slot a statement fills."""

import pytest

from atles.pipeline.extract.changes import change
from atles.pipeline.extract.slots import slot_of
from atles.records import MemoryType
from tests.pipeline.extract.reading import claims


@pytest.mark.parametrize(
    ("text", "new", "old"),
    [
        ("choir moved from Tuesday to Thursday", "choir moved to Thursday", "Tuesday"),
        ("it's Thursday, not Tuesday", "it's Thursday", "Tuesday"),
        ("my flight is on the 3rd, not the 4th", "my flight is on the 3rd", "4th"),
        ("I now work at a bakery instead of the bank", "I now work at a bakery", "the bank"),
        ("we meet on Friday rather than Monday", "we meet on Friday", "Monday"),
        ("it is no longer red but blue", "it is blue", "red"),
        ("the exam is in june not may", "the exam is in june", "may"),
        ("I swapped running for swimming", "I swapped for swimming", "running"),
    ],
)
def test_the_text_reads_as_the_new_state(text: str, new: str, old: str) -> None:
    found = change(text)
    assert (found.text, found.replaces, found.ended) == (new, old, False)


@pytest.mark.parametrize(
    "text",
    ["I am in any case not at home", "must not forget the goggles", "I work from Monday to Friday",
     "we live in the Row, not forty yards from his chimney", "it is not far",
     "I do not eat meat", "not only tea but coffee"],
)  # fmt: skip
def test_not_every_no_replaces_something(text: str) -> None:
    assert change(text).text == text and change(text).replaces == ""


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ("I sold the Panda", "the Panda"), ("i no longer sing in the choir", "sing in the choir"), ("we broke up", ""),
        ("I quit the pharmacy last week", "the pharmacy"), ("I've given up smoking", "smoking"),
        ("I don't drink coffee anymore", "drink coffee"), ("my dog died", "dog"),
    ],
)  # fmt: skip
def test_an_end_is_an_end(text: str, old: str) -> None:
    found = change(text)
    assert found.ended and found.changed and found.replaces == old


def test_an_end_and_a_beginning_are_one_change() -> None:
    (claim,) = claims(MemoryType.FACT, "so i quit the pharmacy lol. i work at a care home now")
    assert (claim.text, claim.replaces, claim.ended, claim.changed) == (
        "i work at a care home now", "the pharmacy", False, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    """I've switched to oat milk.
we moved to Ghent last month
We changed the meeting from 9 to 10.
got a new phone, pixel 9
We've decided on Portugal instead of Greece.
Since September I've been working three days a week.
They promoted me to head nurse.
I changed majors, it's biology now.
the deadline was extended to 3 march
they pushed the exam to 15 June
we're using gas now
I got transferred to the night shift.
The new dog is a beagle called Otto.
They've put me on the Bristol route.
I left the choir and joined a brass band.
The wedding has been postponed to May 2027.
I handed the stall over to Lise
I took up pottery in spring
I'm off sugar since last month
Our project lead is Jonas now.""".split("\n"),
)
def test_news_of_a_life_is_found(text: str) -> None:
    assert claims(MemoryType.FACT, text)


@pytest.mark.parametrize(
    ("text", "slot", "value"),
    [
        ("I live in Ghent now", "home", "ghent"),
        ("we moved to Turku last week", "home", "turku"),
        ("i work at a bakery", "work", "bakery"),
        ("I'm 34", "age", "34"),
        ("my name is Ann", "name", "ann"),
        ("my sister's name is Odette", "sister.name", "odette"),
        ("I have a hamster called Gus", "hamster.name", "gus"),
        ("my brother lives in York", "brother.home", "york"),
        ("choir practice is on Thursdays", "choir.when", "thursday"),
        ("the choir has moved to Thursday", "choir.when", "thursday"),
        ("I'm allergic to peanuts", "allergy.peanut", "yes"),
        ("my car is a yellow Panda", "car", "yellow panda"),
        ("I am vegan", "diet", "vegan"),
        ("I think so", "", ""),
    ],
)
def test_the_same_said_in_other_words_has_the_same_slot(text: str, slot: str, value: str) -> None:
    assert slot_of(text) == (slot, value)
