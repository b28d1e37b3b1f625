"""The nouns of ATLES, as frozen values. Knows the standard library only; every enum has its one home here."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Step(StrEnum):
    """What happens to a session, in order. TRAIN and GATE serve many sessions at once."""

    MEMORY = "memory"
    DATA = "data"
    TRAIN = "train"
    GATE = "gate"
    LOG = "log"


class Arrival(StrEnum):
    """What a session file brought, compared with what is stored under its id."""

    NEW = "new"
    GROWN = "grown"  # the stored messages, and more after them
    SAME = "same"  # nothing that is not stored already


class Split(StrEnum):
    """What a session's examples are for. A session keeps its split for ever."""

    TRAIN = "train"
    HELDOUT = "heldout"


class MemoryType(StrEnum):
    """What a session yields for later chats."""

    FACT = "fact"  # about the user and their world
    PREFERENCE = "preference"  # how the user wants to be answered
    CORRECTION = "correction"  # what the assistant had wrong, and what is right
    PROCEDURE = "procedure"  # a rule of the user's, in several steps
    QUESTION = "question"  # what stayed open
    TOPIC = "topic"  # a key phrase
    SUMMARY = "summary"  # of one session


class Rating(StrEnum):
    """What a user said of an answer."""

    UP = "up"
    DOWN = "down"
    EDIT = "edit"  # the answer as it should have been


class AdapterState(StrEnum):
    CANDIDATE = "candidate"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    RETIRED = "retired"  # it saw what was forgotten since; its weights are gone


