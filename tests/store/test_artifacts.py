"""Folders that machines share: there whole or not at all, in a folder, in memory and on S3."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atles.errors import ArtifactError
from atles.store.artifacts import Artifacts
from tests.fakes.s3 import BUCKET, SECRET, on_s3

ROOT = Path(__file__).parent.parent.parent
FILES = {"config.json": b"{}", "parts/one.bin": bytes(range(256)) * 400, "empty.txt": b"", "weights.bin": b"w" * 70_000}


def url_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "s3":
        request.getfixturevalue("s3")
        return f"s3://{BUCKET}/{tmp_path.name}"
    return {"folder": str(tmp_path / "sha red"), "url": (tmp_path / "url").as_uri(), "memory": f"memory://{tmp_path}"}[
        kind
    ]


S3 = pytest.param("s3", marks=pytest.mark.slow)


@pytest.fixture(params=["folder", "url", "memory", S3])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts(url_of(request.param, request, tmp_path))


@pytest.fixture(params=["folder", S3])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    """One that other processes see, too."""
    return Artifacts(url_of(request.param, request, tmp_path))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return written(tmp_path / "source", FILES)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {str(it.relative_to(folder)): it.read_bytes() for it in folder.rglob("*") if it.is_file()}


def place(artifacts: Artifacts) -> tuple[Any, str]:
    """The file system that it uses, and where "a" of "things" lies there."""
    fs, root = artifacts._place
    return fs, f"{root}/things/a"


def test_what_is_shared_is_fetched_as_it_was(artifacts: Artifacts, source: Path, tmp_path: Path) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    assert artifacts.fetch("things", "a", tmp_path / "home" / "copy")
    assert read(tmp_path / "home" / "copy") == FILES
    assert artifacts.names("things") == {"a": True} and artifacts.names("others") == {}
    assert Artifacts(artifacts.url + "/").names("things") == {"a": True}


def test_only_what_was_named_is_shared(artifacts: Artifacts, source: Path, tmp_path: Path) -> None:
    artifacts.publish("things", "a", source, ["weights.bin"])
    artifacts.fetch("things", "a", tmp_path / "copy")
    assert read(tmp_path / "copy") == {"weights.bin": FILES["weights.bin"]}


def test_what_was_never_shared_is_not_there(artifacts: Artifacts, tmp_path: Path) -> None:
    assert not artifacts.fetch("things", "a", tmp_path / "copy") and not (tmp_path / "copy").exists()
    assert artifacts.names("things") == {}
    artifacts.remove("things", "a")


def test_sharing_the_same_again_does_nothing(artifacts: Artifacts, source: Path, monkeypatch: Any) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    forbid(artifacts, monkeypatch, "put_file", "pipe_file")
    artifacts.publish("things", "a", source, list(FILES))


def test_other_files_under_a_name_that_is_in_use_are_refused(
    artifacts: Artifacts, source: Path, tmp_path: Path
) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    other = written(tmp_path / "other", {**FILES, "weights.bin": b"x" * 70_000})
    with pytest.raises(ArtifactError, match=r"holds other files than.*another name") as raised:
        artifacts.publish("things", "a", other, list(FILES))
    assert raised.value.kind == "conflict" and not raised.value.retryable
    artifacts.fetch("things", "a", tmp_path / "copy")
    assert read(tmp_path / "copy") == FILES


def forbid(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
    """Let this be called no more."""

    def called(*args: object, **more: object) -> None:
        raise AssertionError(f"called with {args}")

    for name in methods:
        monkeypatch.setattr(artifacts._place[0], name, called)


def test_what_is_here_is_not_fetched_again(
    artifacts: Artifacts, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    artifacts.fetch("things", "a", tmp_path / "copy")
    forbid(artifacts, monkeypatch, "get_file")
    assert artifacts.fetch("things", "a", tmp_path / "copy")


def test_a_copy_that_is_not_whole_is_mended_and_what_else_is_there_stays(
    artifacts: Artifacts, source: Path, tmp_path: Path
) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    copy = written(tmp_path / "copy", {"report.json": b"mine", "weights.bin": b"W" * 70_000})
    assert artifacts.fetch("things", "a", copy)
    assert read(copy) == {**FILES, "report.json": b"mine"}
    assert [it.name for it in tmp_path.iterdir() if it.name.endswith(".part")] == []


def test_copies_are_for_their_owner_alone(artifacts: Artifacts, source: Path, tmp_path: Path) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    artifacts.fetch("things", "a", tmp_path / "home" / "copy")
    rights = {stat.S_IMODE(it.stat().st_mode) for it in (tmp_path / "home").rglob("*")}
    assert rights == {0o700, 0o600}


def flip(fs: Any, at: str) -> None:
    data = bytearray(fs.cat_file(f"{at}/weights.bin"))
    data[12_345] ^= 1
    fs.pipe_file(f"{at}/weights.bin", bytes(data))


def leading_out(fs: Any, at: str) -> None:
    entry = {
        "path": "../../evil",
        "size": 0,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    fs.pipe_file(f"{at}.json", json.dumps({"files": [entry]}).encode())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip, "weights.bin is not what was shared"),
        (lambda fs, at: fs.pipe_file(f"{at}/weights.bin", b"w" * 69_999), "weights.bin is not what was shared"),
        (lambda fs, at: fs.rm_file(f"{at}/parts/one.bin"), "parts/one.bin is missing"),
        (lambda fs, at: fs.pipe_file(f"{at}.json", b'{"files": [{"pa'), "its manifest makes no sense"),
        (lambda fs, at: fs.pipe_file(f"{at}.json", b"[1]"), "its manifest makes no sense"),
        (leading_out, "its manifest makes no sense"),
    ],
    ids=["flipped bit", "cut off", "missing file", "half a manifest", "another manifest", "path that leads out"],
)
def test_what_was_damaged_is_never_taken_for_whole(
    artifacts: Artifacts, source: Path, tmp_path: Path, damage: Callable[[Any, str], None], says: str
) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    damage(*place(artifacts))
    with pytest.raises(ArtifactError, match=says) as raised:
        artifacts.fetch("things", "a", tmp_path / "home" / "copy")
    assert raised.value.kind == "damaged" and raised.value.retryable
    assert [it.name for it in (tmp_path / "home").glob("*") if it.name != ".fetch.lock"] == []
    # The way out that the message names.
    fs, at = place(artifacts)
    assert f"delete {artifacts.url}/things/a.json" in str(raised.value)
    fs.rm_file(f"{at}.json")
    artifacts.publish("things", "a", source, list(FILES))
    assert artifacts.fetch("things", "a", tmp_path / "home" / "copy")
    assert read(tmp_path / "home" / "copy") == FILES


def in_a_process(artifacts: Artifacts, code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Python code that has `artifacts`, its file system `fs`, `folder`, `files`, and `kill()`."""
    head = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom atles.store.artifacts import Artifacts\n"
        "artifacts, folder, files = Artifacts(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]\n"
        "fs = artifacts._place[0]\nkill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    line = [sys.executable, "-c", head + code, artifacts.url, *map(str, arguments)]
    return subprocess.Popen(line, cwd=ROOT, text=True, stdout=subprocess.PIPE)


