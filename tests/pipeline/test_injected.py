"""What ATLES put into a conversation comes out again."""

import pytest

from atles.pipeline.injected import MARK_BEGIN, MARK_END, is_injected, strip
from atles.records import Session
from tests.samples import document


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("hello", "hello"),
        ("", ""),
        (f"{MARK_BEGIN}\n- a\n{MARK_END}\nhello", "hello"),
        (f"one {MARK_BEGIN}x{MARK_END} two {MARK_BEGIN}y{MARK_END} three", "one  two  three"),
        (f"hello {MARK_BEGIN} the end is lost", "hello"),
        (f"hello {MARK_END}", "hello "),
        ("What you know from earlier chats with this user:\n- I live in Oslo\n- b\n\nhello", "hello"),
        ("I said what you know from earlier chats", "I said what you know from earlier chats"),
    ],
)
def test_blocks_are_stripped(text: str, left: str) -> None:
    assert strip(text) == left


@pytest.mark.parametrize(
    ("fields", "ours"),
    [({}, False), ({"metadata": {"atles": {"kind": "memory"}}}, True), ({"atles": True}, True), ({"atles": 0}, False),
     ({"metadata": {}}, False), ({"metadata": "atles"}, False)],
)  # fmt: skip
def test_a_message_of_ours_says_so(fields: dict[str, object], ours: bool) -> None:
    data = document("s")
    data["messages"] = [{"role": "system", "content": "x", **fields}]
    assert is_injected(Session.of(data).messages[0]) is ours
