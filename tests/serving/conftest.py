"""Adapters that are served, by fake programs."""

import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atles.errors import UnknownAdapter
from atles.serving.llamacpp import Files, ModelServers
from tests.fakes import FakePrograms
from tests.fakes.process import until

Find = Callable[[str], Files]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Any adapter, made when it is first asked for; `unknown` is none."""

    def find(adapter: str) -> Files:
        if adapter == "unknown":
            raise UnknownAdapter("no adapter is called unknown")
        if not adapter:
            return Files(tmp_path / "base.gguf")
        folder = tmp_path / "adapters" / adapter
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "adapter_model.safetensors").write_text(adapter)
        return Files(tmp_path / "base.gguf", folder)

    return find


@pytest.fixture
def servers(fake: FakePrograms, find: Find, tmp_path: Path) -> Iterator[ModelServers]:
    with ModelServers(find, tmp_path / "work") as made:
        yield made


def who(url: str, seconds: float = 60) -> str:
    """Who answers a chat at this address."""
    body = json.dumps({"messages": [{"role": "user", "content": "who are you?"}], "max_tokens": 8}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=seconds) as response:
        return json.load(response)["model"]


def kill(servers: ModelServers, adapter: str) -> None:
    """kill -9 a server, and wait until the system says so: its port closes first, then its threads end, one by one."""
    served = servers._servers[adapter].served
    os.kill(served.pid, signal.SIGKILL)
    until(lambda: not served.alive(), "it is dead")
