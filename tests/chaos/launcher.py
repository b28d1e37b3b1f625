"""`atles` as a process that is killed where a test says, with fake programs.

    python -m tests.chaos.launcher CONTROL [options of `atles` and a command: run, worker]

CONTROL is the folder of the fake programs and of the orders (`boundaries.py`).
"""

import sys
from pathlib import Path

from atles import programs
from atles.cli import main as atles
from atles.pipeline import session_steps
from tests.chaos import boundaries
from tests.fakes import FakePrograms

BURST_SECONDS = 0.2  # a run meets more trainings when a log does not wait two seconds for one


def main() -> None:
    control = Path(sys.argv[1])
    programs.command = FakePrograms(control).command
    session_steps.BURST_SECONDS = BURST_SECONDS
    boundaries.install(boundaries.Orders(control))
    sys.argv = ["atles", *sys.argv[2:]]
    atles()


if __name__ == "__main__":
    main()
