"""What a session file is called while it is moved: a name that leads back to its own, and takes nobody's place."""

import os
from pathlib import Path

import pytest

from atles.capture.claim import NAME_BYTES, claim, fitting, give_back, seen, unclaimed
from atles.layout import Home, is_session_file


def put(home: Home, name: str = "completed_s.json", words: str = "mine") -> Path:
    path = home.sessions / name
    path.write_text(words)
    return path


def test_a_claimed_file_is_a_session_file_that_says_what_it_was_called(home: Home) -> None:
    path = put(home, "completed_a.2.json")
    was = seen(path)
    mine = claim(path)
    assert not path.exists() and mine.parent == path.parent and is_session_file(mine.name)
    assert unclaimed(mine.name) == path.name and seen(mine) == was
    assert claim(mine) == mine, "once is enough"
    assert give_back(mine, path) == path and path.read_text() == "mine" and not mine.exists()
    assert unclaimed("completed_a.taken.json") == "completed_a.taken.json"


def test_one_that_came_meanwhile_keeps_its_name(home: Home) -> None:
    path = put(home)
    mine = claim(path)
    put(home, words="another's")
    assert give_back(mine, path) == mine
    assert path.read_text() == "another's" and mine.read_text() == "mine"


def test_what_cannot_be_linked_stays_under_the_other_name(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    path = put(home)
    mine = claim(path)
    monkeypatch.setattr(os, "link", refused)
    assert give_back(mine, path) == mine and mine.exists() and not path.exists()


def test_another_file_is_seen_though_it_is_as_long_and_as_old(home: Home) -> None:
    path = put(home)
    was = path.stat()
    other = put(home, ".tmp", "more")
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    before = seen(path)
    other.replace(path)
    assert seen(path) != before


@pytest.mark.parametrize("stem", ["x" * 240, "ü" * 120, "\udcff" * 240, "a." + "b" * 238, ".." + "c" * 238])
def test_a_name_that_is_too_long_is_shortened_and_stays_its_own(home: Home, stem: str) -> None:
    name = f"completed_{stem}.json"
    short = fitting(name, 60)
    assert len(os.fsencode(short)) + 60 <= NAME_BYTES and is_session_file(short)
    assert short != fitting(f"completed_{stem[:-1]}.json", 60)
    assert fitting("completed_s.json", 60) == "completed_s.json"
    mine = claim(put(home, name))
    assert mine.read_text() == "mine" and is_session_file(mine.name)
