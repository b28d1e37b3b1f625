"""Tells whoever started the daemon how it is: systemd's protocol, sd_notify(3). Knows the protocol, not the daemon.

Without `NOTIFY_SOCKET` in the environment nobody wants to know, and nothing is sent.
"""

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger("atles.daemon")

_SEND_SECONDS = 5.0  # systemd takes a message at once, unless something is wrong with it


class Supervisor:
    """Who started this process and watches it, as the `environment` says."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL of an abstract address, which has no file.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        micros, pid = environment.get("WATCHDOG_USEC", ""), str(os.getpid())
        watched = micros.isdecimal() and environment.get("WATCHDOG_PID", pid) == pid  # else meant for a parent of ours
        self.watchdog_seconds = int(micros) / 1e6 if watched else 0.0  # the longest silence allowed; 0: any

    def tell(self, *news: str) -> None:
        """Send news such as `READY=1` or `STATUS=…`. What cannot be sent is logged."""
        if not self._address:
            return
        datagram = "\n".join(" ".join(line.splitlines()) for line in news).encode("utf-8", "backslashreplace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_SECONDS)
                sender.connect(self._address)
                sender.send(datagram)
        except OSError as error:
            log.warning("cannot tell systemd %s: %s", news[0], error)
