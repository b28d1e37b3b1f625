"""File names for any session id, and files that are never half there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atles import layout
from atles.layout import Home, file_name, names, write_atomic, write_unless_there

_ODD = st.text(alphabet=st.characters(exclude_categories=()), min_size=1, max_size=400)  # lone surrogates, NUL, all


@pytest.mark.parametrize("session_id", ["session_20260901_181204", "a", "01j.x-y_Z", "x" * 120])
def test_a_safe_id_is_its_own_file_name(session_id: str) -> None:
    assert file_name(session_id) == session_id


@pytest.mark.parametrize(
    "session_id",
    [
        "../../etc/passwd",
        "a/b",
        "..",
        ".hidden",
        "a..b",
        "nul\0",
        "x" * 300,
        "",
        "naïve",
        "\ud83d",
        "-rf",
        "a\n",
        "con:",
    ],
)
def test_any_other_id_gets_a_safe_name(session_id: str) -> None:
    name = file_name(session_id)
    assert name == Path(name).name and len(name) < 130 and name.isascii()
    assert ".." not in name and not name.startswith((".", "-")) and "\0" not in name and "\n" not in name


@given(_ODD, _ODD)
def test_two_ids_never_share_a_name(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)
    os.fsencode(file_name(one))


def test_a_home_creates_nothing_until_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert not home.root.exists()
    home.create()
    assert home.sessions.is_dir() and home.quarantine.is_dir() and home.training_data.is_dir()
    assert home.completed("a/b").parent == home.sessions


def test_the_home_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Home().root == Path("atles_memory")
    monkeypatch.setenv("ATLES_HOME", str(tmp_path))
    assert Home().root == tmp_path


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layout.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_write_takes_any_text(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "half an emoji: \ud83d")
    assert (tmp_path / "file").read_bytes() == b"half an emoji: \\ud83d"


def test_a_file_may_be_written_in_pieces_and_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def pieces(fails: bool) -> Iterator[str]:
        yield "one "
        if fails:
            raise ValueError
        yield "two"

    with pytest.raises(ValueError):
        write_atomic(path, pieces(fails=True))
    assert list(tmp_path.iterdir()) == []
    write_atomic(path, pieces(fails=False))
    assert path.read_text() == "one two"


def test_the_names_in_a_folder_come_one_at_a_time_and_none_from_one_that_is_not_there(tmp_path: Path) -> None:
    for name in ("a", "ü b", ".c"):
        (tmp_path / name).touch()
    assert sorted(names(tmp_path)) == [".c", "a", "ü b"]
    assert list(names(tmp_path / "gone")) == []
    with pytest.raises(NotADirectoryError):
        next(names(tmp_path / "a"))


def test_a_file_that_holds_it_already_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_unless_there(path, "ü\n")
    before = path.stat().st_ino
    write_unless_there(path, "ü\n")
    assert path.stat().st_ino == before
    write_unless_there(path, "ue\n")
    assert path.read_text() == "ue\n" and path.stat().st_ino != before
    assert path.stat().st_mode & 0o777 == 0o600
