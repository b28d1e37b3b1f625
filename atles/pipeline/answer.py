"""Asking what was learned: a question, what memory adds to it, and the model that answers."""

from collections.abc import Callable, Sequence

from atles.layout import Home
from atles.pipeline.chosen import open_memory
from atles.pipeline.finetune import model_spec
from atles.pipeline.injected import with_memory
from atles.pipeline.shelf import open_shelf
from atles.programs import Progress
from atles.serving.local import LocalModel
from atles.settings import Settings
from atles.store import Store
from atles.store.adapters import BASE


class Answerer:
    """Answers with the base model or an adapter, with or without memory.

    `model` is `active`, `base` or an adapter's name; `model_name` says which it turned out to be.
    Raises UnknownAdapter; AtlesError where its weights cannot be had.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        store: Store,
        model: str = "active",
        *,
        memory: bool = True,
        max_tokens: int | None = None,
    ) -> None:
        name = store.adapters.active()[1] if model == "active" else BASE if model == "base" else model
        adapter = store.adapters.get(name) if name != BASE else None
        self.model_name = adapter.name if adapter else settings.model.base
        spec = model_spec(settings.model, home)
        if adapter:
            spec["base"] = adapter.base  # an adapter works on the base that it was trained on, whatever is set now
        self.adapter_folder = open_shelf(home, settings).adapter(adapter) if adapter else None
        self._model = LocalModel(spec, self.adapter_folder, home.work, max_tokens or settings.model.max_tokens)
        self._memory = open_memory(home, store, settings) if memory else None

    def answer(self, questions: Sequence[str], on_progress: Progress = lambda event: None) -> list[str]:
        """The answers to independent questions, in order. Raises ProgramFailed."""
        return self._model.answer([self._before(question) for question in questions], on_progress)

    def stream(self, conversation: Sequence[dict[str, str]], on_text: Callable[[str], None]) -> str:
        """The answer to a conversation's last message, piece by piece and as a whole. Raises ProgramFailed."""
        *earlier, question = conversation
        remembered = self._before(question["content"])
        return self._model.stream([*remembered[:-1], *earlier, remembered[-1]], on_text)

    def _before(self, question: str) -> list[dict[str, str]]:
        return self._memory.before(question) if self._memory else with_memory(question, [])

    def close(self) -> None:
        self._model.close()
        if self._memory:
            self._memory.close()
