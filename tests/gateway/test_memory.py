"""What is remembered goes before a user's message, in three APIs, and changes nothing else."""

import copy
from typing import Any

import pytest

from atles.gateway.memory import question, remembering
from atles.pipeline.injected import strip, with_memory
from atles.records import Recalled
from tests.gateway.conftest import CHAT, MESSAGES, RESPONSES

WISH = "Answer in one sentence."


def before(asked: str, known: str = "Ann lives in Oslo.", wishes: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """What MemoryProcessor.before gives."""
    recalled = [Recalled("s", "m", "user", known, "2026-01-01", 1.0)] if known else []
    return with_memory(asked, recalled, wishes)


def remembered(path: str, body: dict[str, Any], **more: Any) -> dict[str, Any] | None:
    asked = question(path, body)
    assert asked
    untouched = copy.deepcopy(body)
    changed = remembering(path, body, asked, before(asked, **more))
    assert body == untouched
    return changed


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "Where?"}]}, "Where?"),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "Where"},
                                                          {"type": "image_url"}, {"type": "text", "text": "is it?"}]}]},
         "Where\nis it?"),
        (RESPONSES, {"input": "Where?"}, "Where?"),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Where?"}]}]}, "Where?"),
        (MESSAGES, {"messages": [{"role": "user", "content": "Where?"}]}, "Where?"),
        # Where the user says nothing there is nothing to look up.
        (CHAT, {"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "42"}]}, ""),
        (CHAT, {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "pre"}]}, ""),
        (MESSAGES, {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"},
                                                              {"type": "text", "text": "x"}]}]}, ""),
        (RESPONSES, {"input": [{"type": "function_call_output", "output": "42"}]}, ""),
        (CHAT, {}, ""), (CHAT, {"messages": []}, ""), (CHAT, {"messages": [None]}, ""), (CHAT, {"messages": 5}, ""),
        (CHAT, {"messages": [{"role": "user"}]}, ""), (CHAT, {"messages": [{"role": "user", "content": 5}]}, ""),
        (CHAT, {"messages": [{"role": "user", "content": [5, "x", {"text": 7}]}]}, ""), (RESPONSES, {"input": 5}, ""),
    ],
)  # fmt: skip
def test_the_question_is_the_users_last_message(path: str, body: dict[str, Any], asked: str) -> None:
    assert question(path, body) == asked


def test_what_is_recalled_stands_before_the_question() -> None:
    earlier = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    asking = {"role": "user", "content": "Where?", "name": "ann"}
    body = {"model": "m", "temperature": 0.5, "messages": [*earlier, asking]}
    changed = remembered(CHAT, body)
    assert changed is not None
    last = changed["messages"][-1]
    assert "Ann lives in Oslo." in last["content"]
    assert last["content"].endswith("\n\nWhere?")
    assert strip(last["content"]) == "Where?"
    assert last["name"] == "ann"
    assert changed | {"messages": 0} == body | {"messages": 0}
    assert changed["messages"][:-1] == body["messages"][:-1]


def test_of_a_message_in_parts_it_is_the_first_part() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "text", "text": "What is that?"}]
    changed = remembered(CHAT, {"messages": [{"role": "user", "content": parts}]})
    assert changed is not None
    first, *rest = changed["messages"][0]["content"]
    assert first["type"] == "text"
    assert "Oslo" in first["text"]
    assert rest == parts
    changed = remembered(RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]})
    assert changed is not None
    assert [part["type"] for part in changed["input"][0]["content"]] == ["input_text", "input_text"]


def test_how_the_user_wants_to_be_answered_joins_the_clients_own_system_message() -> None:
    system, user = {"role": "system", "content": "You are a parrot."}, {"role": "user", "content": "Where?"}
    changed = remembered(CHAT, {"messages": [system, user]}, wishes=(WISH,))
    assert changed is not None
    assert [it["role"] for it in changed["messages"]] == ["system", "user"]
    assert changed["messages"][0]["content"].startswith("You are a parrot.\n\n<atles-memory>")
    assert WISH in changed["messages"][0]["content"]

    changed = remembered(CHAT, {"messages": [user]}, wishes=(WISH,))
    assert changed is not None
    assert [it["role"] for it in changed["messages"]] == ["system", "user"]

    parts = {"role": "developer", "content": [{"type": "text", "text": "You are a parrot."}]}
    changed = remembered(CHAT, {"messages": [parts, user]}, known="", wishes=(WISH,))
    assert changed is not None
    assert WISH in changed["messages"][0]["content"][1]["text"]
    assert changed["messages"][1] == user


def test_the_other_apis_have_their_own_place_for_it() -> None:
    user = {"role": "user", "content": "Where?"}
    changed = remembered(RESPONSES, {"input": "Where?", "instructions": "Be a parrot."}, wishes=(WISH,))
    assert changed is not None
    assert changed["instructions"].startswith("Be a parrot.\n\n")
    assert WISH in changed["instructions"]
    assert "Oslo" in changed["input"]
    changed = remembered(RESPONSES, {"input": [user]}, wishes=(WISH,))
    assert changed is not None
    assert WISH in changed["instructions"]
    assert "Oslo" in changed["input"][0]["content"]
    changed = remembered(MESSAGES, {"messages": [user], "system": "Be a parrot."}, wishes=(WISH,))
    assert changed is not None
    assert changed["system"].startswith("Be a parrot.\n\n")
    changed = remembered(MESSAGES, {"messages": [user], "system": [{"type": "text", "text": "x"}]}, wishes=(WISH,))
    assert changed is not None
    assert WISH in changed["system"][1]["text"]
    assert [it["role"] for it in changed["messages"]] == ["user"]


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_where_nothing_is_known_nothing_is_changed(path: str) -> None:
    assert remembered(path, {"messages": [{"role": "user", "content": "Where?"}]}, known="") is None
    assert remembered(RESPONSES, {"input": "Where?"}, known="") is None


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_of_a_message_of_megabytes_only_its_ends_are_looked_up(path: str) -> None:
    text = "First this. " + "word " * 1_000_000 + "Where is it?"
    message = {"role": "user", "content": text}
    body = {"messages": [message]} if path == CHAT else {"input": [message]}
    asked = question(path, body)
    assert len(asked) < 10_000
    assert asked.startswith("First this.")
    assert asked.endswith("Where is it?")
    changed = remembered(path, body)
    assert changed is not None
    content = changed["messages" if path == CHAT else "input"][0]["content"]
    assert "Ann lives in Oslo." in content
    assert strip(content) == text
