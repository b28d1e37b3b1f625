"""Who serves ATLES's own models: the built-in server, or one of `[models.NAME]` that takes adapters."""

from pathlib import Path

from atles.errors import ConfigError, UnknownAdapter
from atles.gateway.models import Adapters
from atles.layout import Home
from atles.pipeline.release import whole
from atles.records import AdapterState
from atles.serving.llamacpp import Files, ModelServers, base_gguf
from atles.serving.swap import Swapping
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

    serve = settings.serve
    if serve.by:
        raise ConfigError(f"serve.by = {serve.by!r}: no [models.{serve.by}] of kind vllm or ollama")

    def find(name: str) -> Files:
        adapter = store.adapters.get(name) if name != BASE else None
        folder = Path(settings.model.folder) if settings.model.folder else home.models
        base = base_gguf(adapter.base if adapter else settings.model.base, folder, serve.gguf)
        return Files(base, whole(home, adapter) if adapter else None)

    servers = ModelServers(
        find, home.work / "serve", idle_seconds=serve.idle_minutes * 60, threads=settings.model.threads,
        context_tokens=serve.context_tokens, slots=serve.slots,
    )  # fmt: skip
    return _BuiltIn(servers, may_serve=may_serve)


class _BuiltIn(Swapping):
    """The built-in server, which has one model in each process and so takes any name for it."""

    def model(self, adapter: str) -> str:
        return ""
