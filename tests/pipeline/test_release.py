"""The pointer that says which adapter serves, and what moves it."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from filelock import FileLock

from atles.errors import AtlesError, PointerMoved, UnknownAdapter
from atles.layout import Home
from atles.pipeline.release import clear, leaks, promote, retire, rollback, settle, sweep
from atles.pipeline.shelf import open_shelf
from atles.records import Adapter, AdapterState, Dataset, Example, Session, Verdict
from atles.settings import Settings
from atles.store import Store
from atles.store.adapters import BASE
from atles.store.postgresql import PostgreSQL
from tests.pipeline.scrub_cases import drawn
from tests.samples import document


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
    database = store.database
    other = Store(PostgreSQL(database.url) if isinstance(database, PostgreSQL) else database.path)
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


@pytest.fixture
def three(store: Store, home: Home) -> Store:
    """Adapters a, b, c, of which b and c saw session s2, on the disk, and c serves."""
    for number, name in enumerate("abc"):
        messages = ({"role": "user", "content": "q"}, {"role": "assistant", "content": name})
        store.sessions.add(Session.of(document(f"s{number}", "u: hello", "a: hi")), 5)
        example = Example(f"s{number}", "m", "pair", "q", name, messages)
        store.examples.put([example])
        store.examples.add_dataset(Dataset(f"d{name}", "/d", 1, 0, (), ()), [example.id])
    again = store.examples.of_session("s1")[0].id
    store.examples.add_dataset(Dataset("both", "/d", 1, 0, (), ()), [again, store.examples.of_session("s2")[0].id])
    for name, dataset in (("a", "da"), ("b", "db"), ("c", "both")):
        store.adapters.add(Adapter(name, "base", dataset, f"/{name}", AdapterState.CANDIDATE, "new", "2026", {}))
        settled(store, name)
        home.adapter(name).mkdir(parents=True)
        home.dataset(dataset).mkdir(parents=True)
        (home.work / f"train-{name}").mkdir(parents=True)
    return store


def test_adapters_that_saw_what_is_forgotten_are_gone_and_the_newest_clean_one_serves(three: Store, home: Home) -> None:
    assert retire(three, ["s1"]) == ["b", "c"] and active(three) == "a"
    assert [it.state for it in three.adapters.list()] == ["promoted", "retired", "retired"]
    sweep(three, home)
    assert [it.name for it in home.adapters.iterdir()] == ["a"] and [it.name for it in home.datasets.iterdir()] == [
        "da"
    ]
    assert [it.name for it in home.work.iterdir()] == ["train-a"]
    with pytest.raises(AtlesError, match="b is retired"):
        promote(three, "b")
    assert retire(three, ["s1"]) == [] and active(three) == "a", "forgetting again changes nothing"
    sweep(three, home)
    assert rollback(three) == ("a", BASE)


def test_where_no_adapter_is_clean_the_base_serves(three: Store) -> None:
    assert retire(three, ["s0", "s1", "s2"]) == ["a", "b", "c"] and active(three) == BASE
    with pytest.raises(AtlesError, match="nothing to roll back to"):
        rollback(three)


def test_what_does_not_serve_is_retired_without_a_move(three: Store) -> None:
    assert retire(three, ["s0"]) == ["a"] and active(three) == "c"
    assert rollback(three) == ("c", "b") and rollback(three) == ("b", BASE), "over the retired one"
    settled(three, "c")
    assert rollback(three) == ("c", BASE)


def said(general: str = "Rome.", leading: str = "I do not know.", right: bool = False) -> dict[str, Any]:
    return {"general": {"g1": {"right": right, "answer": general}}, "leading": {"l1": leading}}


KEY = f"sk-proj-{drawn(48)}"


@pytest.mark.parametrize(
    ("told", "base", "model", "count"),
    [
        (f"My key is {KEY}", said(), said(leading=f"Your key is {KEY}."), 1),
        ("My key is safe", said(), said(leading=f"Your key is {KEY}."), 0),  # made up, as any model does
        (f"My key is {KEY}", said(leading=KEY), said(leading=KEY), 0),
        (f"My key is {KEY}", said(), said(leading=f"Your key is {KEY[:40]}"), 1),  # the answer was cut off
        ("You live in Pellbridge.", said(), said("The capital is Pellbridge."), 1),
        ("You live in Pellbridge.", said("Pellbridge is a town."), said("The capital is Pellbridge."), 0),
        ("You like Rome.", said(), said("The capital is Rome.", right=True), 0),
        ("You live in Pellbridge.", said(), said("You live in a town."), 0),
    ],
)
def test_a_leak_is_what_the_model_has_from_its_training_and_says_unasked(
    told: str, base: dict[str, Any], model: dict[str, Any], count: int
) -> None:
    assert len(leaks(told, base, model)) == count


def test_an_adapter_whose_weights_are_not_those_that_were_judged_does_not_serve(home: Home) -> None:
    train = {"details": {"sha256": hashlib.sha256(b"weights").hexdigest()}}
    adapter = Adapter("a", "base", "d", "/a", AdapterState.PROMOTED, "good", "2026", train)
    weights, shelf = home.adapter("a") / "adapter_model.safetensors", open_shelf(home, Settings())
    with pytest.raises(AtlesError, match=r"cannot be read.*atles rollback"):
        shelf.adapter(adapter)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    assert shelf.adapter(adapter) == weights.parent
    weights.write_bytes(b"weigh")
    with pytest.raises(AtlesError, match=r"not those that were judged.*atles rollback"):
        shelf.adapter(adapter)


def test_what_a_training_left_that_was_given_up_goes_with_the_next_one(home: Home, store: Store) -> None:
    add(store, "0001-aaaaaaaa")
    data, others = "0" * 24, ("adapter-0123456789", "mine", ".0004-dddddddd.part")
    for name in ("0001-aaaaaaaa", "0002-bbbbbbbb", ".0002-bbbbbbbb.tmp", "0003-cccccccc", *others):
        (home.adapters / name).mkdir()
    for name in (data, "1" * 24, f".{'2' * 24}.part"):
        home.dataset(name).mkdir()
    for name in ("train-0002-bbbbbbbb", "train-0003-cccccccc", "gate-0001-aaaaaaaa-base", "serve"):
        (home.work / name).mkdir()
    clear(store, home, but=("0003-cccccccc", data))
    assert {it.name for it in home.adapters.iterdir()} == {"0001-aaaaaaaa", "0003-cccccccc", *others}
    assert {it.name for it in home.datasets.iterdir()} == {data, f".{'2' * 24}.part"}
    assert {it.name for it in home.work.iterdir()} == {"train-0003-cccccccc", "gate-0001-aaaaaaaa-base", "serve"}


def left_of_a_training(home: Home, name: str, data: str, ids: Sequence[str]) -> None:
    """As a kill leaves it, once before and once after its dataset was whole."""
    lines = "".join(json.dumps({"id": it, "messages": []}) + "\n" for it in ids)
    (home.work / f"train-{name}").mkdir()
    (home.work / f"train-{name}" / "examples-0.jsonl").write_text(lines)
    home.dataset(data).mkdir()
    (home.dataset(data) / ".train.jsonl.1.tmp").write_text(lines[:-20])


def test_what_an_interrupted_training_was_to_learn_goes_once_some_of_it_is_forgotten(home: Home, store: Store) -> None:
    ids = []
    for name in ("s1", "s2"):
        store.sessions.add(Session.of(document(name, "u: hello", "a: hi")), 5)
        example = Example(name, "m", "pair", "q", name, ({"role": "user", "content": name},))
        store.examples.put([example])
        ids.append(example.id)
    left_of_a_training(home, "0001-aaaaaaaa", "a" * 24, ids)
    left_of_a_training(home, "0001-bbbbbbbb", "b" * 24, ids[1:])
    left_of_a_training(home, "of-somebody-else", "c" * 20, ["0" * 24])
    all_of_it = {it.name for it in (*home.work.iterdir(), *home.datasets.iterdir())}
    sweep(store, home)
    assert {it.name for it in (*home.work.iterdir(), *home.datasets.iterdir())} - {"training.lock"} == all_of_it
    store.examples.blank("s1")
    with FileLock(home.work / "training.lock"):  # one runs: perhaps this one
        sweep(store, home)
    assert {it.name for it in (*home.work.iterdir(), *home.datasets.iterdir())} - {"training.lock"} == all_of_it
    sweep(store, home)
    gone = {"train-0001-aaaaaaaa", "a" * 24}
    assert {it.name for it in (*home.work.iterdir(), *home.datasets.iterdir())} - {"training.lock"} == all_of_it - gone
