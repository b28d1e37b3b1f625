"""The gate: each reason to reject, what it needs to promote, and how often chance gets through."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from atles.pipeline.gate import change_at_least, gate, lower_bound, share_at_least
from atles.records import Score
from atles.settings import GateSettings

SETTINGS = GateSettings()


def score(
    loss: float, right: int = 95, of: int = 100, n: int = 12, *, swapped: float = 3.0, drift: float = 0.05
) -> Score:
    """A model with about that loss on each answer, and the first `right` of the general prompts right."""
    losses = {f"q{number}": loss + 0.01 * (number % 3) for number in range(n)}
    return Score(
        losses, {f"g{number}": number < right for number in range(of)}, losses, dict.fromkeys(losses, swapped), drift
    )


BASE = score(3.0, 100, drift=0.0)
GOOD = score(2.0, 98)


def test_a_candidate_that_learned_and_kept_is_promoted_and_says_by_how_much() -> None:
    verdict = gate(BASE, None, GOOD, SETTINGS)
    assert verdict.promote and all(check.met for check in verdict.checks)
    assert (
        "3.010 -> 2.010 nats a token on 12 answers" in verdict.reason
        and "98 of 100 general answers are right" in verdict.reason
    )
    assert [check.name for check in verdict.checks] == [
        "data", "unseen", "reworded", "understood", "general", "kept", "leaks", "drift"
    ]  # fmt: skip
    assert verdict.numbers["unseen_gain_at_least"] == pytest.approx(1.0)
    assert verdict.numbers["kept"] == 0.98 and 0.93 < verdict.numbers["kept_at_least"] < 0.98


@pytest.mark.parametrize(
    ("candidate", "failed", "words"),
    [
        (score(3.0), "unseen", "did not learn enough"),
        (score(3.1), "unseen", "did not learn enough"),
        (score(math.nan), "unseen", "did not learn enough"),
        (replace(GOOD, reworded=BASE.reworded), "reworded", "did not learn enough"),
        (score(2.0, 98, swapped=2.0), "understood", "learned sentences, not answers"),
        (score(2.0, 88), "general", "It got worse in general: 88 of 100 general answers are right, 100 are the base's"),
        (score(2.0, 0), "general", "0 of 100 general answers are right"),
        (replace(GOOD, leaks=("a secret",)), "leaks", "gives away what it should not: a secret."),
        (replace(GOOD, drift=0.5), "drift", "drifted from the base on neutral prompts: 0.500"),
        (replace(GOOD, drift=math.nan), "drift", "drifted"),
    ],
)
def test_each_failure_is_rejected_for_its_own_reason(candidate: Score, failed: str, words: str) -> None:
    verdict = gate(BASE, None, candidate, SETTINGS)
    assert not verdict.promote and words in verdict.reason
    assert next(check.name for check in verdict.checks if not check.met) == failed


@pytest.mark.parametrize(
    ("base", "candidate", "words"),
    [
        (score(3.0, n=5), score(2.0, n=5), "There are 5 held-out examples, 6 are needed"),
        (score(3.0, n=0), score(2.0, n=0), "There are 0 held-out examples"),
        (score(3.0, right=0), score(2.0), "no general prompt right"),
    ],
)
def test_too_little_to_judge_by_is_no_promotion(base: Score, candidate: Score, words: str) -> None:
    verdict = gate(base, None, candidate, SETTINGS)
    assert not verdict.promote and words in verdict.reason
    assert [check.name for check in verdict.checks] == ["data"]


def test_without_facts_to_ask_for_the_unseen_sessions_decide() -> None:
    verdict = gate(replace(BASE, reworded={}, swapped={}), None, replace(GOOD, reworded={}, swapped={}), SETTINGS)
    assert verdict.promote and "reworded" not in [check.name for check in verdict.checks]


def test_other_prompts_right_do_not_make_up_for_those_forgotten() -> None:
    base = replace(BASE, general={f"g{n}": n < 50 for n in range(100)})
    verdict = gate(base, None, replace(GOOD, general={f"g{n}": n >= 50 for n in range(100)}), SETTINGS)
    assert not verdict.promote and verdict.numbers["kept"] == 0
    (kept,) = (check for check in verdict.checks if check.name == "kept")
    assert not kept.met and "It forgot too much: it kept 0 of the 50" in kept.says


def test_what_serves_is_to_be_beaten_too() -> None:
    assert gate(BASE, score(2.5), GOOD, SETTINGS).promote
    verdict = gate(BASE, GOOD, GOOD, SETTINGS)
    assert not verdict.promote and "not better, beyond chance, than the adapter that serves" in verdict.reason
    # The new one knows two things more, and of the others no less.
    new = replace(GOOD, reworded={**GOOD.reworded, "q0": 0.5, "q1": 0.5, "q2": 0.5, "q3": 0.5})
    assert gate(BASE, GOOD, new, SETTINGS).promote


# --- simulations: how often chance is promoted, and how often a true gain is ---

RUNS = 200


def rate(make: Callable[[random.Random], tuple[Score, Score]]) -> float:
    draw = random.Random(1)
    pairs = [make(draw) for _ in range(RUNS)]
    return sum(gate(base, None, candidate, SETTINGS).promote for base, candidate in pairs) / RUNS


def measured(
    draw: random.Random, gain: float, noise: float, n: int, kept: float = 0.9, won: float = 0.13
) -> tuple[Score, Score]:
    """Base and candidate on `n` answers of unseen sessions, where the true gain is the mean of skewed, noisy
    differences; and on 500 general prompts, of which the base has 280 right and the candidate keeps and wins these
    shares: by chance as many as it loses, as in the demo."""
    base = {f"q{number}": draw.gauss(2.8, 0.7) for number in range(n)}
    losses = {key: value - gain - noise * (draw.expovariate(1.0) - 1.0) for key, value in base.items()}
    right = {f"g{number}": number < 280 for number in range(500)}
    still = {key: draw.random() < (kept if known else won) for key, known in right.items()}
    return Score(base, right), Score(losses, still)


@pytest.mark.parametrize("n", [6, 16, 60])
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_chance_is_promoted_at_most_once_in_twenty(n: int, noise: float) -> None:
    assert rate(lambda draw: measured(draw, 0.0, noise, n)) <= 0.05


def test_a_gain_of_the_size_of_the_demo_is_promoted_nine_times_in_ten() -> None:
    # The demo: 2.8 -> 1.9 nats on 16 answers, differing by about 0.7 from answer to answer.
    assert rate(lambda draw: measured(draw, 0.9, 0.7, 16)) >= 0.9


def test_getting_worse_by_little_more_than_may_be_is_promoted_at_most_once_in_twenty() -> None:
    lost = 1.1 * SETTINGS.max_general_loss * 500 / 280
    assert rate(lambda draw: measured(draw, 0.9, 0.7, 16, kept=1 - lost, won=0.0)) <= 0.05
    assert rate(lambda draw: measured(draw, 0.9, 0.7, 16, kept=0.9, won=0.0)) <= 0.05, "lost, and nothing won"


def test_keeping_no_more_than_the_margin_is_promoted_at_most_once_in_twenty() -> None:
    kept = 1 - SETTINGS.keep_margin
    assert rate(lambda draw: measured(draw, 0.9, 0.7, 16, kept=kept, won=0.5)) <= 0.05


def test_the_bound_covers_the_true_mean() -> None:
    draw = random.Random(2)
    below = sum(lower_bound([draw.gauss(1.0, 1.0) for _ in range(8)], 0.95) <= 1.0 for _ in range(400))
    assert below / 400 >= 0.93


def test_bounds_of_what_cannot_be_bounded() -> None:
    assert lower_bound([], 0.95) == lower_bound([1.0], 0.95) == lower_bound([1.0, math.nan], 0.95) == -math.inf
    assert lower_bound([2.0] * 5, 0.95) == 2.0
    assert lower_bound([1.0, 2.0, 3.0, 4.0], 0.95) == lower_bound([1.0, 2.0, 3.0, 4.0], 0.95)


def test_a_share_s_lower_end_is_wilsons() -> None:
    assert share_at_least(81, 263, 0.975) == pytest.approx(0.2553, abs=1e-4)  # Newcombe (1998), table I
    assert share_at_least(0, 10, 0.95) == pytest.approx(0.0, abs=1e-9) and share_at_least(10, 10, 0.95) < 1


def test_a_change_s_lower_end_covers_it() -> None:
    draw = random.Random(3)
    below = 0
    for _ in range(500):
        turns = draw.choices(("won", "lost", ""), weights=(7, 6, 87), k=500)
        below += change_at_least(turns.count("won"), turns.count("lost"), 500, 0.95) <= 0.01
    assert 0.92 <= below / 500 <= 0.98
    assert change_at_least(0, 0, 500, 0.95) > -0.01
