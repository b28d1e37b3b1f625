"""`atles backup` and `atles restore`, as people type them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.layout import Home
from atles.upkeep.archive import Writer
from atles.upkeep.backup import name_for
from tests.fakes import FakePrograms
from tests.lived import lived_in

Call = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture
def root(home: Home, fake: FakePrograms) -> Path:
    lived_in(home, fake)
    return home.root


def test_there_and_back(call: Call, told: Told, root: Path, tmp_path: Path) -> None:
    file, new = tmp_path / "b.tar.gz", tmp_path / "new"
    made = told("backup", str(file))
    assert made["path"] == str(file) and made["bytes"] == file.stat().st_size and made["counts"]["sessions"] == 16
    assert re.fullmatch(
        rf"{file} \(.*\): 16 sessions, 3 memories, 1 adapter, \d+ files\.\n", call("backup", str(file)).stdout
    )
    back = told("--home", str(new), "restore", str(file))
    assert back["home"] == str(new) and back["counts"] == made["counts"]
    assert "holds something already" in call("--home", str(new), "restore", str(file), code=1).stderr
    said = call("--home", str(tmp_path / "again"), "restore", str(file)).stdout
    assert "16 sessions, 3 memories, 1 adapter" in said and f"`atles --home {tmp_path / 'again'} start`" in said
    call("--home", str(new), "doctor", "--set", "train.enabled=false")


def test_a_folder_keeps_the_newest(told: Told, root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = [folder / name_for(Home(root), f"2026-01-0{day}T00:00:00+00:00") for day in (1, 2, 3)]
    other = folder / "atles-20260101-000000.tar.gz"
    for path in (*old, other):
        path.touch()
    made = told("backup", str(folder), "--keep", "2")
    assert re.fullmatch(r"atles-.+-\d{8}-\d{6}\.tar\.gz", Path(made["path"]).name)
    assert made["deleted"] == [it.name for it in old[:2]]
    assert {it.name for it in folder.iterdir()} == {old[2].name, Path(made["path"]).name, other.name}


def test_where_it_fails_no_older_one_is_deleted(
    call: Call, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / name_for(Home(root), "2026-01-01T00:00:00+00:00")
    old.touch()

    def full(self: Writer, about: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "finish", full)
    said = call("backup", str(tmp_path), "--keep", "1", code=1).stderr
    assert said.startswith("atles: no backup was made: No space left on device; it needs room for itself in ")
    monkeypatch.setattr("atles.store.tables._OfSQLite.damage", lambda self: "page 7")
    assert "is damaged (page 7)" in call("backup", str(tmp_path), "--keep", "1", code=1).stderr
    assert old.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["notes.txt"], "ends with .tar.gz"),
        (["b.tar.gz", "--keep", "2"], "--keep is for a folder"),
        ([".", "--keep", "0"], "--keep"),
    ],
)
def test_wrong_use(call: Call, root: Path, words: list[str], says: str) -> None:
    assert says in call("backup", *words, code=2).stderr
    assert not Path("b.tar.gz").exists()


def test_what_cannot_be_done_is_one_line(call: Call, root: Path, tmp_path: Path) -> None:
    said = call("backup", str(tmp_path / "none" / "b.tar.gz"), code=1).stderr
    assert said == f"atles: there is no folder {tmp_path / 'none'}; make it first\n"
    said = call("--home", str(tmp_path / "nowhere"), "backup", str(tmp_path / "b.tar.gz"), code=1).stderr
    assert "there is no ATLES home" in said
    (tmp_path / "b.tar.gz").write_text("no backup")
    said = call("--home", str(tmp_path / "new"), "restore", str(tmp_path / "b.tar.gz"), code=1).stderr
    assert "cannot be restored" in said and said.count("\n") == 1
    assert not (tmp_path / "new").exists() and not (tmp_path / "nowhere").exists()


def test_an_address_in_the_environment_is_named(
    call: Call, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("backup", str(tmp_path / "b.tar.gz"))
    monkeypatch.setenv("ATLES_STORE_URL", "postgresql://me@db/atles")
    said = call("--home", str(tmp_path / "new"), "restore", str(tmp_path / "b.tar.gz")).stdout
    assert "ATLES_STORE_URL in the environment names a store" in said
