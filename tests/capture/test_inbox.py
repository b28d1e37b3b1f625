"""The sessions/ folder: what is taken, what is set aside and why, and what happens on a disk that fails."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atles.capture.inbox import Inbox, unread
from atles.capture.quarantine import restore
from atles.errors import StoreError
from atles.layout import Home, is_session_file, write_atomic
from atles.pipeline.lanes import open_queue
from atles.pipeline.scrub import scrub_session
from atles.queue import NewJob, Queue
from atles.records import Arrival, Session
from atles.settings import Settings
from atles.store import Store
from atles.store.sqlite import SQLite
from tests.samples import chat, document, drop

SETTLE_SECONDS = 10.0


class Clock:
    """Unix time, ahead of the files' by as much as told: a file written now has been lying there that long."""

    def __init__(self) -> None:
        self.ahead = SETTLE_SECONDS + 1

    def __call__(self) -> float:
        import time

        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(store: Store) -> Queue:
    return open_queue(store, Settings())


@pytest.fixture
def make(home: Home, store: Store, queue: Queue, clock: Clock) -> Callable[[], Inbox]:
    """Makes an inbox, as a new daemon would."""

    def first_job(session: Session, revision: int) -> NewJob:
        return NewJob("memory", f"memory:{session.session_id}#{revision}", "learn")

    return lambda: Inbox(
        home, store, queue, first_job, heldout_every=5, settle_seconds=SETTLE_SECONDS,
        scrub=lambda session: scrub_session(session)[0], clock=clock,
    )  # fmt: skip


@pytest.fixture
def inbox(make: Callable[[], Inbox]) -> Inbox:
    return make()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())


def write(home: Home, data: bytes, name: str = "completed_bad.json") -> Path:
    path = home.sessions / name
    path.write_bytes(data)
    return path


def test_a_session_is_stored_queued_and_moved(inbox: Inbox, home: Home, store: Store, queue: Queue) -> None:
    path = drop(home, chat(1))
    assert inbox.waiting()
    assert inbox.take(path) is Arrival.NEW
    assert [job.key for job in queue.open()] == ["memory:session_001#1"]
    assert store.sessions.get("session_001").session.messages[0].text.startswith("What colour")
    assert names(home.sessions) == [] and names(home.processed) == ["completed_session_001.json"]
    assert not inbox.waiting()
    assert inbox.take(path) is None, "an event that comes late"


def test_the_same_again_is_moved_beside_the_first_and_not_queued(inbox: Inbox, home: Home, queue: Queue) -> None:
    inbox.take(drop(home, chat(1)))
    assert inbox.take(drop(home, chat(1))) is Arrival.SAME
    assert len(queue.open()) == 1
    assert names(home.processed) == ["completed_session_001.2.json", "completed_session_001.json"]


@pytest.mark.parametrize("keep_raw", [False, True])
def test_what_is_learned_lies_under_its_sessions_name(inbox: Inbox, home: Home, keep_raw: bool) -> None:
    """Whatever its file was called: forgetting looks for it there."""
    inbox._keep_raw = keep_raw
    inbox.take(drop(home, chat(1), "weird"))
    inbox.take(drop(home, {**chat(1), "messages": [*chat(1)["messages"], *chat(2)["messages"]]}, "odd"))
    assert names(home.processed) == ["completed_session_001.2.json", "completed_session_001.json"]
    assert json.loads((home.processed / "completed_session_001.json").read_text()) == chat(1), "as it came"
    inbox.take(drop(home, {**chat(1), "messages": chat(2)["messages"]}, "weird"))
    assert names(home.quarantine) == ["completed_weird.json", "completed_weird.json.reason.txt"]