@pytest.mark.slow
def test_who_is_killed_while_sharing_leaves_nothing_that_is_there(
    shared: Artifacts, source: Path, tmp_path: Path
) -> None:
    code = """
put = fs.put_file
fs.put_file = lambda here, there: kill() if there.endswith("weights.bin") else put(here, there)
artifacts.publish("things", "a", folder, files)"""
    process = in_a_process(shared, code, source, *FILES)
    assert process.wait(60) == -9
    process.communicate()
    assert shared.names("things") == {"a": False}
    assert not shared.fetch("things", "a", tmp_path / "copy")
    shared.publish("things", "a", source, list(FILES))
    assert shared.fetch("things", "a", tmp_path / "copy") and read(tmp_path / "copy") == FILES


@pytest.mark.slow
def test_who_is_killed_while_fetching_leaves_nothing_that_looks_whole(
    shared: Artifacts, source: Path, tmp_path: Path
) -> None:
    shared.publish("things", "a", source, list(FILES))
    code = """
get = fs.get_file
fs.get_file = lambda there, here: kill() if there.endswith("weights.bin") else get(there, here)
artifacts.fetch("things", "a", folder)"""
    copy = tmp_path / "home" / "copy"
    process = in_a_process(shared, code, copy)
    assert process.wait(60) == -9
    process.communicate()
    assert not copy.exists() and (copy.parent / ".copy.part" / "config.json").exists()
    shared.publish("things", "b", source, ["config.json"])
    assert shared.fetch("things", "b", copy.with_name("other"))
    assert not (copy.parent / ".copy.part").exists(), "whoever fetches next clears it away"
    assert shared.fetch("things", "a", copy) and read(copy) == FILES


@pytest.mark.slow
def test_of_processes_that_want_the_same_one_fetches_it(shared: Artifacts, source: Path, tmp_path: Path) -> None:
    shared.publish("things", "a", source, list(FILES))
    code = """
import time
get, fetched = fs.get_file, []
fs.get_file = lambda there, here: (fetched.append(there), time.sleep(0.2), get(there, here))
(folder.parent.parent / f"ready-{os.getpid()}").touch()
while len(list(folder.parent.parent.glob("ready-*"))) < 3:
    time.sleep(0.01)
artifacts.fetch("things", "a", folder)
print(len(fetched))"""
    processes = [in_a_process(shared, code, tmp_path / "home" / "copy") for _ in range(3)]
    said = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sorted(said) == [0, 0, len(FILES)]
    assert read(tmp_path / "home" / "copy") == FILES


