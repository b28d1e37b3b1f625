"""How much room is left on the disk of a home, and what it is enough for. Trainings stop first, then learning; what is
said is recorded to the end."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atles.layout import Home
from atles.queue import Job
from atles.records import Step
from atles.settings import DiskSettings

MIB = 1 << 20
_GOING_ON = 0.5  # of what a training needs to begin: it must not be stopped by what it writes itself


def free_bytes(folder: Path) -> int:
    """What programs without special rights may still write there, or where it would be made. Raises OSError."""
    whole = folder.absolute()
    return shutil.disk_usage(next(it for it in (whole, *whole.parents) if it.exists())).free


@dataclass(frozen=True, slots=True)
class Room:
    """Measured anew at each question; each raises OSError where the disk cannot be asked."""

    home: Home
    settings: DiskSettings

    def no_training(self, *, runs: bool = False) -> str:
        """Why no training may begin, or go on where one `runs`; "" if it may."""
        share = _GOING_ON if runs else 1.0
        return self._less(self.settings.train_mb, "train_mb", share) or self.no_learning()

    def no_learning(self) -> str:
        """Why nothing may be learned; "" if it may."""
        return self._less(self.settings.learn_mb, "learn_mb")

    def _less(self, needed_mb: float, setting: str, share: float = 1.0) -> str:
        free = free_bytes(self.home.root)
        return "" if free >= needed_mb * share * MIB else f"only {size(free)} free (disk.{setting} = {needed_mb:g})"

    def seen(self) -> dict[str, Any]:
        """`free` in bytes, and `state`: ok, no training, or no learning."""
        state = "no learning" if self.no_learning() else "no training" if self.no_training() else "ok"
        return {"free": free_bytes(self.home.root), "state": state}

    def stuck(self, jobs: Sequence[Job]) -> str:
        """Why none of the open jobs can go on before there is room; "" if one can."""
        if any(job.state == "running" for job in jobs):
            return ""
        only_trainings = bool(jobs) and all(job.kind == Step.TRAIN for job in jobs)
        return self.no_learning() or (self.no_training() if only_trainings else "")


def size(number: float) -> str:
    """Bytes for people: `1.3 GB`, `210 MB`, `4 KB`, `17 bytes`."""
    for unit, name in ((1 << 30, "GB"), (MIB, "MB"), (1 << 10, "KB")):
        if number >= unit:
            return f"{number / unit:.{1 if unit > MIB else 0}f} {name}"
    return f"{number:.0f} bytes"
