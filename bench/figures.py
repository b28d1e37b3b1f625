"""A measured figure, the machine it comes from, and how both are shown. Knows no benchmark."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Figure:
    """One number. `target` is the most it may be, `least` the least; None where nothing was promised. `note` says how
    it was got."""

    name: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""
    least: float | None = None

    @property
    def met(self) -> bool | None:
        if self.target is None and self.least is None:
            return None
        return (self.target is None or self.value <= self.target) and (self.least is None or self.value >= self.least)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def spread(name: str, values: Sequence[float], unit: str, target: float | None = None, note: str = "") -> list[Figure]:
    """Median, which the target is for, and the fastest and slowest."""
    return [
        Figure(f"{name}, median", statistics.median(values), unit, target, note),
        Figure(f"{name}, min", min(values), unit),
        Figure(f"{name}, max", max(values), unit),
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered) + 0.5) - 1))]


def machine() -> dict[str, Any]:
    """What a figure depends on and cannot be read without."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "unknown"


def table(title: str, figures: Iterable[Figure]) -> str:
    """The figures as aligned text, with what each is held against."""
    rows = []
    for figure in figures:
        bound = f">= {figure.least:g}" if figure.least is not None else f"<= {figure.target or 0:g}"
        verdict = "" if figure.met is None else f"{'ok  ' if figure.met else 'MISS'} {bound}"
        rows.append((figure.name, shown(figure.value), figure.unit, verdict, figure.note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"  {name:<{widths[0]}}  {value:>{widths[1]}} {unit:<{widths[2]}}  {verdict:<{widths[3]}}  {note}".rstrip()
        for name, value, unit, verdict, note in rows
    ]
    return "\n".join([title, *lines])


def shown(value: float) -> str:
    """Three digits that count, never in powers of ten."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.4f}"


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)
