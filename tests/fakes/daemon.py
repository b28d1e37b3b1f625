"""A daemon as a process of its own, with fake programs.

    python -m tests.fakes.daemon HOME CONTROL [section.key=value …]

`CONTROL/pause.json` = {"step": …, "where": "begin" | "end", "after": 0} stops it dead inside that step, once, after so
many of that kind went well: it writes the file `CONTROL/paused` and waits there to be killed, or for `CONTROL/go`.
`begin` is before the step did anything; `end` is after all that it does, and before the commit. When it is told to
stop, it lists its imported modules in `CONTROL/modules`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from atles import programs
from atles.config import load_settings
from atles.daemon import LearningDaemon
from atles.layout import Home
from atles.pipeline import steps
from tests.fakes import FakePrograms


def pausing(all_steps: Any, control: Path) -> Any:
    """`steps.all_steps`, with the step that pause.json names stopped where it says."""
    plan = json.loads((control / "pause.json").read_text())
    to_come = plan.get("after", 0)

    def pause() -> None:
        nonlocal to_come
        to_come -= 1
        if to_come == -1:
            (control / "paused").touch()
            deadline = time.monotonic() + 600
            while not (control / "go").exists() and time.monotonic() < deadline:
                time.sleep(0.02)

    def build(context: steps.Context) -> dict[str, Any]:
        runners = all_steps(context)
        step = runners[plan["step"]]
        work, record = step.work, step.record

        def first_pause(job: Any) -> Any:
            if plan["where"] == "begin":
                pause()
            return work(job)

        def last_pause(job: Any, result: Any, seconds: float) -> Any:
            following = record(job, result, seconds)
            if plan["where"] == "end":
                pause()
            return following

        step.work, step.record = first_pause, last_pause
        return runners

    return build


def main() -> None:
    home, control = Home(sys.argv[1]), Path(sys.argv[2])
    overrides = ["train.max_load=0", "disk.train_mb=0", "disk.learn_mb=0", *sys.argv[3:]]
    programs.command = FakePrograms(control).command
    if (control / "pause.json").exists() and not (control / "paused").exists():
        steps.all_steps = pausing(steps.all_steps, control)
    # As `atles run` does it. An event that a handler sets would hang, did the signal come in the midst of its wait.
    arrived, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    daemon = LearningDaemon(home, load_settings(home, environment={}, overrides=overrides))
    daemon.start()
    print("started", flush=True)
    os.read(arrived, 1)
    (control / "modules").write_text("\n".join(sorted(sys.modules)))
    daemon.stop()


if __name__ == "__main__":
    main()
