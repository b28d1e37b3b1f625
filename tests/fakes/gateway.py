"""A gateway as a process of its own, to be killed.

    python -m tests.fakes.gateway HOME UPSTREAM

It prints its address, and runs until it is killed or told to end by SIGTERM.
"""

import os
import signal
import sys
from dataclasses import replace

from atles.errors import AtlesError
from atles.gateway.models import Lease
from atles.gateway.server import Gateway
from atles.layout import Home
from atles.pipeline.memory import MemoryProcessor
from atles.settings import Settings
from atles.store import Store


class NoAdapters:
    """There are none."""

    def lease(self, adapter: str) -> Lease:
        raise AtlesError("no model server is installed")

    current = lease

    def model(self, adapter: str) -> str:
        return ""

    def close(self) -> None:
        pass


def main() -> None:
    home = Home(sys.argv[1]).create()
    settings = Settings()
    settings = replace(settings, gateway=replace(settings.gateway, port=0, upstream=sys.argv[2], learn_every=3))
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, lambda *_: None)
    store = Store(home.database)
    gateway = Gateway(home, settings, store, MemoryProcessor(store=store, settings=settings), NoAdapters())
    gateway.start()
    print(gateway.url, flush=True)
    os.read(ended, 1)
    gateway.stop()
    store.close()


if __name__ == "__main__":
    main()
