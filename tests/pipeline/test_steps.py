"""One session and many, through the five steps: what is done once, what is tried again, and what the log says."""

import json
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atles.errors import AtlesError, EndpointError
from atles.layout import Home
from atles.pipeline import jobs, release
from atles.pipeline.answer import Answerer
from atles.pipeline.jobs import at_once, train_now
from atles.pipeline.lanes import LEARN
from atles.pipeline.teacher import Teacher
from atles.queue import NewJob
from atles.records import AdapterState, Arrival, Session, Split, Step
from atles.settings import Settings
from tests.fakes import FakePrograms
from tests.fakes.endpoint import FakeModel
from tests.pipeline.conftest import SETTINGS, Pipeline
from tests.samples import EXAMPLES, chat, document

BASE_MODEL = SETTINGS.model.base


def demo_sessions() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(EXAMPLES.glob("*.json"))]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().split("\n") if line]


def test_a_session_becomes_memory_data_and_a_log_entry(pipeline: Pipeline) -> None:
    said = document(
        "s", "u: My pinball machine has a weak left flipper. Please keep it short.",
        "a: Check the coil sleeve of the flipper first.",
    )  # fmt: skip
    assert pipeline.arrive(said) == [Arrival.NEW]
    pipeline.work_off()
    entry = pipeline.log("s")
    memory = pipeline.store.memories.session("s")
    assert memory["preferences"] == ["Please keep it short"] and memory["topics"]
    facts = memory["data"]["facts"]
    assert entry["memory_items_created"] == len(memory["topics"]) + len(facts) + 1
    assert entry["messages_count"] == 2 and entry["errors"] == [] and entry["revision"] == 1
    assert entry["tokens_processed"] == 13 + 9 + 1  # words and punctuation marks
    assert set(entry["seconds"]) == {"memory", "data", "log"}
    assert entry["improvements"][1:] == ["Identified preferences: Please keep it short", "Prepared 3 training examples"]
    assert (entry["fine_tune_applied"], entry["fine_tune_loss"], entry["model_version"]) == (False, None, BASE_MODEL)
    assert entry["training"] == "did not take part yet: 3 of the 16 new examples that a training needs are there"


def test_thirteen_sessions_are_one_training(pipeline: Pipeline, home: Home, fake: FakePrograms) -> None:
    sessions = demo_sessions()
    pipeline.arrive(*sessions)
    pipeline.work_off()
    assert len(fake.runs("train")) == len(fake.runs("evaluate")) == 1
    (adapter,) = pipeline.store.adapters.list()
    assert adapter.state is AdapterState.PROMOTED and pipeline.store.adapters.active()[1] == adapter.name
    splits = {row["session_id"]: row["split"] for row in pipeline.store.sessions.list()}
    assert len(splits) == len(sessions)
    for session_id, split in splits.items():
        entry = pipeline.log(session_id)
        if split == Split.HELDOUT:
            assert "held out" in entry["training"] and entry["fine_tune_applied"] is False
        else:
            assert entry["training"] == f"took part in {adapter.name}, which was promoted"
            assert entry["fine_tune_applied"] is True and entry["fine_tune_loss"] == adapter.train["loss"]
            assert entry["model_version"] == adapter.name
            assert set(entry["seconds"]) == {"memory", "data", "train", "gate", "log"}
    published = lines(home.master_log)
    assert sorted(line["session_id"] for line in published) == sorted(splits)
    assert [line["seq"] for line in published] == sorted({line["seq"] for line in published})
    assert len(list(home.logs.glob("session_log_*.json"))) == len(sessions)
    stats = json.loads(home.stats.read_text())
    assert (stats["sessions_processed"], stats["total_fine_tunes"]) == (len(sessions), 1)
    assert stats["total_messages"] == sum(len(session["messages"]) for session in sessions)


