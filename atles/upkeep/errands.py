"""What a machine does for others over the network, now and then, and whatever others left it to do."""

import threading

from atles.layout import Home, write_atomic
from atles.pipeline import release
from atles.pipeline.finetune import ModelFineTuner
from atles.pipeline.forget import forget_files
from atles.pipeline.shelf import Shelf
from atles.store import Store
from atles.upkeep.house import Chore, House

_TIDY_SECONDS = 300.0


def errands(store: Store, shelf: Shelf, tuner: ModelFineTuner, stop: threading.Event) -> House:
    """A house of its own: what waits for the network must not keep leases from being renewed."""
    return House(
        [
            Chore("forgetting", _TIDY_SECONDS, lambda: forget_here(store, shelf.home, tuner)),
            Chore("tidying adapters", _TIDY_SECONDS, lambda: release.tidy(store, shelf)),
        ],
        stop,
    )


def forget_here(store: Store, home: Home, tuner: ModelFineTuner) -> None:
    """Take out of this home's files what was forgotten since the last time, whichever machine was told to. Raises
    OSError."""
    done = int(home.forgotten.read_text("utf-8")) if home.forgotten.exists() else 0
    news = store.sessions.forgotten_after(done)
    if not news:
        return
    names = {session_id for _, session_id in news}
    had = forget_files(home, store, names)
    for name in sorted(had):  # the data step may have written it again already, and on another machine
        stored, examples = store.sessions.get(name), store.examples.of_session(name)
        if examples:
            tuner.prepare_training_data(stored.session, list(examples), stored.received_at, grown=False)
    write_atomic(home.forgotten, str(news[-1][0]))
