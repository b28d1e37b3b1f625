"""What failed for good or was set aside, and another try for it."""

from pathlib import Path
from typing import Any

from atles.capture.inbox import Inbox
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline.jobs import first_job
from atles.queue import Queue
from atles.settings import Settings
from atles.store import Store


def dead(queue: Queue) -> list[dict[str, Any]]:
    """The jobs that failed for good, with the session of each and its last error."""
    return [
        {"job": job.key, "session_id": job.payload.get("session_id"), "error": job.error, "tries": job.attempts}
        for job in queue.dead()
    ]


def quarantine(home: Home) -> list[dict[str, str]]:
    """The files set aside, and why."""
    return [
        {"file": path.name.removesuffix(".reason.txt"), "reason": path.read_text("utf-8", "replace").strip()}
        for path in sorted(home.quarantine.glob("*.reason.txt"))
    ]


def retry(home: Home, store: Store, queue: Queue, settings: Settings, name: str | None = None) -> dict[str, Any]:
    """Try again what `name` is: a session, a job or a quarantined file; without one, everything.

    Which files, and how many jobs. Raises AtlesError where nothing of that name failed.
    """
    jobs = [it["job"] for it in dead(queue) if name is None or name in (it["job"], it["session_id"])]
    wanted = Path(name).name.removesuffix(".reason.txt") if name else ""
    files = [it["file"] for it in quarantine(home) if name is None or it["file"] == wanted]
    if not (jobs or files or name is None):
        raise AtlesError(f"nothing of {name!r} failed or is in quarantine; `atles sessions` lists what did")
    revived = sum(queue.revive(key) for key in dict.fromkeys(jobs))
    inbox = Inbox(
        home, store, queue, first_job,
        heldout_every=settings.train.heldout_every, settle_seconds=settings.daemon.settle_seconds,
        scrub=lambda session: session,  # it takes nothing here: it moves files back
    )  # fmt: skip
    for file in files:
        inbox.restore(file)
    return {"jobs": revived, "files": files}
