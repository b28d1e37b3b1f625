"""The file of a backup: whole or not there, and nothing in it that leads out of the home."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from atles.errors import AtlesError
from atles.upkeep.archive import MANIFEST, Writer, members, verified


def write(path: Path, **files: bytes) -> Path:
    with Writer(path) as archive:
        for name, data in files.items():
            archive.add_bytes(name.replace("_", "/"), data)
        archive.finish({"atles": "1", "schema": 6})
    return path


def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 10_000)
    with Writer(tmp_path / "b.tar.gz") as archive, open(tmp_path / "file", "rb") as file:
        archive.add("a/ü\udce9", file)
        archive.add_bytes("empty", b"")
        assert "empty" in archive and "other" not in archive
        size = archive.finish({"atles": "1", "made_at": "now"})
    manifest = verified(tmp_path / "b.tar.gz")
    assert (manifest["made_at"], manifest["format"]) == ("now", 1)
    assert [(it["path"], it["size"]) for it in manifest["files"]] == [("a/ü\udce9", 2_560_000), ("empty", 0)]
    read = {head.name: file.read() for head, file in members(tmp_path / "b.tar.gz")}
    assert read["a/ü\udce9"] == (tmp_path / "file").read_bytes() and list(read)[-1] == MANIFEST
    assert (tmp_path / "b.tar.gz").stat().st_size == size
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    assert sorted(it.name for it in tmp_path.iterdir()) == ["b.tar.gz", "file"]


def test_a_backup_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = write(tmp_path / "b.tar.gz", a=b"1")
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), Writer(path) as archive:
        archive.add_bytes("a", b"2")
        raise ZeroDivisionError
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_what_is_appended_is_left_out_and_what_is_cut_off_is_filled_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\nthr")

    class Busy(io.BytesIO):
        """Somebody writes the file while it is read."""

        def fileno(self) -> int:
            return opened.fileno()

    with Writer(tmp_path / "b.tar.gz") as archive, open(log, "rb") as opened:
        archive.add("longer", Busy(b"one\ntwo\nthree\n"))
        archive.add("shorter", Busy(b"one\ntwo\n"))
        archive.finish({"atles": "1"})
    verified(tmp_path / "b.tar.gz")
    read = {head.name: file.read() for head, file in members(tmp_path / "b.tar.gz")}
    assert (read["longer"], read["shorter"]) == (b"one\ntwo\nthr", b"one\ntwo\n\n\n\n")


# --- what is no backup any more ---


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_one_that_is_cut_off(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "b.tar.gz", a=b"x" * 1000, b=bytes(range(256)) * 100)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(AtlesError, match="cannot be restored"):
        verified(path)


def test_one_with_a_flipped_bit_anywhere(tmp_path: Path) -> None:
    path = write(tmp_path / "b.tar.gz", a=b"some words that were said", b=bytes(range(256)) * 4)
    data = path.read_bytes()
    for at in range(20, len(data), 37):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        try:
            verified(path)
        except AtlesError as error:
            assert "cannot be restored" in str(error)
        else:  # another way to say the same: in a run of zeros it is all one from where it is copied
            assert gzip.decompress(path.read_bytes()) == gzip.decompress(data)


def test_something_else(tmp_path: Path) -> None:
    (tmp_path / "b.tar.gz").write_text("no gzip")
    with pytest.raises(AtlesError, match="cannot be restored"):
        verified(tmp_path / "b.tar.gz")
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(b"no tar"))
    with pytest.raises(AtlesError, match="cannot be restored"):
        verified(tmp_path / "b.tar.gz")


def made(path: Path, *heads: tarfile.TarInfo, manifest: object = None) -> Path:
    """A .tar.gz by somebody else."""
    with tarfile.open(path, "w:gz") as tar:
        for head in heads:
            tar.addfile(head, io.BytesIO(b"x" * head.size))
        if manifest is not None:
            data = json.dumps(manifest).encode()
            last = tarfile.TarInfo(MANIFEST)
            last.size = len(data)
            tar.addfile(last, io.BytesIO(data))
    return path


def head(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        "..",
        ".",
        "a//b",
        "./a",
        "C:/x",
        "C:x",
        "\\x",
        "..\\x",
        "\\\\h\\s\\x",
    ],
)
def test_a_name_that_leads_out_of_the_home(tmp_path: Path, name: str) -> None:
    with pytest.raises(AtlesError, match="leads out of the home"):
        verified(made(tmp_path / "b.tar.gz", head(name)))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "a"},
        {"type": tarfile.DIRTYPE},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.CHRTYPE},
    ],
)
def test_what_is_no_plain_file(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(AtlesError, match="is no plain file"):
        verified(made(tmp_path / "b.tar.gz", head("a"), head("link", **fields)))


SOUND = {"format": 1, "atles": "1", "files": []}


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: made(path, head("a")), "has no manifest"),
        (lambda path: made(path, head("a"), manifest=SOUND), "a is not what it was"),
        (lambda path: made(path, head("a"), head("a"), manifest=SOUND), "a is in it twice"),
        (lambda path: made(path, head(MANIFEST, size=3), manifest=SOUND), "its manifest makes no sense"),
        (lambda path: made(path, manifest=[]), "its manifest makes no sense"),
        (lambda path: made(path, manifest={**SOUND, "files": [{"path": "a"}]}), "its manifest makes no sense"),
        (lambda path: made(path, manifest={**SOUND, "format": 2}), "made by a newer ATLES (1); upgrade"),
        (
            lambda path: made(path, manifest={**SOUND, "files": [{"path": "a", "size": 1, "sha256": "x"}]}),
            "a is not what it was",
        ),
    ],
)
def test_a_manifest_that_does_not_fit(tmp_path: Path, write: Callable[[Path], Path], says: str) -> None:
    with pytest.raises(AtlesError) as error:
        verified(write(tmp_path / "b.tar.gz"))
    assert says in str(error.value)


def test_nothing_comes_after_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        data = json.dumps(SOUND).encode()
        tar.addfile(head(MANIFEST, size=len(data)), io.BytesIO(data))
        tar.addfile(head("a"))
    with pytest.raises(AtlesError, match="a comes after its manifest"):
        verified(path)
