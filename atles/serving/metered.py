"""A model server that may take so many tokens a day. Knows what a call may cost, not what it is for."""

from collections.abc import Mapping
from typing import Any, Protocol

from atles.errors import EndpointError
from atles.serving import Chat
from atles.serving.reply import Usage, estimate_tokens

# Failed calls that cost nothing; after a timeout the server may have worked all the same.
_FREE = frozenset({"unreachable", "unauthorized", "rate_limited", "no_model", "bad_request", "stopped"})
_MESSAGE_TOKENS = 8  # what a message costs beside its words


class Model(Protocol):
    """One model of one server, as `atles.serving.openai.Endpoint` is."""

    model: str

    def complete_json(self, messages: Chat, schema: Mapping[str, Any], max_tokens: int) -> tuple[Any, Usage]: ...


class TokenBudget(Protocol):
    """Counts the tokens of a day, wherever it keeps them."""

    def spent(self) -> int:
        """Tokens of today."""
        ...

    def spend(self, tokens: int) -> None:
        """Count more; below zero where less was used than was put aside."""
        ...

    def resets_in(self) -> float:
        """Seconds until another day begins."""
        ...


class Metered:
    """A model whose calls are counted with `budget`; beyond `per_day` tokens (0: no limit) it is not called."""

    def __init__(self, endpoint: Model, budget: TokenBudget, per_day: int = 0) -> None:
        self.model = endpoint.model
        self._endpoint, self._budget, self._per_day = endpoint, budget, per_day

    def complete_json(self, messages: Chat, schema: Mapping[str, Any], max_tokens: int) -> tuple[Any, Usage]:
        """As the model's. Raises EndpointError: what the model raises, and "budget"."""
        most = cost(messages) + max_tokens
        self._put_aside(most)
        used = most
        try:
            answer, usage = self._endpoint.complete_json(messages, schema, max_tokens)
            used = usage.total
        except EndpointError as error:
            used = spent_by(error, most)
            raise
        finally:
            self._budget.spend(used - most)
        return answer, usage

    def _put_aside(self, tokens: int) -> None:
        if self._per_day:
            spent = self._budget.spent()
            if spent + tokens > self._per_day:
                wait = None if tokens > self._per_day else self._budget.resets_in()
                left = f"{spent} of today's {self._per_day} tokens of {self.model} are used, {tokens} needed"
                hint = "raise" if wait is None else "it goes on tomorrow, or raise"
                raise EndpointError("budget", f"{left}; {hint} memory.llm_tokens_per_day", retry_after=wait)
        self._budget.spend(tokens)


def cost(messages: Chat) -> int:
    """About how many tokens a prompt is."""
    return sum(estimate_tokens(message["content"]) + _MESSAGE_TOKENS for message in messages)


def spent_by(error: EndpointError, most: int) -> int:
    """What a failed call has cost, as far as can be known: `most`, where the server may have worked."""
    return error.tokens or (0 if error.kind in _FREE or error.kind == "budget" else most)