@pytest.mark.parametrize("given", [{}, {"session_id": None}, {"session_id": ""}])
def test_a_file_that_did_not_say_whose_it_is_says_so_then(inbox: Inbox, home: Home, given: dict[str, Any]) -> None:
    nameless = {key: value for key, value in chat(1).items() if key != "session_id"} | given
    for _ in range(2):
        inbox.take(drop(home, nameless, "a b"))
    found = [json.loads((home.processed / name).read_text()) for name in names(home.processed)]
    assert [it["session_id"] for it in found] == ["a b"], "the second was the same, so one is enough"
    assert home.completed("a b").name == names(home.processed)[0] and found[0]["messages"] == chat(1)["messages"]


@pytest.mark.parametrize("nameless", [False, True])
@pytest.mark.parametrize(("where", "operation"), [(os, "link"), (Path, "unlink")])
def test_a_crash_between_commit_and_move_teaches_nothing_twice(
    make: Callable[[], Inbox],
    home: Home,
    store: Store,
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    operation: str,
    nameless: bool,
) -> None:
    path = drop(home, {"messages": chat(1)["messages"]} if nameless else chat(1), "session_001")

    def killed(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(where, operation, killed)
        make().take(path)
    (left,) = home.sessions.glob("completed_*.json")
    assert make().waiting() and make().take(left) is Arrival.SAME
    assert len(queue.open()) == 1 and len(store.sessions.list()) == 1 and names(home.sessions) == []
    assert [name for name in names(home.processed) if not name.endswith(".tmp")] == [path.name]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"{]", "line 1, column 2: not JSON"),
        (b'{"messages": [{"role": "user", "content": "hel', "it is truncated"),
        (b'{"messages": [', "it is truncated"),
        (b"\x00\x01\x02", "not JSON"),
        (b'{"messages": [], "x": "caf\xe9"}', "is not UTF-8"),
        ('{"messages": []}'.encode("utf-16"), "is not UTF-8"),
        (b'[{"role": "user", "content": "a"}]', "the file holds a list"),
        (b"null", "the file holds null"),
        (b"7", "the file holds a number"),
        (b"{}", "`messages` is missing"),
        (b'{"messages": null}', "`messages` is null"),
        (b'{"messages": {}}', "`messages` is an object"),
        (b'{"messages": ["hi"]}', "messages[0] is a text"),
        (b'{"messages": [null]}', "messages[0] is null"),
        (b'{"messages": [], "session_id": []}', "`session_id` is a list"),
        (b'{"messages": [], "metadata": "x"}', "`metadata` is a text"),
        (b'{"messages": ' + b"[" * 100_000, "nested"),
        (b'{"messages": [], "metadata": {"n": ' + b"9" * 10_000 + b"}}", "a number is too long"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_what_is_no_session_is_set_aside_with_the_reason(
    inbox: Inbox, home: Home, store: Store, queue: Queue, data: bytes, words: str
) -> None:
    good = drop(home, chat(1))
    assert inbox.take(write(home, data)) is None
    assert inbox.take(good) is Arrival.NEW, "the rest goes on"
    assert names(home.quarantine) == ["completed_bad.json", "completed_bad.json.reason.txt"]
    assert (home.quarantine / "completed_bad.json").read_bytes() == data
    assert words in (home.quarantine / "completed_bad.json.reason.txt").read_text()
    assert names(home.sessions) == [] and len(store.sessions.list()) == len(queue.open()) == 1


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": None}], [{"role": "user", "content": ["a", {"type": "text", "text": "b"}]}],
        [{"role": "user", "content": 42}], [{"role": "wizard", "content": "a"}], [{"content": "a"}], [{"role": "user"}],
        [{"role": None, "content": {}}], [{}], [], [{"role": "user", "content": "half \ud83d \x00"}],
        [{"role": "user", "content": "x", "deep": [[[[[[1]]]]]]}], [{"role": "user", "content": float("inf")}],
    ],
    ids=ascii,
)  # fmt: skip
def test_what_can_be_understood_is_taken(inbox: Inbox, home: Home, messages: list[Any]) -> None:
    path = write(home, json.dumps(document("odd", messages=messages)).encode())
    assert inbox.take(path) is Arrival.NEW
    assert names(home.quarantine) == []