def test_the_training_read_what_the_lineage_says_and_nothing_held_out(pipeline: Pipeline, fake: FakePrograms) -> None:
    pipeline.arrive(*demo_sessions())
    pipeline.work_off()
    (adapter,) = pipeline.store.adapters.list()
    trained = {row["id"]: row["messages"] for row in lines(Path(fake.runs("train")[0]["spec"]["examples"]))}
    judged = {row["id"]: row["messages"] for row in lines(Path(fake.runs("evaluate")[0]["spec"]["heldout"]))}
    lineage = json.loads((Path(adapter.path) / "lineage.json").read_text())
    learned = {row["example_id"]: row["message_id"] for row in lineage["examples"]}
    assert set(trained) <= set(learned)
    kinds = {row["example_id"]: row["kind"] for row in lineage["examples"]}
    answers = [learned[key] for key in trained if kinds[key] != "restated"]
    assert sorted(answers) == sorted({learned[key] for key in learned if kinds[key] != "restated"}), "each answer once"
    asked = [row["ask"] for row in lines(Path(fake.runs("evaluate")[0]["spec"]["general"]))]
    assert asked
    assert trained and judged and not set(trained) & set(judged)
    assert not set(lineage["sessions"]) & set(lineage["heldout_sessions"])
    assert not any(messages in list(trained.values()) for messages in judged.values())
    report = json.loads((Path(adapter.path) / "report.json").read_text())
    assert report["verdict"]["promote"] is True and report["train"]["steps"] == 5 and report["evaluation"]["models"]


def test_a_rejected_candidate_does_not_serve_and_the_log_says_why(pipeline: Pipeline, fake: FakePrograms) -> None:
    fake.scores(candidate=(3.5, 1.0))
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    (adapter,) = pipeline.store.adapters.list()
    assert adapter.state is AdapterState.REJECTED and "did not learn enough" in adapter.reason
    assert pipeline.store.adapters.active()[1] == ""
    entry = pipeline.log("session_001")
    assert entry["training"] == f"took part in {adapter.name}, which was rejected"
    assert entry["model_version"] == BASE_MODEL
    assert any(adapter.reason in line for line in entry["improvements"])


def test_the_next_candidate_is_measured_against_the_active_one(pipeline: Pipeline, fake: FakePrograms) -> None:
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    pipeline.arrive(*(chat(number) for number in range(14, 22)))
    fake.scores(active=(1.0, 1.0), candidate=(1.5, 1.0))
    pipeline.work_off()
    first, second = pipeline.store.adapters.list()
    assert "than the adapter that serves" in second.reason and second.state is AdapterState.REJECTED
    assert pipeline.store.adapters.active()[1] == first.name
    assert fake.runs("evaluate")[1]["spec"]["adapters"].keys() == {"candidate", "active"}


def test_line_separators_in_a_message_do_no_harm(pipeline: Pipeline, fake: FakePrograms) -> None:
    for number in range(1, 14):
        odd = chat(number)
        odd["messages"][1]["content"] += "\u2028next\x85 line\u2029\x0b\x0c\x1c."
        pipeline.arrive(odd)
    pipeline.work_off()
    assert pipeline.queue.dead() == []
    assert pipeline.store.adapters.list()[0].state is AdapterState.PROMOTED


def test_few_sessions_are_not_trained_on(pipeline: Pipeline, fake: FakePrograms) -> None:
    pipeline.arrive(*(chat(number) for number in range(1, 4)))
    pipeline.work_off()
    assert fake.runs("train") == []
    assert pipeline.log("session_001")["training"].startswith("did not take part yet: 6 of the 16 new examples")


