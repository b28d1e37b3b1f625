"""The gate's verdict and the pointer it guards."""

import math
from dataclasses import replace

import pytest

from atles.config import GateSettings
from atles.errors import AtlesError, PointerMoved, UnknownAdapter
from atles.pipeline.release import gate, promote, rollback, settle
from atles.records import Adapter, AdapterState, Dataset, EvalReport, Score, Verdict
from atles.store import Store
from atles.store.adapters import BASE

SETTINGS = GateSettings(min_heldout=2, min_gain=0.01, keep_margin=0.10)


def score(loss: float, right: int = 10, heldout: int = 4) -> Score:
    """A model with that loss on each held-out example, and the first `right` of 20 general prompts right."""
    return Score({f"h{n}": loss for n in range(heldout)}, {f"g{n}": n < right for n in range(20)})


def report(base: Score, candidate: Score, active: Score | None = None) -> EvalReport:
    return EvalReport(base, active, candidate, 1.0)


@pytest.mark.parametrize(
    ("base", "candidate", "active", "promotes", "words"),
    [
        (score(3.0), score(2.0), None, True, "It learned (3.000 -> 2.000"),
        (score(3.0), score(2.0), score(2.5), True, "against the active adapter"),
        (score(3.0), score(2.0, right=9), None, True, "kept 9 of the 10"),
        (score(3.0), score(2.0, right=20), None, True, "kept 10 of the 10"),
        (score(3.0), score(2.969), None, True, "It learned"),
        (score(3.0), score(2.98), None, False, "did not learn enough"),
        (score(3.0), score(3.1), None, False, "did not learn enough"),
        (score(3.0), score(2.5), score(2.0), False, "2.500 nats a token on 4 unseen examples, against the active"),
        (score(2.0), score(2.2), score(2.5), False, "against the base"),  # the active one is worse than the base
        (score(3.0), score(2.0, right=8), None, False, "It forgot too much: it kept 8 of the 10"),
        (score(3.0), score(2.0, right=0), None, False, "(0%; 90% are needed)"),
        (score(3.0), score(math.nan), None, False, "did not learn enough"),
        (score(math.nan), score(2.0), None, False, "did not learn enough"),
        (score(3.0), score(math.inf), None, False, "did not learn enough"),
        (score(3.0), score(2.0), score(math.nan), True, "against the base"),
        (score(0.0), score(0.0), None, False, "did not learn enough"),
        (score(3.0, heldout=1), score(2.0, heldout=1), None, False, "1 held-out examples, 2 are needed"),
        (score(3.0, heldout=0), score(2.0, heldout=0), None, False, "0 held-out examples"),
        (score(3.0, right=0), score(2.0), None, False, "no general prompt right"),
    ],
)  # fmt: skip
def test_the_gate(base: Score, candidate: Score, active: Score | None, promotes: bool, words: str) -> None:
    verdict = gate(report(base, candidate, active), SETTINGS)
    assert verdict.promote is promotes and words in verdict.reason


def test_other_prompts_right_do_not_make_up_for_those_forgotten() -> None:
    candidate = replace(score(1.0), general={f"g{n}": n >= 10 for n in range(20)})
    verdict = gate(report(score(3.0), candidate), SETTINGS)
    assert not verdict.promote and verdict.numbers["kept"] == 0


def test_the_verdict_holds_the_numbers_that_decided_it() -> None:
    numbers = gate(report(score(3.0), score(2.0, right=9), score(2.5)), SETTINGS).numbers
    assert numbers == {
        "heldout_examples": 4, "general_right_base": 10, "heldout_loss_base": 3.0, "heldout_loss_active": 2.5,
        "heldout_loss_candidate": 2.0, "gain": pytest.approx(0.2), "general_right_kept": 9, "kept": 0.9,
    }  # fmt: skip


