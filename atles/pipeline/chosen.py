"""The parts that the settings choose: a home's memory with its extractor and embedder, the teacher, their server."""

from atles.config import environment
from atles.layout import Home
from atles.pipeline.extract import Extractor, RuleExtractor
from atles.pipeline.extract.slots import slot_of
from atles.pipeline.memory import MemoryProcessor
from atles.pipeline.teacher import Teacher
from atles.serving.embedder import Embedder
from atles.serving.metered import Metered, Model
from atles.settings import MemorySettings, Settings
from atles.store import Store


def open_memory(home: Home, store: Store, settings: Settings) -> MemoryProcessor:
    """A home's memory, with the extractor and the embedder that its settings name. Raises ConfigError."""
    embedder = Embedder(home.work / "embed") if settings.memory.rerank == "minilm" else None
    extractor = llm_extractor(settings.memory, store) if settings.memory.extractor == "llm" else None
    return MemoryProcessor(store=store, settings=settings, extractor=extractor, embedder=embedder)


def llm_extractor(settings: MemorySettings, store: Store) -> Extractor:
    """The extractor that asks a model server. Raises ConfigError."""
    from atles.pipeline.extract_llm import LlmExtractor  # loaded where it is used: the daemon stays light

    rules = RuleExtractor(settings.topics)
    model = model_server(settings, store)
    return LlmExtractor(model, rules, max_input_tokens=settings.llm_max_input_tokens, slot_of=slot_of)


def open_teacher(store: Store, settings: Settings) -> Teacher | None:
    """Who finds more wordings for what is taught, where the settings name somebody. Raises ConfigError."""
    return Teacher(model_server(settings.memory, store)) if settings.train.teacher else None


def model_server(settings: MemorySettings, store: Store) -> Model:
    """The model server that the settings name, held to its tokens a day. Raises ConfigError."""
    from atles.serving.openai import Endpoint  # loaded where it is used, too

    key = environment(settings.llm_api_key_env, "memory.llm_api_key_env") if settings.llm_api_key_env else ""
    endpoint = Endpoint(settings.llm_url, settings.llm_model, key, settings.llm_timeout_seconds)
    return Metered(endpoint, store.spending, settings.llm_tokens_per_day)
