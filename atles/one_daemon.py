"""The original's functions: one daemon in this process."""

import threading
from pathlib import Path
from typing import Any

from atles.daemon import LearningDaemon, home_status
from atles.layout import Home

_daemon: LearningDaemon | None = None
_guard = threading.Lock()


def get_daemon(home: Home | Path | str | None = None) -> LearningDaemon:
    """This process's daemon, made at the first call; it is not started."""
    global _daemon
    with _guard:
        if _daemon is None:
            _daemon = LearningDaemon(home)
        return _daemon


def start_daemon(home: Home | Path | str | None = None) -> LearningDaemon:
    """Start this process's daemon. `atles start` gives you one that outlives the process."""
    daemon = get_daemon(home)
    daemon.start()
    return daemon


def stop_daemon() -> None:
    """Stop this process's daemon, if it runs."""
    global _daemon
    with _guard:
        daemon, _daemon = _daemon, None
    if daemon:
        daemon.stop()


def get_daemon_status(home: Home | Path | str | None = None) -> dict[str, Any]:
    """The status of the home's daemon, in this process or another."""
    if _daemon and home is None:
        return _daemon.get_status()
    return home_status(home if isinstance(home, Home) else Home(home))
