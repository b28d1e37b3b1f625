"""What a machine does now and then for others, and after them: what may take long, as over the network, so that it has
a thread of its own."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from atles.layout import Home, write_atomic
from atles.pipeline import journal, release
from atles.pipeline.finetune import ModelFineTuner
from atles.pipeline.forget_files import forget_files, training_files
from atles.pipeline.shelf import Shelf
from atles.store import Store
from atles.store.sqlite import SQLite
from atles.upkeep.house import Chore, House

_TIDY_SECONDS = 300.0


def errands(store: Store, shelf: Shelf, tuner: ModelFineTuner, stop: threading.Event) -> House:
    """A house of its own: what waits for the network, or writes the logs of years, must not keep leases from being
    renewed."""
    home, began = shelf.home, time.monotonic()

    def write_logs() -> None:
        """Also of what other machines have learned: each home has the whole log."""
        journal.publish(store, home, time.monotonic() - began, enough=stop.is_set)

    return House(
        [
            Chore("forgetting", _TIDY_SECONDS, lambda: forget_here(store, home, tuner)),
            Chore("writing the logs", _TIDY_SECONDS, write_logs),
            Chore("tidying adapters", _TIDY_SECONDS, lambda: release.tidy(store, shelf)),
            Chore("looking at a damaged database", _TIDY_SECONDS, store.database.look_again),
        ],
        stop,
    )


def forget_here(store: Store, home: Home, tuner: ModelFineTuner) -> None:
    """Take out of this home's files what was forgotten since the last time, whichever machine was told to. Raises
    OSError."""
    news = store.sessions.forgotten_after(_done(home))
    if not news:
        return
    names = {session_id for _, session_id in news}
    forget_files(home, store, names)
    for name, files in sorted(training_files(home, names).items()):
        _train_without(store, home, tuner, name, files)
    write_atomic(home.forgotten, str(news[-1][0]))


def _done(home: Home) -> int:
    """Up to which number it was done before."""
    try:
        return int(home.forgotten.read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # it is not there, or cut off: done again it does no harm
        return 0


def _train_without(store: Store, home: Home, tuner: ModelFineTuner, name: str, files: Sequence[Path]) -> None:
    """Bring a session's training files up to its examples, under the lock under which the data step makes both: it may
    have done so already, on this machine or another, or is still to come."""
    with store.transaction():
        store.sessions.lock(store.sessions.get(name).user)
        stored, examples = store.sessions.get(name), store.examples.of_session(name)
        written = ""
        # Of several machines each has the files that it made: another one makes them, if there is something.
        if examples or isinstance(store.database, SQLite):
            path = tuner.prepare_training_data(stored.session, list(examples), stored.received_at, grown=False)
            written = path.name
        for file in files:
            if file.name != written:
                file.unlink(missing_ok=True)
