"""What a machine does for others over the network, now and then, and whatever others left it to do."""

import threading

from atles.pipeline import release
from atles.pipeline.shelf import Shelf
from atles.store import Store
from atles.upkeep.house import Chore, House

_TIDY_SECONDS = 300.0


def errands(store: Store, shelf: Shelf, stop: threading.Event) -> House:
    """A house of its own: what waits for the network must not keep leases from being renewed."""
    return House([Chore("tidying adapters", _TIDY_SECONDS, lambda: release.tidy(store, shelf))], stop)
