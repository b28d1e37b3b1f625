"""Finished sessions: each has a file of its own, whoever else hands over under that name. What becomes of those that
cannot be written is in test_tracker.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import atles
from atles import layout
from atles.capture.outbox import hand_over
from atles.layout import Home

# Two at once, as near as two processes come to that.
PROGRAM = """
import sys
from atles.capture.outbox import hand_over
from atles.layout import Home
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    hand_over(Home(sys.argv[1]), f"s{number}", sys.argv[2])
"""


def test_two_processes_lose_nothing_of_the_same_ids(home: Home) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(atles.__file__).parents[1])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(home.root), who],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for who in ("one", "other")
    ]  # fmt: skip
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    said = [path.read_text() for path in home.sessions.glob("completed_*.json")]
    assert (said.count("one"), said.count("other")) == (100, 100)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_while_this_one_is_written_is_not_overwritten(
    home: Home, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def meanwhile(descriptor: int) -> None:
        home.completed("s").write_text("another host's")

    def none(*paths: object) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", none)
    monkeypatch.setattr(layout.os, "fsync", meanwhile)
    monkeypatch.setattr("atles.layout.sync_folder", lambda folder: None)
    path = hand_over(home, "s", json.dumps("mine"))
    assert path.read_text() == '"mine"' and home.completed("s").read_text() == "another host's"
    assert len([it for it in home.sessions.iterdir() if it.is_file()]) == 2, "and nothing else"
