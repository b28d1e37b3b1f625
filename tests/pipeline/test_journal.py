"""The master log has every entry of its database once: also one that was made anew, after the other was lost."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atles.clock import timestamp
from atles.layout import Home
from atles.pipeline import journal
from atles.records import SessionLog
from atles.settings import RetentionSettings
from atles.store import Store, logs
from atles.upkeep import check_data

ENTRY = SessionLog("", "", "", 1, 1, 0, False, None, "base", (), (), {}, "", 1)


@pytest.fixture
def anew(home: Home) -> Iterator[Store]:
    """Another database, as of a home whose own was lost."""
    with closing(Store(home.root / "new.db")) as opened:
        yield opened


def log(store: Store, *names: str) -> None:
    for name in names:
        store.logs.add(replace(ENTRY, session_id=name), timestamp())


def lines(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in home.master_log.read_text().splitlines()]


def logged(home: Home) -> str:
    return " ".join(line["session_id"] for line in lines(home))


def test_what_a_new_database_logs_is_published(store: Store, anew: Store, home: Home) -> None:
    log(store, *"abcde")
    journal.publish(store, home, 0)
    log(anew, "a", "f")
    journal.publish(anew, home, 0)
    assert logged(home) == "a b c d e a f", "what is learned again is logged again, with its time"
    log(anew, "b")
    for _ in range(2):
        journal.publish(anew, home, 0)
    assert logged(home) == "a b c d e a f b"
    assert len(list(home.logs.glob("session_log_*"))) == len(
        {(it["session_id"], it["logged_at"][:19]) for it in lines(home)}
    )


def test_also_where_the_same_session_has_the_same_number_again(store: Store, anew: Store, home: Home) -> None:
    log(store, "a")
    journal.publish(store, home, 0)
    log(anew, "a")
    for _ in range(2):
        journal.publish(anew, home, 0)
    assert logged(home) == "a a" and len({it["logged_at"] for it in lines(home)}) == 2


def test_killed_between_two_lines_it_goes_on_behind_the_last(store: Store, anew: Store, home: Home) -> None:
    log(store, *"abcde")
    journal.publish(store, home, 0)
    before = home.master_log.read_bytes()
    log(anew, *"xyz")
    journal.publish(anew, home, 0)
    whole = home.master_log.read_bytes()
    for length in range(len(before), len(whole), 29):
        home.master_log.write_bytes(whole[:length])
        journal.publish(anew, home, 0)
        assert home.master_log.read_bytes() == whole


def test_the_first_database_comes_back(store: Store, anew: Store, home: Home) -> None:
    log(store, *"abc")
    journal.publish(store, home, 0)
    log(anew, "x")
    journal.publish(anew, home, 0)
    for _ in range(2):
        journal.publish(store, home, 0)
    assert logged(home) == "a b c x"
    log(store, "d", "e")
    journal.publish(store, home, 0)
    assert logged(home) == "a b c x d e"


def test_one_that_is_logged_again_after_it_was_the_last(store: Store, home: Home) -> None:
    log(store, *"abc")
    journal.publish(store, home, 0)
    log(store, "c")
    for _ in range(2):
        journal.publish(store, home, 0)
    assert logged(home) == "a b c c"


def test_and_all_before_it_were_cut_off(store: Store, home: Home) -> None:
    log(store, *"abc")
    journal.publish(store, home, 0)
    time.sleep(0.01)
    journal.cut(home.master_log, time.time())
    assert logged(home) == "c"
    log(store, "c", "d")
    for _ in range(2):
        journal.publish(store, home, 0)
    assert logged(home) == "c c d"


def test_several_homes_of_one_store_have_the_whole_log_each(store: Store, home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other").create()
    log(store, "a", "b")
    journal.publish(store, home, 0)
    log(store, "b", "c")
    for each in (home, other, home, other):
        journal.publish(store, each, 0)
    assert logged(home) == "a b b c" and logged(other) == "a b c"


def test_a_long_log_of_long_and_odd_lines(store: Store, anew: Store, home: Home) -> None:
    store.logs.add(replace(ENTRY, session_id="long", improvements=("x" * 300_000,)), timestamp())
    log(store, *map(str, range(500)))
    journal.publish(store, home, 0)
    with open(home.master_log, "a") as file:
        file.write('# a note\n{"seq": 7}\n{"seq": "x"}\n[]\n\n')
    log(anew, "a")
    journal.publish(anew, home, 0)
    log(store, "b")
    for _ in range(2):
        journal.publish(store, home, 0)
    found = Counter(line["session_id"] for line in map(json.loads, home.master_log.read_text().splitlines()[:501]))
    assert set(found.values()) == {1} and len(found) == 501
    assert home.master_log.read_text().count('"session_id": "a"') == home.master_log.read_text().count('"b"') == 1


def test_looking_at_the_end_is_all_where_nothing_was_lost(
    store: Store, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(store, *map(str, range(50)))
    journal.publish(store, home, 0)
    monkeypatch.setattr(journal, "_backwards", None)
    log(store, "50")
    for _ in range(2):
        journal.publish(store, home, 0)
    assert len(lines(home)) == 51


@pytest.mark.parametrize("lost", [False, True])
def test_few_are_in_memory_at_once(
    store: Store, anew: Store, home: Home, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    most, rows = 3, store.database.rows
    monkeypatch.setattr(journal, "_AT_ONCE", most)
    monkeypatch.setattr(logs, "_AT_ONCE", most)
    if lost:  # and the log is of another database
        log(anew, *map(str, range(9)))
        journal.publish(anew, home, 0)
    time.sleep(0.01)
    log(store, *"abcdefg")

    def counted(name: str, **given: Any) -> Any:
        found = rows(name, **given)
        assert name != "logs.after" or len(found) <= most
        return found

    monkeypatch.setattr(store.database, "rows", counted)
    for _ in range(2):
        journal.publish(store, home, 0)
    assert logged(home).endswith("a b c d e f g") and len(lines(home)) == 7 + 9 * lost
    assert len(list(home.logs.glob("session_log_*"))) == 7 + 9 * lost


def test_enough_leaves_the_rest_for_the_next_time(store: Store, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_AT_ONCE", 3)
    log(store, *"abcdefg")
    for expected in ("a b c", "a b c d e f", "a b c d e f g"):
        journal.publish(store, home, 0, enough=lambda: True)
        assert logged(home) == expected
    assert home.stats.exists()


def test_a_doctor_takes_no_line_of_another_database_for_one_of_this(store: Store, anew: Store, home: Home) -> None:
    log(store, *"abc")
    journal.publish(store, home, 0)
    log(anew, "x")  # not published yet
    assert check_data.logs(home, anew, RetentionSettings(), time.time()).state == "ok"
