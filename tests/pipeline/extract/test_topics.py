"""Topics: key phrases, and where they were said."""

import pytest

from atles.pipeline.extract import RuleExtractor
from atles.pipeline.extract.topics import topics
from atles.records import MemoryType
from tests.samples import messages, session


def test_topics_name_what_was_talked_about_and_where() -> None:
    said = messages(
        "u: My pinball machine has a weak left flipper", "a: A weak flipper often has a worn coil sleeve.",
        "u: where do I buy a coil sleeve", "a: Shops for pinball machine parts have it.", "t: pinball noise",
    )  # fmt: skip
    extracted = topics(said, 5)
    assert 1 <= len(extracted) <= 5
    words = " ".join(topic.text for topic in extracted).lower()
    assert "pinball machine" in words and "coil sleeve" in words
    sure = [topic.confidence for topic in extracted]
    assert sure == sorted(sure, reverse=True) and all(0 <= one <= 1 for one in sure)
    for topic in extracted:
        assert topic.type is MemoryType.TOPIC
        for position in topic.messages:
            assert topic.text.lower() in said[position].text.lower() and position != 4


@pytest.mark.parametrize("lines", [[], ["u: "], ["t: only a tool"], ["u: ?!"], ["u: 🤖"], ["u: the of and a"]])
def test_where_nothing_is_said_there_is_no_topic(lines: list[str]) -> None:
    assert topics(messages(*lines), 8) == []


def test_no_topics_where_none_are_wanted() -> None:
    assert topics(messages("u: My pinball machine has a weak flipper"), 0) == []


def test_what_is_quoted_or_to_be_forgotten_is_no_topic_of_the_user() -> None:
    said = session("s", 'u: what do you make of "the submarine captain keeps a giant octopus in the bath"')
    assert not any("octopus" in claim.text for claim in RuleExtractor().extract(said).claims)
    said = session("s", "u: please forget what I told you about my hernia operation")
    assert not any("hernia" in claim.text for claim in RuleExtractor().extract(said).claims)
