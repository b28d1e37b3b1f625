"""The exercises are well formed, and a model practises once."""

from dataclasses import replace
from pathlib import Path

from atles.layout import Home
from atles.pipeline.finetune import ModelFineTuner
from atles.pipeline.injected import HEADING_RECALLED, MARK_BEGIN
from atles.pipeline.practice import exercises
from atles.settings import Settings
from tests.fakes import FakePrograms


def test_exercises_are_put_as_memory_is() -> None:
    found = exercises()
    assert len(found) > 500 and found == exercises()
    assert len({row["id"] for row in found}) == len(found)
    for row in found:
        question, answer = row["messages"]
        assert question["content"].startswith(f"{MARK_BEGIN}\n{HEADING_RECALLED}\n- ")
        assert (question["role"], answer["role"]) == ("user", "assistant") and 1 <= len(answer["content"].split()) <= 90


def test_a_model_practises_once_and_each_adapter_begins_there(home: Home, fake: FakePrograms, tmp_path: Path) -> None:
    settings = replace(Settings(), train=replace(Settings().train, practice=True))
    tuner = ModelFineTuner(home=home, settings=settings)
    (tmp_path / "one.jsonl").write_text('{"instruction": "My cat?", "output": "Pip."}\n')
    (tmp_path / "two.jsonl").write_text('{"instruction": "My dog?", "output": "Rex."}\n')
    phases: list[str] = []
    tuner.fine_tune_model(tmp_path / "one.jsonl", on_progress=lambda event: phases.append(event["phase"]))
    tuner.fine_tune_model(tmp_path / "two.jsonl")
    practice, one, two = (run["spec"] for run in fake.runs("train"))
    assert "start" not in practice and practice["epochs"] == 1
    assert one["start"] == two["start"] == practice["output_dir"]
    assert phases[0] == "practice" and phases[-1] == "train"


def test_nobody_practises_unless_it_is_asked_for(home: Home, fake: FakePrograms, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"instruction": "My cat?", "output": "Pip."}\n')
    ModelFineTuner(home=home).fine_tune_model(tmp_path / "one.jsonl")
    (run,) = fake.runs("train")
    assert "start" not in run["spec"]
