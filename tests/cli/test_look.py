"""`status`: what people are told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from atles.layout import Home
from atles.pipeline.jobs import at_once, train_now
from atles.pipeline.lanes import TRAIN, open_queue
from atles.settings import Settings
from atles.store import Store
from tests.cli.conftest import NO_TRAINING

Call = Callable[..., Result]


@pytest.fixture
def home(root: Path) -> Home:
    made = Home(root).create()
    Store(made.database).close()
    return made


def test_wrong_settings_say_nothing_about_the_daemon(home: Home, call: Call) -> None:
    call("status", code=3)
    assert "gateway.port" in call("status", "--set", "gateway.port=abc", code=2).stderr


def test_nor_does_a_store_that_cannot_be_used(home: Home, call: Call) -> None:
    home.database.write_text("this is no database, whatever its name says")
    assert str(home.database) in call("status", code=1).stderr


def test_no_training_is_said_to_be_off(home: Home, call: Call) -> None:
    assert "off (train.enabled)" in call("status", *NO_TRAINING, code=3).stdout
    assert "none at the moment" in call("status", code=3).stdout


def test_a_training_that_was_asked_for_is_no_key(home: Home, call: Call) -> None:
    for job in (at_once(), train_now()):
        store = Store(home.database)
        try:
            queue = open_queue(store, Settings())
            queue.put(job)
            claimed = queue.claim(TRAIN)
            assert claimed
            assert "at work on a training, asked for\n" in call("status", code=3).stdout
            queue.done(claimed)
        finally:
            store.close()
