"""What a session says, found with a language model and held against the session word by word.

Knows budgets and windows; `prompt` knows what is asked, `verify` what may be stored, `atles.serving` how to ask.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from atles.errors import EndpointError
from atles.pipeline import injected
from atles.pipeline.extract_llm import prompt
from atles.pipeline.extract_llm.verify import Guard, SlotOf, Verifier
from atles.records import Claim, Extraction, ForgetRequest, MemoryType, Session, content_id
from atles.serving import Chat
from atles.serving.metered import Model, cost, spent_by

log = logging.getLogger("atles.extract")

_MANY = 4  # claims of the rules: a model that finds none where they find so many cannot do it
_KEPT_ANSWERS = 64  # so that a session that is tried again does not pay for its first windows again


class Extractor(Protocol):
    """What reads a session by rules."""

    def extract(self, session: Session) -> Extraction: ...


class LlmExtractor:
    """`rules` finds the topics, and shows what a model must not miss altogether.

    `guard` and `slot_of` add a rule's eye to the verification: why a sentence is no memory, and which slot a plain
    sentence fills.
    """

    def __init__(
        self,
        endpoint: Model,
        rules: Extractor,
        *,
        max_input_tokens: int = 3000,
        max_output_tokens: int = 1024,
        max_calls: int = 24,
        max_session_tokens: int = 200_000,
        guard: Guard | None = None,
        slot_of: SlotOf | None = None,
    ) -> None:
        self._endpoint, self._rules, self._guard, self._slot_of = endpoint, rules, guard, slot_of
        self._max_input, self._max_output, self._max_calls = max_input_tokens, max_output_tokens, max_calls
        self._max_session = max_session_tokens
        self._answers: dict[str, Any] = {}

    def extract(self, session: Session) -> Extraction:
        """What the session says. Raises EndpointError; its `retryable` and `retry_after` say whether and when again."""
        session = injected.without(session)  # what was remembered before is nothing that was said now
        ruled = self._rules.extract(session)
        parts = prompt.windows(session, self._max_input)
        call = _Calls(self._max_calls, self._max_session)
        if len(parts) > self._max_calls:
            raise self._over(f"the session needs {len(parts)} calls, more than {self._max_calls}")
        if not any(message.role == "user" and message.text.strip() for message in session.messages):
            parts = []
        verifier = Verifier(session, self._guard, self._slot_of)
        claims: list[Claim] = []
        told: list[tuple[int, Claim]] = []  # sentences for the summary, with their rank in their window
        forget = {request.message: request for request in ruled.forget}
        refused: Counter[str] = Counter()
        for part in parts:
            for answer in self._ask(part, call):
                rank = 0
                for type, item in _items(answer, refused):
                    found = verifier.forget(item) if type is None else verifier.claim(type, item)
                    if isinstance(found, str):
                        refused[found] += 1
                    elif isinstance(found, ForgetRequest):
                        forget.setdefault(found.message, found)
                    elif found.type is MemoryType.SUMMARY:
                        told.append((rank, found))
                        rank += 1
                    else:
                        claims.append(found)
        self._must_have_worked(claims, ruled, refused)
        self._answers.clear()
        topics = [claim for claim in ruled.claims if claim.type is MemoryType.TOPIC]
        log.info("%s: %d claims, refused %s, %d tokens", session.session_id, len(claims), dict(refused), call.tokens)
        requests = tuple(forget[position] for position in sorted(forget))
        return Extraction((*claims, *_summary(told), *topics), requests, dict(refused))

    def _ask(self, lines: Sequence[str], call: "_Calls", again: bool = True) -> Iterator[Any]:
        """The answers for a window: one, or two for its halves where the model did not manage the whole."""
        chat = prompt.chat(lines)
        key = content_id(self._endpoint.model, [dict(message) for message in chat])
        try:
            if key not in self._answers:
                answer = self._call(chat, call)
                while len(self._answers) >= _KEPT_ANSWERS:
                    del self._answers[next(iter(self._answers))]
                self._answers[key] = answer
            yield self._answers[key]
        except EndpointError as error:
            if error.kind != "bad_output" or not again or len(lines) < 2:
                raise
            log.info("%s; trying again with half as much", error)
            half = len(lines) // 2
            for part in (lines[:half], lines[half:]):
                yield from self._ask(part, call, again=False)

    def _call(self, chat: Chat, call: "_Calls") -> Any:
        most = cost(chat) + self._max_output
        if call.count >= call.most or call.tokens + most > call.most_tokens:
            raise self._over(f"the session has taken {call.count} calls and {call.tokens} tokens")
        call.count += 1
        try:
            answer, usage = self._endpoint.complete_json(chat, prompt.SCHEMA, self._max_output)
        except EndpointError as error:
            call.tokens += spent_by(error, most)
            raise
        call.tokens += usage.total
        return answer

    def _over(self, what: str) -> EndpointError:
        return EndpointError("budget", f"{what}; raise memory.llm_max_input_tokens if the model can read more at once")

    def _must_have_worked(self, claims: Sequence[Claim], ruled: Extraction, refused: Mapping[str, int]) -> None:
        plain = [c for c in ruled.claims if c.type not in (MemoryType.TOPIC, MemoryType.SUMMARY, MemoryType.QUESTION)]
        if claims or len(plain) < _MANY:
            return
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(refused.items()))
        raise EndpointError(
            "bad_output",
            f"{self._endpoint.model} found nothing that was said where the rules find {len(plain)} memories"
            f" ({f'refused: {why}' if why else 'its lists are empty'}); use a larger model, or set"
            ' memory.extractor = "rules"',
        )


class _Calls:
    """What one session has cost, and may cost."""

    def __init__(self, most: int, most_tokens: int) -> None:
        self.count, self.tokens, self.most, self.most_tokens = 0, 0, most, most_tokens


def _items(answer: Any, refused: Counter[str]) -> Iterator[tuple[MemoryType | None, Any]]:
    """The items of an answer with their types; None for a request to forget."""
    types: dict[str, MemoryType | None] = {**prompt.LISTS, prompt.FORGET: None}
    for name, type in types.items():
        items = answer.get(name, []) if isinstance(answer, dict) else []
        if isinstance(items, list):
            yield from ((type, item) for item in items[:50])
        elif items:
            refused["malformed"] += 1


def _summary(told: Sequence[tuple[int, Claim]]) -> list[Claim]:
    """One summary in the speaker's own sentences: three at most, from as many windows as there are."""
    best = [claim for _, claim in sorted(told, key=lambda pair: pair[0])[:3]]
    if not best:
        return []
    best.sort(key=lambda claim: claim.messages)
    positions = tuple(dict.fromkeys(position for claim in best for position in claim.messages))
    text = " ".join(claim.text for claim in best)
    return [Claim(MemoryType.SUMMARY, text, positions, confidence=min(claim.confidence for claim in best))]
