"""What requests and answers say, in three APIs and in whatever shape they come."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atles.gateway.said import answer, is_task, request
from atles.gateway.streamed import Overheard, streamed
from tests.gateway.conftest import CHAT, MESSAGES, RESPONSES
from tests.gateway.upstream import event, events, whole

WEATHER = ("weather", {"city": "Oslo", "days": 2})


def chat(*messages: dict[str, Any]) -> list[dict[str, Any]] | None:
    return request(CHAT, {"messages": list(messages)})


USER = {"role": "user", "content": "Hello"}


# --- requests ---


def test_a_chat_request_is_its_messages() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello", "name": "Ann"},
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "audio": None},
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
    ]
    assert chat(*messages) == [
        messages[0],
        messages[1],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        messages[3],
    ]


def test_pictures_are_not_kept_whole() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
    found = chat({"role": "user", "content": [{"type": "text", "text": "What is that?"}, picture]})
    assert found is not None
    text, light = found[0]["content"]
    assert text == {"type": "text", "text": "What is that?"}
    assert light["image_url"]["url"].endswith("(5022 characters)")
    assert len(json.dumps(found)) < 300


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": []},
        {"messages": "Hello"},
        {"messages": {"role": "user"}},
        {"messages": [None]},
        {"messages": ["Hello"]},
        {"messages": [[]]},
        {"messages": [{}]},
        {"messages": [{"content": "no role"}]},
        {"messages": [{"role": None, "content": "x"}]},
        {"messages": [{"role": 5, "content": "x"}]},
        {"messages": [{"role": ["user"], "content": "x"}]},
        {"messages": [{"role": "system", "content": "nobody asks"}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": 5}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": ["f"]}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": {"0": {}}}]},
        {"messages": [{"role": "user", "content": json.loads("[" * 900 + "]" * 900)}]},
    ],
)
def test_a_chat_request_of_an_odd_shape_is_none(body: dict[str, Any]) -> None:
    assert request(CHAT, body) is None


@pytest.mark.parametrize("content", [None, "", 5, True, {"a": 1}, [], [None], ["x"], [{"type": "text"}], "\ud800"])
def test_odd_content_is_kept_as_it_is(content: Any) -> None:
    assert chat({"role": "user", "content": content}) == [{"role": "user", "content": content}]


def test_a_responses_request_is_messages_too() -> None:
    body = {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "Rain?"},
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "[]"},
            {"type": "function_call_output", "call_id": "c1", "output": "Yes."},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "No."}]},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "And"}, {"type": "input_text", "text": "now?"}],
            },
        ],
    }
    found = request(RESPONSES, body)
    assert found is not None
    assert [(it["role"], it["content"]) for it in found] == [
        ("system", "Be brief."), ("user", "Rain?"), ("assistant", "I look."), ("tool", "Yes."), ("tool", "No."),
        ("user", "And\nnow?"),
    ]  # fmt: skip
    assert [call["id"] for call in found[2]["tool_calls"]] == ["c1", "c2"], "one answer, as it was recorded"
    assert request(RESPONSES, {"input": "Hello"}) == [USER]


@pytest.mark.parametrize("given", [None, 5, [], ["Hello"], [{}], [{"role": "user"}], [{"role": 5, "content": "x"}]])
def test_a_responses_request_of_an_odd_shape_is_none(given: Any) -> None:
    assert request(RESPONSES, {"input": given}) is None


def test_a_messages_request_is_messages_too() -> None:
    body = {
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": "x"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "Rain."}]},
                    {"type": "tool_result", "tool_use_id": "t2", "content": None},
                    {"type": "text", "text": "And tomorrow?"},
                ],
            },
        ],
    }
    found = request(MESSAGES, body)
    assert found is not None
    assert [(it["role"], it["content"]) for it in found] == [
        ("system", "Be brief."), ("user", "Hello"), ("assistant", "I look."), ("tool", "Rain."), ("tool", ""),
        ("user", "And tomorrow?"),
    ]  # fmt: skip
    assert json.loads(found[2]["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}


@pytest.mark.parametrize("messages", [None, [{}], [{"role": "user"}], [{"role": "user", "content": 5}], ["x"], "x"])
def test_a_messages_request_of_an_odd_shape_is_none(messages: Any) -> None:
    assert request(MESSAGES, {"messages": messages}) is None


def test_other_paths_hold_no_conversation() -> None:
    assert request("/v1/embeddings", {"input": "Hello"}) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["user", "assistant", "text"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "role content type text tool_calls function name arguments id call_id output input messages choices "
                "message delta index finish_reason tool_use_id error response content_block event".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(document=st.dictionaries(st.sampled_from("messages input instructions system choices output content id".split()),
                                _JSON), path=st.sampled_from([CHAT, RESPONSES, MESSAGES]))  # fmt: skip
def test_no_json_at_all_breaks_the_reading(document: dict[str, Any], path: str) -> None:
    request(path, document)
    answer(path, document)
    streamed(path, event(document) + event({"type": "response.completed", "response": document}))
    streamed(path, b"".join(event(it) for it in document.values() if isinstance(it, dict)))


@pytest.mark.parametrize(
    ("content", "task"),
    [
        ("### Task:\nGenerate a title", True),
        ("\n### Task:\nSuggest tags", True),
        ("Write ### Task: as a heading", False),
        ("### Task: ", True),
        ("Hello", False),
        ([{"type": "text", "text": "### Task:\n"}], False),
        (None, False),
    ],
)
def test_what_an_interface_asks_for_itself_is_a_task(content: Any, task: bool) -> None:
    assert is_task([{"role": "user", "content": content}]) is task
    assert not is_task([{"role": "user", "content": content}, {"role": "assistant", "content": "x"}])


# --- answers ---


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_an_answer_is_a_message_and_its_id(path: str) -> None:
    document = whole(path, "It rains.")
    assert answer(path, document) == ({"role": "assistant", "content": "It rains."}, document["id"])


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("text", ["", "I look."])
def test_an_answer_with_calls_of_tools_has_them(path: str, text: str) -> None:
    found = answer(path, whole(path, text, [WEATHER]))
    assert found is not None
    message, _ = found
    assert (message["content"] or "") == text
    (call,) = message["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == WEATHER[1]


def test_of_several_choices_the_first_counts() -> None:
    choices = [{"index": n, "message": {"role": "assistant", "content": f"answer {n}"}} for n in (1, 0, 2)]
    assert answer(CHAT, {"id": "x", "choices": choices}) == ({"role": "assistant", "content": "answer 0"}, "x")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": {"role": "assistant", "content": ""}}]},
        {"choices": [{"message": {"role": "assistant", "content": None}}]},
        {"choices": [{"message": {"content": "x", "tool_calls": [5]}}]},
        {"choices": "x"},
        {"error": {"message": "no"}},
    ],
)
def test_what_says_nothing_is_no_answer(document: dict[str, Any]) -> None:
    assert answer(CHAT, document) is None


def test_an_answer_without_an_id_is_one_all_the_same() -> None:
    found = answer(CHAT, {"id": 5, "choices": [{"message": {"content": "x"}}]})
    assert found == ({"role": "assistant", "content": "x"}, "")


# --- streams ---


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("calls", [[], [WEATHER], [WEATHER, ("time", {})]])
def test_a_stream_says_what_the_answer_would(path: str, ends: str, calls: list[Any]) -> None:
    data = b"".join(events(path, "It  rains in  Oslo.", calls)).replace(b"\n", ends.encode())
    found = streamed(path, data)
    assert found is not None
    message, identity = found
    assert message["content"] == "It  rains in  Oslo."
    assert identity.startswith(("chatcmpl-", "resp_", "msg_"))
    functions = [call["function"] for call in message.get("tool_calls", ())]
    assert [(it["name"], json.loads(it["arguments"])) for it in functions] == calls


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_stream_that_was_cut_off_says_nothing(path: str) -> None:
    parts = events(path, "It rains.", [WEATHER])
    needed = {CHAT: len(parts) - 3, RESPONSES: len(parts) - 1, MESSAGES: len(parts) - 2}[path]
    for length in range(len(parts)):
        assert (streamed(path, b"".join(parts[:length])) is None) is (length <= needed)


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_stream_that_says_that_it_failed_says_nothing(path: str) -> None:
    parts = events(path, "It rains.")
    failed = event({"type": "error", "error": {"message": "out of memory"}})
    if path != RESPONSES:
        assert streamed(path, b"".join([*parts[:3], failed, *parts[3:]])) is None
    assert streamed(path, b"".join([*parts[:3], failed])) is None


def test_of_several_streamed_choices_the_first_counts() -> None:
    chunks = [
        {"id": "c", "choices": [{"index": 1, "delta": {"content": "two"}, "finish_reason": None}]},
        {"id": "c", "choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": None}]},
        {"id": "c", "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]},
    ]
    assert streamed(CHAT, b"".join(map(event, chunks))) is None, "the first is not at its end"
    chunks.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
    assert streamed(CHAT, b"".join(map(event, chunks))) == ({"role": "assistant", "content": "one"}, "c")


def test_a_server_that_is_not_well_is_read_as_far_as_it_can_be() -> None:
    parts = events(CHAT, "It rains.")
    noise = [
        b": keep-alive\n\n",
        b"data: {broken\n\n",
        b"data: 17\n\n",
        b"data: [1]\n\n",
        b"\xff\xfe\n",
        b"event: x\n\n",
    ]
    data = b"".join(part for pair in zip(parts, noise * 2, strict=False) for part in pair)
    assert streamed(CHAT, data) == ({"role": "assistant", "content": "It rains."}, json.loads(parts[0][6:])["id"])


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_the_end_is_heard_in_the_piece_that_brings_it(path: str, size: int) -> None:
    said = 'It says: data: [DONE] and event: message_stop and {"type":"response.completed"'
    data = b"".join(events(path, said))
    mark = {CHAT: b"data: [DONE]", RESPONSES: b"event: response.completed", MESSAGES: b"event: message_stop"}[path]
    end = data.rindex(mark) + len(mark)
    heard, at = Overheard(path), 0
    while not heard.hear(data[at : at + size]):
        at += size
        assert at < len(data)
    assert at < end <= at + size, "no piece with the end goes on before it is heard"
    if size < 10_000:
        heard.hear(data[at + size :])
    found = heard.answer()
    assert found is not None
    assert found[0]["content"] == said


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        (CHAT, b"\ndata:[DONE]"),
        (CHAT, b"\r\n\r\ndata: [DONE]\r\n"),
        (RESPONSES, b'\ndata: {"type": "response.completed"'),
        (RESPONSES, b"\nevent:response.incomplete\n"),
        (MESSAGES, b'\ndata:{"type":"message_stop"}'),
    ],
)
def test_the_end_is_heard_however_it_is_written(path: str, mark: bytes) -> None:
    heard = Overheard(path)
    assert not heard.hear(b"data: {}\n")
    assert heard.hear(mark)


def test_an_answer_that_ran_out_of_tokens_is_one() -> None:
    document = whole(RESPONSES, "It rai") | {"status": "incomplete"}
    data = event({"type": "response.incomplete", "response": document}, "response.incomplete")
    found = streamed(RESPONSES, data)
    assert found is not None
    assert found[0]["content"] == "It rai"


def test_a_stream_that_is_too_long_is_not_kept() -> None:
    heard = Overheard(CHAT)
    for _ in range(17):
        assert not heard.hear(b"\ndata: {}" * ((1 << 20) // 9 + 1))
    assert not heard.hear(b"\ndata: [DONE]")
    assert heard.too_long
    assert heard.answer() is None
    assert len(heard._seen) == 0
