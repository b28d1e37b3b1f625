"""The tracker, as a chat application sees it: nothing is lost, and nothing ever raises."""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import atles
from atles import SessionTracker, mark_session_complete
from atles.capture import outbox, tracker
from atles.capture.journal import journal_path, read
from atles.capture.session_file import parse
from atles.layout import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def stored(path: Path | None) -> dict:
    assert path is not None
    return json.loads(path.read_text(encoding="utf-8"))


def words(path: Path | None) -> list:
    return [message["content"] for message in stored(path)["messages"]]


def host(program: str, *arguments: object, background: bool = False):
    """Run a chat application in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(atles.__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    if background:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=20)


def wait_for(condition, seconds: float = 5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_a_session_becomes_a_completed_file_and_leaves_no_journal(home):
    chat = SessionTracker(home=home.root)
    assert chat.start_session("s1", {"app": "demo"}) == "s1"
    chat.log_message("user", "Hello", {"lang": "en"})
    chat.log_message("assistant", "Hi there!")
    chat.set_metadata("rating", 5)
    assert (chat.get_current_session_id(), chat.get_message_count()) == ("s1", 2)
    assert journal_path(home, "s1").exists()

    path = chat.end_session()

    assert path == home.sessions / "completed_s1.json"
    session = stored(path)
    assert list(session) == ["session_id", "start_time", "end_time", "messages", "metadata"]
    assert session["metadata"] == {"app": "demo", "rating": 5}
    first = session["messages"][0]
    assert {**first, "timestamp": ""} == {
        "role": "user", "content": "Hello", "timestamp": "", "metadata": {"lang": "en"},
    }  # fmt: skip
    assert session["start_time"] <= first["timestamp"] <= session["end_time"]
    assert "metadata" not in session["messages"][1]
    assert (chat.get_current_session_id(), chat.get_message_count(), chat.end_session()) == (None, 0, None)
    assert list(home.open_sessions.iterdir()) == []


def test_a_new_session_ends_the_one_in_progress(home):
    chat = SessionTracker(home=home.root)
    chat.start_session("a")
    chat.log_message("user", "1")
    chat.start_session("b")
    assert words(home.completed("a")) == ["1"]
    assert chat.get_message_count() == 0


def test_the_with_block_ends_the_session_also_when_it_fails(home):
    with pytest.raises(ZeroDivisionError), SessionTracker(home=home.root) as chat:
        chat.log_message("user", "1")
        session_id = chat.get_current_session_id()
        raise ZeroDivisionError
    assert words(home.completed(session_id)) == ["1"]


def test_ids_of_the_same_second_differ(home):
    ids = [SessionTracker(home=home.root).start_session() for _ in range(300)]
    assert len(set(ids)) == 300
    assert all(len(i) == len("session_20261123_205006_") + 8 for i in ids)


def test_parts_tool_calls_and_unknown_keys_are_kept(home):
    chat = SessionTracker(home=home.root)
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    calls = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    chat.log_message("user", parts)
    chat.log_message("assistant", None, tool_calls=calls)
    chat.log_message("tool", {"seen": 1}, tool_call_id="c1", name="look")
    first, second, third = stored(chat.end_session())["messages"]
    assert first["content"] == parts
    assert second["content"] is None
    assert second["tool_calls"] == calls
    assert (third["content"], third["tool_call_id"], third["name"]) == ({"seen": 1}, "c1", "look")


def test_the_host_may_change_what_it_logged(home):
    chat, parts = SessionTracker(home=home.root), [{"type": "text", "text": "before"}]
    chat.log_message("user", parts)
    parts[0]["text"] = "after"
    assert words(chat.end_session()) == [[{"type": "text", "text": "before"}]]


def test_what_json_cannot_hold_is_kept_as_text_with_a_warning(home, caplog):
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    circle: list = [1]
    circle.append(circle)
    chat = SessionTracker(home=home.root)
    chat.log_message("user", [b"bytes", {1, 2}, float("nan"), Broken(), circle, 10**6000, {(1, 2): "pair"}])
    chat.log_message("user", "half an emoji \ud83d", {"when": time})
    odd, half = stored(chat.end_session())["messages"]
    assert odd["content"][:3] == ["b'bytes'", "{1, 2}", "nan"]
    assert "Broken" in odd["content"][3]
    assert odd["content"][4] == [1, "[1, [...]]"]
    assert int(odd["content"][5], 16) == 10**6000
    assert odd["content"][6] == {"(1, 2)": "pair"}
    assert half["content"] == "half an emoji \ud83d"
    assert "module 'time'" in half["metadata"]["when"]
    assert "bytes" in caplog.text


def test_the_objects_of_chat_clients_are_kept_as_data(home, caplog):
    class ToolCall:  # as pydantic models do
        def model_dump(self, mode: str) -> dict:
            assert mode == "json"
            return {"id": "c1", "function": {"name": "look"}}

    chat = SessionTracker(home=home.root)
    chat.start_session("s", metadata=["not", "a", "mapping"])  # type: ignore[arg-type]
    chat.log_message("assistant", None, tool_calls=[ToolCall()])
    session = stored(chat.end_session())
    assert session["messages"][0]["tool_calls"] == [{"id": "c1", "function": {"name": "look"}}]
    assert session["metadata"] == {"metadata": ["not", "a", "mapping"]}
    assert caplog.text == ""


@pytest.mark.parametrize("session_id", ["../../etc/passwd", "a/b", "nul\0", "x" * 300, "\ud83d", "..", " "])
def test_any_session_id_stays_in_the_folder_and_comes_back(home, session_id):
    chat = SessionTracker(home=home.root)
    assert chat.start_session(session_id) == session_id
    chat.log_message("user", "hi")
    assert journal_path(home, session_id).exists()
    path = chat.end_session()
    assert path.parent == home.sessions
    assert stored(path)["session_id"] == session_id


def test_a_completed_file_is_never_overwritten(home):
    chat = SessionTracker(home=home.root)
    for word in ("one", "two"):
        chat.start_session("same")
        chat.log_message("user", word)
        chat.end_session()
    files = sorted(home.sessions.glob("completed_same*.json"), key=lambda path: path.stat().st_mtime_ns)
    assert [words(path) for path in files] == [["one"], ["two"]]


def test_a_thousand_trackers_in_sixteen_threads(home):
    def work(number: int) -> None:
        for _ in range(50):
            chat = SessionTracker(home=home.root)
            chat.start_session(metadata={"thread": number})
            for word in range(3):
                chat.log_message("user", f"{chat.get_current_session_id()} {word}")
            chat.end_session()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = list(home.sessions.glob("completed_*.json"))
    assert len(files) == 800
    for path in files:
        session = stored(path)
        assert words(path) == [f"{session['session_id']} {word}" for word in range(3)]


def test_one_tracker_in_sixteen_threads_keeps_every_message_and_each_threads_order(home):
    chat = SessionTracker(home=home.root)
    chat.start_session("shared")

    def work(number: int) -> None:
        for position in range(50):
            chat.log_message("user", [number, position])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journaled = [message["content"] for message in read(journal_path(home, "shared").read_bytes()).messages]
    assert journaled == words(chat.end_session())
    assert sorted(journaled) == [[number, position] for number in range(16) for position in range(50)]
    for number in range(16):
        assert [p for n, p in journaled if n == number] == list(range(50))


def test_the_sessions_in_progress_are_ended_at_exit(home):
    host(
        """
        import sys
        from atles import SessionTracker
        for name in "ab":
            chat = SessionTracker(home=sys.argv[1]); chat.start_session(name); chat.log_message("user", name)
        """,
        home.root,
    )
    assert [words(home.completed(name)) for name in "ab"] == [["a"], ["b"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_leaves_its_parents_session_alone(home):
    answer = host(
        """
        import os, sys
        from atles import SessionTracker
        chat = SessionTracker(home=sys.argv[1]); chat.start_session("parent"); chat.log_message("user", "1")
        if os.fork() == 0:
            assert chat.get_current_session_id() is None
            chat.start_session("child"); chat.log_message("user", "of the child")
            sys.exit()
        os.wait()
        print(os.path.exists(chat.home.completed("parent")))
        chat.log_message("user", "2")
        """,
        home.root,
    )
    assert answer.stdout.strip() == "False"
    assert words(home.completed("parent")) == ["1", "2"]
    assert words(home.completed("child")) == ["of the child"]


def test_a_killed_session_goes_on_under_the_same_id(home):
    process = host(
        """
        import sys, time
        from atles import SessionTracker
        chat = SessionTracker(home=sys.argv[1]); chat.start_session("s", {"app": "x"})
        chat.log_message("user", "1"); chat.log_message("assistant", "2")
        print("ready", flush=True); time.sleep(60)
        """,
        home.root,
        background=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    began = read(journal_path(home, "s").read_bytes()).start_time

    chat = SessionTracker(home=home.root)
    chat.start_session("s", {"again": True})
    assert chat.get_message_count() == 2
    chat.log_message("user", "3")
    kept = read(journal_path(home, "s").read_bytes())
    assert [message["content"] for message in kept.messages] == ["1", "2", "3"]
    path = chat.end_session()
    assert words(path) == ["1", "2", "3"]
    assert stored(path)["start_time"] == began
    assert stored(path)["metadata"] == {"app": "x", "again": True}


def test_without_a_folder_everything_is_kept_and_written_once_there_is_one(home, caplog, monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.05)
    home.root.write_text("a file where the home should be")
    chat = SessionTracker(home=home.root)
    with caplog.at_level(logging.WARNING, "atles.tracker"):
        chat.start_session("early")
        for number in range(20):
            chat.log_message("user", number)
        assert chat.end_session() is None
        chat.start_session("late")
        chat.log_message("user", "still here")
    assert len(caplog.records) == 1, "one cause, one line"

    home.root.unlink()
    path = wait_for(lambda: home.completed("early").exists() and home.completed("early"))
    assert words(path) == list(range(20))
    chat.log_message("user", "and on")
    assert [m["content"] for m in read(journal_path(home, "late").read_bytes()).messages] == [
        "still here", "and on",
    ]  # fmt: skip
    assert words(chat.end_session()) == ["still here", "and on"]


def test_the_next_call_writes_what_waits(home, monkeypatch):
    monkeypatch.setattr(outbox, "_keep_trying", lambda: None)  # a thread that slept would outlive the test
    home.root.write_text("a file where the home should be")
    chat = SessionTracker(home=home.root)
    chat.log_message("user", "1")
    session_id = chat.get_current_session_id()
    assert chat.end_session() is None
    home.root.unlink()
    SessionTracker(home=home.root).end_session()
    assert words(home.completed(session_id)) == ["1"]


def test_a_host_that_is_out_of_threads_is_not_disturbed(home, monkeypatch):
    def no_more_threads(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    home.root.write_text("a file where the home should be")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        patch.setattr(outbox, "_thread", None)
        assert mark_session_complete("s", {}, home=home.root) is None
    home.root.unlink()
    SessionTracker(home=home.root).end_session()
    assert home.completed("s").exists()


def test_a_broken_home_keeps_no_other_home_waiting(home, tmp_path, monkeypatch):
    monkeypatch.setattr(outbox, "_keep_trying", lambda: None)  # a thread that slept would outlive the test
    broken, mended = tmp_path / "broken", tmp_path / "mended"
    for root in (broken, mended):
        root.write_text("")
        assert mark_session_complete("s", {}, home=root) is None
    mended.unlink()
    outbox.retry()
    assert Home(mended).completed("s").exists()
    broken.unlink()
    outbox.retry()
    assert Home(broken).completed("s").exists()


def test_what_cannot_be_written_at_exit_is_said(tmp_path):
    (tmp_path / "home").write_text("")
    answer = host(
        """
        import sys
        from atles import SessionTracker
        chat = SessionTracker(home=sys.argv[1]); chat.start_session("gone"); chat.log_message("user", "1")
        """,
        tmp_path / "home",
    )
    assert "session gone could not be written before exit: it is lost" in answer.stderr


def test_what_waits_is_tried_once_more_at_exit(home):
    home.root.write_text("a file where the home should be")
    host(
        """
        import os, sys
        from atles import mark_session_complete
        mark_session_complete("s", {"messages": [{"role": "user", "content": "1"}]}, home=sys.argv[1])
        os.unlink(sys.argv[1])
        """,
        home.root,
    )
    assert words(home.completed("s")) == ["1"]


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_on_a_full_disk_nothing_is_lost_torn_or_doubled(home):
    """A limit on file size fails as a full disk does: a part of the write, then an error."""
    answer = host(
        """
        import json, resource, sys, time
        from atles import SessionTracker
        from atles.capture import outbox
        from atles.capture.journal import journal_path, read
        outbox.RETRY_SECONDS = 0.05

        def disk(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        def journaled():
            recorded = read(journal_path(chat.home, "s").read_bytes())
            return len(recorded.messages), recorded.torn

        chat = SessionTracker(home=sys.argv[1])
        chat.start_session("s")
        disk(4096)
        for number in range(100):
            chat.log_message("user", f"message {number} " + "x" * 100)
        print(*journaled())
        disk(resource.RLIM_INFINITY)
        chat.log_message("user", "message 100 ")
        print(*journaled())
        disk(4096)
        print(chat.end_session())
        disk(resource.RLIM_INFINITY)
        while not chat.home.completed("s").exists(): time.sleep(0.01)
        """,
        home.root,
    )
    full, mended, ended = answer.stdout.splitlines()
    assert 0 < int(full.split()[0]) < 100
    assert full.split()[1] == "1", "the line that the disk cut"
    assert mended == "101 1"
    assert ended == "None"
    assert [word.split()[1] for word in words(home.completed("s"))] == [str(n) for n in range(101)]
    assert not list(home.sessions.glob(".*")), "no temporary file is left"


def test_a_removed_folder_is_made_again_with_the_whole_session(home):
    import shutil

    chat = SessionTracker(home=home.root)
    chat.start_session("s", {"k": 1})
    chat.log_message("user", "1")
    shutil.rmtree(home.root)
    chat.log_message("user", "2")
    kept = read(journal_path(home, "s").read_bytes())
    assert ([message["content"] for message in kept.messages], kept.metadata) == (["1", "2"], {"k": 1})


def test_mark_session_complete_keeps_every_key(home):
    data = {"messages": [{"role": "user", "content": "hi"}], "metadata": {"a": 1}, "model": "x", "session_id": "?"}
    path = mark_session_complete("given", data, home=home.root)
    assert path == home.completed("given")
    assert {**stored(path), "start_time": 0, "end_time": 0} == {
        **data, "session_id": "given", "start_time": 0, "end_time": 0,
    }  # fmt: skip
    assert parse(path.read_bytes(), path.name).messages[0].text == "hi"


def test_the_convenience_functions_share_one_tracker(home, monkeypatch):
    monkeypatch.setenv("ATLES_HOME", str(home.root))
    monkeypatch.setattr(tracker, "_default", None)
    assert atles.start_tracked_session("s", {"app": "x"}) == "s"
    atles.track_user_message("Hello")
    atles.track_assistant_message([{"type": "text", "text": "Hi"}], {"model": "m"})
    assert atles.get_tracker() is atles.get_tracker()
    path = atles.end_tracked_session()
    assert [message["role"] for message in stored(path)["messages"]] == ["user", "assistant"]


def test_the_daemon_is_started_once_per_home_and_its_failure_only_logged(home, tmp_path, monkeypatch, caplog):
    calls = tmp_path / "calls"
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexit 3\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    for _ in range(2):
        SessionTracker(auto_start_daemon=True, home=home.root)
    wait_for(lambda: "exit code 3" in caplog.text)
    assert calls.read_text().splitlines() == [f"-m atles --home {home.root} start"]

    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    SessionTracker(auto_start_daemon=True, home=tmp_path / "other")
    assert "cannot start the daemon" in caplog.text


def test_the_import_pulls_in_nothing_heavy():
    answer = host("import sys; from atles import SessionTracker; print(*sys.modules)")
    loaded = set(answer.stdout.split())
    assert "atles.capture.tracker" in loaded
    heavy = {"json", "logging", "tempfile", "inspect", "dataclasses", "subprocess", "asyncio", "sqlite3"}
    assert loaded & heavy == set()
    ours = {name for name in loaded if name.startswith("atles.")}
    assert ours <= {
        "atles.clock", "atles.layout", "atles.capture", "atles.capture.tracker", "atles.capture.open_session",
        "atles.capture.journal", "atles.capture.outbox", "atles.capture.plain",
    }  # fmt: skip
