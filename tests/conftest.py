"""What many tests start from: a home, a store, and fake machine-learning programs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atles import log as logs
from atles import programs
from atles.layout import Home
from atles.store import Store
from tests.fakes import FakePrograms


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ATLES_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    opened = Store(home.database)
    yield opened
    opened.close()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePrograms]:
    """Fake programs in the place of the real ones."""
    fakes = FakePrograms(tmp_path / "control")
    monkeypatch.setattr(programs, "command", fakes.command)
    yield fakes
    logs.close()
