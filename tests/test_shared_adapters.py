"""Several machines, each with a home of its own, on one store and one shared place: what one trains another judges and
serves, and what is forgotten is gone from all of them."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from atles.cli.app import atles
from atles.errors import ArtifactError, AtlesError
from atles.gateway.adapters import open_adapters
from atles.layout import Home
from atles.pipeline import release
from atles.pipeline.answer import Answerer
from atles.pipeline.erase import erase, mark
from atles.pipeline.lanes import open_queue
from atles.pipeline.shelf import open_shelf
from atles.records import Adapter, AdapterState, Step
from atles.settings import StoreSettings
from atles.store import open_store
from atles.store.adapters import BASE
from atles.store.artifacts import Artifacts
from tests.fakes import FakePrograms
from tests.fakes.process import DaemonProcess, until
from tests.fakes.s3 import BUCKET
from tests.pipeline.conftest import SETTINGS, Pipeline
from tests.samples import chat, drop

WEIGHTS = "adapter_model.safetensors"
KINDS = ("adapters", "datasets", "reports")
Machine = Callable[[str], Pipeline]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder that the machines share."""
    return tmp_path / "shared"


@pytest.fixture(params=["sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest, tmp_path: Path, place: Path, fake: FakePrograms) -> Iterator[Machine]:
    """`machine("a")`: a worker with a home of its own, and the same store as all others."""
    url = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    opened: list[Pipeline] = []

    def machine(name: str) -> Pipeline:
        home = Home(tmp_path / name).create()
        if opened and not url:
            home.database.symlink_to(opened[0].home.database)
        opened.append(Pipeline(home, fake, replace(SETTINGS, store=StoreSettings(url, artifacts=str(place)))))
        return opened[-1]

    yield machine
    for it in opened:
        it.store.close()


def trained(machine: Pipeline) -> Adapter:
    """Let a machine learn until it has trained an adapter; then it dies, and leaves the judging to others."""
    machine.arrive(*(chat(number) for number in range(1, 14)))
    while not machine.store.adapters.list():
        machine.clock.until(min(it for lane in ("learn", "train") if (it := machine.queue.next_due(lane)) is not None))
        for worker in machine.workers:
            worker.run_one()
    return machine.store.adapters.list()[0]


def judged(machine: Pipeline) -> Adapter:
    """Let a machine do what one that died has left."""
    machine.clock.sleep(61)
    machine.queue.recover()
    machine.work_off()
    return machine.store.adapters.list()[-1]


def shared(place: Path) -> dict[str, list[str]]:
    """What is there of each kind, by the names of adapters and datasets."""
    artifacts = Artifacts(str(place))
    return {kind: sorted(name.partition(".")[0] for name in artifacts.names(kind)) for kind in KINDS}


def tidy(machine: Pipeline) -> None:
    release.tidy(machine.store, machine.context.shelf)


def test_one_machine_trains_and_another_judges(machine: Machine, place: Path, fake: FakePrograms) -> None:
    a = machine("a")
    candidate = trained(a)
    assert shared(place) == {"adapters": [candidate.name], "datasets": [candidate.dataset_id], "reports": []}
    b = machine("b")
    adapter = judged(b)
    assert adapter.name == candidate.name and adapter.state is AdapterState.PROMOTED
    assert len(fake.runs("train")) == 1
    (run,) = fake.runs("evaluate")
    paths = [run["spec"]["adapters"]["candidate"], run["spec"]["heldout"], run["spec"]["reworded"]]
    assert all(path.startswith(str(b.home.root.resolve())) for path in paths)
    assert {it.name for it in b.home.adapter(adapter.name).iterdir()} >= {WEIGHTS, "adapter_config.json", "report.json"}
    report = a.context.shelf.report(adapter)
    assert report.is_relative_to(a.home.root)
    assert report.read_bytes() == (b.home.adapter(adapter.name) / "report.json").read_bytes()
    assert {it.name for it in report.parent.iterdir()} >= {WEIGHTS, "report.html", "lineage.json"}
    tidy(b)
    assert shared(place) == {"adapters": [adapter.name], "datasets": [], "reports": [adapter.name]}, "data was needed"


@pytest.fixture
def promoted(machine: Machine) -> tuple[Pipeline, Pipeline, Adapter]:
    """Two machines that have an adapter, which serves."""
    a = machine("a")
    trained(a)
    b = machine("b")
    return a, b, judged(b)


def test_a_third_machine_serves_it(
    machine: Machine, promoted: tuple[Pipeline, Pipeline, Adapter], tmp_path: Path
) -> None:
    _, _, adapter = promoted
    c = machine("c")
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    settings = replace(c.settings, serve=replace(c.settings.serve, gguf=str(tmp_path / "base.gguf")))
    servers = open_adapters(c.home, settings, c.store)
    try:
        lease = servers.current(adapter.name)
        assert lease.adapter == adapter.name
        lease.release()
    finally:
        servers.close()
    here = {it.name for it in c.home.adapter(adapter.name).iterdir()}
    assert here == {WEIGHTS, "adapter_config.json", "adapter.gguf"}
    tidy(c)
    assert not list(Path(c.settings.store.artifacts).rglob("*.gguf")), "a conversion stays where it was made"


def test_commands_find_it_on_any_machine(
    machine: Machine, promoted: tuple[Pipeline, Pipeline, Adapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _, adapter = promoted
    c = machine("c")
    monkeypatch.setenv("ATLES_STORE_ARTIFACTS", c.settings.store.artifacts)
    monkeypatch.setenv("ATLES_STORE_URL", c.settings.store.url)

    def call(*words: str) -> str:
        return CliRunner().invoke(atles, ["--home", str(c.home.root), *words], catch_exceptions=False).output

    assert json.loads(call("report", "--json"))["adapter"] == adapter.name
    assert call("export", adapter.name, "--out", str(tmp_path / "out")).startswith(str(tmp_path / "out"))
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == (a.home.adapter(adapter.name) / WEIGHTS).read_bytes()
    d = machine("d")
    answerer = Answerer(d.home, d.settings, d.store, memory=False)
    assert answerer.adapter_folder == d.home.adapter(adapter.name) and d.home.adapter(adapter.name).exists()
    answerer.close()


def test_a_machine_with_a_whole_copy_serves_it_without_the_shared_place(
    promoted: tuple[Pipeline, Pipeline, Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, b, adapter = promoted
    monkeypatch.setattr(Artifacts, "_place", property(lambda self: pytest.fail("it was asked")))
    assert b.context.shelf.adapter(adapter) == b.home.adapter(adapter.name)
    assert b.context.shelf.report(adapter).exists()


def test_weights_that_are_not_those_that_were_judged_are_replaced(
    machine: Machine, promoted: tuple[Pipeline, Pipeline, Adapter]
) -> None:
    _, _, adapter = promoted
    c = machine("c")
    c.home.adapter(adapter.name).mkdir()
    (c.home.adapter(adapter.name) / WEIGHTS).write_bytes(b"of a training of its own")
    assert (c.context.shelf.adapter(adapter) / WEIGHTS).read_bytes().startswith(b"fake")


def test_what_no_machine_shares_is_said_with_a_way_out(
    machine: Machine, promoted: tuple[Pipeline, Pipeline, Adapter]
) -> None:
    a, _, adapter = promoted
    a.context.shelf.withdraw([replace(adapter, state=AdapterState.RETIRED, verdict=None)])
    c = machine("c")
    with pytest.raises(ArtifactError, match=r"cannot be read.*a daemon whose machine has it puts it") as raised:
        c.context.shelf.adapter(adapter)
    assert raised.value.retryable
    with pytest.raises(ArtifactError, match="holds no dataset"):
        c.context.shelf.dataset(adapter.dataset_id)
    alone = open_shelf(c.home, SETTINGS)
    with pytest.raises(AtlesError, match=r"atles rollback.*store\.artifacts lets them share it"):
        alone.adapter(adapter)
    with pytest.raises(AtlesError, match=r"atles train --now.*store\.artifacts"):
        alone.dataset(adapter.dataset_id)


def holding(folder: Path, words: bytes) -> list[Path]:
    return [it for it in folder.rglob("*") if it.is_file() and words in it.read_bytes()]


def test_what_is_forgotten_is_gone_from_the_shared_place_at_once_and_from_each_machine(
    promoted: tuple[Pipeline, Pipeline, Adapter], place: Path
) -> None:
    a, b, adapter = promoted
    assert holding(place, b"boat number 1"), "it is about something"
    done = erase(b.context.shelf, b.store, b.queue, mark(b.store, sessions=["session_001"]))
    assert done["retired"] == [adapter.name] and "not_deleted" not in done
    assert shared(place) == {"adapters": [], "datasets": [], "reports": []} and not holding(place, b"")
    assert not b.home.adapter(adapter.name).exists() and a.home.adapter(adapter.name).exists()
    part = a.home.datasets / f".{adapter.dataset_id}.part"
    part.mkdir()
    tidy(a)
    left = (a.home.adapter(adapter.name), a.home.dataset(adapter.dataset_id), part)
    assert not any(it.exists() for it in left) and not list(a.home.work.glob(f"*{adapter.name}*"))
    assert shared(place) == {"adapters": [], "datasets": [], "reports": []}, "nobody shares it anew"


def test_what_cannot_be_deleted_now_is_deleted_later(
    promoted: tuple[Pipeline, Pipeline, Adapter], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, adapter = promoted

    def away(self: Artifacts, kind: str, name: str) -> None:
        raise ArtifactError("unreachable", "nobody is at home")

    with monkeypatch.context() as patched:
        patched.setattr(Artifacts, "remove", away)
        done = erase(b.context.shelf, b.store, b.queue, mark(b.store, sessions=["session_001"]))
        assert done["not_deleted"] == "nobody is at home" and done["retired"] == [adapter.name]
        assert shared(place)["adapters"] == [adapter.name]
    tidy(a)
    assert shared(place) == {"adapters": [], "datasets": [], "reports": []}


def test_of_a_rejected_adapter_the_report_is_shared_and_nothing_else(
    machine: Machine, place: Path, fake: FakePrograms
) -> None:
    fake.scores(candidate=(3.5, 1.0))
    a = machine("a")
    trained(a)
    b = machine("b")
    adapter = judged(b)
    tidy(b)
    assert adapter.state is AdapterState.REJECTED and adapter.verdict
    assert shared(place) == {"adapters": [], "datasets": [], "reports": [adapter.name]}
    b.store.adapters.judge(adapter.name, release.Verdict(False, adapter.reason + " More.", adapter.verdict["numbers"]))
    c = machine("c")
    assert json.loads(c.context.shelf.report(b.store.adapters.get(adapter.name)).read_text())["adapter"] == adapter.name
    tidy(c)
    assert shared(place)["reports"] == [adapter.name], "the verdict is the same in other words"


def test_what_the_store_does_not_know_stays(promoted: tuple[Pipeline, Pipeline, Adapter], place: Path) -> None:
    a, _, adapter = promoted
    others = Artifacts(str(place))
    for kind in KINDS:
        others.publish(kind, "0009-ffffffff.1", a.home.adapter(adapter.name), [WEIGHTS])
    tidy(a)
    assert all("0009-ffffffff" in names for names in shared(place).values())


def test_what_is_lost_from_the_shared_place_is_shared_anew_by_who_has_it(
    promoted: tuple[Pipeline, Pipeline, Adapter], place: Path
) -> None:
    a, b, adapter = promoted
    tidy(a)
    before = {it.relative_to(place): it.read_bytes() for it in place.rglob("*") if it.is_file()}
    for manifest in place.glob("*/*.json"):
        manifest.unlink()
    tidy(a)  # it trained the adapter
    tidy(b)  # it judged it
    assert {it.relative_to(place): it.read_bytes() for it in place.rglob("*") if it.is_file()} == before
    (a.home.adapter(adapter.name) / WEIGHTS).write_bytes(b"damaged here")
    for manifest in place.glob("adapters/*.json"):
        manifest.unlink()
    tidy(a)
    assert not list(place.glob("adapters/*.json")), "only what is whole"


def test_a_training_that_cannot_be_shared_yet_is_not_recorded_and_not_done_again(
    machine: Machine, fake: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, failures = Artifacts.publish, [ArtifactError("unreachable", "the network is down")]

    def sometimes(self: Artifacts, *given: Any) -> None:
        if failures:
            assert a.store.adapters.list() == []
            raise failures.pop()
        publish(self, *given)

    a = machine("a")
    monkeypatch.setattr(Artifacts, "publish", sometimes)
    a.arrive(*(chat(number) for number in range(1, 14)))
    a.work_off()
    assert not failures and a.queue.dead() == []
    assert len(fake.runs("train")) == 1
    assert a.store.adapters.list()[0].state is AdapterState.PROMOTED


def test_what_somebody_shared_a_moment_ago_is_no_obstacle(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines died after they had shared a training, and a report; both are made again, and a little different."""
    a = machine("a")
    first = trained(a)
    with (a.home.adapter(first.name) / "adapter_config.json").open("a") as config:
        config.write(" ")
    with monkeypatch.context() as patched:
        patched.setattr(Artifacts, "names", lambda self, kind: {})  # nothing was there when it looked
        a.context.shelf.offer([first])
    b = machine("b")
    b.breaks(Step.GATE, OSError("killed"), times=1)
    adapter = judged(b)
    assert adapter.state is AdapterState.PROMOTED and b.queue.dead() == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_candidate_that_is_forgotten_while_it_is_judged_never_serves(
    machine: Machine, place: Path, fails: bool
) -> None:
    a = machine("a")
    trained(a)
    b = machine("b")
    runner: Any = b.steps[Step.GATE]
    work = runner.work

    def forgotten_meanwhile(job: Any) -> Any:
        done = work(job)
        erase(a.context.shelf, a.store, a.queue, mark(a.store, sessions=["session_001"]))
        if fails:
            raise AtlesError("its files are gone")
        return done

    runner.work = forgotten_meanwhile
    b.clock.sleep(61)
    b.queue.recover()
    while (adapter := b.store.adapters.list()[0]).state is AdapterState.CANDIDATE:
        b.workers[1].run_one()
    assert adapter.state is AdapterState.RETIRED
    runner.work = work
    b.work_off()
    first, *others = b.store.adapters.list()
    assert first.state is AdapterState.RETIRED and [it.state for it in others] == [AdapterState.PROMOTED]
    assert b.store.adapters.active()[1] not in (first.name, BASE) and len(b.queue.dead()) == fails
    tidy(a)
    tidy(b)
    assert first.name not in {name for names in shared(place).values() for name in names}
    assert not a.home.adapter(first.name).exists() and not b.home.adapter(first.name).exists()


def test_without_a_shared_place_all_stays_at_home(machine: Machine, place: Path) -> None:
    a = machine("a")
    a.settings = replace(a.settings, store=replace(a.settings.store, artifacts=""))
    a.open()
    a.arrive(*(chat(number) for number in range(1, 14)))
    a.work_off()
    tidy(a)
    assert a.store.adapters.list()[0].state is AdapterState.PROMOTED and not place.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_daemons_of_two_machines_share_through_s3(postgresql: str, tmp_path: Path, fake: FakePrograms) -> None:
    """One records and serves, the other trains; then something is forgotten while the other is away."""
    url = f"s3://{BUCKET}/{tmp_path.name}"
    settings = replace(SETTINGS, store=StoreSettings(postgresql, artifacts=url))
    common = (f"store.url={postgresql}", f"store.artifacts={url}", "gate.min_heldout=2", "daemon.poll_seconds=0.1")
    a, b = (Home(tmp_path / name).create() for name in "ab")
    with contextlib.closing(open_store(a, settings)) as store, DaemonProcess(b, fake, *common, "daemon.steps=train"):
        shelf = open_shelf(a, settings)
        with DaemonProcess(a, fake, *common, "daemon.steps=memory,data,log"):
            for number in range(1, 14):
                drop(a, chat(number))
            until(lambda: store.adapters.active()[1], "an adapter that serves")
            adapter = store.adapters.get(store.adapters.active()[1])
            assert b.adapter(adapter.name).exists() and not a.adapter(adapter.name).exists()
            assert (shelf.adapter(adapter) / WEIGHTS).read_bytes().startswith(b"fake")
            assert shelf.report(adapter).exists()
    queue = open_queue(store := open_store(a, settings), settings)
    done = erase(shelf, store, queue, mark(store, sessions=["session_001"]))
    store.close()
    assert done["retired"] == [adapter.name] and not a.adapter(adapter.name).exists()
    shared = Artifacts(url)
    assert not any(name.startswith(adapter.name) for kind in KINDS for name in shared.names(kind))
    with DaemonProcess(b, fake, *common, "daemon.steps=train"):
        until(lambda: not b.adapter(adapter.name).exists(), "the other machine learns of it")