def test_what_one_user_said_is_not_trained_into_what_serves_another(home: Home, fake: FakePrograms) -> None:
    sessions = [chat(number) | {"metadata": {"user": "ada" if number % 2 else "bob"}} for number in range(1, 14)]
    pipeline = Pipeline(home, fake)
    pipeline.arrive(*sessions)
    pipeline.work_off()
    assert fake.runs("train") == []
    assert "2 users have sessions here" in pipeline.log("session_001")["training"]
    pipeline.settings = replace(SETTINGS, train=replace(SETTINGS.train, shared=True))
    pipeline.open()
    pipeline.queue.put(train_now())
    pipeline.work_off()
    assert len(fake.runs("train")) == 1


def test_where_training_is_off_nothing_is_rebuilt_either(home: Home, fake: FakePrograms) -> None:
    pipeline = Pipeline(home, fake, replace(SETTINGS, train=replace(SETTINGS.train, enabled=False)))
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.queue.put(NewJob(Step.TRAIN, "rebuild", "train", {"rebuild": True}), at_once())
    pipeline.work_off()
    assert fake.runs("train") == []
    pipeline.queue.put(train_now())
    pipeline.work_off()
    assert len(fake.runs("train")) == 1, "asked for in person"


def test_without_enough_held_out_nothing_is_trained(home: Home, fake: FakePrograms) -> None:
    settings = replace(SETTINGS, gate=replace(SETTINGS.gate, min_heldout=50))
    pipeline = Pipeline(home, fake, settings)
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    assert fake.runs("train") == []
    assert "before more sessions are held out" in pipeline.log("session_001")["training"]


def test_training_can_be_switched_off(home: Home, fake: FakePrograms) -> None:
    pipeline = Pipeline(home, fake, replace(SETTINGS, train=replace(SETTINGS.train, enabled=False)))
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    assert fake.runs("train") == []
    assert pipeline.log("session_001")["training"] == "did not take part: train.enabled is false"


def test_a_session_with_nothing_to_learn_says_so(pipeline: Pipeline) -> None:
    pipeline.arrive(document("s"), document("t", "u: Hello?"))
    pipeline.work_off()
    assert pipeline.log("s")["training"] == "did not take part: it holds nothing to learn from"
    assert pipeline.log("t")["messages_count"] == 1


# --- Sessions that come again ---


def test_a_session_that_grew_brings_only_its_new_examples(pipeline: Pipeline, home: Home, fake: FakePrograms) -> None:
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()
    longer = chat(1)
    longer["messages"] += document("x", "u: Who owns the boat number 1?", "a: Boat number 1 belongs to Ada.")[
        "messages"
    ]
    assert pipeline.arrive(longer) == [Arrival.GROWN]
    pipeline.work_off()
    assert pipeline.store.examples.count_new() == 2, "the question alone, and within its conversation"
    entries = pipeline.store.logs.of_session("session_001")
    assert [entry["revision"] for entry in entries] == [1, 2]
    assert entries[0]["training"].startswith("took part in 0001-")
    assert entries[1]["training"].startswith("did not take part yet: 2 of the 16")
    assert entries[1]["messages_count"] == 6
    assert len(fake.runs("train")) == 1
    assert len(pipeline.store.memories.sessions()) == 13
    (file,) = home.training_data.glob("training_session_001_*.jsonl")
    assert len(lines(file)) == 3, "one file per session: it holds what the shorter one held"


