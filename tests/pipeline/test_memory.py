"""What memory adds to a question."""

from pathlib import Path

from atles.pipeline.memory import MemoryProcessor
from tests.samples import session


def test_an_answer_that_the_user_corrected_is_not_recalled(tmp_path: Path) -> None:
    memory = MemoryProcessor(tmp_path / "atles.db")
    lines = ("u: When is choir practice?", "a: Choir practice is on Tuesday.")
    memory.process_session(session("s", *lines))
    assert "Tuesday" in " ".join(hit.text for hit in memory.recall("choir practice"))
    memory.process_session(session("s", *lines, "u: No, it's on Thursday", "a: Choir practice is on Thursday."))
    said = " ".join(hit.text for hit in memory.recall("choir practice"))
    assert "Thursday" in said and "Tuesday" not in said
