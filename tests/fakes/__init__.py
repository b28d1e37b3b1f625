"""What the tests put at the boundary to the machine-learning programs, and a daemon that runs with it."""

import json
import sys
from pathlib import Path
from typing import Any

PROGRAM, EMBED, SERVE = (Path(__file__).with_name(name) for name in ("program.py", "embed.py", "serve.py"))


class FakePrograms:
    """The programs of a test: what they shall do, and what they were asked to do."""

    def __init__(self, control: Path) -> None:
        self.control = control
        control.mkdir(parents=True, exist_ok=True)

    def command(self, name: str) -> list[str]:
        """Goes in the place of `atles.programs.command`."""
        program = {"embed": EMBED, "serve": SERVE}.get(name, PROGRAM)
        return [sys.executable, "-ISu", str(program), str(self.control), name]

    def modes(self, name: str, *modes: str) -> None:
        """How the runs of a program end, in order; the last one stands for all that follow."""
        (self.control / f"{name}.modes").write_text("\n".join(modes))

    def scores(self, **scores: tuple[float, float]) -> None:
        """The held-out loss, and the share of general prompts that are right, by model."""
        (self.control / "scores.json").write_text(json.dumps(scores))

    def runs(self, name: str) -> list[dict[str, Any]]:
        """`pid` and `spec` of each run so far."""
        file = self.control / f"{name}.runs"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