_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, ASCII, no spaces. Keeps lone surrogates as escapes."""
    return _canonical.encode(value)


def content_id(*parts: Any) -> str:
    """24 hexadecimal digits of SHA-256 over the canonical JSON of the parts."""
    return hashlib.sha256(canonical_json(parts).encode("ascii")).hexdigest()[:24]


def printable(text: str) -> str:
    """The text with lone surrogates and NUL replaced by U+FFFD, so that any database and terminal takes it."""
    if text.isascii() and "\0" not in text:
        return text  # by far the most common, and asked for again and again
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def plain_text(content: Any) -> str:
    """The words of a message's content: a string, OpenAI-style parts, or any other JSON value."""
    if content is None:
        return ""
    if isinstance(content, str):
        return printable(content)
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
        return printable("\n".join(part for part in parts if isinstance(part, str)))
    return printable(json.dumps(content, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `raw` is the JSON object as it came (role, content, timestamp, tool calls, metadata …).

    `id` hashes the content *and the parent's id*, so the same words at the same place of the same
    conversation have the same id, however often a client sends its history.
    """

    id: str
    position: int
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def role(self) -> str:
        role = self.raw.get("role")
        return printable(role) if isinstance(role, str) and role else "unknown"

    @property
    def text(self) -> str:
        return plain_text(self.raw.get("content"))

    @property
    def name(self) -> str:
        """Who speaks, where the chat format says so (`name` of an OpenAI message); else ""."""
        name = self.raw.get("name")
        return printable(name) if isinstance(name, str) and self.role in ("user", "assistant") else ""

    @property
    def timestamp(self) -> str | None:
        value = self.raw.get("timestamp")
        return value if isinstance(value, str) else None

    @property
    def is_forgotten(self) -> bool:
        """Whether its words were taken away for good; its place stays."""
        return "forgotten" in self.raw

    @property
    def tool_calls(self) -> Sequence[Any]:
        calls = self.raw.get("tool_calls")
        return calls if isinstance(calls, list) else ()


# What of a session's metadata ATLES itself needs: whose it is, and by what its gateway finds it again.
_WHOSE = ("user", "user_id")
_GATEWAYS = ("source", "gateway", "client", "named", "first", "alone", "chain", "continues", "after")


def without_notes(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a session of which something was forgotten: an application's title or tags may say it, too."""
    kept = (*_WHOSE, *(_GATEWAYS if isinstance(metadata.get("gateway"), str) else ()))
    return {key: metadata[key] for key in kept if key in metadata}


@dataclass(frozen=True, slots=True)
class Session:
    """A finished conversation."""

    session_id: str
    start_time: str | None
    end_time: str | None
    messages: tuple[Message, ...]
    metadata: Mapping[str, Any]

    @property
    def user(self) -> str:
        """Whose conversation it is: `user` or `user_id` of the metadata; "" where the application has one user."""
        for key in _WHOSE:
            value = self.metadata.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool):
                return printable(str(value))
        return ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Session":
        """From the JSON object of a session file that `capture.session_file` has checked."""
        session_id = printable(str(data["session_id"]))
        messages: list[Message] = []
        parent = content_id(session_id)
        for position, raw in enumerate(data["messages"]):
            said = {k: v for k, v in raw.items() if k not in ("timestamp", "metadata")}
            parent = content_id(parent, said)
            messages.append(Message(parent, position, raw))
        return cls(
            session_id,
            _text(data.get("start_time")),
            _text(data.get("end_time")),
            tuple(messages),
            data.get("metadata") or {},
        )

    def as_json(self) -> dict[str, Any]:
        """The session file's JSON object again."""
        return {
            "session_id": self.session_id,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "messages": [dict(message.raw) for message in self.messages],
            "metadata": dict(self.metadata),
        }


def _text(value: Any) -> str | None:
    return printable(value) if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user said of an answer; `text` is the better answer of an edit."""

    rating: Rating
    text: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a session says, in one piece; not yet compared with what is remembered.

    `text` is in the speaker's own words. `slot` names what it is a value of ("home", "sister.name", "choir.when"; ""
    if unknown), `value` the value in it. `replaces` is what the speaker says is no longer so ("Tuesday" in "moved from
    Tuesday to Thursday"). `changed`: their words say that something is new; `ended`: that something is over, and
    nothing came in its place. `confidence` is between 0 and 1.
    """

    type: MemoryType
    text: str
    messages: tuple[int, ...]  # positions in the session, from 0; the first is where it was said
    said_by: str = "user"
    confidence: float = 1.0
    slot: str = ""
    value: str = ""
    replaces: str = ""
    changed: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """The user asked to forget something. `about` are their words for it; "" means what was said just before."""

    message: int  # position of the request
    about: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """What an extractor found in a session. `refused` counts what looked like a memory and is none, by reason."""

    claims: tuple[Claim, ...]
    forget: tuple[ForgetRequest, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a user. Times are ISO 8601; `valid_to` is None as long as it holds.

    `replaced_by` is the id of the memory that ended it, `ended_how` one of replaced, refined, contradicted, ended,
    edited,
    faded. `count` says how often it was said; `sources` are the (session id, message id) pairs that said it, oldest
    first.
    """

    id: str
    type: MemoryType
    text: str
    said_by: str
    confidence: float
    slot: str
    value: str
    valid_from: str
    valid_to: str | None
    replaced_by: str
    ended_how: str
    count: int
    pinned: bool
    edited: bool
    extractor: str
    created_at: str
    last_used_at: str | None
    uses: int
    sources: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Recalled:
    """A memory or a stored message that bears on a question.

    `kind` is "turn" for a message, else the memory's type. `score` is comparable within one recall only; higher is
    better. `why` says in words what made it one of the chosen. `valid_to` is set for what was true once.
    """

    session_id: str
    message_id: str
    role: str
    text: str
    timestamp: str
    score: float
    kind: str = "turn"
    memory_id: str = ""
    valid_to: str | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn: a conversation whose last message is the answer.

    `kind` is `pair` (the question alone), `chat` (with the conversation before it), `correction`, or `restated` (a
    plain fact, asked for directly). `rejected` is the answer that the user turned down for this one, if there was one.
    """

    session_id: str
    message_id: str
    kind: str
    instruction: str
    output: str
    messages: tuple[Mapping[str, str], ...]
    rejected: str = ""
    id: str = field(init=False, compare=False)  # hashes session, kind and messages

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", content_id(self.session_id, self.kind, self.messages))


@dataclass(frozen=True, slots=True)
class Dataset:
    """An immutable snapshot of examples that a training reads. `path` exists only when complete."""

    id: str
    path: str
    train_examples: int
    heldout_examples: int
    train_sessions: tuple[str, ...]
    heldout_sessions: tuple[str, ...]
    reworded_examples: int = 0


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training did. Seconds are wall-clock, memory is the peak resident set in MiB.

    Losses are of the user's examples, in nats per answer token: means over the first and the last tenth of the steps.
    """

    adapter: str
    path: str
    base: str
    success: bool
    loss: float
    loss_first: float
    training_examples: int
    anchors: int
    steps: int
    tokens: int
    time_taken: float
    tokens_per_second: float
    peak_memory_mb: float
    losses: tuple[Mapping[str, float], ...] = field(repr=False)
    details: Mapping[str, Any] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Score:
    """How one model did. Losses are means in nats per answer token, by the question's id.

    `heldout`: of sessions that were not trained on; `reworded`: of what was taught, asked in words that were not;
    `swapped`: of the same questions with the answers to others. `general`: which general prompts it got right. `drift`:
    how far it is from the base on these (KL, nats a token). `leaks`: in words, what it gave away unasked.
    """

    heldout: Mapping[str, float]
    general: Mapping[str, bool]
    reworded: Mapping[str, float] = field(default_factory=dict)
    swapped: Mapping[str, float] = field(default_factory=dict)
    drift: float = 0.0
    leaks: tuple[str, ...] = ()

    @property
    def right(self) -> frozenset[str]:
        return frozenset(name for name, right in self.general.items() if right)


@dataclass(frozen=True, slots=True)
class EvalReport:
    """The same questions asked to the base, the active adapter (None if the base serves) and the candidate."""

    base: Score
    active: Score | None
    candidate: Score
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the gate looked at: whether it is as it must be, and in a sentence what was seen."""

    name: str
    met: bool
    says: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision. `numbers` holds everything that decided it, `checks` each thing it looked at."""

    promote: bool
    reason: str
    numbers: Mapping[str, float]
    checks: tuple[Check, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained LoRA adapter. Its name never changes and is never used again."""

    name: str
    base: str
    dataset_id: str
    path: str
    state: AdapterState
    reason: str
    created_at: str
    train: Mapping[str, Any] = field(repr=False)
    verdict: Mapping[str, Any] | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class SessionLog:
    """The original's log entry, plus `seconds` per step, `revision`, and `training`: what became of the examples."""

    session_id: str
    start_time: str
    end_time: str
    messages_count: int
    tokens_processed: int
    memory_items_created: int
    fine_tune_applied: bool
    fine_tune_loss: float | None
    model_version: str
    improvements: tuple[str, ...]
    errors: tuple[str, ...]
    seconds: Mapping[str, float]
    training: str
    revision: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}
