"""Whether a process is alive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from atles.insights.status import alive


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
