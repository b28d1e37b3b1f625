"""The part of the ml programs that needs no torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from atles.ml import program


@dataclass(frozen=True)
class Spec:
    base: str
    epochs: int = 3


def test_a_spec_with_an_unknown_field_names_it_and_the_known_ones() -> None:
    with pytest.raises(program.BadData, match=r"\['epoch'\].*\['base', 'epochs'\]"):
        program.parse(Spec, {"base": "x", "epoch": 3})


def test_a_spec_without_a_required_field_names_it() -> None:
    with pytest.raises(program.BadData, match="'base'"):
        program.parse(Spec, {})


@pytest.mark.parametrize(
    ("cores", "load", "threads"), [(2, 0.1, 2), (2, 1.0, 1), (2, 7.5, 1), (16, 3.6, 12), (1, 0.0, 1)]
)
def test_threads_are_the_cores_that_others_leave_free(cores: int, load: float, threads: int) -> None:
    assert program.free_cores(cores, load) == threads


def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('{"id": 1}\n\n{"id": 2\n')
    with pytest.raises(program.BadData, match=r"examples.jsonl:3 is not JSON"):
        program.read_jsonl(path)


def test_a_report_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    for steps in (1, 2):
        program.write_json(tmp_path / "report.json", {"steps": steps})
    assert json.loads((tmp_path / "report.json").read_text()) == {"steps": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    program.write_json(tmp_path / "report.json", {"steps": 1})
    with pytest.raises(TypeError):
        program.write_json(tmp_path / "report.json", {"steps": object()})
    assert json.loads((tmp_path / "report.json").read_text()) == {"steps": 1}


def test_a_folder_gets_its_name_when_all_of_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp, target = tmp_path / "made" / ".adapter.tmp", tmp_path / "made" / "adapter"
    (tmp / "deep").mkdir(parents=True)
    for name in ("weights", "deep/config"):
        (tmp / name).write_text(name)
    files = {(tmp / name).stat().st_ino for name in ("weights", "deep/config")}
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_ino, target.exists())))
    program.into_place(tmp, target)
    assert {node for node, named in synced if not named} >= files
    assert synced[-1] == (target.parent.stat().st_ino, True)
    assert (target / "deep" / "config").read_text() == "deep/config"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (program.MissingBase("x"), "missing_base"),
        (program.NanLoss("x"), "nan_loss"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out_of_memory"),
        (RuntimeError("shapes differ"), "crash"),
    ],
)
def test_what_went_wrong_has_a_kind(error: Exception, kind: str) -> None:
    assert program.kind_of(error) == kind
