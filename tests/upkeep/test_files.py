"""What a home's files weigh, and which are the oldest."""

import os
import random
from pathlib import Path

import pytest

from atles.upkeep import files


def put(path: Path, written: float, length: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * length)
    os.utime(path, (written, written))
    return path


@pytest.mark.parametrize("in_memory", [1, 7, 40, 10_000])
def test_the_oldest_come_first_however_few_fit_into_memory(
    tmp_path: Path, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_IN_MEMORY", in_memory)
    ages = random.Random(5).choices(range(1000, 1010), k=40)  # several were written in the same second
    for number, written in enumerate(ages):
        put(tmp_path / f"{number}.json", written, number + 1)
    put(tmp_path / "other.txt", 1)
    wanted = sorted((float(written), number + 1, f"{number}.json") for number, written in enumerate(ages))
    assert list(files.oldest(tmp_path)) == wanted
    assert list(files.oldest(tmp_path / "gone")) == []


def test_what_goes_meanwhile_does_not_hide_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_IN_MEMORY", 2)
    for number in range(7):
        put(tmp_path / f"{number}.json", number)
    seen = []
    for _, _, name in files.oldest(tmp_path):
        (tmp_path / name).unlink()
        seen.append(name)
    assert seen == [f"{number}.json" for number in range(7)]


def test_a_folder_is_as_young_as_the_youngest_in_it_and_weighs_what_all_do(tmp_path: Path) -> None:
    put(tmp_path / "a" / "old", 1000, 5)
    put(tmp_path / "a" / "b" / "young", 3000, 6)
    for folder in (tmp_path / "a" / "b", tmp_path / "a"):
        os.utime(folder, (2000, 2000))
    assert files.last_written(tmp_path / "a") == 3000 and files.size(tmp_path / "a") == 11
    assert files.last_written(tmp_path / "a" / "old") == 1000
    assert files.last_written(tmp_path / "gone") == float("inf") and files.size(tmp_path / "gone") == 0
