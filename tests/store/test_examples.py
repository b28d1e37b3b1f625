"""Examples, datasets and lineage; adapters, and the pointer that says which serves."""

from collections.abc import Sequence

import pytest

from atles.errors import AtlesError, UnknownAdapter
from atles.pipeline.dataset import build_examples
from atles.records import Adapter, AdapterState, Dataset, Example, Session, Split, Verdict
from atles.store import Store
from tests.samples import chat

# What `atles.store.adapters.BASE` is in the database.
BASE = ""


def learn(store: Store, data: Session) -> Sequence[Example]:
    store.sessions.add(data, 5)
    examples = build_examples(data)
    store.examples.replace(data.session_id, examples)
    return examples


def dataset(store: Store, name: str, examples: Sequence[Example]) -> Dataset:
    made = Dataset(name, f"/{name}", len(examples), 0, ("session_001",), ())
    store.examples.add_dataset(made, [example.id for example in examples])
    return made


def adapter(store: Store, name: str, dataset_id: str = "d", at: str = "2026-01-01") -> None:
    if dataset_id == "d":
        dataset(store, "d", [])
    store.adapters.add(Adapter(name, "base", dataset_id, f"/{name}", AdapterState.CANDIDATE, "new", at, {"loss": 1.0}))


def test_replacing_examples_counts_the_new_and_withdraws_the_missing(store: Store) -> None:
    data = Session.of(chat(1))
    store.sessions.add(data, 5)
    examples = build_examples(data)
    assert store.examples.replace("session_001", examples) == len(examples) == 3
    assert store.examples.replace("session_001", examples) == 0
    assert store.examples.replace("session_001", examples[:1]) == 0
    assert store.examples.of_split(Split.TRAIN) == examples[:1]
    assert store.examples.replace("session_001", examples) == 0, "one that comes back is not new"
    assert sorted(e.id for e in store.examples.of_split(Split.TRAIN)) == sorted(e.id for e in examples)


def test_only_examples_that_no_training_read_are_new(store: Store) -> None:
    one, two = learn(store, Session.of(chat(1))), learn(store, Session.of(chat(2)))
    held_out = learn(store, Session.of(chat(3)))
    assert store.examples.count_new() == len(one) + len(two)
    assert [e.session_id for e in store.examples.of_split(Split.HELDOUT)] == ["session_003"] * len(held_out)
    made = dataset(store, "d1", one)
    assert store.examples.count_new() == len(one) + len(two), "a dataset is not yet a training"
    adapter(store, "a1", made.id)
    assert store.examples.count_new() == len(two)
    assert store.examples.unjudged("session_001") == len(one), "a candidate is not yet judged"
    store.adapters.judge("a1", Verdict(False, "worse", {}))
    assert store.examples.unjudged("session_001") == 0
    assert store.examples.unjudged("session_002") == len(two)
    assert store.examples.unjudged("session_003") == 0, "what is held out waits for no training"


def test_a_dataset_comes_back_and_knows_where_its_examples_are_from(store: Store) -> None:
    examples = learn(store, Session.of(chat(1)))
    made = dataset(store, "d1", examples)
    dataset(store, "d1", examples)
    assert store.examples.dataset("d1") == made
    lineage = store.examples.lineage("d1")
    assert [row["example_id"] for row in lineage] == [example.id for example in examples]
    assert {row["session_id"] for row in lineage} == {"session_001"}
    assert {row["message_id"] for row in lineage} <= {m.id for m in Session.of(chat(1)).messages}


def test_the_latest_judged_adapter_that_saw_a_session(store: Store) -> None:
    made = dataset(store, "d1", learn(store, Session.of(chat(1))))
    adapter(store, "a1", made.id, "2026-01-01")
    assert store.adapters.trained_on("session_001") is None
    store.adapters.judge("a1", Verdict(True, "better", {}))
    adapter(store, "a2", made.id, "2026-01-02")
    store.adapters.judge("a2", Verdict(False, "worse", {}))
    found = store.adapters.trained_on("session_001")
    assert found and found.name == "a2" and found.state is AdapterState.REJECTED and found.reason == "worse"
    assert store.adapters.trained_on("session_002") is None


def test_an_adapter_is_added_once_and_found_by_name(store: Store) -> None:
    adapter(store, "a1")
    store.adapters.judge("a1", Verdict(True, "better", {"kept": 1.0}))
    adapter(store, "a1")
    found = store.adapters.get("a1")
    assert found.state is AdapterState.PROMOTED and found.verdict and found.verdict["numbers"] == {"kept": 1.0}
    assert [a.name for a in store.adapters.list()] == ["a1"]
    with pytest.raises(UnknownAdapter, match="there is no adapter 'a2'; `atles adapters`"):
        store.adapters.get("a2")


def test_the_pointer_moves_only_from_where_it_was_seen(store: Store) -> None:
    assert store.adapters.active() == (0, BASE)
    store.adapters.point("a1", "promote", "better", 0)
    version, active = store.adapters.active()
    assert active == "a1"
    store.adapters.point("a2", "promote", "better still", version)
    with pytest.raises(AtlesError, match="another process changed the active adapter"):
        store.adapters.point("a3", "promote", "too late", version)
    assert store.adapters.active()[1] == "a2"
    assert [(move["adapter"], move["previous"]) for move in store.adapters.releases()] == [("a2", "a1"), ("a1", BASE)]
