"""Private rules of several steps, each one claim."""

import pytest

from atles.records import MemoryType
from tests.pipeline.extract.reading import claims


@pytest.mark.parametrize(
    "text",
    [
        'when i say "drug card" + a name i want: 1 the class, 2 the side effects, 3 what to check',
        "My Sunday routine is this: first I water the plants, then I call mum, then I plan the week.",
        "if i type 'recap' give me 1. what we decided 2. what is open 3. who does what",
        "Whenever I send you a draft, check the spelling first, then the tone, and finally give me one suggestion.",
        "I have a rule for packing: shoes go in first, then heavy clothes, and last the toiletries on top.",
        "For every complaint we do it like so: apologise first, then ask for the order number, then offer a refund.",
        "Here's how I make my coffee: grind 18 g -> rinse the filter -> bloom 40 s -> pour to 300 g",
        "So remember this. \"Blue sky\" means: close all tabs, put on the playlist, start a 25 minute timer.",
        "When I write 'standup', ask me what I did, what I do today and what blocks me, in that order and then stop.",
        "after every long run i stretch both calves, drink a glass, then write the time down, only then sit",
        "every single time i bake: the oven goes on first, then i weigh the flour, and the phone stays in the hall",
        "Whenever I lend a book now, the name goes in the diary, I photograph it, and after six weeks I call.",
    ],
)  # fmt: skip
def test_a_rule_is_one_claim(text: str) -> None:
    (claim,) = claims(MemoryType.PROCEDURE, text)
    assert text.rstrip(".").endswith(claim.text.rstrip(".")) or claim.text in text
    assert claims(MemoryType.FACT, text) == [] or len(claim.text) > len(text) / 2


def test_what_calls_it_is_its_slot() -> None:
    (claim,) = claims(MemoryType.PROCEDURE, 'when i say "pit stop" first give me the fuel, then the hours, then a song')
    assert claim.slot == "when.pit stop"


@pytest.mark.parametrize(
    "text",
    [
        "how do I make coffee, first the filter and then the water?",
        "when i was young we went to the sea, then to the hills",
        "first I ate, then I slept",
        "whenever I think of the sea, then the hills, then the lake, I smile",
        "when i say hello he never answers",
        "if i open a shop by the sea, how many people, tables and cooks do i need?",
    ],
)
def test_a_question_or_a_tale_is_none(text: str) -> None:
    assert claims(MemoryType.PROCEDURE, text) == []
