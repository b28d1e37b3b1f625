"""The monitor: at once by events, within a few seconds without them, and never stopped by one bad file."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atles.capture import monitor as monitor_module
from atles.capture.monitor import Monitor
from atles.capture.outbox import bring_in, hand_over
from atles.layout import Home, write_atomic

NEVER = 3600.0
linux_only = pytest.mark.skipif(not hasattr(monitor_module, "_ArrivalEmitter"), reason="needs inotify")


class Seen(list):
    """The file names that were offered, with the time and the thread."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.threads: set[int] = set()

    def __call__(self, path: Path) -> None:
        self.times.append(time.monotonic())
        self.threads.add(threading.get_ident())
        self.append(path.name)

    def wait(self, name: str, seconds: float = 3.0) -> float:
        wait_for(lambda: name in self, seconds)
        return self.times[self.index(name)]


def wait_for(condition: Callable[[], object], seconds: float = 3.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@contextmanager
def watching(folder: Path, on_file: Callable[[Path], None], poll_seconds: float = NEVER) -> Iterator[Monitor]:
    monitor = Monitor(folder, on_file, poll_seconds)
    monitor.start()
    wait_for(lambda: monitor._watch is not None or monitor._troubles)
    try:
        yield monitor
    finally:
        monitor.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def no_events(monkeypatch):
    def limit_reached() -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(monitor_module, "_new_observer", limit_reached)


def test_a_renamed_file_is_noticed_at_once(folder):
    seen = Seen()
    with watching(folder, seen):
        for number in range(10):
            wrote = time.monotonic()
            write_atomic(folder / f"completed_{number}.json", "{}")
            assert seen.wait(f"completed_{number}.json") - wrote < 0.2
    assert sorted(set(seen)) == sorted(f"completed_{number}.json" for number in range(10))
    assert len(seen.threads) == 1
    assert seen.threads != {threading.get_ident()}


def test_a_file_moved_in_from_elsewhere_is_noticed_at_once(folder, tmp_path):
    seen = Seen()
    (tmp_path / "export.json").write_text("{}")
    with watching(folder, seen):
        (tmp_path / "export.json").rename(folder / "completed_export.json")
        seen.wait("completed_export.json")


@pytest.mark.parametrize("links", [True, False])
def test_what_is_handed_over_or_brought_back_is_noticed_at_once(tmp_path, monkeypatch, links):
    def none(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", none)
    home = Home(tmp_path).create()
    (home.quarantine / "b").write_text("{}")
    seen = Seen()
    with watching(home.sessions, seen):
        for name, come in (
            ("completed_a.json", lambda: hand_over(home, "a", "{}")),
            ("completed_a.2.json", lambda: hand_over(home, "a", "{}")),
            ("completed_b.json", lambda: bring_in(home, home.quarantine / "b", "completed_b.json")),
        ):
            began = time.monotonic()
            assert come().name == name
            assert seen.wait(name) - began < 0.2


@linux_only
def test_a_file_is_not_offered_before_its_writer_has_closed_it(folder):
    seen = Seen()
    folder.mkdir()
    (folder / "completed_first.json").write_text("{}")
    with watching(folder, seen):
        seen.wait("completed_first.json")  # the look at the start is over; from here on only events tell
        with open(folder / "completed_slow.json", "w") as file:
            for part in ('{"messages"', ": []}"):
                file.write(part)
                file.flush()
                time.sleep(0.15)
            assert "completed_slow.json" not in seen
        seen.wait("completed_slow.json")
    assert seen.count("completed_slow.json") == 1


@linux_only
def test_a_file_moved_away_does_not_delay_the_next(folder, tmp_path):
    """watchdog holds back what follows a file that was moved out, unless it is told not to listen to those."""
    seen = Seen()

    def take(path: Path) -> None:
        seen(path)
        path.rename(tmp_path / path.name)

    with watching(folder, take):
        for number in range(5):
            wrote = time.monotonic()
            write_atomic(folder / f"completed_{number}.json", "{}")
            assert seen.wait(f"completed_{number}.json") - wrote < 0.2


def test_other_files_are_ignored(folder):
    seen = Seen()
    folder.mkdir()
    names = [".completed_a.json", ".completed_a.json.12.ab.tmp", "completed_a.txt", "notes.json", "completed_b.json"]
    for name in names[:3]:
        (folder / name).write_text("{}")
    with watching(folder, seen):
        for name in names:
            (folder / name).write_text("{}")
        seen.wait("completed_b.json")
    assert set(seen) == {"completed_b.json"}


def test_what_is_there_at_the_start_comes_oldest_first(folder):
    seen = Seen()
    folder.mkdir()
    for age, name in [(5, "completed_c.json"), (9, "completed_a.json"), (7, "completed_b.json")]:
        (folder / name).write_text("{}")
        os.utime(folder / name, (time.time() - age, time.time() - age))
    with watching(folder, seen):
        seen.wait("completed_c.json")
    assert seen == ["completed_a.json", "completed_b.json", "completed_c.json"]


def test_without_events_the_files_are_found_by_looking(folder, no_events, caplog):
    seen = Seen()
    with watching(folder, seen, poll_seconds=0.1):
        (folder / "completed_a.json").write_text("{}")
        seen.wait("completed_a.json")
        wait_for(lambda: seen.count("completed_a.json") > 2)
    assert len([r for r in caplog.records if "inotify watch limit reached" in r.message]) == 1, "said once"


@pytest.mark.parametrize("error", [OSError("disk"), ValueError("a bug")])
def test_an_error_is_logged_and_the_rest_goes_on(folder, error, caplog):
    seen = Seen()

    def take(path: Path) -> None:
        seen(path)
        if path.name == "completed_bad.json":
            raise error

    folder.mkdir()
    (folder / "completed_bad.json").write_text("{}")
    with watching(folder, take, poll_seconds=0.2):
        seen.wait("completed_bad.json")
        write_atomic(folder / "completed_good.json", "{}")
        seen.wait("completed_good.json")
        wait_for(lambda: seen.count("completed_bad.json") > 1)
    assert "completed_bad.json could not be taken in" in caplog.text
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("how", ["removed", "moved away", "replaced"])
def test_a_folder_that_is_gone_is_made_and_watched_again(folder, how):
    seen = Seen()
    with watching(folder, seen, poll_seconds=0.1) as monitor:
        first = monitor._watch
        if how == "removed":
            shutil.rmtree(folder)
        else:
            folder.rename(folder.with_name("elsewhere"))
        if how == "replaced":
            folder.mkdir()
        wait_for(lambda: folder.is_dir() and monitor._watch not in (None, first))
        monitor._poll_seconds = NEVER  # from here on only events can tell
        time.sleep(0.25)
        seen.clear()
        write_atomic(folder / "completed_a.json", "{}")
        wait_for(lambda: "completed_a.json" in seen)


def test_after_stop_nothing_is_offered(folder):
    seen = Seen()
    with watching(folder, seen, poll_seconds=0.05):
        pass
    write_atomic(folder / "completed_a.json", "{}")
    time.sleep(0.2)
    assert seen == []
    with watching(folder, seen):  # and it can be started again
        seen.wait("completed_a.json")


def test_stop_waits_for_the_file_in_progress(folder):
    begun, ended = threading.Event(), threading.Event()

    def take(_: Path) -> None:
        begun.set()
        time.sleep(0.2)
        ended.set()

    folder.mkdir()
    (folder / "completed_a.json").write_text("{}")
    with watching(folder, take):
        begun.wait(3)
    assert ended.is_set()
