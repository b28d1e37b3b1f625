"""What a model server may cost in a day, and what is counted when a call fails."""

from dataclasses import dataclass

import pytest

from atles.errors import EndpointError
from atles.serving.metered import Metered
from tests.fakes.endpoint import FakeModel

CHAT = [{"role": "user", "content": "hello there"}]


@dataclass
class Day:
    tokens: int = 0

    def spent(self) -> int:
        return self.tokens

    def spend(self, tokens: int) -> None:
        self.tokens += tokens

    def resets_in(self) -> float:
        return 3600.0


def test_the_days_tokens_are_counted_and_kept_to() -> None:
    day = Day()
    model = Metered(FakeModel({}, tokens=1500), day, per_day=6000)
    model.complete_json(CHAT, {}, 1024)
    assert day.tokens == 1500 and model.model == "fake-7b"
    day.tokens = 5000
    with pytest.raises(EndpointError, match=r"memory\.llm_tokens_per_day") as caught:
        model.complete_json(CHAT, {}, 1024)
    assert (caught.value.kind, caught.value.retryable, caught.value.retry_after) == ("budget", True, 3600.0)
    assert day.tokens == 5000
    with pytest.raises(EndpointError) as never:
        Metered(FakeModel({}), Day(), per_day=100).complete_json(CHAT, {}, 1024)
    assert not never.value.retryable, "tomorrow has no more tokens than today"


def test_without_a_limit_it_is_only_counted() -> None:
    day = Day(tokens=10**9)
    Metered(FakeModel({}, tokens=70), day).complete_json(CHAT, {}, 1024)
    assert day.tokens == 10**9 + 70


@pytest.mark.parametrize(
    ("kind", "tokens", "free"),
    [("unreachable", 0, True), ("rate_limited", 0, True), ("timeout", 0, False), ("bad_output", 700, False)],
)
def test_a_failed_call_is_counted_where_the_server_may_have_worked(kind: str, tokens: int, free: bool) -> None:
    day = Day()
    with pytest.raises(EndpointError):
        Metered(FakeModel(EndpointError(kind, "no", tokens=tokens)), day, 9000).complete_json(CHAT, {}, 1024)
    assert (day.tokens == 0) is free and (not tokens or day.tokens == tokens)
