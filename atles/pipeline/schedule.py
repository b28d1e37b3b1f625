"""When a training may run: not while somebody needs the machine, nor unasked on what several users said."""

import os
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from atles.records import Adapter
from atles.settings import TrainSettings

_POWER = Path("/sys/class/power_supply")


def not_now(settings: TrainSettings, at: datetime, load: float, on_battery: bool, minutes_today: float) -> str:
    """Why a training has to wait, in words; "" if it need not.

    `at` is local time, `load` the number of processes that want a core, per core; `minutes_today` were spent training.
    """
    if settings.hours and not _within(settings.hours, at.time()):
        return f"it is {at:%H:%M}, and train.hours are {settings.hours}"
    if on_battery and not settings.on_battery:
        return "the machine runs on its battery (train.on_battery)"
    if settings.minutes_per_day and minutes_today >= settings.minutes_per_day:
        return f"{minutes_today:.0f} of {settings.minutes_per_day:g} minutes of today are spent (train.minutes_per_day)"
    if settings.max_load and load > settings.max_load:
        return f"the machine is busy: {load:.1f} processes a core, {settings.max_load:g} are allowed (train.max_load)"
    return ""


def _within(hours: str, at: time) -> bool:
    """Hours like "22:00-07:00" may go over midnight."""
    begin, end = span(hours)
    return begin <= at < end if begin <= end else at >= begin or at < end


def span(hours: str) -> tuple[time, time]:
    """The two times of "22:00-07:00". Raises ValueError."""
    begin, _, end = hours.partition("-")
    return time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())


def load_per_core() -> float:
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def on_battery(power: Path = _POWER) -> bool:
    """Whether a battery is what drives the machine (Linux); False where there is none, or nobody says."""
    supplies = {it: _read(it / "type") for it in power.iterdir()} if power.is_dir() else {}
    mains = [_read(it / "online") for it, kind in supplies.items() if kind in ("Mains", "USB")]
    batteries = [_read(it / "status") for it, kind in supplies.items() if kind == "Battery"]
    return "Discharging" in batteries and "1" not in mains


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def minutes_on(day: date, adapters: Iterable[Adapter]) -> float:
    """How long the adapters of a day (local time) were trained."""
    of_day = (it for it in adapters if datetime.fromisoformat(it.created_at).astimezone().date() == day)
    return sum(float(it.train.get("time_taken", 0.0)) for it in of_day) / 60


def mixed(settings: TrainSettings, users: Iterable[Mapping[str, Any]]) -> str:
    """Why no adapter may be trained on what these users said, each {"name", "sessions"}; "" where one may."""
    count = sum(user["sessions"] > 0 for user in users)
    if count < 2 or settings.shared:
        return ""
    return (
        f"{count} users have sessions here, and an adapter trained on all would tell each of the others; "
        "give each a home of their own (--home), or set train.shared = true"
    )
