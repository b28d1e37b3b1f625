"""The command line, called in this process (fast) or as a process of its own (signals, pids, imports)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atles.cli.app import atles
from atles.insights.status import owner
from atles.layout import Home

NO_TRAINING = ("--set", "train.enabled=false")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def call(root: Path) -> Callable[..., Result]:
    """`call("status", "--json")`: a command on the test's home, in this process."""

    def call(*words: str, code: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(atles, ["--home", str(root), *words], input=stdin, prog_name="atles")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def told(call: Callable[..., Result]) -> Callable[..., Any]:
    """What a command says with --json: one document on stdout, and nothing else."""
    return lambda *words, **more: json.loads(call(*words, "--json", **more).stdout)


def command(root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "atles", "--home", str(root), *words]


def on_a_terminal(root: Path, *words: str, columns: int = 80) -> str:
    """What a command shows on a terminal so wide."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        command(root, *words), stdin=subprocess.DEVNULL, stdout=theirs, env={**os.environ, "COLUMNS": str(columns)}
    ):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # that is how Linux says that nobody writes to it any more
            while piece := os.read(ours, 65_536):
                said += piece
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


@pytest.fixture
def process(root: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """A command as a process of its own. A daemon that it leaves behind is ended with the test."""

    def process(*words: str, code: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command(root, *words), capture_output=True, text=True, timeout=60, **more)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    yield process
    left = owner(Home(root))
    if left and left["pid"]:
        os.kill(left["pid"], signal.SIGKILL)


def eventually(true: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
