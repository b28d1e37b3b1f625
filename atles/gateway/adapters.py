"""Who serves ATLES's own models: the built-in server, or one of `[models.NAME]` that takes adapters."""

from collections.abc import Callable
from pathlib import Path

from atles.config import environment
from atles.errors import ConfigError, UnknownAdapter
from atles.gateway.models import Adapters
from atles.layout import Home
from atles.pipeline.shelf import open_shelf
from atles.records import AdapterState
from atles.serving.elsewhere import Elsewhere
from atles.serving.gguf import Files, adapter_gguf, base_gguf
from atles.serving.llamacpp import ModelServers
from atles.serving.loaded import Server
from atles.serving.ollama import Ollama
from atles.serving.swap import Swapping
from atles.serving.vllm import VLLM
from atles.settings import Settings
from atles.store import Store
from atles.store.adapters import BASE


def open_adapters(home: Home, settings: Settings, store: Store) -> Adapters:
    """Who serves adapters, as the settings say. Starts nothing yet. Raises ConfigError."""

    def may_serve(adapter: str) -> bool:
        try:
            return adapter == BASE or store.adapters.get(adapter).state is not AdapterState.RETIRED
        except UnknownAdapter:
            return False

    def find(name: str) -> Files:
        adapter = store.adapters.get(name) if name != BASE else None
        folder = Path(settings.model.folder) if settings.model.folder else home.models
        base = base_gguf(adapter.base if adapter else settings.model.base, folder, serve.gguf)
        return Files(base, shelf.adapter(adapter) if adapter else None)

    shelf, serve = open_shelf(home, settings), settings.serve
    if serve.by:
        return _Elsewhere(_server(home, settings, store, find), may_serve, store)
    servers = ModelServers(
        find, home.work / "serve", idle_seconds=serve.idle_minutes * 60, threads=settings.model.threads,
        context_tokens=serve.context_tokens, slots=serve.slots,
    )  # fmt: skip
    return _BuiltIn(servers, may_serve=may_serve)


def _server(home: Home, settings: Settings, store: Store, find: Callable[[str], Files]) -> Server:
    """The server of another kind that `serve.by` names. Raises ConfigError."""
    name = settings.serve.by
    chosen = settings.models.get(name)
    if chosen is None or chosen.kind == "openai":
        raise ConfigError(f"serve.by = {name!r} names no [models.{name}] with kind = vllm or ollama")
    if not chosen.model:
        raise ConfigError(f"[models.{name}] must say with model = … what the base model is called there")
    key = environment(chosen.api_key_env, f"models.{name}.api_key_env") if chosen.api_key_env else ""
    if chosen.kind == "vllm":
        shelf = open_shelf(home, settings)
        return VLLM(chosen.url, chosen.model, key, lambda adapter: shelf.adapter(store.adapters.get(adapter)))

    def gguf(adapter: str) -> Path:
        made = adapter_gguf(find(adapter), home.work / "serve")
        assert made is not None  # an adapter's name was given, not the base's
        return made

    return Ollama(chosen.url, chosen.model, key, gguf)


class _Elsewhere(Elsewhere):
    """Takes back from the server what was retired, also by an earlier process."""

    def __init__(self, server: Server, may_serve: Callable[[str], bool], store: Store) -> None:
        super().__init__(server, may_serve)
        self._store, self._swept = store, frozenset[str]()

    def follow(self, wanted: str) -> None:
        super().follow(wanted)
        retired = frozenset(it.name for it in self._store.adapters.list() if it.state is AdapterState.RETIRED)
        if retired - self._swept:
            self.sweep(retired)
            self._swept = retired


class _BuiltIn(Swapping):
    """The built-in server, which has one model in each process and so takes any name for it."""

    key = ""

    def model(self, adapter: str) -> str:
        return ""
