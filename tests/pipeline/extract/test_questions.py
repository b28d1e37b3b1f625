"""What stayed open, and what a session was about."""

import pytest

from atles.records import MemoryType
from tests.pipeline.extract.reading import claims


@pytest.mark.parametrize(
    "lines",
    [
        ("I have to find out what the boiler needs",),
        ("still don't know whether we take the boat or the train",),
        ("u: how tall is the old tower?",),
        ("u: how tall is the old tower?", "a: I don't know that.", "u: pity"),
    ],
)
def test_what_has_no_answer_is_open(lines: tuple[str, ...]) -> None:
    assert len(claims(MemoryType.QUESTION, *lines)) == 1


def test_what_was_answered_is_not() -> None:
    assert claims(MemoryType.QUESTION, "u: how tall is the old tower?", "a: 40 metres.", "u: thanks") == []


def test_a_summary_is_made_of_what_was_said() -> None:
    (claim,) = claims(
        MemoryType.SUMMARY,
        "u: hi, how do I mend a kite?",
        "a: With tape.",
        "u: good. my nephew Ivo flies it every Sunday",
    )
    assert claim.text == "how do I mend a kite? / my nephew Ivo flies it every Sunday"


def test_a_summary_brings_nothing_refused_back() -> None:
    lines = ("u: imagine I own a zoo, what does a lion eat?", "a: Meat.", "u: my pin is [PIN] ok", "a: Oh.")
    assert not any("zoo" in c.text or "[PIN]" in c.text for c in claims(MemoryType.SUMMARY, *lines))
    assert claims(MemoryType.SUMMARY, "u: hi") == []
