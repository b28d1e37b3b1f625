"""The nouns: what identifies a message, and how any content becomes text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atles.records import Score, Session, canonical_json, content_id, plain_text, printable
from tests.samples import document, session

_ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hello", "hello"),
        (None, ""),
        ("half \ud83d emoji", "half \ufffd emoji"),
        ("\ud83d\ude00", "😀"),
        ("a\0b", "a\ufffdb"),
        (["one", "two"], "one\ntwo"),
        ([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x"}}], "look"),
        ([{"type": "text", "text": None}, 7, None], ""),
        (42, "42"),
        (True, "true"),
        ({"a": "é"}, '{"a": "é"}'),
        ([], ""),
    ],
)
def test_any_content_becomes_text(content: Any, text: str) -> None:
    assert plain_text(content) == text


@given(_JSON)
def test_every_text_can_be_stored_and_printed(content: Any) -> None:
    text = plain_text(content)
    text.encode("utf-8")
    assert "\0" not in text


@given(_ANY_TEXT)
def test_printable_changes_nothing_twice(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(_JSON)
def test_canonical_json_keeps_the_value_and_is_ascii(value: Any) -> None:
    assert canonical_json(value).isascii()
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


def test_a_message_is_known_by_its_words_and_by_what_was_said_before() -> None:
    one = session("s", "u: a", "a: b", "u: c")
    longer = session("s", "u: a", "a: b", "u: c", "a: d")
    other = session("s", "u: a", "a: B", "u: c")
    assert [m.id for m in longer.messages[:3]] == [m.id for m in one.messages]
    assert other.messages[0].id == one.messages[0].id
    assert other.messages[1].id != one.messages[1].id
    assert other.messages[2].id != one.messages[2].id, "the same words after others are another message"
    assert session("t", "u: a").messages[0].id != one.messages[0].id


def test_time_and_metadata_do_not_make_another_message() -> None:
    plain = document("s", "u: a")
    stamped = document("s", "u: a")
    stamped["messages"][0] |= {"timestamp": "2026-01-01T00:00:00Z", "metadata": {"x": 1}}
    assert Session.of(plain).messages[0].id == Session.of(stamped).messages[0].id


@pytest.mark.parametrize(("role", "seen"), [("user", "user"), ("robot", "robot"), (None, "unknown"), (7, "unknown")])
def test_an_unknown_role_is_kept_and_one_that_is_no_text_is_unknown(role: Any, seen: str) -> None:
    data = document("s", "u: a")
    data["messages"][0]["role"] = role
    assert Session.of(data).messages[0].role == seen


@pytest.mark.parametrize(("calls", "count"), [([{"id": "1"}], 1), (None, 0), ("x", 0)])
def test_tool_calls_are_a_list_or_nothing(calls: Any, count: int) -> None:
    data = document("s", "a: ")
    data["messages"][0]["tool_calls"] = calls
    assert len(Session.of(data).messages[0].tool_calls) == count


@given(st.lists(st.fixed_dictionaries({"role": _JSON, "content": _JSON}), max_size=4), _ANY_TEXT)
def test_a_session_comes_back_as_it_came(raw: list[dict[str, Any]], session_id: str) -> None:
    data = {"session_id": session_id, "start_time": None, "end_time": None, "messages": raw, "metadata": {}}
    once = Session.of(data)
    again = Session.of(json.loads(canonical_json(once.as_json())))
    assert again.as_json()["messages"] == json.loads(json.dumps(raw))
    assert [m.id for m in again.messages] == [m.id for m in once.messages]


def test_content_ids_are_of_the_parts_not_of_their_sum() -> None:
    assert content_id("ab", "c") != content_id("a", "bc")
    assert content_id({"a": 1, "b": 2}) == content_id({"b": 2, "a": 1})


def test_a_score_knows_its_mean_and_what_is_right() -> None:
    score = Score({"a": 1.0, "b": 2.0}, {"x": True, "y": False})
    assert score.right == {"x"}
