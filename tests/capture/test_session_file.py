"""One table of documents for the reader and for the published schema, and what only bytes can get wrong."""

import json
import tempfile
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atles import SessionTracker
from atles.capture.plain import MAX_DEPTH
from atles.capture.session_file import parse
from atles.errors import InvalidSession
from atles.records import canonical_json

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "session.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HELLO = {"role": "user", "content": "Hello"}

GOOD = {
    "the example of the schema": SCHEMA["examples"][0],
    "no id": {"messages": [HELLO]},
    "null id": {"session_id": None, "messages": [HELLO]},
    "empty id": {"session_id": "", "messages": [HELLO]},
    "number id": {"session_id": 42, "messages": [HELLO]},
    "fraction id": {"session_id": 4.5, "messages": [HELLO]},
    "path id": {"session_id": "../../etc/passwd", "messages": [HELLO]},
    "NUL id": {"session_id": "a\0b", "messages": [HELLO]},
    "long id": {"session_id": "x" * 300, "messages": [HELLO]},
    "surrogate id": {"session_id": "\ud83d", "messages": [HELLO]},
    "no messages": {"messages": []},
    "empty message": {"messages": [{}]},
    "unknown role": {"messages": [{"role": "wizard", "content": "hm"}]},
    "role that is no text": {"messages": [{"role": 7, "content": "hm"}, {"role": None, "content": "hm"}]},
    "content null": {"messages": [{"role": "assistant", "content": None}]},
    "content list": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, "b", 3]}]},
    "content number": {"messages": [{"role": "user", "content": 3.5}]},
    "content object": {"messages": [{"role": "tool", "content": {"seen": True}}]},
    "surrogates": {"messages": [{"role": "user", "content": "\udc80 \ud83d"}]},
    "odd timestamps": {"messages": [{**HELLO, "timestamp": 12}], "start_time": 5, "end_time": None},
    "null metadata": {"messages": [HELLO], "metadata": None},
    "message metadata": {"messages": [{**HELLO, "metadata": [1]}]},
    "unknown keys": {"messages": [{**HELLO, "tool_calls": [], "mood": "good"}], "app": 1},
    "huge integer": {"messages": [{"role": "user", "content": 10**4000}]},
}
BAD = {
    "a list": ([HELLO], "the file holds a list"),
    "null": (None, "the file holds null"),
    "a text": ("messages", "the file holds a text"),
    "a number": (3.5, "the file holds a number"),
    "messages missing": ({"session_id": "s"}, "`messages` is missing"),
    "messages null": ({"messages": None}, "`messages` is null"),
    "messages an object": ({"messages": {"0": HELLO}}, "`messages` is an object"),
    "message a list": ({"messages": [HELLO, HELLO, HELLO, []]}, "messages[3] is a list; a message is an object"),
    "message a text": ({"messages": ["Hello"]}, "messages[0] is a text"),
    "message null": ({"messages": [None]}, "messages[0] is null"),
    "metadata a list": ({"messages": [], "metadata": []}, "`metadata` is a list"),
    "metadata false": ({"messages": [], "metadata": False}, "`metadata` is a boolean"),
    "id a list": ({"session_id": ["s"], "messages": []}, "`session_id` is a list"),
    "id true": ({"session_id": True, "messages": []}, "`session_id` is a boolean"),
}


def reason(data: bytes) -> str:
    with pytest.raises(InvalidSession) as caught:
        parse(data, "completed_x.json")
    return str(caught.value)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD)
def test_what_the_schema_allows_is_read(document):
    VALIDATOR.validate(document)
    session = parse(json.dumps(document).encode(), "completed_from-the-name.json")
    assert [message.raw for message in session.messages] == document["messages"]
    canonical_json(session.as_json()).encode("ascii")  # what comes out can be stored


@pytest.mark.parametrize(("document", "expected"), BAD.values(), ids=BAD)
def test_what_the_schema_forbids_is_refused_by_name(document, expected):
    assert not VALIDATOR.is_valid(document)
    assert expected in reason(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("given_id", "name", "expected"),
    [
        (None, "completed_abc.json", "abc"),
        ("", "completed_session_1.json", "session_1"),
        (None, "export.json", "export"),
        (42, "completed_abc.json", "42"),
        ("own", "completed_abc.json", "own"),
        ("\ud83d", "completed_abc.json", "\ufffd"),
    ],
)
def test_the_id_is_the_files_own_or_comes_from_its_name(given_id, name, expected):
    assert parse(json.dumps({"session_id": given_id, "messages": []}).encode(), name).session_id == expected


