"""Who or what something of the user's is, in whatever order it is said."""

import pytest

from atles.pipeline.extract.reading import blanked, sentences
from atles.pipeline.extract.roles import roles
from atles.records import Claim


def of(text: str) -> list[Claim]:
    return roles(sentences(0, text, blanked(text)))


@pytest.mark.parametrize(
    ("text", "slot", "value", "new"),
    [
        ("my dentist, Dr Okafor, wants another picture", "dentist.name", "dr okafor", False),
        ("I'll take it to the vet in our van, a Berlingo.", "van", "berlingo", False),
        ("Marek, my physio, says no", "physio.name", "marek", False),
        ("Ms Lund, who is my teacher now, reads it first", "teacher.name", "ms lund", True),
        ("Emacs, which is my editor, hangs", "editor.name", "emacs", False),
        ("Pip's our dog, so we walk more", "dog.name", "pip", False),
        ("Send it to Noor; she's my supervisor now.", "supervisor.name", "noor", True),
        ("Biscuit will not eat. He's my new horse, four years old.", "horse.name", "biscuit", True),
        ("How heavy is a Transit? That's my van.", "van", "transit", False),
        ("New tyres for the van. It's a Vito these days.", "van", "vito", True),
        ("New landlord, Mr Byrne, wants it in writing", "landlord.name", "mr byrne", True),
        ("the title of my talk is Cold Water", "talk", "cold water", False),
        ("My film for the class is called Low Tide", "film", "low tide", False),
        ("rehearsal's on Mondays now", "rehearsal.when", "mondays", True),
        ("now that the herd is forty animals, what do I feed?", "herd.count", "forty animals", True),
        ("my new coach dana wants me to rest", "coach.name", "dana", True),
    ],
)  # fmt: skip
def test_roles(text: str, slot: str, value: str, new: bool) -> None:
    (claim,) = of(text)
    assert (claim.slot, claim.value, claim.changed) == (slot, value, new)


@pytest.mark.parametrize(
    "text",
    """the weather is bad now
it's Monday now
Is Paris my best choice?
That's my point.
"my boss, Harriet, is great" is what the ad says
my new shoes hurt
They said he's my problem now
Imagine Thor's my dog now""".split("\n"),
)
def test_what_is_no_role(text: str) -> None:
    assert of(text) == []
