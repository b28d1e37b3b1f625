"""Each fault by which an earlier learning daemon lost sessions, done to a real one; docs/reliability.md has the table.

Every test ends alike: what came is learned once, in every place that docs/storage.md names, and the rest is set aside
with the reason. Kills inside each step: tests/chaos/test_kill.py; hosts that die: tests/capture/test_tracker.py.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from atles import SessionTracker, mark_session_complete
from atles.daemon import home_status
from atles.layout import Home
from atles.records import printable
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT, DaemonProcess, idle, until
from tests.faults.disk import BOUND, SmallDisk, read_only, skip_unless_permissions_hold
from tests.faults.outcome import Outcome, examples, listed, outcome
from tests.samples import chat, document, drop, said

pytestmark = pytest.mark.slow

NO_TRAINING = "train.enabled=false"
Cases = Mapping[Any, Future[Any]]


@pytest.fixture
def fake(tmp_path: Path) -> FakePrograms:
    return FakePrograms(tmp_path / "control")


def chats(number: int) -> list[dict[str, Any]]:
    return [chat(n) for n in range(number)]


def ids(sessions: list[dict[str, Any]]) -> list[str]:
    return [session["session_id"] for session in sessions]


def learn_all(home: Home, fake: FakePrograms, sessions: list[str]) -> Outcome:
    """Run a daemon until these are learned and nothing is left to do; what became of them."""
    with DaemonProcess(home, fake, NO_TRAINING) as daemon:
        until(lambda: listed(home) >= set(sessions) and idle(home), "all is learned")
        assert daemon.terminate() == 0
    return outcome(home)


@contextlib.contextmanager
def at_once(run: Callable[..., Any], folders: pytest.TempPathFactory, cases: Collection[Any]) -> Iterator[Cases]:
    """Start `run(folder, case)` for all cases now: they mostly wait, and so they wait together."""
    with ThreadPoolExecutor(len(cases)) as pool:
        yield {case: pool.submit(run, folders.mktemp("case"), case) for case in cases}


# --- The daemon ends ---

ENDS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
DONE = {"none_processed": 0, "after_10_done": 10}


def ended(folder: Path, case: tuple[str, str]) -> Outcome:
    """Of 50 sessions some are done and all others are queued; then the daemon gets a signal, and another one starts."""
    end, done = ENDS[case[1]], DONE[case[0]]
    home, fake, sessions = Home(folder / "home").create(), FakePrograms(folder / "control"), chats(50)
    (fake.control / "pause.json").write_text(json.dumps({"step": "memory", "where": "begin", "after": done}))
    with DaemonProcess(home, fake, NO_TRAINING) as daemon:
        for session in sessions[:done]:
            drop(home, session)
        until(lambda: len(listed(home)) == done, f"{done} are done")
        for session in sessions[done:]:
            drop(home, session)
        until(lambda: home_status(home)["inbox"] == 0, "the others are queued")
        assert home_status(home)["stats"]["sessions_processed"] == done
        daemon.process.send_signal(end)
        if end != signal.SIGKILL:
            until(lambda: "daemon stops" in home.log.read_text(), "it is told to stop")
            (fake.control / "go").touch()
        assert daemon.ended() == (-signal.SIGKILL if end == signal.SIGKILL else 0)
    return learn_all(home, fake, ids(sessions))


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with at_once(ended, tmp_path_factory, list(product(DONE, ENDS))) as cases:
        yield cases


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("done", DONE)
def test_the_daemon_ends_with_50_sessions_queued(ends: Cases, done: str, end: str) -> None:
    ends[done, end].result().nothing_but(ids(chats(50)))


HOST = """
import os, sys, time
import atles

home, seconds, exit_by = sys.argv[1:]
atles.start_daemon(home)
with atles.SessionTracker(home=home) as chat:
    chat.start_session("told")
    chat.log_message("user", "What colour is the boat?")
    chat.log_message("assistant", "It is painted green.")
time.sleep(float(seconds))
if exit_by == "os._exit":
    os._exit(0)
if exit_by == "sys.exit":
    sys.exit(0)
