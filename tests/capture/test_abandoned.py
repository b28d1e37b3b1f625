"""Journals of hosts that were killed or went quiet: every message is handed over, whatever happens in between."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import atles
from atles import SessionTracker
from atles.capture import abandoned
from atles.capture.abandoned import close_abandoned
from atles.capture.journal import journal_path, read
from atles.capture.outbox import hand_over
from atles.capture.session_file import parse
from atles.layout import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


def later() -> float:
    return time.time() + 3600


def words(path: Path) -> list:
    return [message["content"] for message in json.loads(path.read_text(encoding="utf-8"))["messages"]]


def leave(home: Home, session_id: str, *contents: object, metadata: dict | None = None) -> SessionTracker:
    chat = SessionTracker(home=home.root)
    chat.start_session(session_id, metadata)
    for content in contents:
        chat.log_message("user", content)
    return chat


@contextmanager
def background(program: str, root: Path) -> Iterator[None]:
    """A process that runs until the block ends, and is killed then."""
    environment = {**os.environ, "PYTHONPATH": str(Path(atles.__file__).parents[1])}
    command = [sys.executable, "-c", program, str(root)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


def test_a_killed_host_loses_no_message(home):
    program = (
        "import sys, time\n"
        "from atles import SessionTracker\n"
        "chat = SessionTracker(home=sys.argv[1]); chat.start_session('killed', {'app': 'x'})\n"
        "for n in range(50): chat.log_message('user', n)\n"
        "chat.set_metadata('rating', 5)\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    with background(program, home.root):
        pass

    assert close_abandoned(home, 1800) == [], "not idle for long enough"
    assert close_abandoned(home, 1800, now=later) == [home.completed("killed")]

    assert words(home.completed("killed")) == list(range(50))
    session = parse(home.completed("killed").read_bytes(), "completed_killed.json")
    assert session.metadata == {"app": "x", "rating": 5, "closed_by": "idle"}
    assert session.start_time <= session.messages[0].timestamp <= session.messages[-1].timestamp
    assert abs(time.time() - abandoned.datetime.fromisoformat(session.end_time).timestamp()) < 60
    assert list(home.open_sessions.iterdir()) == []
    assert close_abandoned(home, 0, now=later) == []


def test_a_host_that_goes_on_writes_a_longer_session_with_the_same_beginning(home):
    chat = leave(home, "s", "1", "2", metadata={"k": 1})
    [first] = close_abandoned(home, 0, now=later)
    chat.log_message("user", "3")
    assert chat.get_current_session_id() == "s"
    second = chat.end_session()
    assert second is not None
    assert second != first
    short, full = (parse(path.read_bytes(), path.name) for path in (first, second))
    assert full.start_time == short.start_time
    assert [m.id for m in full.messages][:2] == [m.id for m in short.messages]
    assert [m.text for m in full.messages] == ["1", "2", "3"]
    assert full.metadata == {"k": 1}


def test_a_host_killed_after_going_on_loses_nothing_either(home):
    chat = leave(home, "s", "1", "2")
    close_abandoned(home, 0, now=later)
    chat.log_message("user", "3")  # and the host is killed
    [path] = close_abandoned(home, 0, now=later)
    assert words(path) == ["1", "2", "3"]


def test_closing_and_logging_at_the_same_moment_loses_nothing(home):
    """A daemon in another process takes the journal whenever it is idle for a moment, and the host goes on."""
    program = (
        "import sys, time\n"
        "from atles.capture.abandoned import close_abandoned\n"
        "from atles.layout import Home\n"
        "print('ready', flush=True)\n"
        "while True: close_abandoned(Home(sys.argv[1]), 0.02)\n"
    )
    chat, chance, said = leave(home, "s"), random.Random(7), 0
    with background(program, home.root):
        while said < 60 or len(list(home.sessions.glob("completed_s*.json"))) < 5:
            chat.log_message("user", said)
            said += 1
            time.sleep(chance.uniform(0, 0.05))
            assert said < 2000, "the journal was never taken"
    # Both are killed here: what is on disk must be all of it.
    close_abandoned(home, 0, now=later)
    files = list(home.sessions.glob("completed_s*.json"))
    assert all(words(path) == list(range(len(words(path)))) for path in files), "each is a beginning of the next"
    assert max(len(words(path)) for path in files) == said


def test_a_journal_taken_between_opening_and_writing_is_noticed(home, monkeypatch):
    chat = leave(home, "s", "1", "2")
    write, closed = os.write, []

    def interrupted(descriptor: int, data: bytes) -> int:
        if not closed:
            closed.append(None)
            closed.extend(close_abandoned(home, 0, now=later))
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        chat.log_message("user", "3")
    assert words(closed[1]) == ["1", "2"]
    kept = read(journal_path(home, "s").read_bytes())
    assert [message["content"] for message in kept.messages] == ["1", "2", "3"]


@pytest.mark.parametrize("operation", ["hand_over", "unlink"])
def test_a_daemon_killed_in_between_finishes_at_its_next_start(home, monkeypatch, operation):
    leave(home, "s", "1", "2")

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(*((abandoned, "hand_over") if operation == "hand_over" else (Path, "unlink")), kill)
        close_abandoned(home, 0, now=later)
    assert len(list(home.open_sessions.iterdir())) == 1
    [path] = close_abandoned(home, 3600)  # at once: it was found abandoned before
    assert words(path) == ["1", "2"]
    assert list(home.open_sessions.iterdir()) == []


def test_torn_lines_are_skipped_and_said(home, caplog):
    leave(home, "s", "1", "2", "3")
    journal = journal_path(home, "s")
    lines = journal.read_bytes().split(b"\n")
    lines[3] = lines[3][:-5]
    journal.write_bytes(b"\n".join(lines) + b'\n{"message": {"role": "us\n\0\0\0\n\xff\xfe\n[]')
    [path] = close_abandoned(home, 0, now=later)
    assert words(path) == ["1", "3"]
    assert "5 torn lines skipped in the journal of s" in caplog.text


@pytest.mark.parametrize("data", [b"\0\0\0\0", b'\n{"message": {"content": "whose?"}}', b"[1]", b"\xff"])
def test_a_journal_that_names_no_session_goes_to_quarantine_with_the_reason(home, data):
    (home.open_sessions / "lost.jsonl").write_bytes(data)
    leave(home, "good", "1")
    assert close_abandoned(home, 0, now=later) == [home.completed("good")]
    journal, reason = sorted(home.quarantine.iterdir())
    assert journal.read_bytes() == data
    assert reason.name == f"{journal.name}.reason.txt"
    assert "names a session" in reason.read_text()
    assert list(home.open_sessions.iterdir()) == []


def test_a_pipe_among_the_journals_keeps_nobody_waiting(home):
    os.mkfifo(home.open_sessions / "pipe.jsonl")
    leave(home, "good", "1")
    assert close_abandoned(home, 0, now=later) == [home.completed("good")]
    assert list(home.open_sessions.iterdir()) == []
    (reason,) = home.quarantine.glob("pipe.*.reason.txt")
    assert "it is no plain file" in reason.read_text()


def test_a_host_whose_journal_is_a_pipe_goes_on(home, caplog):
    os.mkfifo(journal_path(home, "s"))
    tracker = SessionTracker(home=home.root)
    tracker.start_session("s")
    tracker.log_message("user", "Hello")
    path = tracker.end_session()
    assert path is not None and words(path) == ["Hello"]
    assert "cannot take up" in caplog.text


def test_a_journal_without_a_message_is_removed(home):
    chat = leave(home, "s", metadata={"k": 1})
    (home.open_sessions / "empty.jsonl").touch()
    assert close_abandoned(home, 0, now=later) == []
    assert list(home.open_sessions.iterdir()) == []
    assert list(home.quarantine.iterdir()) == []
    chat.log_message("user", "after all")
    path = chat.end_session()
    assert path is not None
    assert words(path) == ["after all"]


def test_what_cannot_be_written_now_is_closed_later_and_the_rest_at_once(home, monkeypatch, caplog):
    leave(home, "a", "1")
    leave(home, "b", "2")
    real = abandoned.hand_over

    def full(home: Home, session_id: str, text: str) -> Path:
        if session_id == "a":
            raise OSError(28, "No space left on device")
        return real(home, session_id, text)

    with monkeypatch.context() as patch:
        patch.setattr(abandoned, "hand_over", full)
        assert close_abandoned(home, 0, now=later) == [home.completed("b")]
    assert "cannot be closed yet" in caplog.text
    assert close_abandoned(home, 0, now=later) == [home.completed("a")]


def test_without_a_folder_there_is_nothing_to_do(tmp_path):
    assert close_abandoned(Home(tmp_path / "nowhere"), 0) == []


def test_two_files_of_one_session_at_the_same_moment_are_both_there(home):
    """A gateway hands over what was said so far, and all of it at the end."""
    texts = [json.dumps({"session_id": "s", "messages": [{"role": "user", "content": n}]}) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda text: hand_over(home, "s", text), texts))
    assert sorted(path.read_text() for path in set(paths)) == sorted(texts)