@pytest.mark.parametrize(
    "session_id", ["a/b", "../../../etc/x", "nul\0", "x" * 300, "half \ud83d", "..", "漢字", "a b\nc", 7, 1.5, None, ""]
)
def test_any_id_is_taken_and_stays_inside_the_home(inbox: Inbox, home: Home, store: Store, session_id: Any) -> None:
    data = {**document("x", "u: a"), "session_id": session_id}
    assert inbox.take(write(home, json.dumps(data).encode(), "completed_given.json")) is Arrival.NEW
    (row,) = store.sessions.list()
    assert row["session_id"] == "given" if session_id in (None, "") else row["session_id"]
    outside = [entry for entry in home.root.parent.iterdir() if entry != home.root]
    assert [entry.name for entry in outside] == []


def test_a_byte_order_mark_does_no_harm(inbox: Inbox, home: Home) -> None:
    assert inbox.take(write(home, b"\xef\xbb\xbf" + json.dumps(chat(1)).encode())) is Arrival.NEW


def test_a_file_that_is_still_being_written_is_left_alone(inbox: Inbox, home: Home, clock: Clock) -> None:
    whole = json.dumps(chat(1)).encode()
    clock.ahead = 0
    path = write(home, whole[:50], "completed_slow.json")
    assert inbox.take(path) is None
    assert path.exists() and inbox.waiting()
    path.write_bytes(whole)
    assert inbox.take(path) is Arrival.NEW


def test_a_file_that_stays_torn_is_set_aside_in_the_end(inbox: Inbox, home: Home, clock: Clock) -> None:
    path = write(home, b'{"messages": [')
    clock.ahead = SETTLE_SECONDS - 2
    assert inbox.take(path) is None and path.exists()
    clock.ahead = SETTLE_SECONDS + 2
    assert inbox.take(path) is None and not path.exists()
    assert len(names(home.quarantine)) == 2


def test_a_torn_file_from_the_future_is_not_waited_for(inbox: Inbox, home: Home) -> None:
    path = write(home, b"{")
    os.utime(path, (4e9, 4e9))
    inbox.take(path)
    assert not path.exists() and not inbox.waiting()


def test_another_history_under_a_known_id_is_set_aside(inbox: Inbox, home: Home, store: Store) -> None:
    inbox.take(drop(home, chat(1)))
    other = document("session_001", "u: Something else", "a: entirely")
    assert inbox.take(drop(home, other)) is None
    (reason,) = home.quarantine.glob("*.reason.txt")
    assert "is stored already, with another messages[0]; give this one an id of its own" in reason.read_text()
    assert len(store.sessions.get("session_001").session.messages) == 4


@pytest.mark.parametrize("more", [(), ("u: And the hens?", "a: Well.")])
def test_what_was_forgotten_does_not_come_back_with_a_session_that_is_sent_again(
    inbox: Inbox, home: Home, store: Store, more: tuple[str, ...]
) -> None:
    told = ("u: I owe Quillfeather money", "a: How much?")
    inbox.take(drop(home, document("a", *told)))
    (row, *_) = store.sessions.message_rows(store.sessions.number("a"))
    store.sessions.forget_messages([row["rowid"]], "2026-01-01T00:00:00+00:00")
    (home.processed / "completed_a.json").unlink()
    inbox.take(drop(home, document("a", *told, *more)))
    (kept,) = home.processed.glob("completed_a*.json")
    assert "Quillfeather" not in kept.read_text() and len(json.loads(kept.read_text())["messages"]) == 2 + len(more)


def test_two_bad_files_of_one_name_are_both_kept(inbox: Inbox, home: Home) -> None:
    for data in (b"{", b"["):
        inbox.take(write(home, data))
    assert names(home.quarantine) == [
        "completed_bad.2.json", "completed_bad.2.json.reason.txt",
        "completed_bad.json", "completed_bad.json.reason.txt",
    ]  # fmt: skip


