"""What is wrong in a home, and what mends it: the checks, in their order. None of them changes anything by itself."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline.lanes import open_queue
from atles.settings import Settings
from atles.store import existing_store
from atles.upkeep import check_adapters, check_data, check_files, check_store
from atles.upkeep.finding import FAIL, Finding


def examine(home: Home, settings: Settings, config: Path | None, now: float) -> Iterator[Finding]:
    """Look into a home at the Unix time `now`; `config` is its settings file, if that lies elsewhere.

    A finding's `repair` may be called before the next one is asked for.
    """
    yield _done("privacy", lambda: check_files.privacy(home, config))
    yield _done("daemon", lambda: check_files.daemon(home))
    if not (settings.store.url or home.database.exists()):
        return
    yield _done("rights", lambda: check_files.rights(home))
    yield _done("leftovers", lambda: check_files.leftovers(home, now))
    yield _done("quarantine", lambda: check_files.quarantine(home))
    try:
        store = existing_store(home, settings)
    except AtlesError as error:
        fix = "see whether the server runs and lets this machine in" if settings.store.url else check_store.RESTORE
        yield Finding("database", FAIL, str(error), fix)
        return
    with closing(store):
        queue, today = open_queue(store, settings), datetime.fromtimestamp(now, UTC).date()
        if settings.store.url:
            yield _done("server", lambda: check_store.server(store))
        yield (whole := check_store.damage(store))
        if whole.state == FAIL:
            return  # what it would say cannot be trusted
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
            yield _done(name, check)


def _done(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (AtlesError, OSError) as error:
        return Finding(name, FAIL, f"it cannot be checked: {error}")
