"""What is deleted after a while, by `[retention]`; and what never is: the only copy of something not learned yet.

Sessions stay in the database whatever goes here, and with them all that forgetting needs: which adapter saw what.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from atles import scratch
from atles.capture import session_file
from atles.errors import AtlesError
from atles.layout import Home, names, read_plain
from atles.pipeline import journal, release
from atles.pipeline.room import MIB, size
from atles.records import Adapter, AdapterState
from atles.settings import RetentionSettings
from atles.store import Store
from atles.upkeep import files
from atles.upkeep.clocks import Clocks
from atles.upkeep.house import Chore

log = logging.getLogger("atles.daemon")

_DAY = 86_400.0
_PRUNE_SECONDS = 3600.0
_AT_ONCE = 1000  # what is left goes at the next turn: other chores wait meanwhile
_STAMP = "%Y%m%d_%H%M%S"  # the end of a session log's name


@dataclass(frozen=True, slots=True)
class Doomed:
    """Something that is to go, with its size in bytes and why; or, where `stays` says why, not."""

    kind: str  # work, datasets, adapters, logs, processed or quarantine
    name: str
    bytes: int
    why: str
    delete: Callable[[], object] = field(repr=False, compare=False)
    stays: str = ""
    error: str = ""  # why nobody can say what of this kind is to go

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "bytes": self.bytes, "why": self.why}


@dataclass(frozen=True, slots=True)
class Pruned:
    """What is gone, what could not be deleted and the error, and what had to stay."""

    gone: Sequence[Doomed]
    failed: Sequence[tuple[Doomed, str]]
    kept: Sequence[Doomed]


def pruning(home: Home, store: Store, settings: RetentionSettings, clocks: Clocks) -> Chore:
    """The chore of a home, whoever works in it: what is deleted for its age is so by a clock that can be trusted."""

    def do() -> None:
        if clocks.trusted():
            prune(home, store, settings, time.time(), _AT_ONCE)

    return Chore("pruning", _PRUNE_SECONDS, do)


def doomed(home: Home, store: Store, settings: RetentionSettings, now: float) -> Iterator[Doomed]:
    """What is to go, at the Unix time `now`. Looks only. A kind that cannot be looked at is named, with the error, and
    the others are not kept by that."""
    kinds = (
        ("work", _work(home, settings, now)),
        ("work", _unfinished(home, now)),
        ("datasets", _datasets(home, store, settings, now)),
        ("adapters", _adapters(home, store, settings, now)),
        ("logs", _logs(home, settings, now)),
        ("processed", _processed(home, store, settings, now)),
        ("quarantine", _quarantine(home, settings, now)),
    )
    for kind, found in kinds:
        try:
            yield from found
        except (OSError, AtlesError) as error:
            yield Doomed(kind, kind, 0, "", lambda: None, error=f"it cannot be looked at: {error}")


def prune(home: Home, store: Store, settings: RetentionSettings, now: float, most: float = math.inf) -> Pruned:
    """Delete it, `most` things at one call, and log what that came to. Killed at any moment it leaves nothing that is
    taken for more than it is; the next call does the rest."""
    gone: list[Doomed] = []
    failed: list[tuple[Doomed, str]] = []
    kept: list[Doomed] = []
    for it in doomed(home, store, settings, now):
        if it.stays:
            kept.append(it)
            continue
        if it.error:
            log.warning("nothing of %s is deleted: %s", it.kind, it.error)
            failed.append((it, it.error))
            continue
        if len(gone) + len(failed) >= most:
            break
        try:
            it.delete()
        except (OSError, AtlesError) as error:
            log.warning("%s cannot be deleted: %s", it.name, error)
            failed.append((it, str(error)))
        else:
            gone.append(it)
    _tell(gone, kept)
    return Pruned(gone, failed, kept)


def _tell(gone: Sequence[Doomed], kept: Sequence[Doomed]) -> None:
    for (kind, why), items in grouped(gone).items():
        log.info("deleted of %s: %d, %s, %s", kind, len(items), size(sum(it.bytes for it in items)), why)
    for (kind, _), items in grouped(kept).items():
        log.warning("of %s %d stay, the first is %s: %s", kind, len(items), items[0].name, items[0].stays)


def grouped(items: Sequence[Doomed]) -> dict[tuple[str, str], list[Doomed]]:
    """By kind and reason."""
    found: dict[tuple[str, str], list[Doomed]] = defaultdict(list)
    for it in items:
        found[it.kind, it.why].append(it)
    return found


# --- each kind ---


def _work(home: Home, settings: RetentionSettings, now: float) -> Iterator[Doomed]:
    """Folders of programs that wrote nothing for long. Those that run write; what was interrupted begins anew."""
    for folder in _folders(home.work):
        if scratch.is_scratch(folder):
            if not scratch.in_use(folder):
                gone = partial(scratch.take_away, folder)
                yield Doomed("work", folder.name, files.size(folder), "its backup was killed", gone)
        elif folder == home.work / "serve":
            yield from _old_folders("work", _folders(folder), settings.work_days, "work_days", now)
        else:
            yield from _old_folders("work", [folder], settings.work_days, "work_days", now)


def _unfinished(home: Home, now: float) -> Iterator[Doomed]:
    """Files whose writers were killed; not those in sessions/, where one may be all that is left of a chat."""
    for folder in (home.processed, home.training_data, home.chat_data, home.logs):
        for name in names(folder):
            path = folder / name
            if name.endswith(".tmp") and files.last_written(path) < now - files.UNFINISHED_SECONDS:
                yield Doomed("work", name, files.size(path), "its writer was killed", files.remover(path))


def _datasets(home: Home, store: Store, settings: RetentionSettings, now: float) -> Iterator[Doomed]:
    """Those that no adapter is still to be judged by, and none that may serve was trained on. Which examples were in
    them the database knows, so forgetting still finds the adapters that saw one."""
    needed = {
        it.dataset_id
        for it in store.adapters.list()
        if it.state in (AdapterState.CANDIDATE, AdapterState.PROMOTED)
    }  # fmt: skip
    free = [folder for folder in _folders(home.datasets) if folder.name not in needed]
    yield from _old_folders("datasets", free, settings.dataset_days, "dataset_days", now)


def _adapters(home: Home, store: Store, settings: RetentionSettings, now: float) -> Iterator[Doomed]:
    for adapter in store.adapters.list():
        if adapter.state is not AdapterState.REJECTED:
            continue
        why = _too_old(datetime.fromisoformat(adapter.created_at).timestamp(), settings.rejected_adapter_days, now)
        weights = release.weights(home, adapter.name)
        if why and weights:
            yield Doomed(
                "adapters", adapter.name, sum(map(files.size, weights)), f"{why} (retention.rejected_adapter_days)",
                _weights_of(home, store, adapter, now),
            )  # fmt: skip
    for adapter in _superseded(store, settings.rollback_adapters):
        yield Doomed(
            "adapters", adapter.name, files.size(home.adapter(adapter.name)),
            f"served before the last {settings.rollback_adapters} (retention.rollback_adapters)",
            _whole_of(home, store, adapter, settings.rollback_adapters),
        )  # fmt: skip


def _weights_of(home: Home, store: Store, adapter: Adapter, now: float) -> Callable[[], object]:
    day = datetime.fromtimestamp(now, UTC).date()
    return lambda: release.drop_weights(home, store, adapter, day)


def _whole_of(home: Home, store: Store, adapter: Adapter, kept: int) -> Callable[[], object]:
    reason = f"It served once; it was deleted to make room, {kept} that served later are kept."
    return lambda: release.put_away(home, store, adapter.name, reason)


def _superseded(store: Store, kept: int) -> list[Adapter]:
    """Adapters that passed the gate and are too far back to be gone back to; none where all are kept."""
    if not kept:
        return []
    promoted = [it for it in store.adapters.list() if it.state is AdapterState.PROMOTED]
    # The newest, too: one that was rolled back from may be promoted again.
    stay = {*release.served(store)[-kept - 1 :], *(it.name for it in promoted[-kept:])}
    return [it for it in promoted if it.name not in stay]


def _logs(home: Home, settings: RetentionSettings, now: float) -> Iterator[Doomed]:
    """They are written from the database, which keeps every entry."""
    if not settings.log_days:
        return
    why = f"older than {settings.log_days:g} days (retention.log_days)"
    before = now - settings.log_days * _DAY
    for name in names(home.logs):
        path = home.logs / name
        if name.startswith("session_log_") and _logged_at(path) < before:
            yield Doomed("logs", name, files.size(path), why, files.remover(path))
    if length := journal.old_length(home.master_log, before):
        yield Doomed("logs", home.master_log.name, length, why, lambda: journal.cut(home.master_log, before))


def _logged_at(path: Path) -> float:
    """By its name: a file may be written anew, as when something of it was forgotten."""
    try:
        return datetime.strptime(path.stem[-15:], _STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return files.last_written(path)


def _processed(home: Home, store: Store, settings: RetentionSettings, now: float) -> Iterator[Doomed]:
    total = sum(length for _, length, _ in files.listed(home.processed))
    limit = settings.processed_mb * MIB
    for written, length, name in files.oldest(home.processed):
        why = _too_old(written, settings.processed_days, now)
        if why:
            why += " (retention.processed_days)"
        elif limit and total > limit:
            why = f"all take more than {size(limit)} (retention.processed_mb)"
        else:
            return  # the others are newer
        path = home.processed / name
        stays = _not_stored(store, path)
        if not stays:
            total -= length
        yield Doomed("processed", name, length, why, files.remover(path), stays)


def _not_stored(store: Store, path: Path) -> str:
    """Why the file is the only copy of what it holds; "" where the database has it."""
    out = "move it to sessions/ to have it learned"
    try:
        session = session_file.parse(read_plain(path), path.name)
        stored = store.sessions.get(session.session_id).session
    except FileNotFoundError:
        return "it leads to a file that is not there" if path.is_symlink() else ""
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except AtlesError as error:
        return f"the database does not have it ({error}); {out}"
    if len(stored.messages) < len(session.messages):
        return f"the database has {len(stored.messages)} of its {len(session.messages)} messages; {out}"
    return ""


def _quarantine(home: Home, settings: RetentionSettings, now: float) -> Iterator[Doomed]:
    for name in sorted({it.removesuffix(".reason.txt") for it in names(home.quarantine)}):
        # The reason first: what lists them goes by the reasons.
        both = [it for it in (home.quarantine / f"{name}.reason.txt", home.quarantine / name) if it.is_file()]
        if why := _too_old(max((it.stat().st_mtime for it in both), default=now), settings.quarantine_days, now):
            why += " (retention.quarantine_days)"
            yield Doomed("quarantine", name, sum(map(files.size, both)), why, files.remover(*both))


# --- age ---


def _too_old(written: float, days: float, now: float) -> str:
    return f"older than {days:g} days" if days and written < now - days * _DAY else ""


def _old_folders(kind: str, folders: Sequence[Path], days: float, setting: str, now: float) -> Iterator[Doomed]:
    for folder in folders:
        why = _too_old(files.last_written(folder), days, now)
        if folder.name.startswith(files.ASIDE):
            yield Doomed(kind, folder.name, files.size(folder), "left of a deletion", files.remover(folder))
        elif why:
            yield Doomed(kind, folder.name, files.size(folder), f"{why} (retention.{setting})", files.remover(folder))


def _folders(folder: Path) -> list[Path]:
    return sorted(it for it in folder.iterdir() if it.is_dir() and not it.is_symlink()) if folder.is_dir() else []