"""
EXITS = ("the_end_of_the_program", "sys.exit", "os._exit")


def host(program: str, *arguments: object, by: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """A chat application in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATLES_")}
    return subprocess.Popen(
        [*by, sys.executable, "-c", program, *map(str, arguments)], env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def exited(folder: Path, case: tuple[str, int]) -> Outcome:
    """A host with a daemon in it ends a session and exits so many seconds later; then another daemon starts."""
    exit_by, seconds = case
    home = Home(folder / "home")
    program = host(HOST, home.root, seconds, exit_by)
    _, errors = program.communicate(timeout=120)
    assert (program.returncode, errors) == (0, "")
    # Its threads end before the interpreter does; else they may abort the process, once in a hundred times.
    assert home.owner.exists() == (exit_by == "os._exit")
    return learn_all(home, FakePrograms(folder / "control"), ["told"])


@pytest.fixture(scope="module")
def exits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with at_once(exited, tmp_path_factory, list(product(EXITS, (1, 7)))) as cases:
        yield cases


@pytest.mark.parametrize("seconds", [1, 7])
@pytest.mark.parametrize("exit_by", EXITS)
def test_the_daemon_is_inside_a_chat_process_that_exits(exits: Cases, exit_by: str, seconds: int) -> None:
    exits[exit_by, seconds].result().nothing_but(["told"])


# --- What comes in: one folder with all of it ---

HELLO = said("u: What colour is the boat?", "a: It is painted green.")
HELLO_LEARNED = [("What colour is the boat?", "It is painted green.")]
WHOLE = json.dumps(document("half_written", messages=HELLO)).encode()

UNREADABLE = {
    "corrupt_json": (b'{"session_id": "bad", "messages": [}', "not JSON"),
    "empty": (b"", "the file is empty"),
    "invalid_utf8": (b'{"session_id": "bad", "messages": [{"role": "user", "content": "caf\xe9"}]}', "is not UTF-8"),
    "half_written_and_its_writer_dies": (WHOLE[:-20], "it is truncated"),
    "messages_null": (b'{"session_id": "bad", "messages": null}', "`messages` is null"),
    "messages_a_string": (b'{"session_id": "bad", "messages": "hello"}', "`messages` is a text"),
    "top_level_list": (json.dumps(HELLO).encode(), "the file holds a list"),
}
TOOLS = [
    *said("u: What is the weather in Pellbridge?"),
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "weather"}}]},
    {"role": "tool", "content": "12 degrees", "tool_call_id": "1"},
    *said("a: It is 12 degrees."),
    *HELLO,
]
PARTS = [
    {"role": "user", "content": [{"type": "text", "text": "What colour is the boat?"}, {"type": "image_url"}]},
    *HELLO[1:],
]
ODD = {
    "content_none_beside_tool_calls": TOOLS,
    "content_a_list_of_parts": PARTS,
    "a_message_without_content": [*HELLO, {"role": "user"}],
    "emoji_in_content": [*HELLO, *said("u: 👩‍🚀🐐", "a: 🚀")],
    "cjk_in_content": [*HELLO, *said("u: 船は何色ですか", "a: 緑色です")],
    "a_lone_surrogate_in_content": [*HELLO, *said("u: half \ud83d an emoji", "a: \udc7e")],
}
MORE_LEARNED = {
    "emoji_in_content": [("👩‍🚀🐐", "🚀")],
    "cjk_in_content": [("船は何色ですか", "緑色です")],
    "a_lone_surrogate_in_content": [("half \ufffd an emoji", "\ufffd")],
}
ODD_IDS = {
    "slash": "a/b", "dots": "../../x", "nul": "nul\0", "300_characters": "x" * 300, "lone_surrogate": "half \ud83d",
    "emoji": "🐐",
}  # fmt: skip
GOOD = chats(20)
AT_FIRST = {*ids(GOOD), *ODD, *map(printable, ODD_IDS.values()), "no_session_id", "byte_order_mark"}
LATER = {"half_written", "again", "growing", "other", *(printable(f"{name} told") for name in ODD_IDS.values())}


