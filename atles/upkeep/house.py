"""The daemon's chores: small things that are done again and again, each at its own pace."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atles.errors import AtlesError, Damaged

log = logging.getLogger("atles.daemon")


@dataclass(frozen=True)
class Chore:
    """Something to do every `seconds`, the first time at once. With `leader`, by one process of a cluster only."""

    name: str
    seconds: float
    do: Callable[[], None]
    leader: bool = False


class House:
    """A thread that does the chores until told to stop. One that fails is logged and tried again at its next turn; what
    fails because the database is damaged is logged once, for that lasts until people mend it."""

    def __init__(
        self, chores: Sequence[Chore], stop: threading.Event, leads: Callable[[], bool] = lambda: True
    ) -> None:
        self._chores, self._stop, self._leads = chores, stop, leads
        self._next = {chore.name: 0.0 for chore in chores}  # time.monotonic()
        self._waiting: set[str] = set()  # for a database that is damaged
        self._thread = threading.Thread(target=self._keep, name="atles-house", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; whether it did."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def do_due(self) -> float:
        """Do what is due; the seconds until something is due again."""
        for chore in self._chores:
            if self._stop.is_set():
                break  # somebody waits for the end, and the rest may take long
            if self._next[chore.name] > time.monotonic():
                continue
            # Set first: what always fails is not tried in a busy loop.
            self._next[chore.name] = time.monotonic() + chore.seconds
            try:
                if not chore.leader or self._leads():
                    chore.do()
                self._waiting.discard(chore.name)
            except Damaged as error:
                if chore.name not in self._waiting:
                    log.error("%s waits: %s", chore.name, error)
                self._waiting.add(chore.name)
            except (AtlesError, OSError) as error:  # a full disk, a server that is away
                log.error("%s failed, trying again in %g s: %s", chore.name, chore.seconds, error)
            except Exception:  # or nobody would renew leases and close sessions any more
                log.exception("%s failed, trying again in %g s", chore.name, chore.seconds)
        return max(0.0, min(self._next.values()) - time.monotonic())

    def _keep(self) -> None:
        while not self._stop.wait(self.do_due()):
            pass
