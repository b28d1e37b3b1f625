"""Whether every stored session is on its way or at its end, with all the files that are made of it."""

import json
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from atles.capture import session_file
from atles.capture.outbox import bring_in
from atles.clock import compact
from atles.errors import AtlesError
from atles.layout import Home, file_name, read_plain, write_atomic
from atles.pipeline.jobs import first_job, session_job
from atles.pipeline.lanes import TRAIN
from atles.queue import NewJob, Queue
from atles.records import Example, Step, canonical_json
from atles.settings import RetentionSettings
from atles.store import Store
from atles.store.sqlite import SQLite
from atles.store.tables import tables_of
from atles.upkeep.finding import FAIL, OK, REPAIR, WARN, Finding, some

_STAMPED = re.compile(r"(training_.+)_\d{8}_\d{6}\.jsonl")
_DAY = 86_400.0


def sessions(store: Store, queue: Queue) -> Finding:
    """Sessions that nobody works on any more, though their log is not written."""
    stuck = _stuck(store, queue)
    if not stuck:
        return Finding("sessions", OK, "each is learned, or on its way")

    def repair() -> str:
        for session_id, job in stuck.items():
            with store.transaction():
                store.sessions.wait_for_training(session_id, False)
                queue.put(job)
        return f"queued again: {some(list(stuck))}"

    detail = f"stored, and no job is there to go on with them: {some(list(stuck))}"
    return Finding("sessions", FAIL, detail, f"{REPAIR} queues them again", repair)


def _stuck(store: Store, queue: Queue) -> dict[str, NewJob]:
    """The jobs with which sessions go on that have none, by session."""
    before = [row["session_id"] for row in store.sessions.list() if not row["logged"]]
    if not before:
        return {}
    # At any time a session has a job, or is logged: so who had none and is not logged afterwards is stuck.
    jobs = queue.open()
    busy, training = _busy(queue), any(job.lane == TRAIN for job in jobs)
    after = {row["session_id"]: row for row in store.sessions.list()}
    found: dict[str, NewJob] = {}
    for session_id in before:
        row = after[session_id]
        if row["logged"] or session_id in busy or (row["waiting_for"] and training):
            continue
        steps, revision = store.logs.steps(session_id, row["revision"]), row["revision"]
        if Step.MEMORY not in steps:
            found[session_id] = first_job(store.sessions.get(session_id).session, revision)
        else:
            found[session_id] = session_job(Step.LOG if Step.DATA in steps else Step.DATA, session_id, revision)
    return found


def _busy(queue: Queue, steps: Collection[Step] = tuple(Step)) -> set[str]:
    """The sessions that have a job of these steps, be it one that failed for good: that is tried again otherwise."""
    jobs = (*queue.open(), *queue.dead())
    return {str(job.payload.get("session_id")) for job in jobs if job.kind in steps}


# --- training data ---


def training(home: Home, store: Store, queue: Queue) -> Finding:
    """Training files that are missing, or say other things than the database."""
    wrong, stale = _amiss(home, store, queue), _stale(home, store, queue)
    if not (wrong or stale):
        return Finding("training data", OK, "as the database has it")

    def repair() -> str:
        for name in stale:
            for folder in (home.training_data, home.chat_data):
                (folder / name).unlink(missing_ok=True)
        queue.put(*data_again(home, store, queue))
        said = [f"queued to be made again: {some(wrong)}"] if wrong else []
        return "; ".join(said + ([f"deleted of earlier times: {some(stale)}"] if stale else []))

    said = [f"missing, or not as the database has it, of {some(wrong)}"] if wrong else []
    said += [f"left from before their session grew: {some(stale)}"] if stale else []
    return Finding("training data", FAIL, "; ".join(said), f"{REPAIR} has them made again", repair)


def data_again(home: Home, store: Store, queue: Queue) -> list[NewJob]:
    """The jobs that make training files again which are missing, or not as the database has it."""
    wrong = set(_amiss(home, store, queue))
    rows = [row for row in store.sessions.list() if row["session_id"] in wrong]
    return [session_job(Step.DATA, row["session_id"], row["revision"]) for row in rows]


def _amiss(home: Home, store: Store, queue: Queue) -> list[str]:
    """The sessions whose training files are not what their examples are."""
    found = [row["session_id"] for row in store.sessions.list()]
    for _ in range(2):  # looked at twice: a daemon writes the files before the rows
        rows = {row["session_id"]: row["revision"] for row in store.sessions.list()}
        found = [it for it in found if _differs(home, store, it, rows[it])]
        coming = _busy(queue, (Step.MEMORY, Step.DATA))
        found = [it for it in found if it not in coming]
        if not found:
            break
    return found


def _differs(home: Home, store: Store, session_id: str, revision: int) -> bool:
    made = store.logs.steps(session_id, revision).get(Step.DATA, {})
    if made.get("error", "not yet"):
        return False
    file, twin = (folder / made["result"]["file"] for folder in (home.training_data, home.chat_data))
    examples = store.examples.of_session(session_id)
    if not (file.exists() or twin.exists()):
        # Of a cluster each machine has the files that it made; and it deletes those of which all was forgotten.
        return bool(examples) and isinstance(store.database, SQLite)
    return not _same(file, twin, session_id, examples)


