"""What failed for good or was set aside, and another try for it."""

from os.path import lexists
from typing import Any

from atles.capture.abandoned import TAKEN, complete
from atles.capture.quarantine import explained_no_more, file_of, reasons, restore
from atles.errors import AtlesError
from atles.layout import Home, NoPlainFile, is_session_file
from atles.queue import Queue


def dead(queue: Queue) -> list[dict[str, Any]]:
    """The jobs that failed for good, with the session of each and its last error."""
    return [
        {"job": job.key, "session_id": job.payload.get("session_id"), "error": job.error, "tries": job.attempts}
        for job in queue.dead()
    ]


def quarantine(home: Home) -> list[dict[str, str]]:
    """The files set aside, and why; of those that cannot be tried again also why not."""
    found: list[dict[str, str]] = []
    for name, reason in reasons(home):
        why = _refused(home, name)
        found.append({"file": name, "reason": f"{reason} (cannot be tried again: {why})" if why else reason})
    return found


def retry(home: Home, queue: Queue, name: str | None = None) -> dict[str, Any]:
    """Try again what `name` is: a session, a job or a quarantined file; without one, everything that can be.

    Which files, and how many jobs. Raises AtlesError where nothing of that name failed, or it cannot be tried again;
    OSError.
    """
    jobs = [it["job"] for it in dead(queue) if name is None or name in (it["job"], it["session_id"])]
    wanted = file_of(name) if name else None
    files = [it for it, _ in reasons(home) if wanted in (None, it)]
    if not (jobs or files or name is None):
        raise AtlesError(f"nothing of {name!r} failed or is in quarantine; `atles sessions` lists what did")
    again: list[str] = []
    for file in files:
        why = _refused(home, file) or _tried(home, file)
        if not why:
            again.append(file)
        elif name is not None:
            raise AtlesError(f"{file} cannot be tried again: {why}")
    revived = sum(queue.revive(key) for key in dict.fromkeys(jobs))
    return {"jobs": revived, "files": again}


def _refused(home: Home, file: str) -> str:
    """Why a file of the quarantine cannot be tried again; "" where it can be."""
    if not lexists(home.quarantine / file):
        return f"the file is gone; delete {file}.reason.txt"
    if not (is_session_file(file) or file.endswith(TAKEN)):
        return "no session file is called that; if it is one, move it to sessions/completed_NAME.json"
    return ""


def _tried(home: Home, file: str) -> str:
    """Put a file of the quarantine where it is taken; or say why it still cannot be."""
    if not file.endswith(TAKEN):
        restore(home, file)
        return ""
    try:
        complete(home, home.quarantine / file)
    except (ValueError, NoPlainFile) as error:
        return f"{error}; mend it first"
    explained_no_more(home, file)
    return ""
