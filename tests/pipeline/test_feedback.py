"""What users say of answers: a bad one is neither learned nor recalled, a better one is learned in its place."""

from collections.abc import Callable

import pytest

from atles.errors import AtlesError
from atles.pipeline import rating
from atles.pipeline.forget import forget
from atles.pipeline.jobs import rate
from atles.records import Feedback, Memory, MemoryType, Rating, Session
from tests.pipeline.conftest import Pipeline
from tests.raw import everything
from tests.samples import document

ASKED = "When is bell practice?"
SAID = document(
    "s", "u: I ring the church bells.", "a: A fine hobby.", f"u: {ASKED}", "a: Bell practice is on Mondays.",
    "u: Which bell is the heaviest?", "a: The tenor is the heaviest bell.",
)  # fmt: skip
Give = Callable[..., None]
UP, DOWN = Feedback(Rating.UP), Feedback(Rating.DOWN)
EDIT = Feedback(Rating.EDIT, "Bell practice is on Thursdays.")


def give(pipeline: Pipeline, feedback: Feedback, position: int = 3, session_id: str = "s") -> bool:
    return rate(pipeline.store, pipeline.queue, session_id, position, feedback, pipeline.settings.scrub.level)


def learned(pipeline: Pipeline, question: str = ASKED) -> dict[str, str]:
    """The answers that are learned for a question, each with the one that was turned down for it."""
    examples = pipeline.store.examples.of_session("s")
    return {it.output: it.rejected for it in examples if it.instruction == question and it.kind != "restated"}


def recalled(pipeline: Pipeline) -> set[str]:
    return {hit.text for hit in pipeline.memory.recall("bell practice Mondays heaviest tenor", 10)}


@pytest.fixture(params=["stored before", "stored later"])
def give_and_learn(request: pytest.FixtureRequest, pipeline: Pipeline) -> Give:
    """Feedback that comes when its session is stored, or before that."""

    def act(*given: Feedback) -> None:
        before = request.param == "stored before"
        if before:
            pipeline.arrive(SAID)
            pipeline.work_off()
        for feedback in given:
            assert give(pipeline, feedback) is before
        if not before:
            pipeline.arrive(SAID)
        pipeline.work_off()

    return act


def told(pipeline: Pipeline) -> tuple[Memory, int]:
    """A memory in the words of the answer, as a model server may find one, and the answer's rowid."""
    (row,) = [it for it in pipeline.store.sessions.message_rows(1) if it["position"] == 3]
    memory = Memory(
        "told", MemoryType.FACT, "Bell practice is on Mondays", "assistant", 0.8, "", "", row["timestamp"], None, "",
        "", 1, False, False, "LlmExtractor", row["timestamp"], None, 0,
    )  # fmt: skip
    return memory, row["rowid"]


def test_a_bad_answer_is_neither_learned_nor_recalled(pipeline: Pipeline, give_and_learn: Give) -> None:
    give_and_learn(DOWN)
    assert learned(pipeline) == {}
    assert learned(pipeline, "Which bell is the heaviest?"), "the others are"
    assert "Bell practice is on Mondays." not in recalled(pipeline)
    assert {ASKED, "The tenor is the heaviest bell."} <= recalled(pipeline)


def test_a_better_answer_is_learned_in_its_place(pipeline: Pipeline, give_and_learn: Give) -> None:
    give_and_learn(EDIT)
    assert learned(pipeline) == {"Bell practice is on Thursdays.": "Bell practice is on Mondays."}
    assert "Bell practice is on Mondays." not in recalled(pipeline)
    later = [it for it in pipeline.store.examples.of_session("s") if it.kind == "chat" and "heaviest" in it.instruction]
    assert later and all("Mondays" not in str(it.messages) for it in later), "nor is it context"


def test_a_good_answer_is_learned_and_recalled(pipeline: Pipeline, give_and_learn: Give) -> None:
    give_and_learn(UP)
    assert learned(pipeline) == {"Bell practice is on Mondays.": ""}
    assert "Bell practice is on Mondays." in recalled(pipeline)


@pytest.mark.parametrize("first", [DOWN, EDIT])
def test_the_last_word_counts(pipeline: Pipeline, give_and_learn: Give, first: Feedback) -> None:
    give_and_learn(first, UP)
    assert learned(pipeline) == {"Bell practice is on Mondays.": ""}
    assert "Bell practice is on Mondays." in recalled(pipeline)


