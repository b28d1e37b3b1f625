"""`atles worker` as a process of its own, with fake programs.

    python -m tests.fakes.worker CONTROL --home HOME [more options of `atles worker`]

`CONTROL/pause.json` stops it dead inside a step, as in `tests.fakes.daemon`.
"""

import os
import sys
from pathlib import Path

from atles import programs
from atles.cli import main as atles
from atles.pipeline import steps
from tests.fakes import FakePrograms
from tests.fakes.daemon import pausing


def main() -> None:
    control = Path(sys.argv[1])
    # As a user's environment would have it.
    os.environ |= {"ATLES_TRAIN_MAX_LOAD": "0", "ATLES_DISK_TRAIN_MB": "0", "ATLES_DISK_LEARN_MB": "0"}
    programs.command = FakePrograms(control).command
    if (control / "pause.json").exists() and not (control / "paused").exists():
        steps.all_steps = pausing(steps.all_steps, control)
    sys.argv = ["atles", "worker", *sys.argv[2:]]
    atles()


if __name__ == "__main__":
    main()