def add(store: Store, *names: str) -> None:
    store.examples.add_dataset(Dataset("d", "/d", 0, 0, (), ()), [])
    for name in names:
        store.adapters.add(Adapter(name, "base", "d", f"/{name}", AdapterState.CANDIDATE, "new", "2026", {}))


def settled(store: Store, name: str, *, promoted: bool = True) -> None:
    settle(store, store.adapters.get(name), Verdict(promoted, "because", {}), store.adapters.active()[0])


def test_a_verdict_against_what_no_longer_serves_is_not_used(store: Store) -> None:
    add(store, "a", "b")
    before, _ = store.adapters.active()
    settled(store, "a")
    with pytest.raises(PointerMoved) as raised:
        settle(store, store.adapters.get("b"), Verdict(True, "better than the base", {}), before)
    assert raised.value.retryable and active(store) == "a"
    assert store.adapters.get("b").state is AdapterState.CANDIDATE


def active(store: Store) -> str:
    return store.adapters.active()[1]


def test_a_promoted_candidate_serves_and_a_rejected_one_does_not(store: Store) -> None:
    add(store, "a", "b")
    settled(store, "a")
    settled(store, "b", promoted=False)
    assert active(store) == "a"
    assert [adapter.state for adapter in store.adapters.list()] == [AdapterState.PROMOTED, AdapterState.REJECTED]


def test_rollback_goes_back_one_by_one_to_the_base(store: Store) -> None:
    add(store, "a", "b", "c")
    for name in "abc":
        settled(store, name)
    assert [rollback(store) for _ in range(3)] == [("c", "b"), ("b", "a"), ("a", BASE)]
    with pytest.raises(AtlesError, match="nothing to roll back to: the base model serves"):
        rollback(store)


def test_rollback_on_a_new_home_says_that_the_base_serves(store: Store) -> None:
    with pytest.raises(AtlesError, match="nothing to roll back to"):
        rollback(store)


def test_what_was_rolled_back_over_is_not_come_back_to(store: Store) -> None:
    add(store, "a", "b", "c")
    settled(store, "a")
    settled(store, "b")
    rollback(store)
    settled(store, "c")
    assert [rollback(store)[1], rollback(store)[1]] == ["a", BASE]


def test_rollback_ends_at_the_base_also_when_an_adapter_was_promoted_twice(store: Store) -> None:
    add(store, "a", "b")
    settled(store, "a")
    settled(store, "b")
    promote(store, "a")
    assert [rollback(store)[1] for _ in range(3)] == ["b", "a", BASE]


def test_promote_by_hand_takes_only_what_passed_the_gate(store: Store) -> None:
    add(store, "good", "bad", "new")
    settled(store, "good")
    settled(store, "bad", promoted=False)
    with pytest.raises(AtlesError, match="bad is rejected: because Only an adapter that passed the gate"):
        promote(store, "bad")
    with pytest.raises(AtlesError, match="new is candidate"):
        promote(store, "new")
    with pytest.raises(AtlesError, match="good serves already"):
        promote(store, "good")
    with pytest.raises(UnknownAdapter, match="'none'"):
        promote(store, "none")
    rollback(store)
    promote(store, "good")
    assert active(store) == "good"


def test_a_pointer_that_was_moved_meanwhile_is_not_moved_over(store: Store) -> None:
    """Two processes: one saw the pointer, the other moved it."""
    add(store, "a", "b")
    settled(store, "a")
    version, _ = store.adapters.active()
    other = Store(store.database.path)
    rollback(other)
    with pytest.raises(AtlesError, match="another process changed the active adapter"):
        store.adapters.point("b", "promote", "late", version)
    assert active(store) == BASE
    other.close()


def test_a_verdict_and_its_promotion_are_one_fact(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "a")

    def breaks(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store.adapters, "point", breaks)
    with pytest.raises(ZeroDivisionError):
        settled(store, "a")
    assert store.adapters.get("a").state is AdapterState.CANDIDATE
