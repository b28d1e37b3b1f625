"""A daemon that is replaced by a newer one while sessions keep coming: none is lost, none is learned twice."""

import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from atles.layout import Home
from atles.store import Store
from atles.store.database import SCHEMA_VERSION
from tests.fakes import FakePrograms
from tests.fakes.process import DaemonProcess, idle, until
from tests.samples import chat, drop

pytestmark = pytest.mark.slow


def test_restarts_and_a_migration_under_load_lose_nothing(home: Home, tmp_path: Path) -> None:
    fake = FakePrograms(tmp_path / "control")
    sessions = [chat(number) for number in range(1, 61)]
    ended = threading.Event()

    def keep_coming() -> None:
        for session in sessions:
            drop(home, session)
            time.sleep(0.1)
        ended.set()

    writer = threading.Thread(target=keep_coming)
    writer.start()
    restarts = 0
    while not ended.is_set() or restarts < 3:
        with DaemonProcess(home, fake, "train.enabled=false") as daemon:
            time.sleep(1)
            assert daemon.terminate() == 0
        if restarts == 0:  # as the version before wrote it
            with sqlite3.connect(home.database) as connection:
                connection.execute(f"pragma user_version = {SCHEMA_VERSION - 1}")
            connection.close()
        restarts += 1
    writer.join()
    with DaemonProcess(home, fake, "train.enabled=false") as daemon:
        until(lambda: idle(home), "all is learned")
        assert daemon.terminate() == 0
    ids = Counter(session["session_id"] for session in sessions)
    store = Store(home.database)
    assert Counter(row["session_id"] for row in store.sessions.list()) == ids
    assert Counter(row["session_id"] for row in store.memories.sessions()) == ids
    assert all(store.logs.steps(name, 1)["memory"]["attempts"] == 1 for name in ids)
    store.close()


def test_an_older_atles_refuses_a_newer_home_and_says_so(home: Home, tmp_path: Path) -> None:
    Store(home.database).close()
    with sqlite3.connect(home.database) as connection:
        connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    daemon = DaemonProcess(home, FakePrograms(tmp_path / "control"))
    assert not daemon.started and "was written by a newer ATLES" in daemon.errors()
    assert daemon.terminate() != 0
