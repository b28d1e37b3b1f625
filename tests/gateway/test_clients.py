"""Unmodified clients: the openai SDK, LangChain, and llm. They cannot tell the gateway from a model server."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Running
from tests.gateway.upstream import FakeUpstream, answers, events, hangs_up, html, pieces, sends, status, waits

openai = pytest.importorskip("openai")
pytestmark = pytest.mark.slow  # for what they import

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGCHAIN_TRACING"):
        monkeypatch.setenv(name, "false")
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "LANGSMITH_API"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def client(gateway: Running) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-mine", max_retries=0) as opened:
        yield opened


def said(*words: str) -> Any:
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(words)]


# --- openai ---


def test_openai_chats(client: Any, gateway: Running, upstream: FakeUpstream) -> None:
    first = client.chat.completions.create(model="m", messages=said("Hello"))
    text = first.choices[0].message.content
    assert text == "You said: Hello"
    second = client.chat.completions.with_raw_response.create(model="m", messages=said("Hello", text, "And now?"))
    assert second.parse().choices[0].message.content == "You said: And now?"
    assert second.headers["x-atles-session"] in gateway.journals()
    assert upstream.last.headers["authorization"] == "Bearer sk-mine"
    assert gateway.recorded() == [
        ("user", "Hello"), ("assistant", text), ("user", "And now?"), ("assistant", "You said: And now?"),
    ]  # fmt: skip


def test_openai_streams(client: Any, gateway: Running) -> None:
    stream = client.chat.completions.create(
        model="m", messages=said("Tell me all"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(words) == "You said: Tell me all"
    assert chunks[-1].usage.total_tokens == 2
    assert gateway.recorded()[1] == ("assistant", "You said: Tell me all")


def test_openai_parses_a_stream_with_its_helper(client: Any, gateway: Running) -> None:
    with client.chat.completions.stream(model="m", messages=said("Hello")) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == "You said: Hello"
    assert len(gateway.recorded()) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_openai_uses_tools(client: Any, gateway: Running, upstream: FakeUpstream, stream: bool) -> None:
    upstream.reply(answers("", calls=[("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]), answers("Rain."))
    messages = said("Rain in Oslo or Rome?")
    if stream:
        with client.chat.completions.stream(model="m", messages=messages, tools=[WEATHER]) as opened:
            message = opened.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model="m", messages=messages, tools=[WEATHER]).choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls:
        city = json.loads(call.function.arguments)["city"]
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"rain in {city}"})
    last = client.chat.completions.create(model="m", messages=messages, tools=[WEATHER])
    assert last.choices[0].message.content == "Rain."
    (recorded,) = gateway.journals().values()
    assert [it["role"] for it in recorded] == ["user", "assistant", "tool", "tool", "assistant"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (status(400), "BadRequestError"),
        (status(401), "AuthenticationError"),
        (status(404), "NotFoundError"),
        (status(429), "RateLimitError"),
        (status(500), "InternalServerError"),
        (html(503), "InternalServerError"),
        (html(200), "InternalServerError"),
        (hangs_up(), "InternalServerError"),
        (sends(b"nonsense"), "InternalServerError"),
    ],
)
def test_openai_sees_errors_as_its_own(client: Any, upstream: FakeUpstream, reply: Any, error: str) -> None:
    upstream.reply(reply)
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="m", messages=said("Hello"))
    assert type(raised.value).__name__ == error
    assert raised.value.body["message"]


def test_openai_sees_a_broken_stream_as_an_error(client: Any, upstream: FakeUpstream) -> None:
    upstream.reply(pieces(events("/v1/chat/completions", "One two")[:3], abort=True))
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.chat.completions.create(model="m", messages=said("Hello"), stream=True))
    upstream.reply(pieces(events("/v1/responses", "One two")[:3], abort=True))
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.responses.create(model="m", input="Hello", stream=True))


def test_openai_sees_what_the_gateway_refuses_as_its_own_errors(client: Any, gateway: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no adapter"):
        client.chat.completions.create(model="atles:0009-zz", messages=said("Hello"))
    with pytest.raises(openai.BadRequestError, match="X-Atles-Session"):
        client.chat.completions.create(model="m", messages=said("Hello"), extra_headers={"X-Atles-Session": "x" * 1000})
    gateway.store.keys.add("phone", "ann")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="atles_wrong_key").chat.completions.create(model="m", messages=said("Hello"))


def test_openai_tries_again_and_the_exchange_is_recorded_once(
    client: Any, gateway: Running, upstream: FakeUpstream
) -> None:
    upstream.reply(status(429, Retry_After="0"), status(503, Retry_After="0"), answers("At last."))
    patient = client.with_options(max_retries=3)
    assert patient.chat.completions.create(model="m", messages=said("Hello")).choices[0].message.content == "At last."
    assert len(upstream.requests) == 3
    assert gateway.recorded() == [("user", "Hello"), ("assistant", "At last.")]


def test_openai_gives_up_waiting_and_the_model_server_is_told(client: Any, upstream: FakeUpstream) -> None:
    upstream.reply(waits(answers()))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="m", messages=said("Hello"))
    assert upstream.last.cancelled.wait(5)


def test_openai_asks_many_things_at_once(gateway: Running) -> None:
    async def talk() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-mine") as client:

            async def ask(number: int) -> str:
                words = [f"question {number}"]
                for turn in range(3):
                    stream = await client.chat.completions.create(model="m", messages=said(*words), stream=True)
                    parts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
                    words += ["".join(parts), f"more {turn} of {number}"]
                return words[-2]

            return await asyncio.gather(*map(ask, range(20)))

    assert asyncio.run(talk()) == [f"You said: more 1 of {number}" for number in range(20)]
    journals = gateway.journals()
    assert len(journals) == 20
    assert all(len(messages) == 6 for messages in journals.values())


def test_openai_responds(client: Any, gateway: Running) -> None:
    first = client.responses.create(model="m", input="Hello", instructions="Be brief.")
    assert first.output_text == "You said: Hello"
    second = client.responses.create(model="m", input="And now?", previous_response_id=first.id)
    assert second.output_text == "You said: And now?"
    history: Any = [{"role": "user", "content": "Hello"}, *first.output, {"role": "user", "content": "Or?"}]
    with client.responses.stream(model="m", input=history) as stream:
        assert stream.get_final_response().output_text == "You said: Or?"
    (recorded,) = gateway.journals().values()
    assert [it["content"] for it in recorded] == [
        "Be brief.", "Hello", "You said: Hello", "And now?", "You said: And now?", "Or?", "You said: Or?",
    ]  # fmt: skip
    assert recorded[5]["metadata"]["parent"] == 2, "the history that came with it is not what was said last"


def test_openai_responds_with_tools(client: Any, gateway: Running, upstream: FakeUpstream) -> None:
    upstream.reply(answers("", calls=[("weather", {"city": "Oslo"})]), answers("It rains."))
    given: Any = [{"role": "user", "content": "Rain?"}]
    first = client.responses.create(model="m", input=given)
    given += first.output
    given.append({"type": "function_call_output", "call_id": first.output[0].call_id, "output": "rain"})
    assert client.responses.create(model="m", input=given).output_text == "It rains."
    (recorded,) = gateway.journals().values()
    assert [it["role"] for it in recorded] == ["user", "assistant", "tool", "assistant"]


def test_openai_embeds_and_lists_models(client: Any, gateway: Running) -> None:
    assert client.embeddings.create(model="e", input="Hello", encoding_format="float").data[0].embedding == [0.5]
    assert [model.id for model in client.models.list()][:2] == ["atles", "atles:base"]
    assert gateway.journals() == {}


# --- LangChain ---


@pytest.fixture
def langchain(gateway: Running) -> Any:
    module = pytest.importorskip("langchain_openai")
    return module.ChatOpenAI(model="m", base_url=f"{gateway.url}/v1", api_key="sk-mine", max_retries=0)


def test_langchain_chats_and_streams(langchain: Any, gateway: Running) -> None:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    messages: list[Any] = [SystemMessage("Be brief."), HumanMessage("Hello")]
    first = langchain.invoke(messages)
    assert first.content == "You said: Hello"
    messages += [first, HumanMessage("And now?")]
    text = "".join(chunk.content for chunk in langchain.stream(messages))
    assert text == "You said: And now?"
    messages += [AIMessage(text), HumanMessage("More")]
    assert asyncio.run(langchain.ainvoke(messages)).content == "You said: More"
    assert [text for _, text in gateway.recorded()] == [
        "Be brief.", "Hello", "You said: Hello", "And now?", "You said: And now?", "More", "You said: More",
    ]  # fmt: skip


def test_langchain_uses_tools(langchain: Any, gateway: Running, upstream: FakeUpstream) -> None:
    """It reads a call's arguments and writes them anew; the conversation stays one."""
    from langchain_core.messages import HumanMessage, ToolMessage

    upstream.reply(answers("", calls=[("weather", {"city": "Oslo"})]), answers("It rains."))
    asking = langchain.bind_tools([WEATHER])
    messages: list[Any] = [HumanMessage("Rain?")]
    messages.append(asking.invoke(messages))
    (call,) = messages[-1].tool_calls
    assert call["args"] == {"city": "Oslo"}
    messages.append(ToolMessage("rain", tool_call_id=call["id"]))
    assert asking.invoke(messages).content == "It rains."
    (recorded,) = gateway.journals().values()
    assert [it["role"] for it in recorded] == ["user", "assistant", "tool", "assistant"]


