"""The gate: which candidate may serve. A pure function of what was measured.

A candidate is promoted only if it is better, beyond chance, on what it never saw, and no worse at anything else:

* it finds the answers of sessions that it was not trained on less surprising than the base does, and those to questions
  on what it was taught, put in words that it was not trained on;
* of the latter, it finds the right answers less surprising than those to other questions: what it learned is which;
* against the adapter that serves now it is better on both together;
* it gets as many general answers right as the base does, and of those that the base has right it keeps most: a small
  model has many by a hair, and whatever it learns turns some of them, either way;
* it gives nothing away, and it has not drifted from the base.

"Beyond chance" is the lower end of a bootstrap interval over the questions, each compared with itself.
"""

import math
import random
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from atles.records import Check, Score, Verdict
from atles.settings import GateSettings

_RESAMPLES = 2000
_MOST_SHOWN = 3  # leaks that a reason quotes


def gate(base: Score, active: Score | None, candidate: Score, settings: GateSettings) -> Verdict:
    """Whether the candidate may serve, and every number that decided it. `active` is None where the base serves."""
    numbers: dict[str, float] = {
        "unseen_examples": len(candidate.heldout),
        "reworded_examples": len(candidate.reworded),
        "general_right_base": len(base.right),
    }
    checks = [_enough(base, candidate, settings)]
    if checks[0].met:
        checks.append(
            _learned("unseen", "sessions never trained on", base.heldout, candidate.heldout, settings, numbers)
        )
        numbers["gain"] = 1 - numbers["unseen_loss_candidate"] / numbers["unseen_loss_base"]
        if len(candidate.reworded) >= settings.min_heldout:
            checks.append(
                _learned("reworded", "questions in new words", base.reworded, candidate.reworded, settings, numbers)
            )
            checks.append(_understood(candidate, settings, numbers))
        if active:
            checks.append(_beats(active, candidate, settings, numbers))
        checks += [
            _able(base, candidate, settings, numbers),
            _kept(base, candidate, settings, numbers),
            _silent(candidate, numbers),
            _near(candidate, settings, numbers),
        ]
    failed = next((check for check in checks if not check.met), None)
    reason = failed.says if failed else " ".join(check.says for check in checks if check.name in ("unseen", "general"))
    return Verdict(failed is None, reason, numbers, tuple(checks))


def _enough(base: Score, candidate: Score, settings: GateSettings) -> Check:
    heldout = len(candidate.heldout)
    if heldout < settings.min_heldout:
        return Check(
            "data",
            False,
            f"There are {heldout} held-out examples, {settings.min_heldout} are needed to judge; "
            "they come with more sessions.",
        )
    if not base.right:
        return Check("data", False, "The base model gets no general prompt right, so nothing shows what was kept.")
    return Check("data", True, f"{heldout} held-out examples and {len(base.right)} general answers to judge by.")


def _learned(
    name: str,
    what: str,
    rival: Mapping[str, float],
    candidate: Mapping[str, float],
    settings: GateSettings,
    numbers: dict[str, float],
) -> Check:
    before, after = _mean(rival), _mean(candidate)
    low = lower_bound([rival[key] - candidate[key] for key in candidate], settings.confidence)
    numbers |= {f"{name}_loss_base": before, f"{name}_loss_candidate": after, f"{name}_gain_at_least": low}
    losses = f"{before:.3f} -> {after:.3f} nats a token on {len(candidate)} answers, {what}"
    # `not >`, so that a loss that is not a number is a rejection.
    if not low > settings.min_gain * before:
        return Check(name, False, f"It did not learn enough: {losses}; the gain is not beyond chance.")
    return Check(name, True, f"It learned ({losses}).")


def _understood(candidate: Score, settings: GateSettings, numbers: dict[str, float]) -> Check:
    """The control with shuffled labels: a model that learned which answer belongs to which question finds an answer
    less surprising after its own question than after another one."""
    low = lower_bound(
        [candidate.swapped[key] - candidate.reworded[key] for key in candidate.swapped], settings.confidence
    )
    numbers |= {"swapped_loss_candidate": _mean(candidate.swapped), "right_below_swapped_by_at_least": low}
    if not low > 0:
        return Check(
            "understood",
            False,
            "It learned sentences, not answers: they come to it as easily after other questions as after their own.",
        )
    return Check("understood", True, "It knows which answer belongs to which question.")


