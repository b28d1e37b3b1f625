"""Adapters on a vLLM server: loaded into it while it runs, by the path of their PEFT folder.

Knows vLLM's API (docs.vllm.ai, LoRA adapters: "dynamically serving"). It takes adapters only if it was started with
`--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and reads the folder itself: it has to see the same files.
"""

from collections.abc import Callable
from pathlib import Path

from atles.errors import EndpointError
from atles.serving.api import Answer, Api

_LOAD_SECONDS = 300.0
_HINTS = {
    "max_lora_rank": "start it with a larger --max-lora-rank",
    "LoRA is not enabled": "start it with --enable-lora",
}


class VLLM:
    """`url` ends in /v1, `model` is the base model as vLLM serves it, `folder` says where an adapter lies."""

    name = "vLLM"

    def __init__(self, url: str, model: str, api_key: str, folder: Callable[[str], Path]) -> None:
        self.url, self.key, self._base, self._folder = url.rstrip("/"), api_key, model, folder
        self._api = Api(self.name, url, api_key)

    def model(self, adapter: str) -> str:
        return f"atles-{adapter}" if adapter else self._base

    def names(self) -> set[str]:
        answer = self._api.ask("GET", "/models")
        try:
            return {it["id"] for it in answer.document["data"]}
        except (LookupError, TypeError):
            raise self._api.refused(answer, "it does not say which models it has") from None

    def has(self, adapter: str) -> bool:
        return self.model(adapter) in self.names()

    def load(self, adapter: str) -> None:
        folder = self._folder(adapter).resolve()
        body = {"lora_name": self.model(adapter), "lora_path": str(folder)}
        answer = self._api.ask("POST", "/load_lora_adapter", body, _LOAD_SECONDS)
        if answer.status == 200 or (answer.status == 400 and "already been loaded" in answer.said):
            return
        raise self._failed(answer, folder)

    def _failed(self, answer: Answer, folder: Path) -> EndpointError:
        if answer.status == 404 and "No adapter found" in answer.said:
            where = "run it on this machine, or let it see the same folder under the same path"
            return self._api.error("bad_request", f"it does not find the adapter in {folder}; {where}")
        if answer.status == 404:
            start = "start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment"
            return self._api.error("bad_request", f"it takes no adapters while it runs (404); {start}")
        hint = next((f"; {hint}" for words, hint in _HINTS.items() if words in answer.said), "")
        error = self._api.refused(answer, f"it cannot load the adapter in {folder}")
        return EndpointError(error.kind, f"{error}{hint}")

    def drop(self, adapter: str) -> None:
        answer = self._api.ask("POST", "/unload_lora_adapter", {"lora_name": self.model(adapter)})
        if answer.status not in (200, 404):  # 404: it is not there (any more)
            raise self._api.refused(answer, f"it does not let go of {self.model(adapter)}")

    def close(self) -> None:
        self._api.close()
