"""What a session brings that comes again, and which sessions are held out."""

import pytest

from atles.errors import AtlesError, SessionConflict
from atles.records import Arrival, Session, Split
from atles.store import Store
from tests.samples import document, session


def test_the_same_session_again_brings_nothing(store: Store) -> None:
    assert store.sessions.add(session("s", "u: a", "a: b"), 5) == (Arrival.NEW, 1)
    assert store.sessions.add(session("s", "u: a", "a: b"), 5) == (Arrival.SAME, 1)


def test_a_shorter_one_brings_nothing_and_takes_nothing(store: Store) -> None:
    store.sessions.add(session("s", "u: a", "a: b"), 5)
    assert store.sessions.add(session("s", "u: a"), 5) == (Arrival.SAME, 1)
    assert store.sessions.add(session("s"), 5) == (Arrival.SAME, 1)
    assert len(store.sessions.get("s").session.messages) == 2


def test_a_longer_one_has_grown_and_keeps_its_split(store: Store) -> None:
    for name in ("one", "two", "three"):
        store.sessions.add(session(name, "u: a"), 5)
    assert store.sessions.add(session("three", "u: a", "a: b", "u: c"), 5) == (Arrival.GROWN, 2)
    stored = store.sessions.get("three")
    assert (stored.revision, stored.split, len(stored.session.messages)) == (2, Split.HELDOUT, 3)
    assert [row["message_count"] for row in store.sessions.list()] == [1, 1, 3]


def test_another_history_is_a_conflict_that_names_the_place(store: Store) -> None:
    store.sessions.add(session("s", "u: a", "a: b", "u: c"), 5)
    with pytest.raises(SessionConflict, match=r"'s' is stored already, with another messages\[1\]"):
        store.sessions.add(session("s", "u: a", "a: B", "u: c", "a: d"), 5)
    with pytest.raises(SessionConflict, match=r"messages\[0\]"):
        store.sessions.add(session("s", "u: other"), 5)
    assert len(store.sessions.get("s").session.messages) == 3


def test_other_times_are_no_other_history(store: Store) -> None:
    store.sessions.add(session("s", "u: a"), 5)
    again = document("s", "u: a", end_time="2027-01-01T00:00:00+00:00")
    again["messages"][0]["timestamp"] = "2027-01-01T00:00:00+00:00"
    assert store.sessions.add(Session.of(again), 5)[0] is Arrival.SAME


def test_the_third_of_every_five_is_held_out(store: Store) -> None:
    for number in range(1, 16):
        store.sessions.add(session(f"s{number}", "u: a"), 5)
    held_out = [row["session_id"] for row in store.sessions.list() if row["split"] == "heldout"]
    assert held_out == ["s3", "s8", "s13"]


@pytest.mark.parametrize("every", [2, 3, 4, 10])
def test_one_of_every_n_is_held_out_and_never_the_first(store: Store, every: int) -> None:
    for number in range(4 * every):
        store.sessions.add(session(f"s{number}", "u: a"), every)
    splits = [row["split"] for row in store.sessions.list()]
    assert splits.count("heldout") == 4
    assert every < 3 or splits[0] == "train"


def test_odd_text_is_stored_and_comes_back(store: Store) -> None:
    odd = session("half \ud83d emoji \0", "u: lone \udc00 and NUL \0", "a: 𝒳 — 漢字 🤖")
    store.sessions.add(odd, 5)
    back = store.sessions.get(odd.session_id).session
    assert [m.id for m in back.messages] == [m.id for m in odd.messages]
    assert back.messages[0].raw["content"] == "lone \udc00 and NUL \0"
    assert store.sessions.add(odd, 5) == (Arrival.SAME, 1)


def test_an_unknown_session_is_named_with_the_way_out(store: Store) -> None:
    with pytest.raises(AtlesError, match="there is no session 'x'; `atles sessions`"):
        store.sessions.get("x")


def test_what_waits_for_training_is_listed_until_it_grows(store: Store) -> None:
    for name in ("a", "b"):
        store.sessions.add(session(name, "u: 1"), 5)
        store.sessions.wait_for_training(name, True)
    assert store.sessions.waiting_for_training() == ["a", "b"]
    store.sessions.add(session("a", "u: 1", "a: 2"), 5)
    assert store.sessions.waiting_for_training() == ["b"]
