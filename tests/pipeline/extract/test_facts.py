"""Facts: what people say of themselves and theirs, in any kind of English; and where a statement begins and ends."""

import pytest

from atles.records import MemoryType
from tests.pipeline.extract.reading import claims, facts, statements


@pytest.mark.parametrize(
    "text",
    """my name is Tobias and I'm from Graz
I'm 34.
i work nights at a warehouse
I am a carpenter by trade.
I've got twins, they're four.
my husband is called Piet
our anniversary is on june 3rd
I can't eat gluten
bananas make my mouth itch
I'm terrified of spiders
my favourite colour is green
I've lived in Oslo for ten years
i was born in 1988
I grew up on a farm near Lund.
My mother was a teacher and my father drove a taxi.
I ride a Honda CB500.
We have a vegetable garden behind the house.
the kids are at my ex's every other weekend
i take the 8:05 train to work every day
I wear a size 43 shoe
I hate coriander
i'm learning italian bc my girlfriend is from Naples
I've been divorced since 2019
I have asthma
we're getting married in may
I usually get up at 5
I sing alto in a church choir
I'm left handed
there are five of us at home
our cat, Miso, is deaf
I always have porridge for breakfast
It's my birthday on Friday, I turn 40
I served in the navy for six years
i do my shopping on saturdays
im in year 12
I've never been abroad
the dog's name is Rufus and he is a spaniel
I'm on blood thinners
mum is 81 and lives alone
my wife's name is Ilse
With three kids under six we have no car
Vegan here, so no honey.
Being colour blind, I can't tell these apart.
I keep the honey in the cellar
wife's name is Carol
got me a new rig, a blue Peterbilt
been sober nine years now
home is a trailer outside Tulsa
doc put me on metformin
I am live in Lyon since 3 years
we call the van Bertha
I don't eat meat
I have to be in Ghent every Tuesday""".split("\n"),
)
def test_a_statement_on_oneself_and_ones_own_is_a_fact(text: str) -> None:
    assert facts(text)


@pytest.mark.parametrize(
    ("text", "holds", "lacks"),
    [
        (
            "as we live in Harrow Lane, not far from the mill, I have often wondered: what is malt?",
            "Harrow Lane",
            "malt",
        ),
        ("can you fix the bike plan, because I only have one arm since the accident?", "one arm", "plan"),
        ("what can i cook, i have three kids and no oven", "three kids", "cook"),
        ("so i live in leeds i work at the mill my cat is called max and we have a garden", "leeds", "garden"),
        ("my uncle Tam, who is a diver over in Oban, says that I eat too much salt", "diver over in Oban", "salt"),
        ("You will gather that I have a wooden leg", "I have a wooden leg", "gather"),
    ],
)
def test_a_long_sentence_is_cut_to_what_carries_the_fact(text: str, holds: str, lacks: str) -> None:
    found = facts(text)
    assert any(holds in fact for fact in found), found
    assert not any(holds in fact and lacks in fact for fact in found), found


def test_several_facts_of_one_breath_are_several_claims() -> None:
    found = facts("I live in Turku with my aunt, I play the tuba and my brother drives a tram")
    assert len(found) == 3


def test_she_is_kept_with_whoever_she_is() -> None:
    assert "My sister rang. She lives in Bergen" in facts("My sister rang. She lives in Bergen.")
    (fact,) = facts("My aunt Rut wants to know if i can come in may, she has the house with the pond")
    assert "aunt Rut" in fact and "pond" in fact
    assert facts("My colleague rang. She lives in Bergen.") == []


def test_names_are_found_wherever_they_are_said() -> None:
    named = {c.slot: c.value for c in claims(MemoryType.FACT, "do you think my sister Odette would like it")}
    assert named == {"sister.name": "odette"}
    assert facts("is 5 days ok for rice, my flatmate jojo says it is") == ["my flatmate jojo"]
    assert facts("my mother says it is raining") == facts("my dog barks") == []


def test_fragments_go_on_with_the_fact_before_them() -> None:
    assert facts("i have two cats. milo and otis") == ["i have two cats. milo and otis"]
    assert facts("i have two cats. thanks") == ["i have two cats"]


@pytest.mark.parametrize(
    ("question", "reply", "text"),
    [
        ("They may ask her age; how old is she?", "nine in march", "How old is she? Nine in march"),
        ("I see. What pills do you take?", "Aspirin, the smallest.", "What pills do you take? Aspirin, the smallest"),
        ("Do you have any allergies?", "yes, peanuts and kiwi", "Do you have any allergies? Yes, peanuts and kiwi"),
        ("Where do they live?", "Up north, near Tromsø", "Where do they live? Up north, near Tromsø"),
    ],
)  # fmt: skip
def test_a_short_answer_is_kept_with_its_question(question: str, reply: str, text: str) -> None:
    (claim,) = claims(MemoryType.FACT, "u: hi", f"a: {question}", f"u: {reply}")
    assert (claim.text, claim.messages, claim.said_by) == (text, (2, 1), "user")


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("Shall I explain it?", "yes please"), ("Would you like another one?", "no"), ("Do you have a cat?", "yes"),
        ("What did you reply?", "that he owed me five shillings"), ("Which title do you want?", "the second"),
        ("How old is she?", "i don't know"), ("How old is she?", "why?"), ("What is the boiling point?", "100"),
    ],
)  # fmt: skip
def test_other_replies_are_none(question: str, reply: str) -> None:
    assert statements("u: hi", f"a: {question}", f"u: {reply}") == []


def test_nothing_the_assistant_says_is_a_fact() -> None:
    assert statements("u: hello", "a: You live in Oslo and your sister is called Ann.", "u: great thanks") == []
