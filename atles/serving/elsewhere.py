"""Adapters served by a model server that is not ours.

    Elsewhere(VLLM(url, model, key, folder), may_serve)
    Elsewhere(Ollama(url, model, key, gguf), may_serve)

An adapter is given to the server, asked once, and then served under a name of its own, which never changes and is never
used again: so nothing is replaced under a name, and the old adapter answers until the new one does (`swap.py`). The
servers' APIs stand in `vllm.py` and `ollama.py`, what they have of us in `loaded.py`.
"""

from collections.abc import Callable, Iterable

from atles.serving.loaded import Loaded, Server
from atles.serving.swap import Swapping


class Elsewhere(Swapping):
    """Serves adapters by another server. `may_serve` says whether an adapter may still answer.

    A load that failed is tried again after `retry_seconds`, while the adapter before it answers; `failure` says why.
    Whether an adapter that was loaded is still there is asked every `check_seconds`, if anybody wants it: servers are
    restarted. At most `most` stay there, unless more are leased. `probe_seconds` is the longest wait for one token: the
    server may have to read the model from its disk first.
    """

    def __init__(
        self,
        server: Server,
        may_serve: Callable[[str], bool],
        *,
        retry_seconds: float = 30.0,
        check_seconds: float = 15.0,
        most: int = 3,
        probe_seconds: float = 300.0,
    ) -> None:
        self._server = server
        self._loaded = Loaded(server, may_serve, check_seconds, most, probe_seconds)
        super().__init__(self._loaded, may_serve=may_serve, retry_seconds=retry_seconds)

    @property
    def key(self) -> str:
        """The server's API key, which a request to a lease's url needs; "" for none."""
        return self._server.key

    def model(self, adapter: str) -> str:
        """What the server calls it."""
        return self._server.model(adapter)

    def sweep(self, retired: Iterable[str]) -> list[str]:
        """Take back what may not serve any more and is there all the same, given by an earlier process perhaps; what
        that was. It is taken back in the background, when its leases end. Raises EndpointError."""
        there = self._server.names()
        swept = [adapter for adapter in retired if self._server.model(adapter) in there]
        for adapter in swept:
            self._loaded.drop(adapter)
        return swept
