"""What a claim does to what is remembered."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atles.pipeline.reconcile import Decision, reconcile
from atles.records import Claim, Memory, MemoryType

JAN, FEB, MAR = (f"2026-0{n}-01T00:00:00+00:00" for n in (1, 2, 3))


def known(text: str, at: str = JAN, until: str | None = None, **fields: Any) -> Memory:
    values: dict[str, Any] = {
        "id": text, "type": MemoryType.FACT, "text": text, "said_by": "user", "confidence": 1.0, "slot": "",
        "value": "", "valid_from": at, "valid_to": until, "replaced_by": "", "ended_how": "", "count": 1,
        "pinned": False, "edited": False, "extractor": "test", "created_at": at, "last_used_at": None, "uses": 0,
    }  # fmt: skip
    return Memory(**{**values, **fields})


def claim(text: str, **fields: Any) -> Claim:
    return Claim(**{"type": MemoryType.FACT, "text": text, "messages": (0,), **fields})


def ended(decision: Decision) -> dict[str, str]:
    assert decision.action == "add"
    return {memory.text: how for memory, how in decision.ends}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (known("I live in Leeds"), claim("i live in leeds!")),
        (known("I keep three brown hens in the garden"), claim("I keep brown hens")),
        (known("I live in Leeds", slot="home", value="leeds"), claim("we live in Leeds", slot="home", value="leeds")),
    ],
)
def test_the_same_is_confirmed(old: Memory, new: Claim) -> None:
    decision = reconcile(new, FEB, [old])
    assert decision.action == "confirm" and decision.memory == old


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        # The same slot, another value.
        (known("I live in Leeds", slot="home", value="leeds"),
         claim("I live in Bath now", slot="home", value="bath", changed=True), "replaced"),
        (known("I live in Leeds", slot="home", value="leeds"),
         claim("I live in Bath", slot="home", value="bath"), "contradicted"),
        # The words say what is no longer so.
        (known("choir is on Tuesdays"), claim("choir is on Thursdays", replaces="Tuesday", changed=True), "replaced"),
        # Another day, hour, price or number for the same thing.
        (known("choir rehearsal is on Tuesdays"), claim("our choir rehearsal is Thursday"), "contradicted"),
        (known("the lunch menu costs 11.90"), claim("lunch is 13,50 since May", changed=True), "replaced"),
        (known("I have two cats"), claim("I have three cats"), "contradicted"),
        (known("I am on ward 6 until spring"), claim("I started on ward 2"), "contradicted"),
        (known("the report is due 30 April"), claim("they pushed the report to 15 June", changed=True), "replaced"),
        # Another value on one side of a life, in words that say that it is new.
        (known("I've been on vim since university"), claim("I switched, it's Helix now", changed=True), "replaced"),
        (known("I lift at the gym before class"), claim("I just swim now", changed=True), "replaced"),
        # More of the same.
        (known("my dog is a greyhound"), claim("my dog is a greyhound called Tuppence"), "refined"),
        # Over, with nothing in its place.
        (known("I drive a yellow Panda"), claim("I sold the Panda", ended=True), "ended"),
    ],
)  # fmt: skip
def test_what_no_longer_holds_ends(old: Memory, new: Claim, how: str) -> None:
    assert ended(reconcile(new, FEB, [old])) == {old.text: how}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (known("choir is on Tuesdays"), claim("the dentist is on Thursday")),
        (known("I swim on Mondays"), claim("I climb, too")),  # nothing says that one took the other's place
        (known("my sister is called Odette", slot="sister.name", value="odette"),
         claim("my sister Marta sings", slot="sister.name", value="marta")),  # people have two sisters
        (known("my daughter fences"), claim("I swim now", changed=True)),
        (known("my daughter plays the cello"), claim("my brother plays the drums now", changed=True)),
        (known("I am allergic to nuts", slot="allergy.nut", value="yes"),
         claim("I am allergic to cats", slot="allergy.cat", value="yes")),
        (known("I live in Leeds", type=MemoryType.PREFERENCE), claim("I live in Bath now", changed=True)),
        (known("it takes 20 minutes to the office"), claim("it takes 30 minutes to bake")),
    ],
)  # fmt: skip
def test_what_speaks_of_something_else_ends_nothing(old: Memory, new: Claim) -> None:
    assert ended(reconcile(new, FEB, [old])) == {}


def test_a_correction_ends_what_it_corrects() -> None:
    right = claim("Tuppence has three legs", type=MemoryType.CORRECTION, replaces="four legs")
    assert ended(reconcile(right, FEB, [known("Tuppence has four legs")])) == {"Tuppence has four legs": "replaced"}


def test_what_is_older_than_its_successor_is_history_at_once() -> None:
    new = known("I live in Bath", MAR, slot="home", value="bath")
    decision = reconcile(claim("I live in Leeds", slot="home", value="leeds"), JAN, [new])
    assert (decision.action, decision.until, decision.by, decision.ends) == ("add", MAR, new.id, ())


def test_what_was_true_again_is_a_new_memory() -> None:
    old = known("I live in Leeds", JAN, FEB, slot="home", value="leeds")
    between = known("I live in Bath", FEB, slot="home", value="bath")
    back = claim("I live in Leeds", slot="home", value="leeds", changed=True)
    assert ended(reconcile(back, MAR, [old, between])) == {between.text: "replaced"}


def test_what_ended_before_is_left_alone() -> None:
    old = known("I live in Leeds", JAN, FEB, slot="home", value="leeds")
    assert ended(reconcile(claim("I live in Bath", slot="home", value="bath"), MAR, [old])) == {}


@pytest.mark.parametrize(
    ("text", "reason"), [("", "says nothing"), ("it is so", "says nothing"), ("hens " * 200, "too long")]
)
def test_junk_is_refused_with_a_reason(text: str, reason: str) -> None:
    decision = reconcile(claim(text), JAN, [])
    assert (decision.action, decision.reason) == ("refuse", reason)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=20), st.booleans(), st.booleans())
def test_any_text_can_be_compared(new: str, old: str, replaces: str, changed: bool, over: bool) -> None:
    decision = reconcile(claim(new, replaces=replaces, changed=changed, ended=over), FEB, [known(old or "x")])
    assert decision.action in ("add", "confirm", "refuse")
