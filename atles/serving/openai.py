"""A client for servers that speak OpenAI's chat API: llama.cpp, Ollama, vLLM, LM Studio, the cloud.

Knows the protocol and where servers differ in it; not what is asked. It sends nothing anywhere but to `base_url`.
"""

import http.client
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from atles.errors import ConfigError, EndpointError
from atles.serving import Chat
from atles.serving.http import Post, Response, Stopped, TooLarge
from atles.serving.reply import Usage, complaint, json_in, retry_after, shown, text_of, usage_of

_MAX_BYTES = 4 << 20
# How to ask for JSON, best first. Each but the first has the schema in the prompt.
_FORMS = ("json_schema", "json_object", "text")
_TOO_LONG = re.compile(r"context.{0,40}(length|size|window|exceed)|exceed.{0,60}context|too many tokens|too long", re.I)
_NO_MODEL = re.compile(
    r"model.{0,200}(not found|not exist|unknown|no such|not supported|not loaded)|no model", re.I | re.S
)

_HINT_V1 = "the address of most servers ends in /v1"


class Endpoint:
    """One model of one server. Raises ConfigError for an address or key that cannot be right.

    `otherwise` is what a person can do instead of making the server work; it ends the messages. The first call learns
    what the server can (JSON schemas, names of parameters); the object remembers it.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str = "",
        timeout_seconds: float = 60.0,
        *,
        max_bytes: int = _MAX_BYTES,
        otherwise: str = 'set memory.extractor = "rules"',
    ) -> None:
        self.base_url, self.model, self._otherwise = _checked(base_url), model, otherwise
        if not model:
            raise ConfigError("no model is named for the model server; set memory.llm_model")
        if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
            raise ConfigError("the API key holds characters that no key has; look for line ends and spaces in it")
        self._key, self._timeout = api_key, timeout_seconds
        self._post = Post(f"{self.base_url}/chat/completions", timeout_seconds, max_bytes)
        self._form = 0
        self._limit_name, self._greedy = "max_tokens", True

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r}, {self.model!r})"

    def stop(self) -> None:
        """End the call that is under way, from another thread, and every later one."""
        self._post.stop()

    def complete_json(self, messages: Chat, schema: Mapping[str, Any], max_tokens: int) -> tuple[Any, Usage]:
        """An object that has the schema's keys, as far as can be seen at once, and what it cost.

        A server that rejects or ignores the schema is asked again with the schema in the prompt. Raises EndpointError.
        """
        spent, wrong = 0, ""
        for form in range(self._form, len(_FORMS)):
            try:
                text, cut, usage = self._ask(self._body(messages, schema, max_tokens, form))
            except EndpointError as error:
                last = form + 1 == len(_FORMS)
                if error.kind != "bad_request" or last or _TOO_LONG.search(str(error)):
                    raise
                continue
            spent += usage.total
            value = json_in(text)
            if isinstance(value, dict) and value.keys() & schema.get("properties", value).keys():
                self._form = form
                completion = usage.completion_tokens
                return value, Usage(spent - completion, completion, usage.estimated)
            if cut:
                self._form = form
                reason = f"its answer does not end within {max_tokens} tokens; use a larger model"
                raise self._error("bad_output", reason, tokens=spent)
            if wrong:
                break
            wrong = shown(text) or "nothing"
        reason = f"it answers with something else than the JSON asked for ({wrong}); use a larger model"
        raise self._error("bad_output", reason, tokens=spent)

    def _body(self, messages: Chat, schema: Mapping[str, Any], max_tokens: int, form: int) -> dict[str, Any]:
        asked: list[Mapping[str, str]] = list(messages)
        kind = _FORMS[form]
        if form > 0:
            note = f"Answer with one JSON object and nothing else. Its JSON Schema:\n{json.dumps(schema)}"
            asked = _with_note(asked, note)
        body: dict[str, Any] = {"model": self.model, "messages": asked, "stream": False, self._limit_name: max_tokens}
        if self._greedy:
            body["temperature"] = 0
        if kind == "json_schema":
            body["response_format"] = {
                "type": kind,
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            }
        elif kind == "json_object":
            body["response_format"] = {"type": kind}
        return body

    def _ask(self, body: dict[str, Any]) -> tuple[str, bool, Usage]:
        """The words of the answer, whether they were cut off, and the cost. Raises EndpointError."""
        response = self._send(body)
        if response.status == 400 and self._learn(complaint(response.body)):
            limit = body.pop("max_tokens", None) or body.pop("max_completion_tokens")
            body[self._limit_name] = limit
            if not self._greedy:
                body.pop("temperature", None)
            response = self._send(body)
        if response.status != 200:
            raise self._refused(response)
        kind = response.headers.get("content-type", "").partition(";")[0]
        try:
            answer = json.loads(response.body)
            choice = answer["choices"][0]
            content = choice["message"].get("content")
            text = text_of(content)
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise self._error(
                "bad_output",
                f"it answers with {kind or 'something'} that is no chat completion; {_HINT_V1}",
            ) from None
        return text, choice.get("finish_reason") == "length", usage_of(answer, body, text)

    def _send(self, body: dict[str, Any]) -> Response:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "atles"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            return self._post(json.dumps(body).encode("ascii"), headers)
        except Stopped:
            raise EndpointError("stopped", f"stopped while waiting for {self.base_url}") from None
        except TooLarge:
            raise self._error("bad_output", "its answer is larger than any answer could be") from None
        except TimeoutError:
            hint = "use a smaller model, or raise memory.llm_timeout_seconds"
            raise self._error("timeout", f"no answer within {self._timeout:g} s; {hint}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = self._clean(getattr(error, "strerror", None) or str(error) or type(error).__name__)
            start = "; start Ollama" if urlsplit(self.base_url).port == 11434 else "; start it"
            raise EndpointError(
                "unreachable", f"no server answers at {self.base_url} ({reason}){start}, or {self._otherwise}"
            ) from None

    def _learn(self, complaint: str) -> bool:
        """Whether the complaint is about a parameter that newer cloud models name or treat differently."""
        if "max_completion_tokens" in complaint and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"
        elif "temperature" in complaint and self._greedy:
            self._greedy = False
        else:
            return False
        return True

    def _refused(self, response: Response) -> EndpointError:
        status, words = response.status, self._clean(complaint(response.body))
        wait = retry_after(response.headers.get("retry-after", ""))
        said = f": {words}" if words else ""
        if status in (401, 403):  # its words may hold a part of the key
            key = "refuses the API key" if self._key else "wants an API key"
            hint = "set memory.llm_api_key_env to the variable with the key"
            return self._error("unauthorized", f"it {key} ({status}); {hint}")
        if status == 429:
            return self._error("rate_limited", f"it has had too many requests{said}", retry_after=wait)
        if status in (408, 504):
            return self._error("timeout", f"it gave up waiting for the model ({status}){said}", retry_after=wait)
        if status >= 500:
            return self._error("server_error", f"it failed ({status}){said}", retry_after=wait)
        if status in (400, 404) and _NO_MODEL.search(words):
            return self._error("no_model", f"it has no such model{said}; load or pull it, or change memory.llm_model")
        if status == 404:
            return self._error("bad_request", f"it has no /chat/completions there; {_HINT_V1}")
        if 300 <= status < 400:
            hint = "set memory.llm_url to where it really is"
            return self._error("bad_request", f"it sends elsewhere ({status}); {hint}")
        if _TOO_LONG.search(words):
            hint = "lower memory.llm_max_input_tokens, or start it with a larger context"
            return self._error("bad_request", f"the chat does not fit into its context{said}; {hint}")
        return self._error("bad_request", f"it rejects the request ({status}){said}")

    def _error(self, kind: str, what: str, *, retry_after: float | None = None, tokens: int = 0) -> EndpointError:
        message = f"{self.model} at {self.base_url}: {what}, or {self._otherwise}"
        return EndpointError(kind, message, retry_after=retry_after, tokens=tokens)

    def _clean(self, text: str) -> str:
        """A server's words, short, on one line, and without the key."""
        text = text.replace(self._key, "…") if self._key else text
        return shown(text)


def _checked(base_url: str) -> str:
    """The address without a slash at its end. Raises ConfigError; its message never repeats what was written."""
    text = base_url.strip()
    try:
        url = urlsplit(text)
        right = url.scheme in ("http", "https") and url.hostname and url.port != 0
        bare = url.username is None and not url.query and not url.fragment
    except ValueError:
        right = bare = False
    if not right or not text.isascii() or any(c.isspace() for c in text):
        raise ConfigError("the model server's address must be like http://127.0.0.1:11434/v1; set memory.llm_url")
    if not bare:
        raise ConfigError("memory.llm_url must hold no password, ? or #; a key goes into memory.llm_api_key_env")
    return text.rstrip("/").removesuffix("/chat/completions")


def _with_note(messages: Sequence[Mapping[str, str]], note: str) -> list[Mapping[str, str]]:
    """Into the first message: some chat templates take only one system message, at the start."""
    head, *rest = messages
    return [{**head, "content": f"{head['content']}\n\n{note}"}, *rest]