def test_a_byte_order_mark_is_no_matter():
    data = b"\xef\xbb\xbf" + json.dumps({"messages": [HELLO]}).encode()
    assert parse(data, "completed_x.json").messages[0].text == "Hello"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n\t", "the file is empty"),
        (b'{"messages": [{"role": "us', "ends in the middle of the text that begins in line 1, column 24"),
        (b'{\n"messages": [\n{"role": "user"},', "ends in the middle of the JSON, in line 3, column 18"),
        (b'{"messages": [', "ends in the middle of the JSON"),
        (b'{"messages": [}]}', "line 1, column 15: not JSON"),
        (b'{"messages": []} trailing', "line 1, column 18: not JSON"),
        (b"\0" * 40, "line 1, column 1: not JSON"),
        (b'{"a": "\xff"}', "byte 7 (0xff) is not UTF-8"),
        (b'\xef\xbb\xbf{"a": "\xff"}', "byte 10 (0xff) is not UTF-8"),
        ('{"messages": []}'.encode("utf-16"), "byte 0 (0xff) is not UTF-8"),
        (b"[" * 100_000, "nested deeper than 100 levels"),
        (b'{"messages": [{"content": ' + b"9" * 5000 + b"}]}", "a number is too long"),
        (b'{"messages": [{}, {"content": ' + b"[" * 200 + b"]" * 200 + b"}]}", "messages[1] is nested deeper"),
        (b'{"messages": [], "metadata": {"a": ' + b"[" * 200 + b"]" * 200 + b"}}", "`metadata` is nested deeper"),
    ],
)
def test_the_message_names_what_is_wrong_and_where(data, expected):
    assert expected in reason(data)


def test_every_truncation_of_a_session_is_told_as_such():
    data = json.dumps({"session_id": "s", "messages": [HELLO, {"content": [1.5, True, None]}]}).encode()
    for length in range(1, len(data)):
        cut = reason(data[:length])
        assert "truncated" in cut or "not JSON" in cut, data[:length]


def test_numbers_that_json_does_not_have_are_kept_as_text():
    session = parse(b'{"messages": [{"content": [NaN, -Infinity, 1e999, 1.5]}]}', "completed_x.json")
    assert session.messages[0].raw["content"] == ["NaN", "-Infinity", "1e999", 1.5]


def test_of_two_equal_keys_the_last_counts():
    session = parse(b'{"messages": [], "messages": [{"content": "b"}]}', "completed_x.json")
    assert session.messages[0].text == "b"


def test_fifty_megabytes_are_read():
    message = json.dumps({"role": "user", "content": "x" * 50_000})
    data = ('{"messages": [' + ",".join([message] * 1_000) + "]}").encode()
    assert len(data) > 50_000_000
    assert len(parse(data, "completed_big.json").messages) == 1_000


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),  # surrogates and NUL too
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def once_through_json(value):
    """json.loads joins two surrogate halves that stand side by side; no writer can prevent it."""
    return json.loads(json.dumps(value))


@settings(deadline=None)
@given(ANY_JSON)
def test_any_json_content_comes_back(content):
    data = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    assert parse(data, "completed_x.json").messages[0].raw["content"] == once_through_json(content)


@settings(max_examples=40, deadline=None)
@given(ANY_JSON, st.text(st.characters(exclude_categories=()), max_size=200))
def test_what_the_tracker_writes_the_reader_reads(content, session_id):
    with tempfile.TemporaryDirectory() as folder:
        chat = SessionTracker(home=folder)
        chat.start_session(session_id)
        chat.log_message("user", content, {"also": content})
        path = chat.end_session()
        assert path is not None
        data = path.read_bytes()
    VALIDATOR.validate(json.loads(data))
    message = parse(data, path.name).messages[0]
    assert message.raw["content"] == once_through_json(content)
    assert message.raw["metadata"] == {"also": once_through_json(content)}


def test_the_tracker_never_nests_deeper_than_the_reader_accepts(tmp_path):
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    chat = SessionTracker(home=tmp_path)
    chat.set_metadata("deep", deep)
    chat.log_message("user", deep)
    path = chat.end_session()
    assert path is not None
    assert len(parse(path.read_bytes(), path.name).messages) == 1
    assert MAX_DEPTH == 100, "the number stands in docs/session.schema.json"
