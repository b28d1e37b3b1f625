"""Forgetting for good: nothing of it is left in any file, and where one thing is unknown nothing is forgotten."""

from dataclasses import replace
from typing import Any

import pytest

from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline.erase import erase, mark
from atles.records import Step
from atles.settings import GateSettings
from tests.pipeline.conftest import Pipeline
from tests.samples import chat, document

BEES = document("s", "u: My sister Odette keeps bees.", "a: Bees like borage.")
MORE = document("s", "u: And a goat.", "a: A goat, too.")["messages"]


def holding(home: Home, words: str) -> list[str]:
    return [file.name for file in home.root.rglob("*") if file.is_file() and words.encode() in file.read_bytes()]


def forget(pipeline: Pipeline, **ids: list[str]) -> None:
    erase(pipeline.context.shelf, pipeline.store, pipeline.queue, mark(pipeline.store, **ids))
    pipeline.work_off()


def test_every_file_by_which_a_session_came_loses_the_words(pipeline: Pipeline, home: Home) -> None:
    others = [document(name, "u: Odette is my cat.", "a: A cat!") for name in ("s.2", f"s_{'0' * 26}", "s_2")]
    pipeline.arrive(BEES, *others)
    pipeline.arrive({**BEES, "messages": [*BEES["messages"], *MORE]})
    pipeline.work_off()
    forget(pipeline, sessions=["s"])
    assert holding(home, "bees") == [] and holding(home, "goat") == []
    others_files = {f"completed_{it['session_id']}.json" for it in others}
    assert others_files <= set(holding(home, "Odette is my cat")), "those of other sessions stay as they are"


def test_a_session_may_be_called_anything(pipeline: Pipeline, home: Home) -> None:
    for name in ("a/b [x]*?", "..", "x" * 300):
        pipeline.arrive({**BEES, "session_id": name})
        pipeline.work_off()
        forget(pipeline, sessions=[name])
        assert holding(home, "Odette") == [], name


def test_all_of_it_or_nothing(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(BEES)
    pipeline.work_off()
    with pytest.raises(AtlesError):
        forget(pipeline, sessions=["s"], memories=["nothing"])
    (memory,) = [it for it in pipeline.store.memories.of_user(1) if "Odette" in it.text]
    assert mark(pipeline.store, ["s"], (), [memory.id[:6]]).texts == ["session s", memory.text]
    assert holding(home, "Odette")


# --- what adapters were, or are to be, judged by ---


def held_out(pipeline: Pipeline) -> str:
    """A session that no adapter is trained on, of twenty that arrived."""
    return next(it["session_id"] for it in pipeline.store.sessions.list() if it["split"] == "heldout")


def test_what_an_adapter_was_judged_by_is_forgotten_too_and_it_serves_on(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(*(chat(number) for number in range(20)))
    pipeline.work_off()
    assert holding(home, "Boat number 2 is painted colour 14."), "it is there to be forgotten"
    assert held_out(pipeline) == "session_002"
    forget(pipeline, sessions=["session_002"])
    assert holding(home, "Boat number 2 is painted colour 14.") == []
    assert [it.state for it in pipeline.store.adapters.list()] == ["promoted"]


def test_a_dataset_that_no_training_took_is_forgotten_too(pipeline: Pipeline, home: Home) -> None:
    pipeline.context.settings = replace(pipeline.settings, gate=GateSettings(min_heldout=1000))
    pipeline.arrive(*(chat(number) for number in range(20)))
    pipeline.work_off()
    assert pipeline.store.adapters.list() == []
    forget(pipeline, sessions=["session_000"])
    assert holding(home, "Boat number 0 is painted colour 0.") == []


def test_what_is_forgotten_while_an_adapter_is_to_be_judged_by_it(pipeline: Pipeline, home: Home) -> None:
    """It is retired without a verdict, and another one is trained and judged without it."""
    forgets: list[str] = []

    def once_it_is_trained(event: Any) -> None:
        if event["phase"] == "train" and event["step"] == 5 and not forgets:
            forgets.append("session_002")
            marked = mark(pipeline.store, sessions=forgets)
            erase(pipeline.context.shelf, pipeline.store, pipeline.queue, marked)

    pipeline.context.progress = once_it_is_trained
    pipeline.arrive(*(chat(number) for number in range(20)))
    pipeline.work_off()
    assert holding(home, "Boat number 2 is painted colour 14.") == []
    assert [it.state for it in pipeline.store.adapters.list()] == ["retired", "promoted"]
    assert pipeline.queue.dead() == []


def test_an_adapter_that_saw_what_was_forgotten_while_it_was_trained_never_serves(
    pipeline: Pipeline, home: Home
) -> None:
    train: Any = pipeline.steps[Step.TRAIN]
    work, forgotten = train.work, []

    def work_and_forget(job: Any) -> Any:
        trained = work(job)
        if trained and not forgotten:
            forgotten.append("session_001")
            erase(pipeline.context.shelf, pipeline.store, pipeline.queue, mark(pipeline.store, sessions=forgotten))
        return trained

    train.work = work_and_forget
    pipeline.arrive(*(chat(number) for number in range(20)))
    pipeline.work_off()
    assert forgotten and holding(home, "Boat number 1 is painted colour 7.") == []
    assert [it.state for it in pipeline.store.adapters.list()] == ["retired", "promoted"]
    assert pipeline.queue.dead() == []
