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
        # What it takes the place of, by name.
        (known("I drive an old Corsa"), claim("mum sold me a Skoda", replaces="Corsa", changed=True), "replaced"),
        (known("i go to karate on Mondays"), claim("its bouldering now", replaces="karate", changed=True), "replaced"),
        (known("my girlfriend Sal is a potter"), claim("sal and i broke up", replaces="sal", ended=True), "ended"),
        (known("theo (my bf)"), claim("we're done, since new year", ended=True), "ended"),
        (known("i play on a 144hz"), claim("got a 240hz one", replaces="the 144", changed=True), "replaced"),
        # What the same thing is.
        (known("my boss is called Helga"), claim("my boss is Tomas these days"), "replaced"),
        (known("My thesis is on bridges"), claim("The thesis has turned into one on mills", changed=True), "replaced"),
        (known("My office is in the Kepler building"), claim("I've been moved to the Newton building", changed=True),
         "replaced"),
        (known("We keep nine beehives"), claim("we're down to seven hives", changed=True), "replaced"),
        (known("my office is on the third floor"), claim("they moved us to the fifth floor"), "replaced"),
        (known("there are five hens in the garden"), claim("her two pullets came to us, and now they are seven"),
         "replaced"),
        (known("I'm on 50 mg of sertraline"), claim("They've upped my sertraline to 100 mg"), "replaced"),
        (known("I always fly with Lufthansa"), claim("I fly with KLM these days"), "replaced"),
        (known("im single"), claim("i got a girlfriend now, she's called Mo"), "replaced"),
        (known("we are four in the band"), claim("now we're three"), "replaced"),
        (known("my exam is on 12 may"), claim("exam got bumped to the 19th"), "contradicted"),
        # A side of a life under other names.
        (known("I take simvastatin at night"), claim("the chemist gives me pravastatin now"), "replaced"),
        (known("im an apprentice at Lindt"), claim("i deliver for Foodbee now"), "replaced"),
        (known("We rented a studio in Graz"), claim("we have bought a small house in Weiz"), "replaced"),
        (known("We heat with oil"), claim("we have a pellet stove since November"), "replaced"),
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
        (known("I play the cello"), claim("The neighbour's boy plays the drums now")),
        (known("We have two cats"), claim("My aunt has three cats now")),
        (known("I use vim"), claim("the new guy at work uses vscode now")),
        (known("My thesis is on bridges"), claim("My thesis is due in May now")),
        (known("our car is a red Volvo"), claim("our car is in the garage now")),
        (known("I buy from Harker"), claim("I sing with Harker's choir now")),
        (known("I take ramipril"), claim("They've put me on candesartan, too", changed=True)),
        (known("my sister Ada plays the cello"), claim("I gave up the cello", replaces="the cello", ended=True)),
        (known("I take the bus to work"), claim("I left work", replaces="work", ended=True)),
        (known("I live in Leeds"), claim("choir has moved to Thursday", changed=True)),
        (known("I play the accordion"), claim("I've been wheezing like a trumpet since May")),
        (known("there are five hens in the garden"), claim("in April the hens can be managed by the boy next door",
                                                            changed=True)),
    ],
)  # fmt: skip
def test_what_speaks_of_something_else_ends_nothing(old: Memory, new: Claim) -> None:
    assert ended(reconcile(new, FEB, [old])) == {}


def test_an_end_that_is_not_sure_counts_only_where_it_ends_something() -> None:
    over = claim("Malta is off", replaces="Malta", ended=True, confidence=0.55)
    assert reconcile(over, FEB, [known("I like tea")]).reason == "ends nothing"
    assert ended(reconcile(over, FEB, [known("we fly to Malta in May")])) == {"we fly to Malta in May": "ended"}


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
