"""What lies in a home and should not, and who may read it. Knows files; the store's rows are others' matter."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISLNK

from atles.capture import session_file
from atles.capture.outbox import bring_in
from atles.capture.quarantine import set_aside
from atles.config import masked
from atles.errors import InvalidSession
from atles.insights.status import owner
from atles.layout import Home, names, read_plain
from atles.scratch import killed, take_away
from atles.upkeep import files
from atles.upkeep.finding import FAIL, OK, REPAIR, WARN, Finding, some
from atles.upkeep.privacy import exposed


def daemon(home: Home) -> Finding:
    """Whether one runs, and what one left that was killed."""
    if running := owner(home):
        return Finding("daemon", OK, f"runs, pid {running['pid']}")
    left = [it for it in (home.owner, home.socket, home.progress) if it.exists()]
    if not left:
        return Finding("daemon", OK, "does not run; `atles start` starts it")

    def repair() -> str:
        for path in left:
            path.unlink(missing_ok=True)
        return f"deleted what it left: {', '.join(it.name for it in left)}"

    return Finding(
        "daemon", WARN, "an earlier one was killed; nothing is lost", "`atles start` takes its work up", repair
    )


def folders(home: Home) -> Finding:
    """Whether each folder of a home is one: it may be a link to a disk that is not there."""
    wrong = [str(it.relative_to(home.root)) for it in home.folders() if os.path.lexists(it) and not it.is_dir()]
    if not wrong:
        return Finding("folders", OK, "as they should be")
    detail = f"no folder, nor a link to one that is there: {some(wrong)}"
    return Finding("folders", FAIL, detail, "move it away, or bring back what the link leads to")


def database(home: Home) -> Finding:
    """A database in a file that is not there: in a home that has learned something, it is lost, unless it was moved."""
    learned = 0 if home.database.exists() or home.migrated.exists() else len(_learned(home))
    if not learned:
        return Finding("database", OK, "as it should be")
    sessions = "1 session was" if learned == 1 else f"{learned:,} sessions were"
    fix = (
        "`atles restore BACKUP --home NEW` makes a home of a backup; without one, `atles start` begins anew and "
        f"{REPAIR} has the files in processed/ learned again"
    )
    return Finding("database", FAIL, f"{home.database.name} is gone, though {sessions} learned", fix)


def _learned(home: Home) -> set[str]:
    """The sessions of the log; or where that was lost, too, the files that were learned."""
    found: set[str] = set()
    with suppress(FileNotFoundError), open(home.master_log, "rb") as file:
        for line in file:
            with suppress(ValueError, TypeError, KeyError):  # somebody else's, or half of one
                found.add(json.loads(line)["session_id"])
    return found or {name for name in names(home.processed) if name.endswith(".json")}


def leftovers(home: Home, now: float) -> Finding:
    """Files that somebody began to write and never finished, at the Unix time `now`."""
    left = [it for it in home.root.rglob("*.tmp") if files.last_written(it) < now - files.UNFINISHED_SECONDS]
    copies = killed(home.work)
    if not (left or copies):
        return Finding("leftovers", OK, "none")
    sessions = [it for it in left if it.parent in (home.sessions, home.open_sessions) and it.is_file()]

    def repair() -> str:
        """What lies in sessions/ may be the only copy of a chat; all else is written from the database, or anew."""
        learned = sum(_taken(home, path) for path in sessions)
        others = [it for it in left if it not in sessions]
        for path in others:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for folder in copies:
            take_away(folder)
        deleted = len(others) + len(copies)
        said = [f"deleted {deleted}"] if deleted else []
        said += [f"{learned} in sessions/ were whole and will be learned"] if learned else []
        set_aside = len(sessions) - learned
        return ", ".join(said + ([f"{set_aside} in sessions/ are in quarantine"] if set_aside else []))

    found = [str(it.relative_to(home.root)) for it in (*left, *copies)]
    return Finding(
        "leftovers", WARN, f"left by writers that were killed: {some(found)}", f"{REPAIR} clears them away", repair
    )


def _taken(home: Home, path: Path) -> bool:
    """Hand an unfinished session file over if it is whole, else set it aside; which."""
    meant = path.name.lstrip(".").partition(".json")[0].removesuffix(".tmp").removeprefix("completed_")
    name = f"completed_{meant}.json"
    try:
        session = session_file.parse(read_plain(path), name)
    except InvalidSession as error:
        # As a session file: mended, it can be tried again.
        set_aside(path, home.quarantine / name, f"its writer was killed before it had finished: {error}")
        return False
    bring_in(home, path, home.completed(session.session_id).name)
    return True


def quarantine(home: Home) -> Finding:
    number = sum(1 for _ in home.quarantine.glob("*.reason.txt"))
    if not number:
        return Finding("quarantine", OK, "none")
    said = "1 file set aside" if number == 1 else f"{number:,} files set aside"
    return Finding("quarantine", WARN, said, "`atles sessions` says why")


def privacy(home: Home, config: Path | None) -> Finding:
    """What others on this machine can come to."""
    found = exposed(home, config)
    if not found:
        return Finding("privacy", OK, "no other user can get into this home")
    places = shlex.join(map(str, found))

    def repair() -> str:
        closed = sum(_close(it) for path in found for it in (path, *(path.rglob("*") if path.is_dir() else ())))
        return f"took the rights of others from {closed} files and folders"

    return Finding("privacy", WARN, f"other users can get to {places}", f"`chmod -R go-rwx {places}`", repair)


def rights(home: Home) -> Finding:
    """What others could read if they came to it: each file is the owner's, also where its folder keeps others out."""
    found = [path for path in _private(home) if _others(path)]
    if not found:
        return Finding("rights", OK, "each file and folder is for its owner alone")

    def repair() -> str:
        return f"took the rights of others from {sum(map(_close, found))} files and folders"

    which = [str(it.relative_to(home.root.parent)) for it in found]
    return Finding("rights", WARN, f"not for their owner alone: {some(which)}", f"{REPAIR} changes that", repair)


def _private(home: Home) -> Iterator[Path]:
    """All that should be for the owner alone. Base models are no secret, nor are settings without a password; a session
    file is its writer's until it is taken."""
    open_to_all = {home.models}
    if home.config.exists() and masked(text := home.config.read_text("utf-8", "replace")) == text:
        open_to_all.add(home.config)
    for folder, folders, inside in os.walk(home.root):
        here = Path(folder)
        folders[:] = [it for it in folders if here / it not in open_to_all]
        yield here
        waiting = here == home.sessions
        yield from (
            here / it for it in inside if here / it not in open_to_all and not (waiting and it.endswith(".json"))
        )


def _close(path: Path) -> bool:
    """Take the rights of others from a file; whether they had any."""
    with suppress(FileNotFoundError):  # it is a living home
        if _others(path):
            path.chmod(path.lstat().st_mode & 0o7700)
            return True
    return False


def _others(path: Path) -> bool:
    """Whether others have rights to a file. A link has none: those of the file count, which may be anybody's."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        return bool(mode & 0o077) and not S_ISLNK(mode)
    return False
