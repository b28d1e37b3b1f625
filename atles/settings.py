"""Every setting, with its default, its help and what it must be. These defaults exist only here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

STEPS = ("memory", "data", "train", "log")  # what a worker can be asked to do


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class DaemonSettings:
    poll_seconds: float = _setting(5.0, "look into sessions/ this often, even when no file event came")
    idle_minutes: float = _setting(30.0, "close a session whose host wrote nothing for this long")
    steps: str = _setting(",".join(STEPS), "what it does itself; the rest is for `atles worker` (PostgreSQL)")
    labels: str = _setting("", "what its machine can, as gpu: see train.needs; several with commas")
    settle_seconds: float = _setting(10.0, "a file that cannot be parsed yet may be unfinished for this long")


@dataclass(frozen=True)
class QueueSettings:
    max_attempts: int = _setting(4, "tries of a step before it goes to the dead-letter list")
    backoff_seconds: float = _setting(2.0, "wait before the second try; doubles each time")
    lease_seconds: float = _setting(30.0, "a worker that is silent for this long has lost its job")


@dataclass(frozen=True)
class StoreSettings:
    url: str = _setting("", "postgresql://… for several machines (atles[cluster]); empty: <home>/atles.db, one machine")
    schema: str = _setting("atles", "the PostgreSQL schema that holds this home's tables")
    artifacts: str = _setting(
        "", "folder or URL (s3://bucket/prefix) where the machines share adapters and datasets; empty: the home"
    )


@dataclass(frozen=True)
class ModelSettings:
    base: str = _setting("smollm2-135m-instruct", "the base model: smollm2-135m-instruct, hf:<repo>, or a local folder")
    folder: str = _setting("", "where converted models are kept; empty: <home>/models")
    precision: str = _setting("auto", "auto, fp32 or bf16")
    device: str = _setting("auto", "auto, cpu or cuda")
    threads: int = _setting(0, "CPU threads of training and answering; 0: from the load found")
    max_tokens: int = _setting(96, "longest answer of ask and chat, in tokens")


@dataclass(frozen=True)
class MemorySettings:
    topics: int = _setting(8, "key phrases kept per session")
    recall: int = _setting(5, "remembered things put before a question")
    recall_tokens: int = _setting(400, "most tokens that they may take, by estimate")
    recall_share: float = _setting(0.8, "of these only what scores at least this share of the best; 0: all of them")
    preferences: int = _setting(8, "ways to be answered that the user asked for, put before every question; 0: none")
    fade_days: float = _setting(0.0, "what was neither said nor used for so long holds no more; 0: nothing fades")
    rerank: str = _setting("off", "off, or minilm: a small embedding model orders what is found (atles[embed])")
    extractor: str = _setting("rules", "who finds facts in chats: rules, or llm (an OpenAI-compatible server)")
    llm_url: str = _setting("http://127.0.0.1:11434/v1", "the server of the extractor llm")
    llm_model: str = _setting("", "the model that it is to use")
    llm_api_key_env: str = _setting("", "environment variable that holds its API key; empty: none is sent")
    llm_timeout_seconds: float = _setting(60.0, "longest wait for one answer of it")
    llm_max_input_tokens: int = _setting(3000, "most tokens of a session sent at once; a longer one is sent in parts")
    llm_tokens_per_day: int = _setting(500_000, "most tokens that it may take in a day; 0: no limit")


@dataclass(frozen=True)
class ScrubSettings:
    level: str = _setting(
        "secrets", "what is replaced before anything is stored: secrets, pii (also who and where), off"
    )
    keep_raw: bool = _setting(False, "keep session files in processed/ as they came, secrets and all")


@dataclass(frozen=True)
class TrainSettings:
    enabled: bool = _setting(True, "train at all")
    min_new_examples: int = _setting(16, "train once this many examples were never trained on")
    hours: str = _setting("", "only train then, as 22:00-07:00 (local time); empty: at any time")
    max_load: float = _setting(1.0, "wait while more processes than this want a core, per core; 0: train regardless")
    on_battery: bool = _setting(False, "train while the machine runs on its battery, too")
    minutes_per_day: float = _setting(0.0, "begin no training once so many were spent in a day; 0: no limit")
    shared: bool = _setting(
        False, "where several users have sessions, train one adapter on all, which tells each of all"
    )
    heldout_every: int = _setting(5, "every n-th session is never trained on; it checks the adapter")
    practice: bool = _setting(
        False, "practise once to answer from memory before learning: helps the smallest models read it"
    )
    max_exchanges: int = _setting(32, "answers as they were given that a training takes, at most; half of them newest")
    max_taught: int = _setting(240, "questions on what was remembered that a training takes, at most")
    teacher: bool = _setting(
        False, "let the model at memory.llm_url find more ways to ask for what is taught; each is verified"
    )
    method: str = _setting(
        "sft",
        "sft; distill: the model with the answer among its notes teaches itself; dpo: sft, and answers turned down",
    )
    lora_rank: int = _setting(16, "rank of the LoRA matrices")
    lora_alpha: int = _setting(32, "LoRA scale; the update is multiplied by alpha / rank")
    learning_rate: float = _setting(1e-3, "peak learning rate of AdamW")
    epochs: int = _setting(6, "passes over the examples")
    repeat: int = _setting(2, "how often one pass shows a short example; longer ones less often")
    batch_size: int = _setting(4, "examples per step")
    anchors_per_step: int = _setting(4, "general prompts per step on which the model is held to its base")
    anchor_weight: float = _setting(40.0, "weight of that term in the loss")
    max_length: int = _setting(256, "longest training sequence, in tokens")
    max_steps: int = _setting(0, "stop after this many steps; 0: no cap")
    needs: str = _setting("", "label that a worker must have to train, as gpu (`atles worker --label`); empty: none")
    seed: int = _setting(0, "seed of shuffling and of the LoRA initialisation")


@dataclass(frozen=True)
class GateSettings:
    min_heldout: int = _setting(6, "held-out examples needed to judge at all")
    max_heldout: int = _setting(60, "held-out examples that it judges by, at most")
    min_gain: float = _setting(0.01, "relative fall of the loss that counts as learning, beyond chance")
    max_general_loss: float = _setting(
        0.05, "share of all general prompts by which fewer may be right than before, at the worst end of the interval"
    )
    keep_margin: float = _setting(
        0.2, "share of the base's right general answers that may be lost, at the worst end of the interval"
    )
    max_drift: float = _setting(0.25, "how far it may be from the base on neutral prompts (KL, nats a token)")
    confidence: float = _setting(0.95, "how sure the gate must be of a gain and of what was kept")
    max_tokens: int = _setting(32, "longest answer to a general prompt, in tokens")


@dataclass(frozen=True)
class DiskSettings:
    train_mb: float = _setting(2048.0, "begin no training with less free where the home lies, in MiB; 0: always")
    learn_mb: float = _setting(256.0, "learn nothing with less free: sessions are still recorded, and wait; 0: always")


@dataclass(frozen=True)
class RetentionSettings:
    processed_days: float = _setting(0.0, "delete session files that were learned so long ago; 0: keep them")
    processed_mb: float = _setting(1024.0, "delete the oldest of them while all take more, in MiB; 0: no limit")
    quarantine_days: float = _setting(0.0, "delete files that were set aside so long ago; 0: keep them")
    log_days: float = _setting(365.0, "delete logs of sessions that were learned so long ago; 0: keep them")
    rejected_adapter_days: float = _setting(
        30.0, "delete the weights of adapters that were rejected so long ago, never their reports; 0: keep them"
    )
    rollback_adapters: int = _setting(
        20, "adapters that served before are kept to go back to, so many; older ones are deleted; 0: keep all"
    )
    dataset_days: float = _setting(
        30.0, "delete the files of datasets so old that no adapter which may serve was trained on; 0: keep them"
    )
    work_days: float = _setting(7.0, "delete what programs left in work/ so long ago; 0: keep it")


@dataclass(frozen=True)
class GatewaySettings:
    enabled: bool = _setting(True, "answer OpenAI clients at http://host:port/v1, and record what they say")
    host: str = _setting("127.0.0.1", "address to listen on; any but this machine's own needs a key (`atles keys add`)")
    port: int = _setting(8765, "port to listen on; 0: any that is free")
    upstream: str = _setting("", "OpenAI-compatible server for every model that is named nowhere else: http://…/v1")
    upstream_key_env: str = _setting("", "environment variable with its API key; empty: the client's own is passed on")
    memory: bool = _setting(True, "put what is remembered before a user's message (never recorded, never learned)")
    learn_every: int = _setting(5, "a chat that goes on is learned from after every so many answers; 0: at its end")
    timeout_seconds: float = _setting(600.0, "longest silence of a model server")
    max_body_mb: float = _setting(32.0, "largest request, in MiB")
    max_concurrent: int = _setting(256, "requests that are answered at once; more are turned away (503)")
    requests_per_minute: int = _setting(0, "most requests of one key, or of one address without keys; 0: no limit")


@dataclass(frozen=True)
class ServeSettings:
    gguf: str = _setting("", "GGUF file of the base model for the built-in model server; empty: the one of model.base")
    by: str = _setting("", "who serves adapters: empty: the built-in server; else the name of a [models.NAME]")
    idle_minutes: float = _setting(10.0, "the built-in server ends when nobody asked for so long")
    context_tokens: int = _setting(4096, "context of one answer, in tokens")
    slots: int = _setting(4, "answers that are made at once")


@dataclass(frozen=True)
class LogSettings:
    max_mb: float = _setting(10.0, "size at which daemon.log is set aside and a new one begun, in MiB")
    keep: int = _setting(5, "logs kept of those that were set aside; the oldest is deleted")


@dataclass(frozen=True)
class ModelServer:
    """`[models.NAME]`: who answers when a client asks for the model NAME; `*` in it stands for anything."""

    name: str
    url: str = _setting("", "the server's address, as http://127.0.0.1:11434/v1")
    model: str = _setting("", "what the model is called there; empty: as the client calls it")
    api_key_env: str = _setting("", "environment variable with the server's API key; empty: the client's is passed on")
    kind: str = _setting("openai", "openai; ollama or vllm: adapters can be given to it, too")
    memory: bool = _setting(True, "put what is remembered before a user's message")


@dataclass(frozen=True)
class Settings:
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    scrub: ScrubSettings = field(default_factory=ScrubSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    disk: DiskSettings = field(default_factory=DiskSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    log: LogSettings = field(default_factory=LogSettings)
    models: Mapping[str, ModelServer] = field(default_factory=dict)


SECTIONS = tuple(section.name for section in fields(Settings) if section.name != "models")


_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?\Z")
_LABELS = re.compile(r"[a-z0-9,-]*\Z")
# Only what everybody reads alike: an @ or / in a password, or a % that stands for itself, could put a part of it in the
# host's place, and so into messages.
_PART, _HOST = r"(?:[^\s@/?%]|%[0-9A-Fa-f]{2})*", r"(?:\[[^\s@/?\]]*\]|(?:[^\s@/?%:,\[\]]|%[0-9A-Fa-f]{2})*)(?::\d*)?"
_SERVER = re.compile(
    rf"postgres(?:ql)?://(?:{_PART}@)?{_HOST}(?:,{_HOST})*(?:/{_PART})?(?:\?(?:[^\s@%]|%[0-9A-Fa-f]{{2}})*)?\Z"
)
SERVER_FORM = (
    "must be like postgresql://user@host/database, or empty (a password in it has %40 for @, %2F for /, %25 for %, %20 "
    "for a space; or stands in PGPASSWORD or ~/.pgpass)"
)
# No password in it: it is shown in messages. No wildcards: fsspec would expand them.
_SHARED = re.compile(r"(?:/|[A-Za-z]:[\\/])[^*?\[\]]*\Z|[a-z][a-z0-9+.-]*://(?![^\s/@]*:[^\s/@]*@)[^\s*?#\[\]]*\Z")
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
# What is not about a value's type. One line each: the key, the test, and what to say.
RULES = (
    ("daemon.poll_seconds", lambda v: v > 0, "must be above 0"),
    ("daemon.idle_minutes", lambda v: v > 0, "must be above 0"),
    ("daemon.steps", lambda v: not v or set(v.split(",")) <= {*STEPS}, f"must be some of {','.join(STEPS)}"),
    ("daemon.labels", _LABELS.match, "must be small letters, digits and -, with commas between them"),
    ("daemon.settle_seconds", lambda v: v >= 0, "must not be negative"),
    ("queue.max_attempts", lambda v: v >= 1, "must be at least 1"),
    ("queue.backoff_seconds", lambda v: v >= 0, "must not be negative"),
    ("queue.lease_seconds", lambda v: v > 0, "must be above 0"),
    ("store.url", lambda v: not v or is_server(v), SERVER_FORM),
    ("store.schema", re.compile(r"[a-z_][a-z0-9_]{0,62}\Z").match, "must be small letters, digits and _"),
    ("store.artifacts", lambda v: not v or _SHARED.match(v), "must be /a/folder or s3://bucket/folder; no password"),
    ("model.precision", lambda v: v in ("auto", "fp32", "bf16"), "must be auto, fp32 or bf16"),
    ("model.device", lambda v: v in ("auto", "cpu", "cuda"), "must be auto, cpu or cuda"),
    ("model.threads", lambda v: v >= 0, "must not be negative"),
    ("model.max_tokens", lambda v: v >= 1, "must be at least 1"),
    ("memory.topics", lambda v: v >= 0, "must not be negative"),
    ("memory.recall", lambda v: v >= 0, "must not be negative"),
    ("memory.recall_tokens", lambda v: v >= 1, "must be at least 1"),
    ("memory.recall_share", lambda v: 0 <= v <= 1, "must be between 0 and 1"),
    ("memory.preferences", lambda v: v >= 0, "must not be negative"),
    ("memory.fade_days", lambda v: v >= 0, "must not be negative"),
    ("memory.rerank", lambda v: v in ("off", "minilm"), "must be off or minilm"),
    ("memory.extractor", lambda v: v in ("rules", "llm"), "must be rules or llm"),
    ("memory.llm_url", _ADDRESS.match, "must be like http://127.0.0.1:11434/v1"),
    ("memory.llm_timeout_seconds", lambda v: v > 0, "must be above 0"),
    ("memory.llm_max_input_tokens", lambda v: v >= 1000, "must be at least 1000: the instructions take half of that"),
    ("memory.llm_tokens_per_day", lambda v: v >= 0, "must not be negative"),
    ("scrub.level", lambda v: v in ("secrets", "pii", "off"), "must be secrets, pii or off"),
    ("train.hours", lambda v: not v or re.fullmatch(rf"{_TIME}-{_TIME}", v), "must be like 22:00-07:00, or empty"),
    ("train.max_load", lambda v: v >= 0, "must not be negative"),
    ("train.minutes_per_day", lambda v: v >= 0, "must not be negative"),
    ("train.min_new_examples", lambda v: v >= 1, "must be at least 1"),
    ("train.heldout_every", lambda v: v >= 2, "must be at least 2: the gate needs sessions of both kinds"),
    ("train.max_exchanges", lambda v: v >= 0, "must not be negative"),
    ("train.max_taught", lambda v: v >= 0, "must not be negative"),
    ("train.repeat", lambda v: v >= 1, "must be at least 1"),
    ("gate.max_heldout", lambda v: v >= 1, "must be at least 1"),
    ("train.needs", re.compile(r"[a-z0-9-]*\Z").match, "must be small letters, digits and -, or empty"),
    ("train.method", lambda v: v in ("sft", "distill", "dpo"), "must be sft, distill or dpo"),
    ("train.lora_rank", lambda v: v >= 1, "must be at least 1"),
    ("train.lora_alpha", lambda v: v >= 1, "must be at least 1"),
    ("train.learning_rate", lambda v: v > 0, "must be above 0"),
    ("train.epochs", lambda v: v >= 1, "must be at least 1"),
    ("train.batch_size", lambda v: v >= 1, "must be at least 1"),
    ("train.anchors_per_step", lambda v: v >= 0, "must not be negative"),
    ("train.anchor_weight", lambda v: v >= 0, "must not be negative"),
    ("train.max_length", lambda v: v >= 16, "must be at least 16"),
    ("train.max_steps", lambda v: v >= 0, "must not be negative"),
    ("gate.max_drift", lambda v: v > 0, "must be above 0"),
    ("gate.confidence", lambda v: 0.5 <= v < 1, "must be from 0.5 to below 1"),
    ("gate.min_heldout", lambda v: v >= 1, "must be at least 1"),
    ("gate.max_general_loss", lambda v: 0 <= v <= 1, "must be between 0 and 1"),
    ("gate.keep_margin", lambda v: 0 <= v <= 1, "must be between 0 and 1"),
    ("gate.max_tokens", lambda v: v >= 1, "must be at least 1"),
    ("disk.train_mb", lambda v: v >= 0, "must not be negative"),
    ("disk.learn_mb", lambda v: v >= 0, "must not be negative"),
    ("retention.processed_days", lambda v: v >= 0, "must not be negative"),
    ("retention.processed_mb", lambda v: v >= 0, "must not be negative"),
    ("retention.quarantine_days", lambda v: v >= 0, "must not be negative"),
    ("retention.log_days", lambda v: v >= 0, "must not be negative"),
    ("retention.rejected_adapter_days", lambda v: v >= 0, "must not be negative"),
    ("retention.rollback_adapters", lambda v: v >= 0, "must not be negative"),
    ("retention.dataset_days", lambda v: v >= 0, "must not be negative"),
    ("retention.work_days", lambda v: v >= 0, "must not be negative"),
    ("gateway.host", lambda v: bool(v.strip()), "must name an address"),
    ("gateway.port", lambda v: 0 <= v <= 65535, "must be from 0 to 65535"),
    ("gateway.upstream", lambda v: not v or _ADDRESS.match(v), "must be like http://127.0.0.1:11434/v1, or empty"),
    ("gateway.learn_every", lambda v: v >= 0, "must not be negative"),
    ("gateway.timeout_seconds", lambda v: v > 0, "must be above 0"),
    ("gateway.max_body_mb", lambda v: v > 0, "must be above 0"),
    ("gateway.max_concurrent", lambda v: v >= 1, "must be at least 1"),
    ("gateway.requests_per_minute", lambda v: v >= 0, "must not be negative"),
    ("serve.idle_minutes", lambda v: v > 0, "must be above 0"),
    ("serve.context_tokens", lambda v: v >= 512, "must be at least 512"),
    ("serve.slots", lambda v: v >= 1, "must be at least 1"),
    ("log.max_mb", lambda v: v >= 0.01, "must be at least 0.01"),
    ("log.keep", lambda v: v >= 1, "must be at least 1"),
    ("models.url", _ADDRESS.match, "must be like http://127.0.0.1:11434/v1"),
    ("models.kind", lambda v: v in ("openai", "ollama", "vllm"), "must be openai, ollama or vllm"),
)


def is_server(address: str) -> bool:
    """Whether an address of a PostgreSQL server is well formed."""
    return _SERVER.match(address) is not None


def listed(value: str) -> list[str]:
    """The parts of a setting that holds several, with commas between them."""
    return [part for part in value.split(",") if part]


def keys(settings: Settings | None = None) -> dict[str, Any]:
    """Every setting as `section.key`, with its value."""
    settings = settings or Settings()
    return {
        f"{section}.{option.name}": getattr(getattr(settings, section), option.name)
        for section in SECTIONS
        for option in fields(getattr(settings, section))
    }


def help_texts() -> dict[str, str]:
    """Every setting as `section.key`, with one line on what it does."""
    defaults = Settings()
    return {
        f"{section}.{option.name}": option.metadata["help"]
        for section in SECTIONS
        for option in fields(getattr(defaults, section))
    }
