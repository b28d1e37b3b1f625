"""The chores of a daemon: each at its own pace, whatever the others meet with."""

import threading

import pytest

from atles.errors import Damaged, StoreError
from atles.upkeep.house import Chore, House


def test_one_that_fails_is_logged_and_keeps_no_other_from_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def full() -> None:
        raise StoreError("the disk is full")

    def wrong() -> None:
        raise ZeroDivisionError

    house = House(
        [Chore("settling", 60, full), Chore("counting", 60, wrong), Chore("renewing", 60, lambda: done.append("it"))],
        threading.Event(),
    )
    with caplog.at_level("ERROR", "atles"):
        assert 0 < house.do_due() <= 60 and house.do_due() > 0
    assert done == ["it"], "nothing is due a second time"
    explained, unforeseen = caplog.records
    assert explained.getMessage() == "settling failed, trying again in 60 s: the disk is full"
    assert explained.exc_info is None and unforeseen.exc_info, "only what nobody foresaw has a traceback"


def test_what_one_process_of_a_cluster_does_is_left_to_the_one_that_leads() -> None:
    done: list[str] = []
    chores = [
        Chore("pruning", 60, lambda: done.append("pruning"), leader=True),
        Chore("x", 60, lambda: done.append("x")),
    ]
    House(chores, threading.Event(), leads=lambda: False).do_due()
    assert done == ["x"]


def test_none_is_begun_after_the_word_to_stop() -> None:
    stop, done = threading.Event(), []
    House([Chore("a", 1, stop.set), Chore("b", 1, lambda: done.append("b"))], stop).do_due()
    assert done == []


def test_what_waits_for_a_damaged_database_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    damaged = [True, True, False, True]

    def write() -> None:
        if damaged.pop(0):
            raise Damaged("the database is damaged")

    house = House([Chore("writing the logs", 0, write)], threading.Event())
    for seen in (1, 1, 1, 2):
        house.do_due()
        assert [it.getMessage() for it in caplog.records] == ["writing the logs waits: the database is damaged"] * seen