def test_what_was_set_aside_can_be_brought_back(inbox: Inbox, home: Home) -> None:
    inbox.take(write(home, b"{"))
    (home.quarantine / "completed_bad.json").write_text(json.dumps(chat(1)))
    assert inbox.take(restore(home, "completed_bad.json")) is Arrival.NEW
    assert names(home.quarantine) == []
    with pytest.raises(FileNotFoundError):
        restore(home, "completed_none.json")


def block(folder: Path) -> None:
    """Put a file where the folder was: nothing can be moved there, whoever asks."""
    folder.rmdir()
    folder.write_text("in the way")


def test_a_file_that_cannot_be_moved_is_learned_once_and_moved_later(
    inbox: Inbox, make: Callable[[], Inbox], home: Home, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    block(home.processed)
    path = drop(home, chat(1))
    assert inbox.take(path) is Arrival.NEW
    for _ in range(3):
        assert inbox.take(path) is None
    assert path.exists() and not inbox.waiting() and len(queue.open()) == 1
    assert len([record for record in caplog.records if "cannot move" in record.message]) == 1
    assert make().take(path) is Arrival.SAME, "after a restart"
    home.processed.unlink()
    inbox.take(path)
    assert names(home.processed) == ["completed_session_001.json"] and len(queue.open()) == 1


def test_a_scrubbed_copy_does_not_stay_for_every_try_to_remove_the_file(
    inbox: Inbox, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where sessions/ is read-only, and processed/ is not."""
    path = drop(home, document("told", "u: My key is sk-proj-4fQ8zLr2VnX7mKc9TgWbYh3d.", "a: I see."))

    def refused(file: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        for _ in range(3):
            inbox.take(path)
            assert names(home.processed) == [] and path.exists()
    inbox.take(path)
    assert names(home.processed) == ["completed_told.json"] and names(home.sessions) == []


def test_a_file_that_could_not_be_moved_and_is_written_anew_is_read_anew(inbox: Inbox, home: Home) -> None:
    block(home.processed)
    path = drop(home, chat(1))
    inbox.take(path)
    longer = chat(1)
    longer["messages"] += document("x", "u: And more?", "a: More.")["messages"]
    drop(home, longer)
    assert inbox.take(path) is Arrival.GROWN


def test_a_bad_file_that_cannot_be_set_aside_never_counts_as_learned(inbox: Inbox, home: Home) -> None:
    block(home.quarantine)
    path = write(home, b"{")
    for _ in range(2):
        assert inbox.take(path) is None
    assert path.exists() and names(home.processed) == []
    home.quarantine.unlink()
    inbox.take(path)
    assert names(home.quarantine) == ["completed_bad.json", "completed_bad.json.reason.txt"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_on_a_full_disk_the_file_stays_and_is_learned_later(inbox: Inbox, home: Home, store: Store) -> None:
    assert isinstance(store.database, SQLite)
    connection = store.database._connection
    connection.execute(f"pragma max_page_count = {connection.execute('pragma page_count').fetchone()[0]}")
    path = drop(home, document("big", "u: " + "words and words " * 20_000))
    with pytest.raises(StoreError, match="full"):
        inbox.take(path)
    assert path.exists() and inbox.waiting() and store.sessions.list() == []
    connection.execute("pragma max_page_count = 1000000")
    assert inbox.take(path) is Arrival.NEW


def test_a_file_that_cannot_be_read_stays(
    inbox: Inbox, home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = drop(home, chat(1))
    with monkeypatch.context() as patch:
        patch.setattr("atles.capture.inbox.open_plain", refused)
        for _ in range(3):
            assert inbox.take(path) is None
        assert not inbox.waiting(), "nobody is to wait for it"
        assert unread(home) == {path.name: "Permission denied"}
    assert path.exists() and caplog.text.count(f"cannot read {path.name}") == 1
    assert inbox.take(path) is Arrival.NEW and unread(home) == {}


def test_fifty_megabytes_are_taken(inbox: Inbox, home: Home, store: Store) -> None:
    lines = [f"{'ua'[n % 2]}: message {n} " + "on boats and bees " * 580 for n in range(5_000)]
    path = drop(home, document("huge", *lines))
    assert path.stat().st_size > 50_000_000
    assert inbox.take(path) is Arrival.NEW
    assert store.sessions.list()[0]["message_count"] == 5_000
    assert names(home.sessions) == []


@pytest.mark.parametrize("called", ["s", "weird"])
def test_a_kill_between_the_scrubbed_file_and_the_end_of_the_raw_one_leaves_one_file(
    inbox: Inbox, make: Callable[[], Inbox], home: Home, monkeypatch: pytest.MonkeyPatch, called: str
) -> None:
    path = drop(home, document("s", "u: My key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD", "a: Hm."), called)

    class Killed(BaseException):
        """Nothing catches it."""

    unlink = Path.unlink

    def killed(file: Path, missing_ok: bool = False) -> None:
        if file.parent == home.sessions and is_session_file(file.name):
            raise Killed
        unlink(file, missing_ok)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "unlink", killed)
        inbox.take(path)
    (left,) = home.sessions.glob("completed_*.json")
    assert names(home.processed) == ["completed_s.json"]
    assert make().take(left) is Arrival.SAME
    assert names(home.processed) == ["completed_s.json"] and names(home.sessions) == []
    assert "sk-proj" not in (home.processed / "completed_s.json").read_text()


def test_a_link_is_taken_and_what_it_leads_to_is_left_as_it_is(inbox: Inbox, home: Home, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(chat(1)))
    bad.write_text("not a session")
    for file in (good, bad):
        file.chmod(0o644)
        link = home.sessions / f"completed_{file.name}"
        link.symlink_to(file)
        inbox.take(link)
    assert names(home.processed) == ["completed_session_001.json"] and "completed_bad.json" in names(home.quarantine)
    assert good.stat().st_mode & 0o777 == bad.stat().st_mode & 0o777 == 0o644
    assert json.loads(good.read_text()) == chat(1) and bad.read_text() == "not a session"


def test_what_is_no_file_is_set_aside_and_nobody_waits_for_it(inbox: Inbox, home: Home) -> None:
    folder, pipe = home.sessions / "completed_folder.json", home.sessions / "completed_pipe.json"
    folder.mkdir()
    (folder / "mine.txt").write_text("thesis")
    os.mkfifo(pipe)
    for path in (folder, pipe):
        inbox.take(path)
    assert not inbox.waiting()
    aside = home.quarantine / folder.name
    assert (aside / "mine.txt").read_text() == "thesis" and (home.quarantine / pipe.name).exists()
    assert (home.quarantine / f"{folder.name}.reason.txt").read_text() == "it is no file\n"
    assert restore(home, folder.name) == folder and folder.is_dir()


def test_a_link_that_leads_nowhere_is_set_aside_when_its_file_had_time_to_come(
    inbox: Inbox, home: Home, clock: Clock, tmp_path: Path
) -> None:
    link = home.sessions / "completed_link.json"
    link.symlink_to(tmp_path / "gone.json")
    clock.ahead = 0
    assert inbox.take(link) is None and link.is_symlink()
    clock.ahead = SETTLE_SECONDS + 1
    assert inbox.take(link) is None and not inbox.waiting()
    assert "what it leads to is not there" in (home.quarantine / f"{link.name}.reason.txt").read_text()
    assert inbox.take(home.sessions / "completed_never.json") is None
    assert names(home.quarantine) == [f"{link.name}.reason.txt"]


# --- a writer that goes on while its file is taken ---


def rewritten(home: Home, path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch, *, at: str = "claim") -> None:
    """The next time that a file is about to be moved, its writer puts another in its place."""
    from atles.capture import inbox as module

    real = getattr(module, at)

    def late(*given: Any) -> Any:
        monkeypatch.setattr(module, at, real)
        write_atomic(path, data)
        return real(*given)

    monkeypatch.setattr(module, at, late)


@pytest.mark.parametrize("told", [(), ("u: My key is sk-proj-4fQ8zLr2VnX7mKc9TgWbYh3d.",)])
def test_a_session_that_grows_while_its_file_is_taken_loses_nothing(
    inbox: Inbox, home: Home, store: Store, monkeypatch: pytest.MonkeyPatch, told: tuple[str, ...]
) -> None:
    path = drop(home, document("s", "u: One", "a: Two", *told))
    longer = json.dumps(document("s", "u: One", "a: Two", *told, "u: Three", "a: Four")).encode()
    rewritten(home, path, longer, monkeypatch)
    assert inbox.take(path) is Arrival.NEW
    assert inbox.waiting() and path.read_bytes() == longer and names(home.processed) == []
    assert inbox.take(path) is Arrival.GROWN and not inbox.waiting()
    assert store.sessions.list()[0]["message_count"] == 4 + len(told)
    assert names(home.sessions) == [] and len(names(home.processed)) == 1


def test_a_good_file_that_takes_the_place_of_a_bad_one_is_learned(
    inbox: Inbox, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(home, b"{", "completed_session_001.json")
    rewritten(home, path, json.dumps(chat(1)).encode(), monkeypatch)
    assert inbox.take(path) is None and names(home.quarantine) == []
    assert inbox.take(path) is Arrival.NEW


def test_what_comes_under_its_name_while_a_file_is_claimed_stays_and_both_are_taken(
    inbox: Inbox, home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"messages": chat(1)["messages"]}  # no id: the file's name is all that says whose it is
    longer = {"messages": [*chat(1)["messages"], *chat(2)["messages"]]}
    path = drop(home, {"messages": chat(1)["messages"][:2]}, "s")
    rewritten(home, path, json.dumps(longer).encode(), monkeypatch, at="give_back")
    rewritten(home, path, json.dumps(given).encode(), monkeypatch)
    inbox.take(path)
    found = sorted(home.sessions.glob("completed_*.json"))
    assert len(found) == 2 and path in found
    for it in found:
        inbox.take(it)
    (row,) = store.sessions.list()
    assert (row["session_id"], row["message_count"]) == ("s", 8) and names(home.sessions) == []


def test_what_was_forgotten_while_its_file_could_not_be_moved_is_not_in_it_then(
    inbox: Inbox, home: Home, store: Store
) -> None:
    block(home.processed)
    path = drop(home, document("a", "u: I owe Quillfeather money, key sk-proj-4fQ8zLr2VnX7mKc9TgWbYh3d", "a: Hm."))
    inbox.take(path)
    (row, *_) = store.sessions.message_rows(store.sessions.number("a"))
    store.sessions.forget_messages([row["rowid"]], "2026-01-01T00:00:00+00:00")
    home.processed.unlink()
    inbox.take(path)
    assert names(home.sessions) == []
    assert "Quillfeather" not in (home.processed / "completed_a.json").read_text()


SECRET = "sk-ant-api03-AAAABBBBCCCCDDDDEEEEFFFF1111222233334444"


@pytest.mark.parametrize(
    "data",
    [
        f'{{"session_id": "e", "app_config": {{"api_key": "{SECRET}"}}, "messages": []}}',
        f'{{"session_id": "e", "messages": [{{"content": "{SECRET}"}}], "messages": []}}',
        f'{{"session_id": "e", "messages": [{{"content": "{SECRET}", "content": "Hello"}}]}}',
        f'{{"session_id": "{SECRET}", "session_id": "e", "start_time": null, "end_time": null, "messages": [], '
        '"metadata": {}}',
    ],
)
def test_what_is_no_part_of_the_session_is_not_kept(inbox: Inbox, home: Home, data: str) -> None:
    assert inbox.take(write(home, data.encode(), "completed_e.json")) is Arrival.NEW
    assert SECRET not in (home.processed / "completed_e.json").read_text()


@pytest.mark.parametrize("half", ["", " \ud83d"])
def test_the_trackers_files_and_those_of_json_dumps_are_kept_as_they_are(home: Home, inbox: Inbox, half: str) -> None:
    from atles import SessionTracker

    tracker = SessionTracker(home=home.root)
    tracker.start_session("t", {"user": "änn"})
    for words in ("Grüße," + half, "and\n\n,\nmore"):
        tracker.log_message("user", words)
    path = tracker.end_session()
    assert path is not None
    for it in (path, drop(home, document("d", "u: Grüße" + half, 'a: ",\n"'))):
        written = it.stat().st_ino
        inbox.take(it)
        assert (home.processed / it.name).stat().st_ino == written


# --- what else may lie there ---


@pytest.mark.parametrize("sent", ["a", "b"])
def test_a_pipe_in_processed_keeps_nobody_waiting(inbox: Inbox, home: Home, sent: str) -> None:
    os.mkfifo(home.processed / "completed_a.json")
    data = document("a", "u: My key is sk-proj-4fQ8zLr2VnX7mKc9TgWbYh3d.", "a: I see.")
    assert inbox.take(drop(home, data, sent)) is Arrival.NEW
    assert names(home.processed) == ["completed_a.2.json"]


def test_a_link_that_leads_to_itself_is_set_aside(inbox: Inbox, home: Home) -> None:
    link = home.sessions / "completed_loop.json"
    link.symlink_to(link.name)
    inbox.take(link)
    assert not inbox.waiting() and (home.quarantine / link.name).is_symlink() and not link.is_symlink()


def test_a_file_that_is_far_too_large_is_set_aside_unread(
    inbox: Inbox, home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(home, b"", "completed_large.json")
    os.truncate(path, 3 << 30)
    clock.ahead = 0
    assert inbox.take(path) is None and path.exists(), "it may still be written"
    clock.ahead = SETTLE_SECONDS + 1
    inbox.take(path)
    assert (home.quarantine / path.name).stat().st_size == 3 << 30
    assert "larger than 256 MiB" in (home.quarantine / f"{path.name}.reason.txt").read_text()


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_bad_file_with_the_longest_name_is_set_aside_under_a_shorter_one(
    inbox: Inbox, home: Home, letter: str
) -> None:
    for _ in range(2):
        path = write(home, b"{", f"completed_{letter * (240 // len(letter.encode()))}.json")
        inbox.take(path)
    aside = [name for name in names(home.quarantine) if not name.endswith(".reason.txt")]
    assert len(aside) == 2 and all(is_session_file(name) for name in aside) and names(home.sessions) == []
    assert len(names(home.quarantine)) == 4


def test_a_good_file_with_the_longest_name_is_learned_under_it(inbox: Inbox, home: Home, store: Store) -> None:
    path = drop(home, {"messages": chat(1)["messages"]}, "x")
    path = path.rename(home.sessions / f"completed_{'x' * 240}.json")
    assert inbox.take(path) is Arrival.NEW
    assert store.sessions.list()[0]["session_id"] == "x" * 240 and names(home.sessions) == []


def test_what_has_another_name_elsewhere_keeps_its_rights_and_is_a_file_of_its_own_here(
    inbox: Inbox, home: Home, tmp_path: Path
) -> None:
    for name, data in (("session_001", json.dumps(chat(1))), ("bad", "{")):
        (other := tmp_path / name).write_text(data)
        other.chmod(0o644)
        os.link(other, home.sessions / f"completed_{name}.json")
        inbox.take(home.sessions / f"completed_{name}.json")
        assert other.stat().st_mode & 0o777 == 0o644 and other.read_text() == data
    kept = home.processed / "completed_session_001.json"
    assert kept.stat().st_mode & 0o777 == 0o600 and json.loads(kept.read_text()) == chat(1)
    assert names(home.quarantine) == ["completed_bad.json", "completed_bad.json.reason.txt"]
