"""Says in the log when the disk of a home gets full, and when there is room again. What stops then is decided where it
is done: `pipeline/room.py`."""

import logging

from atles.pipeline.room import Room, size

log = logging.getLogger("atles.daemon")


class DiskWatch:
    """Call `look` every few seconds."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._state = "ok"

    def look(self) -> None:
        """Log what changed since the last look. Raises OSError where the disk cannot be asked."""
        seen = self._room.seen()
        if seen["state"] == self._state:
            return
        self._state = seen["state"]
        if self._state == "ok":
            log.info("there is room on the disk again: %s free", size(seen["free"]))
        elif self._state == "no training":
            log.warning("no training begins: %s", self._room.no_training())
        else:
            log.error(
                "nothing is learned before there is room, though all is recorded: %s; `atles prune --dry-run` and "
                "`atles doctor` say what can go",
                self._room.no_learning(),
            )
