"""Taking what was forgotten out of the files of a home. Knows which files quote a session; the words are gone from the
store by then. Files may be broken, cut off or of somebody else's making: none keeps the others from being done.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from stat import S_ISREG
from typing import Any

from atles.clock import compact
from atles.layout import Home, NoPlainFile, file_name, names, open_plain, read_plain, write_atomic, write_unless_there
from atles.pipeline import copies
from atles.records import canonical_json
from atles.store import Store

_STAMP = re.compile(r"_\d{8}_\d{6}\.jsonl?\Z")  # the end of a training file's or session log's name
_CAME = re.compile(r"(?:_[0-9a-z]{26})?(?:\.\d+)?\.json")  # what follows a session's name in processed/
# The same in quarantine/, where journals and files that were never finished are, too.
_ASIDE = re.compile(r"(?:_[0-9a-z]{26})?(?:\.\d+)?\.(?:jsonl?|[0-9a-z]{26})(?:\..*)?", re.DOTALL)
_REASON = ".reason.txt"
_WHOSE = re.compile(r'"session_id": ("(?:[^"\\]|\\.)*")')  # in a line of the master log, as it is written there
_ID = re.compile(rb'"session_id"\s*:\s*("(?:[^"\\]|\\.){0,2000}"|-?\d[\d.eE+-]{0,30})', re.DOTALL)
_PARSED = 1 << 26  # bytes: a larger file in quarantine is searched, not parsed
_WINDOW, _OVERLAP = 1 << 24, 1 << 14  # bytes at a time of one that is searched


def forget_files(home: Home, store: Store, sessions: Iterable[str]) -> None:
    """Bring the files of sessions up to what the store still knows: the newest processed file and the logs. Processed
    files from before they grew go, and datasets with a word of theirs; and what was set aside of those that were
    forgotten as a whole. Training files are others' to make again. Raises OSError.

    A daemon may append to the master log meanwhile: what it misses there it writes again.
    """
    gone = set(sessions)
    if not gone:
        return
    wholly = _silence_processed(home, store, gone)
    _silence_logs(home, store, gone)
    _drop_datasets(home, gone)
    for file in set_aside(home, wholly):
        # The reason first: what lists them goes by the reasons.
        for path in (file.with_name(file.name + _REASON), file):
            path.unlink(missing_ok=True)
    copies.drop_dead_backups(home)


def training_files(home: Home, sessions: Iterable[str]) -> dict[str, list[Path]]:
    """Those of the sessions that have training files in a home, and these. Raises OSError."""
    found: dict[str, list[Path]] = {}
    wanted = set(sessions)
    for folder in (home.training_data, home.chat_data):
        for session_id, file in _stamped(folder, "training", wanted):
            found.setdefault(session_id, []).append(file)
    return found


def drop_training_files(home: Home, sessions: Iterable[str]) -> None:
    """Delete the training files of sessions, until the data step writes them again. Raises OSError."""
    for file in chain.from_iterable(training_files(home, sessions).values()):
        file.unlink(missing_ok=True)


def _stamped(folder: Path, kind: str, sessions: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The files of sessions that are named by kind, session and time, each with its session. Raises OSError."""
    wanted = {f"{kind}_{file_name(session_id)}": session_id for session_id in sessions}
    for name in names(folder):
        if (session_id := wanted.get(_STAMP.sub("", name))) is not None:
            yield session_id, folder / name


# --- the files by which sessions came ---


def _silence_processed(home: Home, store: Store, sessions: set[str]) -> list[str]:
    """The sessions of which nothing is left. One at a time in memory: a wish to forget may concern very many."""
    stems, wholly = tuple(home.completed(session_id).stem for session_id in sessions), []
    came = [name for name in names(home.processed) if name.startswith(stems)]
    for session_id in sessions:
        session = store.sessions.get(session_id).session
        if all(message.is_forgotten for message in session.messages):
            wholly.append(session_id)
        *older, newest = [None, *_processed(home, session_id, came)]
        if newest:
            write_unless_there(newest, canonical_json(session.as_json()))
        for file in filter(None, older):
            file.unlink(missing_ok=True)
    return wholly


def _processed(home: Home, session_id: str, came: Iterable[str]) -> list[Path]:
    """Of names in processed/, the files by which a session came, the oldest first: each time it grew, another one.
    Raises OSError."""
    stem = home.completed(session_id).stem
    own: list[tuple[int, Path]] = []
    for name in came:
        if name.startswith(stem) and _CAME.fullmatch(name, len(stem)):
            file = home.processed / name
            with suppress(FileNotFoundError):  # it is too old, and goes at this moment
                state = file.stat()
                # "s.2" may be the second file of "s", or the first of another session.
                if S_ISREG(state.st_mode) and (file.stem == stem or session_id in _ids_in(file)):
                    own.append((state.st_mtime_ns, file))
    return [file for _, file in sorted(own)]