def test_it_counts_at_once_for_recall(pipeline: Pipeline) -> None:
    pipeline.arrive(SAID)
    pipeline.work_off()
    give(pipeline, DOWN)
    assert "Bell practice is on Mondays." not in recalled(pipeline), "before any job has run"


def test_a_session_on_its_way_is_not_read_twice(pipeline: Pipeline) -> None:
    pipeline.arrive(SAID)
    give(pipeline, DOWN)
    assert [job.kind for job in pipeline.queue.open()] == ["memory"]
    pipeline.work_off()
    assert learned(pipeline) == {} and len(pipeline.store.logs.of_session("s")) == 1


def test_feedback_holds_when_the_session_grows(pipeline: Pipeline) -> None:
    pipeline.arrive(SAID)
    pipeline.work_off()
    give(pipeline, DOWN)
    assert not give(pipeline, EDIT, 7), "of an answer that is not stored yet"
    pipeline.work_off()
    more = document("s", "u: And the lightest?", "a: The tenor.")["messages"]
    pipeline.arrive({**SAID, "messages": [*SAID["messages"], *more]})
    pipeline.work_off()
    assert learned(pipeline) == {} and "Bell practice is on Mondays." not in recalled(pipeline)
    assert any(it.output == EDIT.text and it.rejected == "The tenor." for it in pipeline.store.examples.of_session("s"))


def test_secrets_in_a_better_answer_are_not_kept(pipeline: Pipeline) -> None:
    give(pipeline, Feedback(Rating.EDIT, "Your wifi password is Blue-Heron-77."))
    assert "Blue-Heron-77" not in pipeline.store.feedback.of_session("s")[3].text


def test_what_was_remembered_in_the_words_of_a_bad_answer_goes(pipeline: Pipeline) -> None:
    pipeline.arrive(SAID)
    pipeline.work_off()
    store = pipeline.store
    stored = store.sessions.get("s")
    memory, rowid = told(pipeline)
    store.memories.add(memory, stored.user, "bell practice is on mondays", [rowid])
    rating.turn_down(store, stored)
    assert store.memories.get("told").text == "Bell practice is on Mondays"
    give(pipeline, DOWN)
    with pytest.raises(AtlesError):
        store.memories.get("told")


def test_a_correction_in_the_chat_stays_turned_down(pipeline: Pipeline) -> None:
    said = document(
        "s", f"u: {ASKED}", "a: Bell practice is on Mondays.", "u: No, bell practice is on Thursdays.",
        "a: Sorry! Bell practice is on Thursdays.",
    )  # fmt: skip
    pipeline.arrive(said)
    pipeline.work_off()
    give(pipeline, UP)
    pipeline.work_off()
    assert learned(pipeline) == {"Bell practice is on Thursdays.": "Bell practice is on Mondays."}
    assert "Bell practice is on Mondays." not in recalled(pipeline)


def test_forgotten_messages_lose_what_was_said_of_them(pipeline: Pipeline) -> None:
    pipeline.arrive(SAID)
    pipeline.work_off()
    give(pipeline, EDIT)
    store = pipeline.store
    with store.transaction():
        forget(store, sessions=["s"])
    assert not store.feedback.of_session("s")
    store.database.settle()
    assert b"Thursdays" not in everything(store)


def test_the_ids_of_answers_survive_scrubbing(pipeline: Pipeline) -> None:
    """Some look like keys; by them the gateway finds what is rated."""
    ids = {"answer": "msg_01XFDUDYJgAACzvnptvVoYEL", "parent": 0}
    said = document("s", "u: My password is Blue-Heron-77.", "a: Noted.")
    said["messages"][1]["metadata"] = {**ids, "note": "sk-ant-REDACTED"}
    marks = {"gateway": "", "chain": "ad7355a438fc59abd73fe14e"}
    clean = pipeline.memory.prepare(Session.of({**said, "metadata": marks}))
    assert clean.metadata == marks and "Heron" not in clean.messages[0].text
    noted = clean.messages[1].raw["metadata"]
    assert {key: noted[key] for key in ids} == ids and noted["note"] == "[API_KEY]"
    other = pipeline.memory.prepare(Session.of(said))
    assert other.messages[1].raw["metadata"]["answer"] == "[API_KEY]", "only of the gateway's own sessions"