def test_what_holds_no_more_is_no_longer_taught(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(document("a", "u: I live in Leeds and I keep hens.", "a: Nice."))
    pipeline.work_off()
    taught = lambda: {it.output for it in pipeline.store.examples.of_split(Split.TRAIN) if it.kind == "restated"}  # noqa: E731
    assert taught() == {"You live in Leeds.", "You keep hens."}
    pipeline.arrive(document("b", "u: We moved to Bath, so I live in Bath now.", "a: Congratulations."))
    pipeline.work_off()
    assert "You live in Leeds." not in taught() and {"You moved to Bath.", "You keep hens."} <= taught()
    (file,) = home.training_data.glob("training_a_*.jsonl")
    assert "Leeds." not in {line["output"] for line in lines(file)}
    assert [entry["revision"] for entry in pipeline.store.logs.of_session("a")] == [1], "it is logged once"


def test_a_teachers_wordings_are_learned_and_paid_for_once(pipeline: Pipeline) -> None:
    model = FakeModel({"questions": [{"statement": 1, "question": "Which city is mine?", "answer": "Leeds"}]})
    pipeline.context.teacher = Teacher(model)
    pipeline.arrive(document("a", "u: I live in Leeds.", "a: Nice."))
    pipeline.work_off()
    wordings = lambda: {it.instruction for it in pipeline.store.examples.of_session("a") if it.kind == "restated"}  # noqa: E731
    assert {"Which city is mine?", "Where do I live?"} <= wordings()
    pipeline.queue.put(jobs.data_job(pipeline.store.sessions.get("a")))
    pipeline.work_off()
    assert "Which city is mine?" in wordings() and len(model.chats) == 1


def test_a_teacher_that_is_down_is_waited_for_and_then_done_without(pipeline: Pipeline) -> None:
    model = FakeModel(EndpointError("unreachable", "no server answers"))
    pipeline.context.teacher = Teacher(model)
    pipeline.arrive(document("a", "u: I live in Leeds.", "a: Nice."))
    pipeline.work_off()
    assert len(model.chats) == SETTINGS.queue.max_attempts and pipeline.queue.dead() == []
    assert pipeline.store.examples.of_session("a")


def test_the_same_session_again_is_not_learned_again(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(chat(1))
    pipeline.work_off()
    assert pipeline.arrive(chat(1)) == [Arrival.SAME]
    assert pipeline.queue.open() == []
    assert len(lines(home.master_log)) == 1 and len(list(home.processed.iterdir())) == 2


def test_a_session_that_grew_before_it_was_learned_is_learned_once(pipeline: Pipeline, home: Home) -> None:
    longer = chat(1)
    pipeline.arrive({**longer, "messages": longer["messages"][:2]}, longer)
    assert len(pipeline.queue.open()) == 2
    pipeline.work_off()
    assert [line["revision"] for line in lines(home.master_log)] == [2]
    assert pipeline.store.logs.steps("session_001", 1) == {}, "the shorter one was passed over"
    assert pipeline.queue.dead() == []


def test_a_step_that_waits_for_a_session_that_grows_sees_it_grown(pipeline: Pipeline) -> None:
    longer = chat(1)
    pipeline.arrive({**longer, "messages": longer["messages"][:2]})
    step, job = pipeline.steps[Step.MEMORY], pipeline.queue.claim(LEARN)
    assert job
    result, growing = step.work(job), threading.Event()

    def grow() -> None:
        with pipeline.store.transaction():
            assert pipeline.store.sessions.add(Session.of(longer), 5) == (Arrival.GROWN, 2)
            growing.set()
            time.sleep(0.3)  # in which the step comes, and has to wait

    other = threading.Thread(target=grow)
    other.start()
    assert growing.wait(10)
    with pipeline.store.transaction():
        assert step.record(job, result, 0.0) == (), "the newer revision has a job of its own"
    other.join()


def test_a_session_that_grew_while_it_waited_for_a_training_is_not_logged_before_it_is_learned(
    pipeline: Pipeline, home: Home
) -> None:
    longer = chat(1)
    pipeline.arrive({**longer, "messages": longer["messages"][:2]})
    pipeline.work_off()
    pipeline.queue.put(jobs.session_job(Step.LOG, "session_001", 2))  # as the end of a training may put it
    pipeline.arrive(longer)
    pipeline.work_off()
    assert [line["revision"] for line in lines(home.master_log)] == [1, 2]
    assert "Prepared 3 training examples" in pipeline.log("session_001")["improvements"]


def test_a_correction_that_comes_later_takes_the_wrong_answer_back(pipeline: Pipeline, home: Home) -> None:
    wrong = document("s", "u: When is choir?", "a: Choir is on Monday.")
    pipeline.arrive(wrong)
    pipeline.work_off()
    right = document("s", "u: No, on Thursday", "a: Choir is on Thursday.")["messages"]
    pipeline.clock.sleep(60)
    pipeline.arrive({**wrong, "messages": wrong["messages"] + right})
    pipeline.work_off()
    outputs = {example.output for example in pipeline.store.examples.of_split(Split.TRAIN)}
    assert outputs == {"Choir is on Thursday.", "On Thursday."}
    assert not [file for file in home.training_data.rglob("*.jsonl") if "Monday" in file.read_text()]


# --- Steps that fail ---


@pytest.mark.parametrize("step", [Step.MEMORY, Step.DATA, Step.LOG])
def test_a_step_that_fails_once_is_done_once(pipeline: Pipeline, step: Step) -> None:
    pipeline.breaks(step, OSError(28, "No space left on device"), times=1)
    pipeline.arrive(chat(1))
    began = pipeline.clock.slept
    pipeline.work_off()
    assert pipeline.clock.slept - began >= SETTINGS.queue.backoff_seconds
    assert pipeline.queue.dead() == []
    (entry,) = pipeline.store.logs.of_session("session_001")
    assert entry["errors"] == [] and entry["memory_items_created"] > 0
    assert pipeline.store.logs.steps("session_001", 1)[step]["attempts"] == 2
    assert pipeline.store.examples.count_new() == 3 and len(pipeline.store.memories.sessions()) == 1


@pytest.mark.parametrize("step", [Step.MEMORY, Step.DATA])
def test_a_step_that_keeps_failing_is_set_aside_and_the_rest_goes_on(
    pipeline: Pipeline, home: Home, step: Step
) -> None:
    pipeline.breaks(step, RuntimeError("no such luck"))
    pipeline.arrive(chat(1))
    pipeline.work_off()
    (dead,) = pipeline.queue.dead()
    assert (dead.key, dead.attempts) == (f"{step}:session_001#1", 3)
    assert "no such luck" in dead.error
    (entry,) = pipeline.store.logs.of_session("session_001")
    assert len(entry["errors"]) == 1 and entry["errors"][0].startswith(f"{step}: RuntimeError")
    assert step not in entry["seconds"]
    assert len(pipeline.store.memories.sessions()) == (step is not Step.MEMORY)
    assert pipeline.store.examples.count_new() == (0 if step is Step.DATA else 3)
    assert [line["session_id"] for line in lines(home.master_log)] == ["session_001"]


def test_what_cannot_pass_is_not_tried_again(pipeline: Pipeline) -> None:
    pipeline.breaks(Step.MEMORY, AtlesError("no use"))
    pipeline.arrive(chat(1))
    pipeline.work_off()
    assert [dead.attempts for dead in pipeline.queue.dead()] == [1]


def test_the_wait_doubles_with_every_try(pipeline: Pipeline) -> None:
    waits = []
    pipeline.breaks(Step.MEMORY, OSError("x"))
    pipeline.arrive(chat(1))
    for _ in range(3):
        before = pipeline.clock()
        assert pipeline.workers[0].run_one()
        (job,) = [job for job in pipeline.queue.open() if job.kind == Step.MEMORY] or [None]
        if job:
            waits.append(round(job.run_after - before, 1))
            pipeline.clock.until(job.run_after)
    assert waits == [2.0, 4.0]


def test_a_bad_session_does_not_hold_up_the_others(pipeline: Pipeline) -> None:
    runner: Any = pipeline.steps[Step.MEMORY]
    record = runner.record

    def fails_for_one(job: Any, result: Any, seconds: float) -> Any:
        if job.payload["session_id"] == "session_002":
            raise ValueError("this one only")
        return record(job, result, seconds)

    runner.record = fails_for_one
    pipeline.arrive(chat(1), chat(2), chat(3))
    pipeline.work_off()
    assert [len(pipeline.log(f"session_00{n}")["errors"]) for n in (1, 2, 3)] == [0, 1, 0]


def test_a_dead_step_that_is_retried_is_logged_anew(pipeline: Pipeline, home: Home) -> None:
    pipeline.breaks(Step.MEMORY, OSError("full"), times=3)
    pipeline.arrive(chat(1))
    pipeline.work_off()
    assert pipeline.queue.revive() == 1
    pipeline.work_off()
    (entry,) = pipeline.store.logs.of_session("session_001")
    assert entry["errors"] == [] and entry["memory_items_created"] > 0
    assert [bool(line["errors"]) for line in lines(home.master_log)] == [True, False]
    assert json.loads(home.stats.read_text())["sessions_processed"] == 1


def test_a_job_at_which_daemons_die_is_set_aside(pipeline: Pipeline) -> None:
    pipeline.arrive(chat(1))
    for _ in range(3):
        assert pipeline.queue.claim("learn") is not None
        pipeline.open()  # killed, and started again
    pipeline.work_off()
    (dead,) = pipeline.queue.dead()
    assert dead.error == "the daemon died 3 times while doing this: no error seen"
    assert "the daemon died" in pipeline.log("session_001")["errors"][0]
    assert pipeline.store.examples.count_new() == 3, "the steps after it were done"


# --- Trainings that fail ---


def thirteen(pipeline: Pipeline) -> None:
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.work_off()


@pytest.mark.parametrize("program", ["train", "evaluate"])
def test_a_killed_program_is_started_again(pipeline: Pipeline, fake: FakePrograms, program: str) -> None:
    fake.modes(program, "killed", "ok")
    thirteen(pipeline)
    assert len(fake.runs(program)) == 2
    (adapter,) = pipeline.store.adapters.list()
    assert adapter.state is AdapterState.PROMOTED and pipeline.queue.dead() == []
    assert pipeline.log("session_001")["errors"] == []
    assert len(pipeline.store.logs.of_session("session_001")) == 1
    if program == "train":
        assert adapter.train["details"]["resumed_from_step"] == 2


@pytest.mark.parametrize(
    ("mode", "runs", "words"),
    [
        ("killed", 3, "train was ended by SIGKILL"),
        ("out_of_memory", 3, "memory ran out"),
        ("garbage", 3, "ended with code 0"),
        ("silent", 3, "ended with code 0"),
        ("vanish", 3, "something odd"),
        ("nan_loss", 1, "the loss is not a number"),
        ("missing_base", 1, "set model.base"),
    ],
)
def test_a_training_that_cannot_be_done_is_set_aside_and_every_session_says_so(
    pipeline: Pipeline, home: Home, fake: FakePrograms, mode: str, runs: int, words: str
) -> None:
    fake.modes("train", mode)
    thirteen(pipeline)
    assert len(fake.runs("train")) == runs
    (dead,) = pipeline.queue.dead()
    assert dead.kind == Step.TRAIN and words in dead.error
    assert pipeline.store.adapters.list() == [] and pipeline.store.adapters.active()[1] == ""
    entry = pipeline.log("session_001")
    assert (
        len(entry["errors"]) == 1
        and entry["errors"][0].startswith("train: ProgramFailed")
        and words in entry["errors"][0]
    )
    assert entry["training"] == "did not take part: the training failed; its examples wait for the next one"
    assert pipeline.log("session_003")["errors"] == [], "a held-out session waited for no training"
    assert len(lines(home.master_log)) == 13


def test_what_a_failed_training_would_have_learned_the_next_one_learns(pipeline: Pipeline, fake: FakePrograms) -> None:
    fake.modes("train", "nan_loss", "ok")
    thirteen(pipeline)
    pipeline.arrive(chat(14))
    pipeline.work_off()
    (adapter,) = pipeline.store.adapters.list()
    sessions = pipeline.store.examples.dataset(adapter.dataset_id).train_sessions
    assert {"session_001", "session_014"} <= set(sessions)


def test_a_candidate_that_cannot_be_judged_is_rejected(pipeline: Pipeline, fake: FakePrograms) -> None:
    fake.modes("evaluate", "killed")
    thirteen(pipeline)
    (adapter,) = pipeline.store.adapters.list()
    assert adapter.state is AdapterState.REJECTED and "could not be judged" in adapter.reason
    assert pipeline.store.adapters.active()[1] == ""
    entry = pipeline.log("session_001")
    assert entry["errors"][0].startswith("gate: ProgramFailed") and "rejected" in entry["training"]


def test_a_training_that_is_told_to_stop_has_not_failed(pipeline: Pipeline, fake: FakePrograms) -> None:
    fake.modes("train", "slow", "ok")
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    pipeline.context.progress = lambda event: pipeline.stop.set()
    while pipeline.queue.busy("learn"):
        pipeline.clock.until(pipeline.queue.next_due("learn") or 0)
        pipeline.workers[0].run_one()
    pipeline.clock.sleep(10)
    pipeline.workers[1].run_one()
    (job,) = pipeline.queue.open()
    assert (job.kind, job.state, job.attempts) == (Step.TRAIN, "waiting", 0)
    pipeline.stop.clear()
    pipeline.open()
    pipeline.work_off()
    (adapter,) = pipeline.store.adapters.list()
    assert adapter.train["details"]["resumed_from_step"] >= 1
    assert pipeline.log("session_001")["fine_tune_applied"] is True


# --- The files of the log ---


def test_a_torn_last_line_is_mended_and_nothing_is_logged_twice(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(chat(1), chat(2))
    pipeline.work_off()
    whole = home.master_log.read_bytes()
    for torn in (b'{"seq": 3, "session_id": "sess', b"\0\0\0\0", b"{"):
        home.master_log.write_bytes(whole + torn)
        pipeline.queue.put(NewJob("publish", "publish", "learn"))
        pipeline.work_off()
        assert home.master_log.read_bytes() == whole
    home.master_log.write_bytes(whole[:-20])  # the last line itself is torn: it is written again
    pipeline.queue.put(NewJob("publish", "publish", "learn"))
    pipeline.work_off()
    assert home.master_log.read_bytes() == whole
    assert [line["session_id"] for line in lines(home.master_log)] == ["session_001", "session_002"]


def test_a_hole_that_a_power_loss_left_in_the_master_log_is_filled(pipeline: Pipeline, home: Home) -> None:
    """Pages come to the disk in any order: of a line that was never synced the next one may be there without it."""
    pipeline.arrive(chat(1), chat(2), chat(3))
    pipeline.work_off()
    whole = home.master_log.read_bytes()
    first, second, third = whole.splitlines(keepends=True)
    home.master_log.write_bytes(first + bytes(len(second)) + third)
    pipeline.queue.put(NewJob("publish", "publish", "learn"))
    pipeline.work_off()
    assert home.master_log.read_bytes() == whole


def test_a_line_that_somebody_else_wrote_stops_nothing(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(chat(1))
    pipeline.work_off()
    with open(home.master_log, "a") as file:
        file.write("# checked by Ann\n{}\n[]\n" + "x" * 200_000 + "\n")
    pipeline.arrive(chat(2))
    pipeline.work_off()
    ours = [line for line in home.master_log.read_text().splitlines() if '"seq"' in line]
    assert [json.loads(line)["session_id"] for line in ours] == ["session_001", "session_002"]
    assert pipeline.queue.dead() == []


def test_an_entry_of_any_length_is_published_once(pipeline: Pipeline, home: Home) -> None:
    request = "never suggest " + "x" * 400_000
    pipeline.arrive(document("long", f"u: {request}"), chat(1))
    pipeline.work_off()
    pipeline.arrive(chat(2))
    pipeline.work_off()
    assert sorted(line["session_id"] for line in lines(home.master_log)) == ["long", "session_001", "session_002"]


def test_a_lost_log_folder_is_filled_again(pipeline: Pipeline, home: Home) -> None:
    pipeline.arrive(chat(1))
    pipeline.work_off()
    for file in home.logs.iterdir():
        file.unlink()
    home.logs.rmdir()
    pipeline.arrive(chat(2))
    pipeline.work_off()
    assert [line["session_id"] for line in lines(home.master_log)] == ["session_001", "session_002"]


def test_log_files_that_cannot_be_written_now_are_written_later(pipeline: Pipeline, home: Home) -> None:
    home.logs.rmdir()
    home.logs.write_text("in the way")
    pipeline.arrive(chat(1))
    pipeline.work_off()
    assert pipeline.log("session_001")["errors"] == [] and pipeline.queue.dead()[0].kind == "publish"
    home.logs.unlink()
    pipeline.arrive(chat(2))
    pipeline.work_off()
    assert [line["session_id"] for line in lines(home.master_log)] == ["session_001", "session_002"]


def test_the_same_work_after_a_lost_commit_makes_the_same_files(pipeline: Pipeline, home: Home) -> None:
    pipeline.breaks(Step.DATA, sqlite3.OperationalError("database or disk is full"), times=1)
    pipeline.arrive(chat(1))
    pipeline.work_off()
    assert len(list(home.training_data.glob("*.jsonl"))) == len(list(home.chat_data.glob("*.jsonl"))) == 1


def test_rollback_shows_in_the_next_log_entry(pipeline: Pipeline) -> None:
    thirteen(pipeline)
    release.rollback(pipeline.store)
    pipeline.arrive(chat(14))
    pipeline.work_off()
    assert pipeline.log("session_014")["model_version"] == BASE_MODEL


def test_a_home_that_was_moved_still_knows_its_adapter(pipeline: Pipeline, fake: FakePrograms, tmp_path: Path) -> None:
    pipeline.arrive(*demo_sessions())
    pipeline.work_off()
    (adapter,) = pipeline.store.adapters.list()
    moved = Home(pipeline.home.root.rename(tmp_path / "elsewhere"))
    answerer = Answerer(moved, Settings(), pipeline.store, "active", memory=False)
    assert answerer.model_name == adapter.name
    assert answerer.adapter_folder == moved.adapter(adapter.name) and answerer.adapter_folder.is_dir()


def test_a_training_that_is_put_off_holds_no_log_back_and_comes_later(pipeline: Pipeline, fake: FakePrograms) -> None:
    pipeline.context.at_once = False
    waits = ["it is night", "it is night", ""]
    pipeline.steps[Step.TRAIN]._not_now = lambda: waits.pop(0) if waits else ""  # type: ignore[attr-defined]
    pipeline.arrive(*(chat(number) for number in range(1, 14)))
    began = pipeline.clock.slept
    pipeline.work_off()
    assert pipeline.clock.slept - began > 2 * 60 - 2 and len(fake.runs("train")) == 1
    assert pipeline.store.adapters.active()[1]
    entry = pipeline.log("session_001")
    assert entry["training"].startswith("did not take part yet") and not entry["fine_tune_applied"]


def test_now_waits_for_nothing(pipeline: Pipeline, fake: FakePrograms) -> None:
    pipeline.context.at_once = False
    pipeline.steps[Step.TRAIN]._not_now = lambda: "it is night"  # type: ignore[attr-defined]
    pipeline.arrive(*(chat(number) for number in range(1, 8)))
    for worker in 300 * pipeline.workers:
        pipeline.clock.sleep(0.05)
        worker.run_one()
    assert fake.runs("train") == [] and pipeline.log("session_001")
    pipeline.queue.put(train_now())
    for worker in 10 * pipeline.workers:
        worker.run_one()
    assert len(fake.runs("train")) == 1
