"""What the daemon of a home is doing, seen from any process."""

import json
import os
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from atles.layout import Home
from atles.pipeline.room import Room
from atles.queue import Queue
from atles.settings import Settings
from atles.store import Store
from atles.store.adapters import BASE


def owner(home: Home) -> dict[str, Any] | None:
    """Who runs the home's daemon: `pid`, `started_at` (Unix seconds), `embedded`; None if nobody does.

    The lock decides, not the pid: a pid left by a killed daemon may belong to somebody else by now.
    """
    if not home.lock.exists():
        return None  # and trying the lock would make it, and the folders above it
    try:
        lock = FileLock(home.lock, blocking=False, mode=0o600)
        lock.acquire()
    except Timeout:
        unknown = {"pid": None, "started_at": None, "embedded": False}  # it is just starting, or says it again soon
        try:
            return unknown | dict(json.loads(home.owner.read_bytes()))
        except (OSError, ValueError, TypeError):
            return unknown
    except OSError:
        return None  # not ours to lock: a home of another user
    lock.release()
    return None


def status(home: Home, store: Store, queue: Queue, settings: Settings) -> dict[str, Any]:
    """The daemon, its queue, the active adapter and the totals, as one JSON object."""
    running = owner(home)
    uptime = max(0.0, time.time() - running["started_at"]) if running and running["started_at"] else 0.0
    # Before the jobs: a file that is taken meanwhile is counted twice, not never, or `drain` would end too early.
    inbox = sum(1 for _ in home.sessions.glob("completed_*.json"))
    jobs = queue.open()
    _, active = store.adapters.active()
    return {
        "is_running": running is not None,
        "pid": running["pid"] if running else None,
        "home": str(home.root.resolve()),
        "stats": {**store.logs.totals(), "uptime_hours": round(uptime / 3600, 4)},
        "queue": {
            "waiting": sum(job.state == "waiting" for job in jobs),
            "running": [job.key for job in jobs if job.state == "running"],
            "dead": [{"job": job.key, "error": job.error} for job in queue.dead()],
        },
        "inbox": inbox,
        "quarantine": sum(1 for _ in home.quarantine.glob("*.reason.txt")),
        "gateway": (running or {}).get("gateway"),
        "active_adapter": None if active == BASE else active,
        "disk": Room(home, settings.disk).seen(),
        "damage": (running or {}).get("damage", ""),
        "trains": settings.train.enabled,
        "progress": progress(home) if running else None,
    }


def progress(home: Home) -> dict[str, Any] | None:
    """The last word of a running training or evaluation; None if there is none."""
    try:
        return json.loads(home.progress.read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def alive(pid: int) -> bool:
    """Whether a process with this id exists, and has not ended: nobody may have waited for one that has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody else's
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
    except OSError:
        return True  # there is no /proc, or it has just ended
    return state not in (b"Z", b"X")