def test_langchain_cuts_its_history(langchain: Any, gateway: Running) -> None:
    from langchain_core.messages import HumanMessage, trim_messages

    messages: list[Any] = []
    for number in range(6):
        messages.append(HumanMessage(f"question {number}"))
        sent = trim_messages(messages, max_tokens=5, token_counter=len, strategy="last", start_on="human")
        messages.append(langchain.invoke(sent))
    assert [text for _, text in gateway.recorded()] == [message.content for message in messages]


# --- llm ---


def test_llm_chats_on_the_command_line(gateway: Running, tmp_path: Path) -> None:
    pytest.importorskip("llm")
    folder = tmp_path / "llm"
    folder.mkdir()
    (folder / "extra-openai-models.yaml").write_text(
        f"- model_id: mine\n  model_name: m\n  api_base: {gateway.url}/v1\n  supports_tools: true\n"
    )
    environment = {**os.environ, "LLM_USER_PATH": str(folder), "LLM_LOAD_PLUGINS": "", "OPENAI_API_KEY": "sk-mine"}

    def llm(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "llm", *arguments], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert llm("-m", "mine", "-s", "Be brief.", "Hello") == "You said: Hello"
    assert llm("-c", "And now?") == "You said: And now?"
    assert llm("-m", "mine", "--no-stream", "Another") == "You said: Another"
    journals = sorted(gateway.journals().values(), key=len)
    assert [[it["content"] for it in messages] for messages in journals] == [
        ["Another", "You said: Another"],
        ["Be brief.", "Hello", "You said: Hello", "And now?", "You said: And now?"],
    ]