def test_what_is_removed_is_gone_and_its_neighbours_stay(artifacts: Artifacts, source: Path, tmp_path: Path) -> None:
    for name in ("a", "ab", "a.b"):
        artifacts.publish("things", name, source, list(FILES))
    artifacts.remove("things", "a")
    artifacts.remove("things", "a")
    assert artifacts.names("things") == {"ab": True, "a.b": True}
    assert not artifacts.fetch("things", "a", tmp_path / "copy")
    assert artifacts.fetch("things", "ab", tmp_path / "copy") and read(tmp_path / "copy") == FILES
    fs, at = place(artifacts)
    assert not fs.exists(at)


def test_a_removal_that_broke_off_leaves_nothing_that_is_there_and_is_finished_the_next_time(
    artifacts: Artifacts, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts.publish("things", "a", source, list(FILES))
    fs, at = place(artifacts)
    remove = fs.rm

    def once(path: str, **more: Any) -> None:
        if path == at:
            raise ConnectionResetError("the line is cut")
        remove(path, **more)

    with monkeypatch.context() as patched:
        patched.setattr(fs, "rm", once)
        with pytest.raises(ArtifactError, match="the line is cut"):
            artifacts.remove("things", "a")
    assert artifacts.names("things") == {"a": False} and fs.exists(f"{at}/weights.bin")
    artifacts.remove("things", "a")
    assert artifacts.names("things") == {} and not fs.exists(at)


def test_without_a_place_nothing_is_shared_and_nothing_loaded(tmp_path: Path) -> None:
    artifacts = Artifacts("")
    artifacts.check()
    artifacts.publish("things", "a", tmp_path, ["not there"])
    artifacts.remove("things", "a")
    assert not artifacts.fetch("things", "a", tmp_path / "copy")
    assert artifacts.names("things") == {} and list(tmp_path.iterdir()) == []
    code = (
        "import sys\nfrom atles.store.artifacts import Artifacts\nArtifacts('').check()\nprint('fsspec' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("url", "missing", "says"),
    [
        ("/folder", "fsspec.core", "pip install 'atles[cluster]'"),
        ("s3://bucket/x", "s3fs", "pip install 'atles[cluster]'"),
        ("gs://bucket/x", "gcsfs", "gcsfs"),
    ],
)
def test_a_missing_package_is_named(url: str, missing: str, says: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None  # its import fails
from atles.errors import ArtifactError
from atles.store.artifacts import Artifacts
try:
    Artifacts({url!r}).check()
except ArtifactError as error:
    print(error.kind, error.retryable, error)"""
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"missing_packages False store.artifacts = {url} needs a package: ") and says in said


def test_a_kind_of_place_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ArtifactError, match="nosuch") as raised:
        Artifacts("nosuch://bucket/x").check()
    assert raised.value.kind == "refused"


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (ConnectionError("https://key:word@host/x is away"), "unreachable", True),
        (TimeoutError("no answer"), "unreachable", True),
        (PermissionError("Access Denied"), "refused", False),
        (FileNotFoundError("The specified bucket does not exist"), "missing", True),
        (OSError(28, "No space left on device"), "full", True),
    ],
)
def test_what_the_storage_says_is_said_with_a_way_out_and_without_passwords(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, retryable: bool
) -> None:
    artifacts = Artifacts(f"memory://{tmp_path}")

    def broken(*args: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(artifacts._place[0], "put_file", broken)
    with pytest.raises(ArtifactError, match="cannot be shared as memory://") as raised:
        artifacts.publish("things", "a", source, list(FILES))
    assert (raised.value.kind, raised.value.retryable) == (kind, retryable)
    said = str(raised.value)
    assert type(error).__name__ in said and "; " in said and "word" not in said


@pytest.mark.slow
def test_an_s3_that_does_not_answer_may_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_s3("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(ArtifactError, match="see whether this machine reaches it") as raised:
        Artifacts(f"s3://{BUCKET}/x").fetch("things", "a", tmp_path / "copy")
    assert raised.value.retryable and SECRET not in str(raised.value)


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_a_bucket_that_does_not_exist_is_not_made(source: Path) -> None:
    artifacts = Artifacts("s3://mistyped/x")
    with pytest.raises(ArtifactError, match="see whether the folder or bucket exists") as raised:
        artifacts.publish("things", "a", source, list(FILES))
    assert raised.value.kind == "missing"
    assert not artifacts._place[0].exists("mistyped")


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_s3_without_credentials_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ArtifactError, match="credentials") as raised:
        Artifacts(f"s3://{BUCKET}/x").names("things")
    assert raised.value.kind == "refused" and not raised.value.retryable
