"""What is asked of a model server beside chats, in JSON. Knows HTTP and its failures, no server's API.

A call is bounded in time and answer, and can be ended from another thread.
"""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atles.errors import EndpointError
from atles.serving.http import Response, Sender, Stopped, TooLarge
from atles.serving.reply import complaint, shown

_MAX_BYTES = 4 << 20
_SECONDS = 10.0  # for what a server answers without thinking


@dataclass(frozen=True, slots=True)
class Answer:
    """`said` is what the server complains about, `document` its JSON, where it is some."""

    status: int
    document: Any
    said: str


class Api:
    """The API of one server below `url`. `name` is what people call such a server."""

    def __init__(self, name: str, url: str, api_key: str = "") -> None:
        self.name, self.url = name, url.rstrip("/")
        self._key = api_key
        self._lock = threading.Lock()  # guards all below
        self._senders: set[Sender] = set()
        self._closed = False

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | Path | None = None, seconds: float = _SECONDS
    ) -> Answer:
        """The server's answer, whatever its status but 401 and 403. A Path is a file to send. Raises EndpointError."""
        headers = {"Accept": "application/json", "User-Agent": "atles"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        if body is not None:
            headers["Content-Type"] = "application/octet-stream" if isinstance(body, Path) else "application/json"
        data = json.dumps(body).encode("ascii") if isinstance(body, Mapping) else body
        try:
            with self._sender(path, seconds) as sender:
                response = sender.send(method, data, headers)
        except Stopped:
            raise self.error("stopped", "the call was ended, because the daemon stops") from None
        except TooLarge:
            raise self.error("bad_output", "its answer is larger than any answer could be") from None
        except TimeoutError:
            raise self.error("timeout", f"no answer to {method} {path} within {seconds:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            reason = shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
            raise self.error("unreachable", f"no server answers ({reason}); start it") from None
        if response.status in (401, 403):  # its words may hold a part of the key
            key = "refuses the API key" if self._key else "wants an API key"
            raise self.error("unauthorized", f"it {key} ({response.status}); set api_key_env of [models.NAME]")
        return Answer(response.status, _document(response), shown(complaint(response.body)))

    def error(self, kind: str, what: str) -> EndpointError:
        return EndpointError(kind, f"{self.name} at {self.url}: {what}")

    def refused(self, answer: Answer, what: str) -> EndpointError:
        """For an answer that is none of those that can be dealt with."""
        said = f": {answer.said}" if answer.said else ""
        return self.error("server_error" if answer.status >= 500 else "bad_request", f"{what} ({answer.status}){said}")

    def close(self) -> None:
        """End the calls that are under way, from another thread, and every later one."""
        with self._lock:
            self._closed = True
            senders = list(self._senders)
        for sender in senders:
            sender.stop()

    @contextmanager
    def _sender(self, path: str, seconds: float) -> Iterator[Sender]:
        sender = Sender(f"{self.url}{path}", seconds, _MAX_BYTES)
        with self._lock:
            if self._closed:
                raise Stopped
            self._senders.add(sender)
        try:
            yield sender
        finally:
            with self._lock:
                self._senders.discard(sender)


def _document(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return None
