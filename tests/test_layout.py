"""File names for any session id, and files that are never half there."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atles import layout
from atles.layout import (
    Home,
    NoPlainFile,
    file_name,
    names,
    read_plain,
    take_name,
    write_anew,
    write_atomic,
    write_unless_there,
)

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


# --- the next free name ---


@pytest.fixture(params=["links", "no links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    def none(*paths: object) -> None:
        raise OSError(1, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", none)
    return request.param == "links"


def held(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.mark.usefixtures("links")
def test_a_file_takes_the_next_free_name(tmp_path: Path) -> None:
    for word in ("one", "two", "three"):
        (tmp_path / "new").write_text(word)
        take_name(tmp_path / "new", tmp_path / "a.b.json")
    assert write_anew(tmp_path / "a.b.json", "four").name == "a.b.4.json"
    assert held(tmp_path) == {"a.b.json": "one", "a.b.2.json": "two", "a.b.3.json": "three", "a.b.4.json": "four"}


@pytest.mark.usefixtures("links")
def test_names_for_an_ending_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").touch()
    (tmp_path / "new").touch()
    assert take_name(tmp_path / "new", tmp_path / "x.tar.gz", mark="-", ending=".tar.gz").name == "x-2.tar.gz"


@pytest.mark.usefixtures("links")
def test_of_many_at_once_each_has_a_name(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda number: write_anew(tmp_path / "a.json", str(number)), range(40)))
    assert sorted(held(tmp_path)) == sorted(path.name for path in paths)
    assert sorted(map(int, held(tmp_path).values())) == list(range(40))


@pytest.mark.usefixtures("links")
def test_whatever_is_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a.2").symlink_to(tmp_path / "gone")
    write_anew(tmp_path / "a", "new")
    assert held(tmp_path) == {"a.3": "new"} and (tmp_path / "a.2").is_symlink()


@pytest.mark.usefixtures("links")
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
def test_what_is_no_plain_file_is_moved_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    moved = [take_name(tmp_path / name, tmp_path / "taken") for name in ("folder", "pipe", "link")]
    assert [path.name for path in moved] == ["taken.2", "taken.3", "taken.4"]
    assert moved[0].is_dir() and moved[1].is_fifo() and moved[2].is_symlink()
    assert held(tmp_path) == {"taken": "mine"} and len(list(tmp_path.iterdir())) == 4


def test_where_the_old_name_stays_there_is_no_new_one(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that is read-only."""
    file, unlink = tmp_path / "old", Path.unlink
    file.touch()

    def refused(path: Path, *others: object, **options: bool) -> None:
        if path == file:
            raise PermissionError(13, "Permission denied", str(file))
        unlink(path, **options)

    monkeypatch.setattr(*((Path, "unlink") if links else (os, "replace")), refused)
    with pytest.raises(PermissionError):
        take_name(file, tmp_path / "new")
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_has_both_names_loses_the_old_one(tmp_path: Path) -> None:
    """As after a kill in between."""
    (tmp_path / "old").write_text("x")
    os.link(tmp_path / "old", tmp_path / "new")
    assert take_name(tmp_path / "old", tmp_path / "new").name == "new"
    assert held(tmp_path) == {"new": "x"}


def test_what_is_gone_takes_no_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        take_name(tmp_path / "gone", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_the_old_name_goes_when_the_new_one_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power loss keeps of two folders is not said: the file could have neither name."""
    (file := tmp_path / "old").touch()
    (folder := tmp_path / "folder").mkdir()
    seen: list[tuple[Path, bool]] = []
    monkeypatch.setattr(layout, "sync_folder", lambda path: seen.append((path, file.exists())))
    take_name(file, folder / "new")
    assert seen == [(folder, True)] and not file.exists()


def test_what_is_no_plain_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    there = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    there.bind("socket")
    there.close()
    for name in ("pipe", "folder", "socket"):
        with pytest.raises(NoPlainFile, match="it is no plain file"):
            read_plain(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "gone")
    write_unless_there(tmp_path / "pipe", "words")
    assert read_plain(tmp_path / "pipe") == b"words"