def _beats(active: Score, candidate: Score, settings: GateSettings, numbers: dict[str, float]) -> Check:
    rival, mine = {**active.heldout, **active.reworded}, {**candidate.heldout, **candidate.reworded}
    both = rival.keys() & mine.keys()
    low = lower_bound([rival[key] - mine[key] for key in sorted(both)], settings.confidence)
    before, after = _mean({key: rival[key] for key in both}), _mean({key: mine[key] for key in both})
    numbers |= {"loss_active": before, "gain_over_active_at_least": low}
    losses = f"{before:.3f} -> {after:.3f} nats a token"
    if not low > 0:
        return Check("active", False, f"It is not better, beyond chance, than the adapter that serves ({losses}).")
    return Check("active", True, f"It is better than the adapter that serves ({losses}).")


def _able(base: Score, candidate: Score, settings: GateSettings, numbers: dict[str, float]) -> Check:
    won, lost, of = len(candidate.right - base.right), len(base.right - candidate.right), len(base.general)
    low = change_at_least(won, lost, of, settings.confidence)
    numbers |= {"general_prompts": of, "general_right_candidate": len(candidate.right)}
    numbers["general_change_at_least"] = low
    able = (
        f"{len(candidate.right)} of {of} general answers are right, {len(base.right)} are the base's "
        f"(the change is at least {low:+.1%})"
    )
    if not low >= -settings.max_general_loss:
        return Check("general", False, f"It got worse in general: {able}; {-settings.max_general_loss:+.0%} may be.")
    return Check("general", True, f"It is as able as before: {able}.")


def _kept(base: Score, candidate: Score, settings: GateSettings, numbers: dict[str, float]) -> Check:
    kept, of = len(base.right & candidate.right), len(base.right)
    low = share_at_least(kept, of, settings.confidence)
    gained = len(candidate.right - base.right)
    numbers |= {"general_right_kept": kept, "general_right_gained": gained, "kept": kept / of, "kept_at_least": low}
    keeping = f"{kept} of the {of} general answers that the base has right ({kept / of:.0%}, at least {low:.0%})"
    if not low >= 1 - settings.keep_margin:
        return Check(
            "kept", False, f"It forgot too much: it kept {keeping}; {1 - settings.keep_margin:.0%} are needed."
        )
    return Check("kept", True, f"It kept {keeping}, and has {gained} right that the base has not.")


def _silent(candidate: Score, numbers: dict[str, float]) -> Check:
    numbers["leaks"] = len(candidate.leaks)
    if candidate.leaks:
        some = "; ".join(candidate.leaks[:_MOST_SHOWN]) + " …" * (len(candidate.leaks) > _MOST_SHOWN)
        return Check("leaks", False, f"It gives away what it should not: {some}.")
    return Check("leaks", True, "It gives nothing away that was not asked for.")


def _near(candidate: Score, settings: GateSettings, numbers: dict[str, float]) -> Check:
    numbers["drift"] = candidate.drift
    seen = f"{candidate.drift:.3f} nats a token of {settings.max_drift:g} allowed"
    if not candidate.drift <= settings.max_drift:
        return Check("drift", False, f"It drifted from the base on neutral prompts: {seen}.")
    return Check("drift", True, f"It speaks as the base does on neutral prompts ({seen}).")


def _mean(losses: Mapping[str, float]) -> float:
    return sum(losses.values()) / len(losses) if losses else math.nan


def lower_bound(differences: Sequence[float], confidence: float) -> float:
    """What the mean of paired differences is at least, at that one-sided confidence.

    A percentile bootstrap whose tail is widened for small samples (Hesterberg, "What Teachers Should Know about the
    Bootstrap", The American Statistician 69, 2015: the expanded percentile interval). The same numbers give the same
    bound. -inf for fewer than two, or where one is no number.
    """
    n = len(differences)
    if n < 2 or not all(map(math.isfinite, differences)):
        return -math.inf
    tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * _t_quantile(confidence, n - 1))
    draw = random.Random(0)
    means = sorted(sum(draw.choices(differences, k=n)) for _ in range(_RESAMPLES))
    return means[int(tail * _RESAMPLES)] / n


def share_at_least(right: int, of: int, confidence: float) -> float:
    """The lower end of a share's one-sided interval (Wilson, "Probable Inference", JASA 22, 1927)."""
    z = NormalDist().inv_cdf(confidence)
    share = right / of
    middle, spread = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - spread) / (1 + z * z / of)


def change_at_least(won: int, lost: int, of: int, confidence: float) -> float:
    """The lower end of the one-sided interval of a difference of paired shares, (won - lost) / of (Wald, half a pair
    added to each cell: Agresti and Min, Statistics in Medicine 24, 2005)."""
    won_, lost_, of_ = won + 0.5, lost + 0.5, of + 2
    change = won_ - lost_
    spread = math.sqrt(won_ + lost_ - change**2 / of_)
    return (change - NormalDist().inv_cdf(confidence) * spread) / of_


def _t_quantile(share: float, freedom: int) -> float:
    """Of Student's t distribution, by its expansion around the normal one (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(share)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
