"""Forgetting is a hard delete: the words are nowhere in the file afterwards."""

import threading
import time
from typing import Any

import pytest

from atles.pipeline import forget
from atles.pipeline.dataset import build_examples
from atles.pipeline.memory import MemoryProcessor
from atles.records import Claim, ForgetRequest, MemoryType
from atles.store import Store
from atles.store.postgresql import PostgreSQL
from tests.pipeline.test_memory import Scripted, fact, said, state
from tests.raw import everything
from tests.samples import session


@pytest.fixture
def memory(store: Store) -> MemoryProcessor:
    script = Scripted(
        a=[fact("I owe Brother Quillfeather money"), fact("I keep hens", messages=(2,))],
        b=[fact("I keep hens")],
        c=[Claim(MemoryType.FACT, "I live in Leeds", (0,))],
    )
    processor = MemoryProcessor(store=store, extractor=script)
    a = said(
        "a",
        1,
        "u: I owe Brother Quillfeather money",
        "a: How much does Quillfeather want?",
        "u: I keep hens",
        "a: Nice.",
    )
    for each in (a, said("b", 2, "u: I keep hens"), said("c", 3, "u: I live in Leeds")):
        processor.process_session(each)
    store.examples.replace("a", build_examples(session("a", *["u: I owe Brother Quillfeather money", "a: How much?"])))
    return processor


def named(store: Store, text: str) -> Any:
    user = store.sessions.user()
    assert user is not None
    return next(it for it in store.memories.of_user(user, ended=True) if text in it.text)


def test_a_forgotten_memory_is_nowhere(memory: MemoryProcessor, store: Store) -> None:
    assert b"Quillfeather" in everything(store)
    rowid = store.memories.sources(named(store, "Quillfeather"))[0]["rowid"]
    store.vectors.put([(rowid, b"\1" * 384)])
    done = forget.forget(store, memories=[named(store, "Quillfeather")])
    assert (done.memories, done.messages, done.sessions) == (1, 1, ("a",))
    assert store.vectors.count() == 0
    forget.forget(store, messages=[rowid + 1])  # the answer that repeats the name
    assert b"uillfeather" not in everything(store)
    assert [hit.text for hit in memory.recall("hens", 1)] == ["I keep hens"]


def test_what_another_session_says_too_stays_with_it(memory: MemoryProcessor, store: Store) -> None:
    forget.forget(store, sessions=["b"])
    assert ("I keep hens", "2026-01", None) in state(store)
    forget.forget(store, sessions=["a"])
    assert [text for text, *_ in state(store)] == ["I live in Leeds"]


def test_a_history_that_is_sent_again_does_not_bring_it_back(memory: MemoryProcessor, store: Store) -> None:
    forget.forget(store, sessions=["c"])
    result = memory.process_session(said("c", 3, "u: I live in Leeds", "a: Noted."))
    assert b"Leeds" not in everything(store) or result["memories"] == 0
    assert [message.text for message in store.sessions.get("c").session.messages] == ["", "Noted."]
    assert memory.recall("Leeds") == []


@pytest.mark.parametrize("about", ["Brother Quillfeather", "my debts with Quillfeather"])
def test_the_user_can_ask_for_it_in_a_chat(memory: MemoryProcessor, store: Store, about: str) -> None:
    assert isinstance(memory._extractor, Scripted)
    memory._extractor.forget["d"] = (ForgetRequest(0, about),)
    request = f"u: please forget what I told you about {about}"
    result = memory.process_session(said("d", 4, request, f"a: I will forget {about}.", "u: Thanks"))
    assert result["forgotten"] == 4 and result["forgotten_in"] == ["a", "d"]
    assert b"uillfeather" not in everything(store)
    assert "I keep hens" in [text for text, *_ in state(store)]
    again = memory.process_session(said("d", 4, request, f"a: I will forget {about}.", "u: Thanks"))
    assert again["memory_items_created"] == 0 and b"uillfeather" not in everything(store)


def test_a_name_in_small_letters_is_forgotten_where_only_the_assistant_said_it(store: Store) -> None:
    script = Scripted()
    script.forget["c"] = (ForgetRequest(0, "my fiat panda"),)
    memory = MemoryProcessor(store=store, extractor=script)
    memory.process_session(said("a", 1, "u: my car is a fiat panda", "a: Then take the Panda."))
    memory.process_session(said("b", 2, "u: service on thursday?", "a: No, book the Panda in.", "u: and hens?"))
    result = memory.process_session(said("c", 3, "u: forget everything about my fiat panda", "a: Forgotten."))
    assert result["forgotten_in"] == ["a", "b", "c"]
    assert b"anda" not in everything(store) and b"and hens?" in everything(store)


def test_a_month_says_which_words_are_meant(memory: MemoryProcessor, store: Store) -> None:
    assert isinstance(memory._extractor, Scripted)
    memory._extractor.forget["d"] = (ForgetRequest(0, "In February I told you something about hens"),)
    result = memory.process_session(said("d", 4, "u: In February I told you something about hens, forget it"))
    assert result["forgotten_in"] == ["b", "d"]
    assert ("I keep hens", "2026-01", None) in state(store)


def test_forget_that_means_what_was_said_just_before(store: Store) -> None:
    script = Scripted()
    script.forget["a"] = (ForgetRequest(2, ""),)
    memory = MemoryProcessor(store=store, extractor=script)
    memory.process_session(
        said("a", 1, "u: I keep hens", "a: Nice.", "u: forget that", "a: Done.", "u: I live in Leeds", "a: Noted.")
    )
    texts = [message.text for message in store.sessions.get("a").session.messages]
    assert texts == ["", "", "", "", "I live in Leeds", "Noted."]


def test_what_it_had_replaced_holds_again(store: Store) -> None:
    from tests.pipeline.test_memory import BATH, HOMES, LEEDS, YORK

    memory = MemoryProcessor(store=store, extractor=HOMES)
    for each in (LEEDS, BATH, YORK):
        memory.process_session(each)
    forget.forget(store, memories=[named(store, "Bath")])
    assert state(store) == [("I live in Leeds", "2026-01", "2026-05"), ("we moved to York", "2026-05", None)]
    forget.forget(store, memories=[named(store, "York")])
    assert state(store) == [("I live in Leeds", "2026-01", None)]


def test_two_users_are_forgotten_beside_what_is_learned_of_one(postgresql: str) -> None:
    """Whoever learns has locked the user when it forgets: so whoever forgets locks all users first."""
    store, other = Store(PostgreSQL(postgresql)), Store(PostgreSQL(postgresql))
    for name in ("ann", "ben"):
        store.sessions.add(session(name, "u: I keep hens", metadata={"user": name}), 5)
    ben, learned = store.sessions.user("ben"), threading.Event()
    assert ben is not None

    def learn() -> None:
        with other.transaction():
            other.sessions.lock(ben)
            learned.set()
            time.sleep(0.5)
            other.database.lock("forgotten")

    step = threading.Thread(target=learn)
    step.start()
    learned.wait()
    done = forget.forget(store, sessions=["ann", "ben"])
    step.join()
    assert done.sessions == ("ann", "ben")


def test_forgetting_nothing_changes_nothing(memory: MemoryProcessor, store: Store) -> None:
    before = state(store)
    assert forget.forget(store, messages=[]) == forget.Forgotten(0, 0, ())
    assert state(store) == before
