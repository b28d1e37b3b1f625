"""One PostgreSQL store, one daemon that records, and workers with homes of their own: as on several machines."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atles.cli.app import atles
from atles.layout import Home
from atles.pipeline.lanes import open_queue
from atles.settings import QueueSettings, Settings, StoreSettings
from atles.store import Store, open_store
from tests.fakes import FakePrograms
from tests.fakes.process import ROOT, DaemonProcess, gone, until
from tests.raw import execute
from tests.samples import chat, document, drop

pytestmark = pytest.mark.slow

LEASE_SECONDS = 3.0
SESSIONS = [chat(number) for number in range(1, 14)]


_CUT = """select pg_terminate_backend(pid) from pg_stat_activity
    where pid <> pg_backend_pid() and datname = current_database()"""


def cli(home: Home, *words: str) -> Result:
    return CliRunner().invoke(atles, ["--home", str(home.root), *words], prog_name="atles")


class WorkerProcess:
    def __init__(self, folder: Path, name: str, control: Path, *options: str) -> None:
        self.errors = open(folder / f"{name}.stderr", "w+")  # noqa: SIM115  # closed in `end`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.worker", str(control), "--home", str(folder / name), *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        assert self.process.stdout
        self.says = self.process.stdout.readline()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.errors.close()
        return code


class Cluster:
    """What the machines share, and a home for each."""

    def __init__(self, folder: Path, url: str, fake: FakePrograms) -> None:
        self.folder, self.fake = folder, fake
        store = StoreSettings(url, artifacts=str(folder / "shared"))
        self.settings = replace(Settings(), store=store, queue=QueueSettings(lease_seconds=LEASE_SECONDS))
        self.set = (f"queue.lease_seconds={LEASE_SECONDS}", f"store.artifacts={store.artifacts}", "gate.min_heldout=2")
        self.home = Home(folder / "recorder").create()
        for name in ("recorder", "one", "two"):
            Home(folder / name).create().config.write_text(f'[store]\nurl = "{url}"\n')
        self.store: Store = open_store(self.home, self.settings)
        self.queue = open_queue(self.store, self.settings)
        self.workers: list[WorkerProcess] = []

    def daemon(self, *overrides: str) -> DaemonProcess:
        return DaemonProcess(self.home, self.fake, *self.set, *overrides)

    def worker(self, name: str, *options: str) -> WorkerProcess:
        sets = [part for override in self.set for part in ("--set", override)]
        self.workers.append(WorkerProcess(self.folder, name, self.fake.control, *sets, *options))
        return self.workers[-1]

    def idle(self) -> bool:
        return not any(self.home.sessions.glob("completed_*.json")) and not self.queue.open()


@pytest.fixture
def cluster(tmp_path: Path, postgresql: str) -> Iterator[Cluster]:
    made = Cluster(tmp_path, postgresql, FakePrograms(tmp_path / "control"))
    yield made
    for worker in made.workers:
        if worker.process.poll() is None:
            worker.end(signal.SIGKILL)
    made.store.close()


def steps_of(cluster: Cluster, sessions: list[dict[str, Any]]) -> dict[str, set[str]]:
    return {it["session_id"]: set(cluster.store.logs.steps(it["session_id"], 1)) for it in sessions}


def test_what_one_machine_records_others_learn_train_and_log(cluster: Cluster) -> None:
    with cluster.daemon("daemon.steps="):
        cluster.worker("one", "--steps", "memory,data,log", "--hands", "2")
        cluster.worker("two", "--steps", "train")
        for session in SESSIONS:
            drop(cluster.home, session)
        until(lambda: cluster.store.adapters.active()[1] and cluster.idle(), "all is learned and trained")
    assert all({"memory", "data", "log"} <= done for done in steps_of(cluster, SESSIONS).values())
    (adapter,) = cluster.store.adapters.list()
    one, two = Home(cluster.folder / "one"), Home(cluster.folder / "two")
    assert (two.adapter(adapter.name) / "adapter_model.safetensors").exists()
    assert not cluster.home.adapter(adapter.name).exists(), "nobody has asked for it here yet"
    logged = {json.loads(line)["session_id"] for line in one.master_log.read_text().splitlines()}
    assert logged == {session["session_id"] for session in SESSIONS}, "once more where its examples were made again"
    for worker in cluster.workers:
        assert worker.end() == 0


def test_who_only_trains_has_the_logs_of_all_too(cluster: Cluster) -> None:
    with cluster.daemon():
        for session in SESSIONS[:2]:
            drop(cluster.home, session)
        until(cluster.idle, "all is learned")
    cluster.worker("one", "--steps", "train")
    log = Home(cluster.folder / "one").master_log
    until(lambda: log.exists() and log.read_text().count("\n") == 2, "both are in its log")


def test_drain_ends_when_what_is_left_is_for_other_machines(cluster: Cluster, fake: FakePrograms) -> None:
    sets = [part for override in cluster.set for part in ("--set", override)]
    for session in SESSIONS:
        drop(cluster.home, session)
    assert cli(cluster.home, *sets, "--set", "daemon.steps=", "drain").exit_code == 0
    assert len(cluster.store.sessions.list()) == len(SESSIONS)
    assert len(cluster.queue.open()) == len(SESSIONS), "recorded, and not learned here"
    assert cli(cluster.home, *sets, "--set", "train.needs=gpu", "drain").exit_code == 0
    assert all({"memory", "data"} <= done for done in steps_of(cluster, SESSIONS).values())
    assert fake.runs("train") == [] and "train" in {job.kind for job in cluster.queue.open()}


def test_what_a_dead_worker_did_another_does_within_its_lease(cluster: Cluster) -> None:
    (cluster.fake.control / "pause.json").write_text(json.dumps({"step": "memory", "where": "end"}))
    first = cluster.worker("one")
    with cluster.daemon("daemon.steps="):
        drop(cluster.home, SESSIONS[0])
        until((cluster.fake.control / "paused").exists, "it is in the midst of a step")
        first.end(signal.SIGKILL)
        cluster.worker("two")
        until(cluster.idle, "the other one has done it", 10 * LEASE_SECONDS)
    assert cluster.store.logs.steps(SESSIONS[0]["session_id"], 1)["memory"]["attempts"] == 2
    assert len(cluster.store.memories.sessions()) == 1


def test_a_training_whose_worker_died_begins_again_elsewhere_and_leaves_no_orphan(cluster: Cluster) -> None:
    cluster.fake.modes("train", "slow", "ok")
    first = cluster.worker("one")
    with cluster.daemon("daemon.steps="):
        for session in SESSIONS:
            drop(cluster.home, session)
        until(lambda: cluster.fake.runs("train"), "training begins")
        first.end(signal.SIGKILL)
        cluster.worker("two")
        until(lambda: gone(cluster.fake.runs("train")[0]["pid"]), "the trainer ends with its worker", 10)
        until(lambda: cluster.store.adapters.active()[1] and cluster.idle(), "the other one has trained it")
    assert len(cluster.fake.runs("train")) == 2 and len(cluster.store.adapters.list()) == 1


def test_who_has_no_gpu_does_not_train(cluster: Cluster) -> None:
    with cluster.daemon("daemon.steps=", "train.needs=gpu"):
        cluster.worker("one", "--set", "train.needs=gpu")
        for session in SESSIONS:
            drop(cluster.home, session)
        until(lambda: [job.key for job in cluster.queue.open()] == ["train:smollm2-135m-instruct"], "only that waits")
        seen = cli(cluster.home, "cluster", "status", "--json")
        assert json.loads(seen.stdout)["nobody_does"] == ["train@gpu"]
        assert "atles worker --steps train --label gpu" in cli(cluster.home, "cluster", "status").stdout
        cluster.worker("two", "--label", "gpu", "--steps", "train", "--set", "train.needs=gpu")
        until(lambda: cluster.store.adapters.active()[1] and cluster.idle(), "who has one trains")


def test_a_users_sessions_are_learned_in_the_order_they_came(cluster: Cluster) -> None:
    towns = ["Leeds", "Bath", "York", "Hull", "Derby", "Truro"]
    said = [
        document(f"s{n}", f"u: I live in {town}.", "a: Noted.", start_time=f"2026-01-0{n}T00:00:00+00:00")
        for n, town in enumerate(towns, 1)
    ]
    for session in said:
        drop(cluster.home, session)
    with cluster.daemon("daemon.steps="):
        until(lambda: len(cluster.queue.open()) == len(said), "all are recorded")
        for name in ("one", "two"):
            cluster.worker(name, "--steps", "memory", "--hands", "2")
        until(lambda: all("memory" in done for done in steps_of(cluster, said).values()), "all are learned")
    ended = [cluster.store.logs.steps(it["session_id"], 1)["memory"]["at"] for it in said]
    assert ended == sorted(ended)
    user = cluster.store.sessions.user()
    assert user is not None
    assert [it.text for it in cluster.store.memories.of_user(user)] == ["I live in Truro"]


def test_a_server_that_goes_away_for_a_while_loses_nothing(cluster: Cluster) -> None:
    worker = cluster.worker("one")
    with cluster.daemon():
        for number, session in enumerate(SESSIONS):
            drop(cluster.home, session)
            if number % 4 == 0:  # every connection of the daemon and the worker
                execute(cluster.store, _CUT)
        until(cluster.idle, "all is learned")
    assert worker.end() == 0
    assert all({"memory", "data", "log"} <= done for done in steps_of(cluster, SESSIONS).values())


def test_a_worker_needs_a_store_that_can_be_shared(home: Home) -> None:
    seen = cli(home, "worker")
    assert seen.exit_code == 1 and "atles migrate --to postgresql://" in seen.stderr
    assert "there is no step 'dance'" in cli(home, "worker", "--steps", "dance").stderr
    assert "a home of one machine" in cli(home, "cluster").stderr
