"""How the tests of extraction read a chat: lines in, claims out."""

from atles.pipeline.extract import RuleExtractor
from atles.records import Claim, Extraction, MemoryType
from tests.samples import session


def read(*lines: str) -> Extraction:
    """What is found in a chat of lines such as "u: Hello"; a line without a role is the user's."""
    return RuleExtractor(topics=0).extract(
        session("s", *(f"u: {line}" if line[1:3] != ": " else line for line in lines))
    )


def claims(kind: MemoryType, *lines: str) -> list[Claim]:
    return [claim for claim in read(*lines).claims if claim.type is kind]


def facts(*lines: str) -> list[str]:
    return [claim.text for claim in claims(MemoryType.FACT, *lines)]


def statements(*lines: str) -> list[str]:
    """Whatever would be taken for true of the user."""
    told = (MemoryType.FACT, MemoryType.CORRECTION, MemoryType.PREFERENCE, MemoryType.PROCEDURE)
    return [claim.text for claim in read(*lines).claims if claim.type in told]