@dataclass(frozen=True)
class Folder:
    """A folder that got everything above."""

    home: Home
    at_first: Outcome  # with the unreadable files still waiting, for they might be unfinished
    found: Outcome
    after_restart: Outcome
    in_one_second: list[str]
    log: str


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait as long as it may take. Whether it came is for the tests to say, each for its own row."""
    with contextlib.suppress(AssertionError):
        until(condition, "it came")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("folder")
    home, fake = Home(root / "home").create(), FakePrograms(root / "control")
    settings = (NO_TRAINING, "daemon.settle_seconds=3600", "daemon.poll_seconds=0.5")

    def put(name: str, data: Any, age: float = 0.0) -> Path:
        path = home.sessions / f"completed_{name}.json"
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    # The bad ones are the oldest, so they are met first.
    bad = [put(name, data, age=600) for name, (data, _) in UNREADABLE.items()]
    slow = put("half_written", WHOLE[:-20], age=600)
    for number, (label, name) in enumerate(ODD_IDS.items()):
        put(f"odd_{number}_{label}", {**document("", messages=HELLO), "session_id": name})
    for name, messages in ODD.items():
        put(name, document(name, messages=messages))
    put("no_session_id", {"messages": HELLO})
    put("byte_order_mark", b"\xef\xbb\xbf" + json.dumps(document("byte_order_mark", messages=HELLO)).encode())
    for session in GOOD:
        drop(home, session)
    with DaemonProcess(home, fake, *settings) as daemon:
        wait_for(lambda: listed(home) >= AT_FIRST)
        at_first = outcome(home)
        slow.write_bytes(WHOLE)
        for path in bad:
            os.utime(path, (time.time() - 7200, time.time() - 7200))
        started = five_in_one_second(home)
        for name in ODD_IDS.values():
            with SessionTracker(home=home.root) as tracker:
                tracker.start_session(f"{name} told")
                tell(tracker, HELLO)
        more = said("u: And where does it lie?", "a: At pier 3.", "u: Whose is it?", "a: Odette's.")
        for number in range(3):
            mark_session_complete("again", {"messages": HELLO}, home=home.root)
            mark_session_complete("growing", {"messages": HELLO + more[: 2 * number]}, home=home.root)
            mark_session_complete(
                "other", {"messages": HELLO if number == 0 else more[2 * number - 2 :]}, home=home.root
            )
        wait_for(lambda: listed(home) >= {*AT_FIRST, *LATER, *started} and idle(home))
        assert daemon.terminate() == 0
    found = outcome(home)
    with DaemonProcess(home, fake, *settings) as daemon:
        assert daemon.terminate() == 0
    return Folder(home, at_first, found, outcome(home), started, home.log.read_text())


def tell(tracker: SessionTracker, messages: list[dict[str, Any]]) -> None:
    for message in messages:
        tracker.log_message(message["role"], message["content"])


def five_in_one_second(home: Home) -> list[str]:
    trackers = [SessionTracker(home=home.root) for _ in range(5)]
    started = [tracker.start_session() for tracker in trackers]
    for number, tracker in enumerate(trackers):
        tell(tracker, chat(100 + number)["messages"])
        tracker.end_session()
    return started


def test_20_good_sessions_among_all_that_follows(folder: Folder) -> None:
    folder.at_first.once(ids(GOOD))
    folder.found.once(ids(GOOD))
    assert folder.after_restart == folder.found


@pytest.mark.parametrize("row", UNREADABLE)
def test_an_unreadable_file_is_set_aside_and_holds_nobody_up(folder: Folder, row: str) -> None:
    name, (data, reason) = f"completed_{row}.json", UNREADABLE[row]
    assert name in folder.at_first.waiting and folder.at_first.remembered[ids(GOOD)[-1]] == 1
    assert reason in folder.found.set_aside[name] and name not in folder.found.waiting
    assert (folder.home.quarantine / name).read_bytes() == data
    assert f"quarantined {name}: " in folder.log


def test_half_written_and_completed_later(folder: Folder) -> None:
    assert "completed_half_written.json" in folder.at_first.waiting
    folder.found.once(["half_written"])
    assert examples(folder.home, "half_written") == HELLO_LEARNED


@pytest.mark.parametrize("row", ["byte_order_mark", "no_session_id", *ODD])
def test_an_odd_session_is_learned(folder: Folder, row: str) -> None:
    folder.at_first.once([row])
    expected = HELLO_LEARNED + MORE_LEARNED.get(row, [])
    assert set(expected) <= set(examples(folder.home, row))
    assert folder.found.entries[row]["messages_count"] == len(ODD.get(row, HELLO))


@pytest.mark.parametrize("writer", ["file", "tracker"])
@pytest.mark.parametrize("row", ODD_IDS)
def test_an_odd_id_is_learned_and_stays_in_the_home(folder: Folder, row: str, writer: str) -> None:
    name = printable(ODD_IDS[row] if writer == "file" else f"{ODD_IDS[row]} told")
    folder.found.once([name])
    assert examples(folder.home, name) == HELLO_LEARNED
    assert {path.name for path in folder.home.root.parent.iterdir()} == {"home", "control"}


def test_5_sessions_started_in_one_second(folder: Folder) -> None:
    assert len(set(folder.in_one_second)) == 5
    folder.found.once(folder.in_one_second)
    assert [examples(folder.home, name)[0][0] for name in folder.in_one_second] == [
        f"What colour is the boat number {number}?" for number in range(100, 105)
    ]


def test_the_same_id_three_times_with_the_same_content(folder: Folder) -> None:
    folder.found.once(["again"], sent=3)
    assert folder.found.entries["again"]["messages_count"] == 2


def test_the_same_id_three_times_and_longer_each_time(folder: Folder) -> None:
    folder.found.once(["growing"], sent=3)
    entry = folder.found.entries["growing"]
    assert (entry["messages_count"], entry["revision"]) == (6, 3)
    assert len(examples(folder.home, "growing")) >= 3


def test_the_same_id_three_times_with_other_content(folder: Folder) -> None:
    folder.found.once(["other"])
    assert examples(folder.home, "other") == HELLO_LEARNED
    reasons = [reason for name, reason in folder.found.set_aside.items() if name.startswith("completed_other")]
    assert len(reasons) == 2
    assert all("is stored already, with another messages[0]; give this one an id of its own" in it for it in reasons)
    assert "session 'other' is stored already" in folder.log


def test_nothing_is_left_over(folder: Folder) -> None:
    assert folder.found.waiting == []
    assert set(folder.found.remembered) == {*AT_FIRST, *LATER, *folder.in_one_second}
    assert len(folder.found.set_aside) == len(UNREADABLE) + 2


def test_system_first_and_two_user_turns_in_a_row(home: Home, fake: FakePrograms) -> None:
    """Their answers are learned, each after its question; and a session that gave nothing was not "fine-tuned" on."""
    drop(home, document("nothing", "s: You are brief.", "u: Hello?", "u: Anybody?"))
    for n in range(6):
        drop(home, document(f"system_{n}", "s: You are brief.", f"u: What colour is boat {n}?", f"a: Colour {n}."))
        drop(home, document(f"twice_{n}", "u: One moment.", f"u: Where is boat {n}?", f"a: At pier {n}."))
    with DaemonProcess(home, fake, "train.min_new_examples=4", "gate.min_heldout=1") as daemon:
        until(lambda: len(listed(home)) == 13 and idle(home), "all are learned")
        assert daemon.terminate() == 0
    found = outcome(home)
    found.nothing_but([*(f"{kind}_{number}" for kind in ("system", "twice") for number in range(6)), "nothing"])
    assert examples(home, "system_2") == [("What colour is boat 2?", "Colour 2.")]
    assert examples(home, "twice_3") == [("One moment.\n\nWhere is boat 3?", "At pier 3.")]
    taught = {
        name
        for adapter in home.adapters.iterdir()
        for name in json.loads((adapter / "lineage.json").read_text())["sessions"]
    }
    applied = {name for name, entry in found.entries.items() if entry["fine_tune_applied"]}
    assert applied and applied <= taught, "only those that an adapter has examples of"
    assert examples(home, "nothing") == [] and "nothing" not in applied
    assert found.entries["nothing"]["training"] == "did not take part: it holds nothing to learn from"


def test_50_mb_file(home: Home, fake: FakePrograms) -> None:
    """Half of it is what a tool found, half are long answers."""
    long, messages = "on boats and bees " * 1160, []
    for number in range(1250):
        messages += said(f"u: Look up boat {number}.", f"t: {number} {long}", f"a: That was boat {number}.")
        messages += said(f"u: What of the boat {number}?", f"a: Boat {number} goes {long}")
    path = drop(home, document("huge", messages=messages))
    assert path.stat().st_size > 50_000_000
    with DaemonProcess(home, fake, NO_TRAINING) as daemon:
        until(lambda: listed(home) and idle(home), "it is learned", 240)
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text())
        assert daemon.terminate() == 0
    outcome(home).nothing_but(["huge"])
    assert len(examples(home, "huge")) == 1250
    assert int(peak) / 1024 < 400, "MiB; it holds the session a few times, and never all of its training data"


# --- Two daemons ---


def test_two_daemons_started_at_once_on_one_backlog(home: Home, fake: FakePrograms) -> None:
    sessions = chats(50)
    for session in sessions:
        drop(home, session)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: DaemonProcess(home, fake, NO_TRAINING), range(2))
    with first, second:
        winner, loser = (first, second) if first.started else (second, first)
        assert winner.started and not loser.started
        assert f"a daemon (pid {winner.pid}) works on" in loser.errors()
        assert loser.ended() != 0
        until(lambda: len(listed(home)) == 50 and idle(home), "all are learned")
        assert winner.terminate() == 0
    outcome(home).nothing_but(ids(sessions))


def test_two_daemons_while_sessions_come(home: Home, fake: FakePrograms) -> None:
    sessions = chats(12)
    with DaemonProcess(home, fake, NO_TRAINING) as first:
        for begin in range(0, 12, 4):
            for session in sessions[begin : begin + 4]:
                drop(home, session)
            with DaemonProcess(home, fake, NO_TRAINING) as second:
                assert not second.started and second.ended() != 0
        until(lambda: len(listed(home)) == 12 and idle(home), "all are learned")
        assert first.terminate() == 0
    outcome(home).nothing_but(ids(sessions))


# --- The disk ---

QUICK = (NO_TRAINING, "daemon.poll_seconds=0.2", "queue.backoff_seconds=0.05", "queue.lease_seconds=1")
A_FEW_TRIES = 1.5  # seconds; with more of them nothing would fail less
SECRET = "sk-proj-4fQ8zLr2VnX7mKc9TgWbYh3d"  # a file that holds one is not moved, but written anew without it
READ_ONLY: dict[str, tuple[Callable[[Home], list[Path]], str]] = {
    "sessions": (lambda home: [home.sessions], "cannot move completed_session_"),
    "processed": (lambda home: [home.processed], "cannot move completed_session_"),
    "training_data": (lambda home: [home.training_data], "data:session_"),
    "logs": (lambda home: [home.logs], "publish: "),
    "the_whole_home": (
        lambda home: [home.root, *(path for path in home.root.rglob("*") if path.is_dir())],
        "cannot move completed_session_",
    ),
}


@contextlib.contextmanager
def asleep(daemon: DaemonProcess) -> Iterator[None]:
    """So that it does not see what is done to its home one by one."""
    daemon.process.send_signal(signal.SIGSTOP)
    yield
    daemon.process.send_signal(signal.SIGCONT)


def barred(folder: Path, row: str) -> Outcome:
    """A folder becomes read-only under a daemon; that one is killed, another one starts; the folder is mended."""
    skip_unless_permissions_hold(folder / "probe")
    home, fake = Home(folder / "home").create(), FakePrograms(folder / "control")
    secret = document("session_secret", f"u: My key is {SECRET}. What is it for?", "a: For the boat.")
    sessions, (folders, complaint) = [*chats(4), secret], READ_ONLY[row]
    with contextlib.ExitStack() as later:
        with DaemonProcess(home, fake, *QUICK, by=BOUND) as daemon:
            with asleep(daemon):
                for session in sessions:
                    drop(home, session)
                later.enter_context(read_only(*folders(home)))
            until(lambda: complaint in home.log.read_text(), "it says so")
            time.sleep(A_FEW_TRIES)
            (line, *_) = [line for line in home.log.read_text().splitlines() if complaint in line]
            assert "Permission denied" in line and str(folders(home)[0]) in line
            outcome(home).at_most_once()
            daemon.kill()
        with DaemonProcess(home, fake, *QUICK, by=BOUND) as daemon:
            if row == "the_whole_home":
                assert not daemon.started and "Permission denied" in daemon.errors()
            time.sleep(A_FEW_TRIES)
            outcome(home).at_most_once()
            later.close()
            if daemon.started:
                until(lambda: listed(home) >= set(ids(sessions)) and idle(home), "all is learned without a restart")
                assert daemon.terminate() == 0
    found = learn_all(home, fake, ids(sessions))
    assert SECRET not in "".join(path.read_text() for path in home.processed.iterdir())
    return found


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with at_once(barred, tmp_path_factory, READ_ONLY) as cases:
        yield cases


@pytest.mark.parametrize("row", READ_ONLY)
def test_a_folder_is_read_only(bars: Cases, row: str) -> None:
    bars[row].result().nothing_but([*ids(chats(4)), "session_secret"])


TALKER = """
import sys
from atles import SessionTracker

