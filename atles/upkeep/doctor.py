"""What is wrong in a home, and what mends it: the checks, in their order. None of them changes anything by itself."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from atles.errors import Damaged, Unusable
from atles.layout import Home
from atles.pipeline.lanes import open_queue
from atles.settings import Settings
from atles.store import existing_store
from atles.upkeep import check_adapters, check_data, check_files, check_store
from atles.upkeep.finding import FAIL, OK, RESTORE, Finding, checked, said


def examine(home: Home, settings: Settings, config: Path | None, now: float) -> Iterator[Finding]:
    """Look into a home at the Unix time `now`; `config` is its settings file, if that lies elsewhere.

    A finding's `repair` may be called before the next one is asked for.
    """
    yield checked("privacy", lambda: check_files.privacy(home, config))
    yield checked("daemon", lambda: check_files.daemon(home))
    yield checked("folders", lambda: check_files.folders(home))
    there = bool(settings.store.url) or home.database.exists() or home.migrated.exists()
    lost = checked("database", lambda: check_files.database(home))
    if not there and lost.state == OK:
        return
    yield checked("rights", lambda: check_files.rights(home))
    yield checked("leftovers", lambda: check_files.leftovers(home, now))
    yield checked("quarantine", lambda: check_files.quarantine(home))
    if not there:
        yield lost
        return
    try:
        store = existing_store(home, settings)
    except Unusable as error:
        yield Finding("database", FAIL, error.what, error.way_out)
        return
    except Damaged as error:
        yield Finding("database", FAIL, error.what, RESTORE)
        return
    except Exception as error:  # noqa: BLE001  # a damaged database raises anything
        fix = "see whether the server runs and lets this machine in" if settings.store.url else RESTORE
        yield Finding("database", FAIL, said(error), fix)
        return
    with closing(store):
        if settings.store.url:
            yield checked("server", lambda: check_store.server(store))
        yield (whole := checked("database", lambda: check_store.damage(store)))
        if whole.state == FAIL:
            return  # what it would say cannot be trusted
        queue, today = open_queue(store, settings), datetime.fromtimestamp(now, UTC).date()
        checks: dict[str, Callable[[], Finding]] = {
            "search index": lambda: check_store.words(store, queue),
            "sessions": lambda: check_data.sessions(store, queue),
            "training data": lambda: check_data.training(home, store, queue),
            "logs": lambda: check_data.logs(home, store, settings.retention, now),
            "processed": lambda: check_data.processed(home, store),
            "candidates": lambda: check_adapters.candidates(store, queue),
            "adapters": lambda: check_adapters.weights(home, store, settings, today),
            "adapter folders": lambda: check_adapters.folders(home, store, queue),
            "dead letters": lambda: check_data.dead_letters(queue),
        }
        for name, check in checks.items():
            yield checked(name, check)
