"""Adapters on vLLM and Ollama; the servers are fake ones that answer in the words of the real ones."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from atles.errors import AtlesError, EndpointError, UnknownAdapter
from atles.serving.elsewhere import Elsewhere
from atles.serving.loaded import Server
from atles.serving.ollama import Ollama
from atles.serving.vllm import VLLM
from tests.fakes.model_server import BASE, FakeOllama, FakeVLLM
from tests.fakes.process import until

Fake = FakeVLLM | FakeOllama


@dataclass
class Bench:
    """A fake server, and what serves adapters by it."""

    fake: Fake
    folder: Path
    retired: set[str] = field(default_factory=set)
    key: str = ""
    opened: list[Elsewhere] = field(default_factory=list)

    def adapter(self, name: str, rank: int = 16) -> Path:
        """Its folder, made when it is first asked for; `unknown` is none."""
        if name == "unknown":
            raise UnknownAdapter("there is no adapter 'unknown'")
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
            (folder / "adapter.gguf").write_bytes(b"GGUF" + name.encode() * 50_000)
        return folder

    def open(self, *, retry: float = 0.2, check: float = 60.0, most: int = 3) -> Elsewhere:
        server: Server = (
            VLLM(self.fake.url, BASE, self.key, self.adapter)
            if isinstance(self.fake, FakeVLLM)
            else Ollama(self.fake.url, BASE, self.key, lambda name: self.adapter(name) / "adapter.gguf")
        )
        made = Elsewhere(
            server, lambda name: name not in self.retired, retry_seconds=retry, check_seconds=check, most=most
        )
        self.opened.append(made)
        return made

    def close(self) -> None:
        for it in self.opened:
            it.close()
        self.fake.stop()


def opened(fake: Fake, folder: Path, key: str = "") -> Iterator[Bench]:
    made = Bench(fake, folder, key=key)
    yield made
    made.close()


@pytest.fixture
def vllm(tmp_path: Path) -> Iterator[Bench]:
    yield from opened(FakeVLLM(), tmp_path)


@pytest.fixture
def ollama(tmp_path: Path) -> Iterator[Bench]:
    yield from opened(FakeOllama(), tmp_path)


@pytest.fixture(params=[FakeVLLM, FakeOllama])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from opened(request.param(), tmp_path)


def answers(serving: Elsewhere, wanted: str) -> str:
    """Which adapter answers when this one is wanted."""
    with serving.current(wanted) as lease:
        return lease.adapter


def test_an_adapter_is_loaded_and_asked_before_it_serves(bench: Bench) -> None:
    with bench.open().lease("one") as lease:
        assert (lease.url, lease.adapter) == (bench.fake.url, "one")
    assert bench.fake.has("atles-one") and bench.fake.calls[-1] == "POST /v1/chat/completions"


def test_one_that_is_loaded_costs_no_more_calls(bench: Bench) -> None:
    serving = bench.open()
    serving.lease("one").release()
    before = len(bench.fake.calls)
    serving.lease("one").release()
    assert answers(serving, "one") == "one"
    assert len(bench.fake.calls) == before


def test_the_base_model_is_what_the_settings_call_it(bench: Bench) -> None:
    serving = bench.open()
    with serving.lease("") as lease:
        assert lease.adapter == "" and serving.model("") == BASE
    assert serving.model("one") == "atles-one"
    assert not bench.fake.calls


def test_one_that_an_earlier_process_loaded_is_no_error(bench: Bench) -> None:
    bench.open().lease("one").release()
    serving = bench.open()
    assert answers(serving, "one") == "one" and serving.failure is None


def test_the_old_one_answers_until_the_new_one_does(bench: Bench) -> None:
    serving = bench.open()
    assert answers(serving, "old") == "old"
    bench.fake.go_on.clear()
    began = time.monotonic()
    assert answers(serving, "new") == "old" and time.monotonic() - began < 1.0, "nobody waits"
    assert answers(serving, "new") == "old"
    bench.fake.go_on.set()
    until(lambda: answers(serving, "new") == "new", "it is loaded")
    assert bench.fake.has("atles-old"), "a rollback finds it there"
    assert answers(serving, "old") == "old", "at once"


def test_one_that_loads_and_does_not_answer_does_not_serve(bench: Bench) -> None:
    bench.fake.mute = {"atles-new"}
    serving = bench.open(retry=0.2)
    assert answers(serving, "old") == "old"
    assert answers(serving, "new") == "old"
    until(lambda: serving.failure is not None, "it was asked")
    assert "does not answer with it" in str(serving.failure) and "CUDA out of memory" in str(serving.failure)
    assert answers(serving, "new") == "old"
    bench.fake.mute = set()
    until(lambda: answers(serving, "new") == "new", "it is tried again")
    assert serving.failure is None


def test_after_a_failure_there_is_a_pause(bench: Bench) -> None:
    bench.fake.mute = {"atles-new"}
    serving = bench.open(retry=60)
    assert answers(serving, "old") == "old"
    assert answers(serving, "new") == "old"
    until(lambda: serving.failure is not None, "it was asked")
    before = len(bench.fake.calls)
    assert [answers(serving, "new") for _ in range(5)] == ["old"] * 5
    assert len(bench.fake.calls) == before


def test_a_server_that_is_down_is_said_to_be_so(bench: Bench) -> None:
    bench.fake.stop()
    serving = bench.open()
    with pytest.raises(EndpointError, match=r"no server answers \(Connection refused\); start it") as caught:
        serving.current("one")
    assert caught.value.kind == "unreachable" and caught.value.retryable
    assert serving.failure == str(caught.value)
    bench.fake.start()
    assert answers(serving, "one") == "one" and serving.failure is None


def test_one_that_hangs_is_not_waited_for_by_whoever_has_the_old_one(bench: Bench) -> None:
    serving = bench.open()
    assert answers(serving, "old") == "old"
    bench.fake.go_on.clear()
    assert answers(serving, "new") == "old"
    until(lambda: "POST" in bench.fake.calls[-1], "it is being loaded")
    serving.close()  # ends the call, too
    until(lambda: serving.failure is not None, "it was ended")
    assert "the daemon stops" in str(serving.failure)


def test_what_a_restarted_server_has_lost_is_given_to_it_again(bench: Bench) -> None:
    serving = bench.open(check=0.0)
    assert answers(serving, "one") == "one"
    bench.fake.lose()
    assert answers(serving, "one") == "one"
    assert bench.fake.has("atles-one")


def test_a_lease_that_failed_makes_the_next_one_look(bench: Bench) -> None:
    serving = bench.open(check=3600.0)
    lease = serving.lease("one")
    bench.fake.lose()
    lease.failed()
    serving.lease("one").release()
    assert bench.fake.has("atles-one")


def test_while_a_server_is_down_what_it_had_is_not_taken_for_lost(bench: Bench) -> None:
    serving = bench.open(check=0.0)
    assert answers(serving, "one") == "one"
    bench.fake.stop()
    assert answers(serving, "one") == "one", "who asks it is told; nothing is loaded meanwhile"
    bench.fake.start()
    assert answers(serving, "one") == "one"


def test_one_that_may_not_serve_does_not_answer_for_a_second(bench: Bench) -> None:
    serving = bench.open()
    assert answers(serving, "old") == "old"
    bench.retired.add("old")
    assert answers(serving, "new") == "new", "it is waited for"
    until(lambda: not bench.fake.has("atles-old"), "it is taken back")


def test_one_that_may_not_serve_is_not_loaded_by_its_name(bench: Bench) -> None:
    bench.open().lease("old").release()
    bench.retired.add("old")
    with pytest.raises(AtlesError, match="may not serve any more"):
        bench.open().lease("old")
    until(lambda: not bench.fake.has("atles-old"), "found there, it is taken back")


def test_an_answer_in_progress_is_finished_before_its_adapter_is_taken_back(bench: Bench) -> None:
    serving = bench.open()
    lease = serving.current("old")
    bench.retired.add("old")
    assert answers(serving, "new") == "new"
    time.sleep(0.2)
    assert bench.fake.has("atles-old")
    lease.release()
    lease.release()  # changes nothing
    until(lambda: not bench.fake.has("atles-old"), "it is taken back")


def test_what_an_earlier_process_left_is_swept(bench: Bench) -> None:
    before = bench.open()
    before.lease("old").release()
    before.lease("kept").release()
    bench.retired |= {"old", "never loaded"}
    assert bench.open().sweep(["never loaded", "old"]) == ["old"]
    until(lambda: not bench.fake.has("atles-old"), "it is taken back")
    assert bench.fake.has("atles-kept")


def test_what_cannot_be_taken_back_now_is_taken_back_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atles.serving.loaded._PAUSE", 0.1)
    serving = bench.open()
    assert answers(serving, "old") == "old"
    assert answers(serving, "") == ""
    bench.retired.add("old")
    bench.fake.stop()
    with pytest.raises(AtlesError):
        serving.lease("old")
    time.sleep(0.3)
    bench.fake.start()
    until(lambda: not bench.fake.has("atles-old"), "it is taken back")


def test_only_so_many_stay_there(bench: Bench) -> None:
    serving = bench.open(most=2)
    for name in ("one", "two", "one", "three"):
        serving.lease(name).release()
    until(lambda: not bench.fake.has("atles-two"), "the longest unused one is taken back")
    assert bench.fake.has("atles-one") and bench.fake.has("atles-three")


def test_many_who_want_the_same_load_it_once(bench: Bench) -> None:
    serving = bench.open()
    bench.fake.go_on.clear()
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(answers(serving, "one"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    bench.fake.go_on.set()
    for thread in threads:
        thread.join()
    loads = [call for call in bench.fake.calls if "load_lora" in call or "create" in call]
    assert got == ["one"] * 8 and len(loads) == 1


def test_an_adapter_that_is_none_is_an_error(bench: Bench) -> None:
    with pytest.raises(UnknownAdapter):
        bench.open().lease("unknown")


@pytest.mark.parametrize("kind", [FakeVLLM, FakeOllama])
def test_the_key_goes_with_every_call(kind: Callable[..., Fake], tmp_path: Path) -> None:
    for made in opened(kind(key="s3cret"), tmp_path, key="s3cret"):
        serving = made.open()
        assert answers(serving, "one") == "one" and serving.key == "s3cret"
        assert set(made.fake.keys) == {"Bearer s3cret"}


@pytest.mark.parametrize("kind", [FakeVLLM, FakeOllama])
def test_a_wrong_key_is_said_and_not_shown(kind: Callable[..., Fake], tmp_path: Path) -> None:
    for made in opened(kind(key="s3cret"), tmp_path, key="wrong-one"):
        with pytest.raises(EndpointError, match=r"refuses the API key \(401\); set api_key_env") as caught:
            made.open().lease("one")
        assert caught.value.kind == "unauthorized" and "wrong-one" not in str(caught.value)


# --- vLLM ---


def test_vllm_reads_the_folder_itself(vllm: Bench) -> None:
    vllm.open().lease("one").release()
    assert isinstance(vllm.fake, FakeVLLM)
    assert vllm.fake.adapters == {"atles-one": str((vllm.folder / "one").resolve())}


@pytest.mark.parametrize(
    "fake, rank, said",
    [
        (lambda: FakeVLLM(updating=False), 16, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment"),
        (lambda: FakeVLLM(lora=False), 16, "start it with --enable-lora"),
        (lambda: FakeVLLM(max_rank=8), 16, "start it with a larger --max-lora-rank"),
    ],
)
def test_vllm_that_was_started_otherwise(fake: Callable[[], Fake], rank: int, said: str, tmp_path: Path) -> None:
    for made in opened(fake(), tmp_path):
        made.adapter("one", rank)
        with pytest.raises(EndpointError, match=said) as caught:
            made.open().lease("one")
        assert str(caught.value).startswith(f"vLLM at {made.fake.url}: ")


def test_vllm_that_does_not_see_our_files(vllm: Bench) -> None:
    (vllm.adapter("one") / "adapter_config.json").unlink()
    with pytest.raises(EndpointError, match=r"does not find the adapter in .*one; run it on this machine"):
        vllm.open().lease("one")


# --- Ollama ---


def test_ollama_gets_a_model_made_of_base_and_adapter(ollama: Bench) -> None:
    ollama.open().lease("one").release()
    assert isinstance(ollama.fake, FakeOllama)
    ((digest, content),) = ollama.fake.blobs.items()
    assert content == (ollama.folder / "one/adapter.gguf").read_bytes()
    made = ollama.fake.models["atles-one"]
    assert (made["from"], made["adapters"]) == (BASE, {"adapter.gguf": digest})


def test_a_file_that_ollama_has_is_not_sent_again(ollama: Bench) -> None:
    serving = ollama.open()
    serving.lease("one").release()
    ollama.fake.lose()
    ollama.open().lease("one").release()
    assert [call.partition(":")[0] for call in ollama.fake.calls].count("POST /api/blobs/sha256") == 1


def test_an_ollama_that_takes_no_adapters_any_more(tmp_path: Path) -> None:
    for made in opened(FakeOllama(adapters=False), tmp_path):
        with pytest.raises(EndpointError, match=r"no longer supported\); use Ollama 0\.34\.0 or older, a vLLM server"):
            made.open().lease("one")


def test_ollama_does_not_fetch_a_base_model_by_itself(tmp_path: Path) -> None:
    for made in opened(FakeOllama(base=False), tmp_path):
        with pytest.raises(EndpointError, match=f"`ollama pull {BASE}` gets it"):
            made.open().lease("one")
        assert "POST /api/create" not in made.fake.calls


def test_an_adapter_without_its_file(ollama: Bench) -> None:
    (ollama.adapter("one") / "adapter.gguf").unlink()
    with pytest.raises(AtlesError, match=r"adapter\.gguf cannot be read: No such file"):
        ollama.open().lease("one")


def test_a_file_that_is_no_adapter(ollama: Bench) -> None:
    (ollama.adapter("one") / "adapter.gguf").write_bytes(b"not GGUF")
    with pytest.raises(EndpointError, match=r"cannot make a model .*400\): supplied file was not in GGUF format"):
        ollama.open().lease("one")
