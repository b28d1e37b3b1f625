"""What a daemon does, and whether it is alive."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from atles.insights.status import alive, status
from atles.layout import Home
from atles.pipeline.lanes import open_queue
from atles.queue import Job, NewJob, Queue
from atles.settings import Settings
from atles.store import Store
from tests.samples import chat, drop


def test_a_file_that_is_taken_while_it_is_looked_is_not_overseen(home: Home, store: Store) -> None:
    queue, file = open_queue(store, Settings()), drop(home, chat(1))

    class Taking:
        """A queue into which the file comes just after somebody looked."""

        def open(self) -> Sequence[Job]:
            found = queue.open()
            queue.put(NewJob("memory", "a", "learn"))
            file.unlink()
            return found

        def dead(self) -> Sequence[Job]:
            return queue.dead()

    seen = status(home, store, cast("Queue", Taking()), Settings())
    assert (seen["inbox"], seen["queue"]["waiting"]) == (1, 0)


def test_alive_is_what_runs() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert alive(process.pid)
        process.kill()
    assert not alive(process.pid)
    assert alive(os.getpid())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_what_has_ended_is_not_alive_though_nobody_waited_for_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert not alive(process.pid)
    process.wait()
