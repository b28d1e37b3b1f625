"""What a clause says is over, and what it leaves in place."""

import pytest

from atles.pipeline.extract.changes import change
from atles.pipeline.extract.endings import ending
from atles.records import MemoryType
from tests.pipeline.extract.reading import claims, facts


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("the Clio has been scrapped", "Clio"), ("our trip fell through", "trip"), ("Malta is off", "Malta"),
        ("no more night shifts, thank god", "night shifts"), ("not vegan anymore lol", "vegan"),
        ("im off the steroids now", "the steroids"), ("we're out of the caravan", "the caravan"),
        ("I stopped taking the bus", "the bus"), ("the Fiat finally gave up the ghost", "Fiat"),
        ("got the boot at Harker's", "Harker's"), ("bea and i broke up in june", "bea"), ("i broke up with Bea", "Bea"),
        ("bea dumped me", "bea"), ("I haven't smoked since May", "smoked"), ("we're done, since new year", ""),
        ("my dog died", "dog"), ("I gave up the pipe at Easter", "the pipe"), ("Paddy had to be put down", "Paddy"),
        ("I've dropped Dutch and do Danish", "Dutch"), ("Herr Maas has retired", "Herr Maas"),
    ],
)  # fmt: skip
def test_what_is_over_is_named(text: str, what: str) -> None:
    assert ending(text) == what


@pytest.mark.parametrize(
    "text",
    """i stopped by the shop
we are out of milk
we had no more questions
the house is done
I lost my keys
I left work at five
I lost three kilos
he is off to Spain
I dropped my phone
I finished the report""".split("\n"),
)
def test_not_everything_that_stops_is_over(text: str) -> None:
    assert not ending(text)


def test_an_end_that_is_a_reason_is_what_the_rest_takes_the_place_of() -> None:
    found = change("I take the train since I sold the car")
    assert (found.replaces, found.changed, found.ended) == ("the car", True, False)


@pytest.mark.parametrize(
    ("text", "new", "old"),
    [
        ("malta fell through so its portugal now", "portugal", "malta"),
        ("quit judo, its climbing now", "climbing", "judo"),
        ("We gave up the flat, we live on a boat now.", "boat", "the flat"),
        ("no more petrol station, i do reception at a vets now", "reception", "petrol station"),
    ],
)
def test_what_is_said_in_the_same_breath_takes_its_place(text: str, new: str, old: str) -> None:
    found = claims(MemoryType.FACT, text)[-1]
    assert new in found.text and (found.replaces, found.changed, found.ended) == (old, True, False)


def test_a_long_end_stays_where_it_says_more() -> None:
    text = "I quit Marlow Freight by the way I bought in with the Hansen brothers and I drive nights now"
    assert any("Hansen" in fact for fact in facts(text)) and any("nights" in fact for fact in facts(text))


def test_a_thing_named_as_if_asked_for_is_kept_with_what_is_new_of_it() -> None:
    assert facts("Yoga? Mondays now, the teacher has a baby.") == ["Yoga: Mondays now"]
    assert facts("Yoga? Why now.") == []
