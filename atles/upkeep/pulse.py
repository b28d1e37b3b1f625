"""Whether a daemon still does its work. Knows its parts by name, not what they do."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atles.errors import Damaged
from atles.upkeep.notify import Supervisor

log = logging.getLogger("atles.daemon")


@dataclass(frozen=True)
class Part:
    """Something that must not end by itself, and whether it is alive."""

    name: str
    alive: Callable[[], bool]


class Pulse:
    """Call `look` every `seconds` (0: whenever you like): the supervisor ends a daemon that it does not hear of.

    `ask` puts a question to the store, and raises if there is no answer. Damaged is an answer: a daemon that was begun
    anew would find the same file, and this one still records.
    """

    def __init__(
        self, parts: Sequence[Part], ask: Callable[[], object], stop: threading.Event, supervisor: Supervisor
    ) -> None:
        self._parts, self._ask, self._stop, self._supervisor = parts, ask, stop, supervisor
        self._dead: list[str] = []
        self._damage = ""
        self.seconds = supervisor.watchdog_seconds / 3  # a look may be late, and one may fail

    def look(self) -> None:
        """Tell the supervisor that all is well; or log what has died or is damaged, once. Raises what `ask` raises."""
        dead = [part.name for part in self._parts if not part.alive()]
        damage = ""
        try:
            self._ask()
        except Damaged as error:
            damage = str(error)
        if self._stop.is_set():
            return  # the parts end because they were told to
        if damage and not self._damage:
            log.error("nothing is learned, though all is recorded: %s", damage)
            self._supervisor.tell(f"STATUS=nothing is learned: {damage}")
        elif self._damage and not damage:
            log.info("the database is whole again")
            self._supervisor.tell("STATUS=learning")
        self._damage = damage
        if not dead:
            self._supervisor.tell("WATCHDOG=1")
        elif dead != self._dead:
            what = " and ".join(dead)
            log.error("%s ended, and nobody had asked for it; `atles restart` begins anew", what)
            self._supervisor.tell(f"STATUS={what} ended unexpectedly; waiting to be started anew")
        self._dead = dead
