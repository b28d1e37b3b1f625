"""The machine's clock, watched: it may be set, and the machine may sleep. Knows clocks, not what is due by them.

Durations are measured by `time.monotonic()` everywhere; only what is kept over a restart goes by the wall clock.
"""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from atles.layout import Home

log = logging.getLogger("atles.daemon")

WasSet = Callable[[float, float], object]

_NOTICED_SECONDS = 2.0  # less is a clock being adjusted, or a process that was kept waiting between two readings
_TRUSTED_SECONDS = 600.0  # a clock that is wrong after a start is put right by then, if ever (NTP)
_TELLS_SLEEP = hasattr(time, "CLOCK_BOOTTIME") or sys.platform in ("darwin", "win32")


def passed() -> float:
    """Seconds since some moment; those in which the machine slept count, where the system tells."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # there it goes on in sleep, and time.monotonic() does not
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Reading:
    """What three clocks show at one moment, in seconds: Unix time; since some moment; awake since one."""

    wall: float
    passed: float
    awake: float

    @classmethod
    def now(cls) -> "Reading":
        return cls(time.time(), passed(), time.monotonic())


class Clocks:
    """Call `look` every few seconds. `was_set(by, before)` is told by how many seconds the wall clock was set, and what
    it showed when it was last looked at."""

    def __init__(self, was_set: WasSet, read: Callable[[], Reading] = Reading.now) -> None:
        self._was_set, self._read = was_set, read
        self._last = read()
        self._even_since = self._last.awake

    def look(self) -> None:
        """Say what happened to the clocks since the last look. Raises what `was_set` raises; the next look then says
        it again."""
        last, here = self._last, self._read()
        slept = (here.passed - last.passed) - (here.awake - last.awake)
        by = (here.wall - last.wall) - (here.passed - last.passed)
        if slept >= _NOTICED_SECONDS:
            log.info("the machine slept for %.0f s", slept)
        if abs(by) >= _NOTICED_SECONDS:
            self._even_since = here.awake
            how = "back" if by < 0 else "forward" if _TELLS_SLEEP else "forward, or the machine slept,"
            log.warning("the clock was set %s by %.0f s", how, abs(by))
            self._was_set(by, last.wall)
        self._last = here

    def trusted(self) -> bool:
        """Whether the wall clock has run evenly for ten minutes. By a wrong one everything is old, and what is deleted
        for its age does not come back."""
        self.look()
        return self._last.awake - self._even_since >= _TRUSTED_SECONDS


def last_seen(home: Home) -> float:
    """The newest time at which a daemon of this home is known to have written something, Unix seconds; 0 if none is."""
    database = home.database
    written = [home.log, home.stats, database, database.with_name(f"{database.name}-wal")]
    return max((path.stat().st_mtime for path in written if path.exists()), default=0.0)


def set_meanwhile(last: float, was_set: WasSet, wall: Callable[[], float] = time.time) -> None:
    """At a start: tell by how much at least the clock was set back since the home was last written to, at `last`; 0 if
    there is no sign of it."""
    now = wall()
    by = min(0.0, now - last)
    if by <= -_NOTICED_SECONDS:
        log.warning("the clock was set back by %.0f s or more while no daemon ran", -by)
    was_set(by, now)