with SessionTracker(home=sys.argv[1]) as chat:
    chat.start_session("told")
    chat.log_message("user", "What colour is the boat?")
    chat.log_message("assistant", "It is painted green.")
print("told", flush=True)
sys.stdin.readline()
"""


def test_the_whole_home_is_read_only_from_the_start(home: Home, fake: FakePrograms, tmp_path: Path) -> None:
    """Nothing crashes in a host, and what it was told comes into the home as soon as that can be written to."""
    skip_unless_permissions_hold(tmp_path / "probe")
    with read_only(*READ_ONLY["the_whole_home"][0](home)):
        program = host(TALKER, home.root, by=BOUND)
        assert program.stdout and program.stdout.readline() == "told\n"
        run = [*BOUND, sys.executable, "-m", "atles", "--home", str(home.root), "run"]
        command = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
        assert command.returncode == 1
        assert command.stderr == f"atles: Permission denied: {home.lock}\n"
    _, errors = program.communicate("\n", timeout=60)
    assert program.returncode == 0 and "kept in memory, written later" in errors and "Traceback" not in errors
    learn_all(home, fake, ["told"]).nothing_but(["told"])


# The guard stops learning in time. Without it, or where a disk fills in between, writing itself fails.
GUARD = {"with_the_guard": "disk.learn_mb=1", "without_it": "disk.learn_mb=0"}
MOMENTS = [*product(["20_sessions_come"], GUARD), *product(["memory", "data", "log", "publish"], ["without_it"])]


def crammed(folder: Path, case: tuple[str, str]) -> Outcome:
    """The disk is full for a while: when sessions come, or from within a step on."""
    moment, guard = case
    fake = FakePrograms(folder / "control")
    with SmallDisk(folder / "disk") as disk:
        home, sessions = Home(disk.folder / "home").create(), chats(20)
        if moment != "20_sessions_come":
            (fake.control / "pause.json").write_text(json.dumps({"step": moment, "where": "begin"}))
        with DaemonProcess(home, fake, *QUICK, GUARD[guard]) as daemon:
            if moment == "20_sessions_come":
                with contextlib.ExitStack() as later:
                    with asleep(daemon):
                        for session in sessions[:10]:
                            drop(home, session)
                        later.enter_context(disk.full())
                    for session in sessions[10:]:
                        with SessionTracker(home=home.root) as tracker:
                            tracker.start_session(session["session_id"])
                            tell(tracker, session["messages"])
                    time.sleep(A_FEW_TRIES)
            else:
                for session in sessions:
                    drop(home, session)
                until((fake.control / "paused").exists, f"the {moment} step begins")
                with disk.full():
                    (fake.control / "go").touch()
                    time.sleep(A_FEW_TRIES)
            until(lambda: listed(home) >= set(ids(sessions)) and idle(home), "all is learned without a restart")
            assert daemon.terminate() == 0
        return outcome(home)


@pytest.fixture(scope="module")
def crammed_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with at_once(crammed, tmp_path_factory, MOMENTS) as cases:
        yield cases


@pytest.mark.parametrize("guard", GUARD)
def test_the_disk_is_full_when_20_sessions_come(crammed_disks: Cases, guard: str) -> None:
    """Half of them through trackers, which keep them in memory, half as files."""
    crammed_disks["20_sessions_come", guard].result().nothing_but(ids(chats(20)))


@pytest.mark.parametrize("step", ["memory", "data", "log", "publish"])
def test_the_disk_gets_full_while_a_step_runs(crammed_disks: Cases, step: str) -> None:
    crammed_disks[step, "without_it"].result().nothing_but(ids(chats(20)))