# --- the logs ---


def _silence_logs(home: Home, store: Store, sessions: set[str]) -> None:
    for session_id, log in list(_stamped(home.logs, "session_log", sessions)):
        try:
            entry = _silent(json.loads(read_plain(log)))
        except (FileNotFoundError, NoPlainFile):
            continue  # it is too old, and goes at this moment; or it is no log
        except (ValueError, TypeError, RecursionError):
            entry = _logged(store, session_id, log.name)
        if entry is None:
            log.unlink(missing_ok=True)
        else:
            write_unless_there(log, json.dumps(entry, indent=2))
    if any(line != silent for line, silent in _silent_lines(home.master_log, sessions)):
        write_atomic(home.master_log, (silent for _, silent in _silent_lines(home.master_log, sessions)))


def _logged(store: Store, session_id: str, name: str) -> dict[str, Any] | None:
    """What the store has of a log that cannot be read."""
    of_that_time = [it for at, it in store.logs.dated(session_id) if name.endswith(f"_{compact(at)}.json")]
    return _silent(of_that_time[-1]) if of_that_time else None


def _silent_lines(master_log: Path, sessions: set[str]) -> Iterator[tuple[str, str]]:
    """The master log's lines as they are and as they are to be, one at a time: they are those of years."""
    named = {json.dumps(session_id) for session_id in sessions}
    with suppress(FileNotFoundError), open(master_log, encoding="utf-8", errors="surrogateescape", newline="\n") as log:
        for line in log:
            yield line, _silent_line(line, sessions) if not named.isdisjoint(_WHOSE.findall(line)) else line


def _silent_line(line: str, sessions: set[str]) -> str:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return ""  # half of one, and what it is of says it itself
    ours = isinstance(entry, dict) and entry.get("session_id") in sessions
    return json.dumps(_silent(entry)) + "\n" if ours else line


def _silent(entry: dict[str, Any]) -> dict[str, Any]:
    """A log entry without what quotes the session."""
    return {**entry, "improvements": []}


# --- datasets ---


def _drop_datasets(home: Home, sessions: set[str]) -> None:
    """What was trained on them is retired, and what was judged by them is judged: nobody needs these."""
    for manifest in list(home.datasets.glob("*/manifest.json")):
        try:
            said = json.loads(read_plain(manifest))
            holds = not sessions.isdisjoint((*said["train"]["sessions"], *said["heldout"]["sessions"]))
        except FileNotFoundError:
            continue  # somebody else deletes it at this moment
        except (ValueError, LookupError, TypeError, RecursionError, NoPlainFile):
            holds = True  # nobody can say
        if holds:
            with suppress(FileNotFoundError):
                shutil.rmtree(manifest.parent)


# --- what was set aside, and what is still to come ---


def on_their_way(home: Home, sessions: Iterable[str]) -> list[Path]:
    """Journals and files of these sessions that are still to be taken in; what was forgotten is then left out. Raises
    OSError."""
    stems = [file_name(session_id) for session_id in sessions]
    return [
        folder / name
        for folder, begin in ((home.open_sessions, ""), (home.sessions, "completed_"))
        for name in sorted(names(folder))
        if any(name.startswith(begin + it) and _ASIDE.fullmatch(name, len(begin + it)) for it in stems)
    ]


def set_aside(home: Home, sessions: Iterable[str]) -> list[Path]:
    """The files in quarantine/ that are of these sessions: they say so themselves, or their names do. Raises
    OSError."""
    wanted = {str(session_id): file_name(session_id) for session_id in sessions}
    if not wanted:
        return []
    files = [home.quarantine / name for name in names(home.quarantine) if not name.endswith(_REASON)]
    return sorted(it for it in files if it.is_file() and _is_of(it, wanted))


def _is_of(file: Path, wanted: dict[str, str]) -> bool:
    try:
        said = _ids_in(file)
    except OSError:
        said = set()
    if said:
        return not said.isdisjoint(wanted)
    name = file.name.removeprefix("completed_")
    return any(name.startswith(it) and _ASIDE.fullmatch(name, len(it)) for it in wanted.values())


def _ids_in(file: Path) -> set[str]:
    """The session that a file says it is of; of one that is no JSON, cut off anywhere, all that it names. Raises
    OSError."""
    found: set[str] = set()
    with open_plain(file) as data:
        if os.fstat(data.fileno()).st_size <= _PARSED:
            with suppress(ValueError, RecursionError):
                document = json.load(data)
                given = document.get("session_id") if isinstance(document, dict) else None
                return {str(given)} if isinstance(given, (str, int, float)) and given != "" else set()
            data.seek(0)
        while window := data.read(_WINDOW):
            for match in _ID.finditer(window):
                with suppress(ValueError):
                    found.add(str(json.loads(match[1])))
            if len(window) == _WINDOW:
                data.seek(-_OVERLAP, os.SEEK_CUR)  # one may lie across the end
    return found