def _same(file: Path, twin: Path, session_id: str, examples: Sequence[Example]) -> bool:
    try:
        lines = {(it["instruction"], it["output"], it["context"]) for it in _lines(file)}
        chats = {canonical_json(it["messages"]) for it in _lines(twin)}
    except (OSError, ValueError, LookupError, TypeError):
        return False
    wanted = {(it.instruction, it.output, session_id) for it in examples}
    # Of one answer to one question the file has one line, whatever else was asked.
    asked = {line[0] for line in lines} == {line[0] for line in wanted}
    return lines <= wanted and asked and chats == {canonical_json(it.messages) for it in examples}


def _lines(path: Path) -> list[Any]:
    # Not splitlines(): JSON may hold U+2028 and U+0085, which are no ends of lines there.
    return [json.loads(line) for line in read_plain(path).decode("utf-8").split("\n") if line]


def _stale(home: Home, store: Store, queue: Queue) -> list[str]:
    """Training files of sessions that have newer ones."""
    folders = (home.training_data, home.chat_data)
    names = sorted({it.name for folder in folders for it in folder.glob("training_*.jsonl")})
    rows = store.sessions.list()  # after the files: what is written meanwhile has a row
    coming = _busy(queue, (Step.MEMORY, Step.DATA))  # their step deletes what is old
    made = {f"training_{file_name(it['session_id'])}": it for it in rows if it["session_id"] not in coming}
    newest = {f"{stem}_{compact(it['received_at'])}.jsonl" for stem, it in made.items()}
    of_ours = [name for name in names if (match := _STAMPED.fullmatch(name)) and match[1] in made]
    return [it for it in of_ours if it not in newest and any((folder / it).exists() for folder in folders)]


# --- the files of what was learned ---


def logs(home: Home, store: Store, settings: RetentionSettings, now: float) -> Finding:
    """Logs of sessions that were published, and are gone before their time."""
    published = _published(home)
    before = now - settings.log_days * _DAY if settings.log_days else 0.0
    rows = tables_of(store).select("select seq, session_id, at from session_logs order by seq")
    missing = {
        seq: path
        for seq, session_id, at in rows
        if datetime.fromisoformat(at).timestamp() > before + _DAY  # what is nearly due may go at any moment
        and (seq, session_id, at) in published
        and not (path := home.logs / f"session_log_{file_name(session_id)}_{compact(at)}.json").exists()
    }
    if not missing:
        return Finding("logs", OK, "as the database has them")
    names = [it.name for it in missing.values()]

    def repair() -> str:
        for seq, _, entry in store.logs.after(min(missing) - 1):
            if path := missing.get(seq):
                write_atomic(path, json.dumps(entry, indent=2))
        return f"written from the database: {some(names)}"

    return Finding("logs", FAIL, f"gone: {some(names)}", f"{REPAIR} writes them from the database", repair)


def _published(home: Home) -> set[tuple[int, str, str]]:
    """Number, session and time: an earlier database, which was lost, had the same numbers."""
    found: set[tuple[int, str, str]] = set()
    with suppress(FileNotFoundError), open(home.master_log, "rb") as file:
        for line in file:
            with suppress(ValueError, TypeError, KeyError):  # somebody else's, or half of one
                it = json.loads(line)
                found.add((it["seq"], it["session_id"], it["logged_at"]))
    return found


def processed(home: Home, store: Store) -> Finding:
    """Files of sessions that were learned, and that the database does not know: it was restored, or lost."""
    files = sorted(home.processed.glob("*.json"))
    stored = {row["session_id"]: row["message_count"] for row in store.sessions.list()}  # after the files
    lost: list[Path] = []
    unread: list[str] = []
    for path in files:
        try:
            if _more_than(stored, path):
                lost.append(path)
        except OSError as error:
            unread.append(f"{path.name} ({error.strerror})")
    odd = f"cannot be read: {some(unread)}"
    if not lost:
        if unread:
            return Finding("processed", WARN, odd, "move them away, or let ATLES read them")
        return Finding("processed", OK, "the database has all of them")
    names = [it.name for it in lost]

    def repair() -> str:
        for path in lost:
            bring_in(home, path, path.name)
        return f"moved to sessions/, to be learned: {some(names)}"

    detail = "; ".join([f"the database does not have {some(names)}", *([odd] if unread else [])])
    return Finding("processed", FAIL, detail, f"{REPAIR} has them learned", repair)


def _more_than(stored: dict[str, int], path: Path) -> bool:
    """Raises OSError."""
    try:
        session = session_file.parse(read_plain(path), path.name)
    except FileNotFoundError:
        return False
    except AtlesError:
        return True  # whatever it was; the inbox says what is wrong with it
    return len(session.messages) > stored.get(session.session_id, -1)


def dead_letters(queue: Queue) -> Finding:
    """Jobs that failed for good, with their errors."""
    dead = queue.dead()
    if not dead:
        return Finding("dead letters", OK, "none")
    said = some([f"{job.key} ({job.error.splitlines()[0] if job.error else 'no error seen'})" for job in dead])
    number = "1 job" if len(dead) == 1 else f"{len(dead):,} jobs"
    fix = "`atles sessions` says more, `atles sessions retry` tries again"
    return Finding("dead letters", WARN, f"{number} failed: {said}", fix)
