"""Adapters on an Ollama server: for each a model of its own there, made of the base model and the adapter's GGUF file.

Knows Ollama's API (docs/api.md there). Ollama 0.34.1 (September 2026) ceased to take adapters; what was made before
goes on to answer.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from atles.errors import AtlesError, EndpointError
from atles.serving.api import Answer, Api

_UPLOAD_SECONDS = 600.0
_LOAD_SECONDS = 300.0
_FILE = "adapter.gguf"


class Ollama:
    """`url` ends in /v1, `model` is the base model as Ollama calls it, `gguf` says where an adapter's GGUF file is."""

    name = "Ollama"

    def __init__(self, url: str, model: str, api_key: str, gguf: Callable[[str], Path]) -> None:
        self.url, self.key, self._base, self._gguf = url.rstrip("/"), api_key, model, gguf
        self._api = Api(self.name, self.url.removesuffix("/v1"), api_key)

    def model(self, adapter: str) -> str:
        return f"atles-{adapter}" if adapter else self._base

    def names(self) -> set[str]:
        answer = self._api.ask("GET", "/api/tags")
        try:
            return {it["name"].removesuffix(":latest") for it in answer.document["models"]}
        except (LookupError, TypeError, AttributeError):
            raise self._api.refused(answer, "it does not say which models it has") from None

    def has(self, adapter: str) -> bool:
        return self._knows(self.model(adapter))

    def load(self, adapter: str) -> None:
        if self.has(adapter):
            return
        if not self._knows(self._base):  # it would be fetched from elsewhere now: gigabytes that nobody asked for
            raise self._api.error("no_model", f"it has no model {self._base!r}; `ollama pull {self._base}` gets it")
        digest = self._push(self._gguf(adapter))
        body = {"model": self.model(adapter), "from": self._base, "adapters": {_FILE: digest}, "stream": False}
        answer = self._api.ask("POST", "/api/create", body, _LOAD_SECONDS)
        if answer.status != 200:
            raise self._failed(answer)

    def _failed(self, answer: Answer) -> EndpointError:
        if "no longer supported" in answer.said:
            instead = "use Ollama 0.34.0 or older, a vLLM server, or the built-in server (serve.by empty)"
            return self._api.error("bad_request", f"it takes no adapters any more ({answer.said}); {instead}")
        return self._api.refused(answer, f"it cannot make a model of {self._base} and the adapter")

    def _push(self, file: Path) -> str:
        """The digest of a file that Ollama has afterwards."""
        try:
            with file.open("rb") as opened:
                digest = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
        except OSError as error:
            raise AtlesError(f"the adapter's file {file} cannot be read: {error.strerror}") from error
        there = self._api.ask("HEAD", f"/api/blobs/{digest}")
        if there.status != 200:
            answer = self._api.ask("POST", f"/api/blobs/{digest}", file, _UPLOAD_SECONDS)
            if answer.status not in (200, 201):
                raise self._api.refused(answer, f"it does not take {file.name}")
        return digest

    def _knows(self, model: str) -> bool:
        answer = self._api.ask("POST", "/api/show", {"model": model})
        if answer.status not in (200, 404):
            raise self._api.refused(answer, f"it does not say whether it has {model}")
        return answer.status == 200

    def drop(self, adapter: str) -> None:
        answer = self._api.ask("DELETE", "/api/delete", {"model": self.model(adapter)})
        if answer.status not in (200, 404):  # 404: it is not there (any more)
            raise self._api.refused(answer, f"it does not delete {self.model(adapter)}")

    def close(self) -> None:
        self._api.close()
