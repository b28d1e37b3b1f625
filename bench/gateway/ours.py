"""ATLES's gateway on a home, without the rest of the daemon. A program of its own.

python -m bench.gateway.ours HOME UPSTREAM on|off      (memory)
"""

import sys

from atles.gateway.adapters import open_adapters
from atles.gateway.server import Gateway
from atles.layout import Home
from atles.pipeline.chosen import open_memory
from atles.settings import GatewaySettings, Settings
from atles.store import Store


def main(folder: str, upstream: str, memory: str) -> None:
    home = Home(folder).create()
    settings = Settings(gateway=GatewaySettings(port=0, upstream=upstream, memory=memory == "on"))
    store = Store(home.database)
    gateway = Gateway(
        home, settings, store, open_memory(home, store, settings), open_adapters(home, settings, store)
    )  # fmt: skip
    gateway.start()
    print(f"{gateway.url}/v1", flush=True)
    sys.stdin.read()
    gateway.stop()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
