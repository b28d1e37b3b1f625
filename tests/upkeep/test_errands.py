"""What a machine does now and then for others, and at their word: in a thread of its own."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from atles.errors import ArtifactError
from atles.layout import Home
from atles.pipeline import forget, journal, release
from atles.pipeline.dataset import build_examples
from atles.pipeline.finetune import ModelFineTuner
from atles.pipeline.shelf import open_shelf
from atles.records import Adapter, AdapterState, Dataset
from atles.settings import Settings, StoreSettings
from atles.store import Store
from atles.store.artifacts import Artifacts
from atles.upkeep.errands import errands, forget_here
from tests.pipeline.test_journal import ENTRY
from tests.samples import session


def test_what_another_machine_retired_goes_here_and_where_it_was_shared(store: Store, home: Home) -> None:
    settings = replace(Settings(), store=StoreSettings(artifacts=f"memory://{home.root}"))
    shelf, shared = open_shelf(home, settings), Artifacts(settings.store.artifacts)
    store.examples.add_dataset(Dataset("d", "/d", 0, 0, (), ()), [])
    store.adapters.add(Adapter("a", "base", "d", "/a", AdapterState.CANDIDATE, "new", "2026", {}))
    for folder, file in ((home.adapter("a"), "adapter_model.safetensors"), (home.dataset("d"), "manifest.json")):
        folder.mkdir(parents=True)
        (folder / file).write_text("{}")
    house = errands(store, shelf, ModelFineTuner(home), threading.Event())
    assert 0 < house.do_due() <= 300
    assert shared.names("adapters") == {"a": True} and shared.names("datasets") == {"d": True}
    store.adapters.retire("a", "It saw what was forgotten since.")
    again = errands(store, shelf, ModelFineTuner(home), threading.Event())
    again.do_due()
    assert not home.adapter("a").exists() and not home.dataset("d").exists()
    assert shared.names("adapters") == {} and shared.names("datasets") == {}


def test_every_home_has_the_logs_whoever_learns(store: Store, home: Home) -> None:
    """Also of a machine that does no log step, as a worker that only trains."""
    store.logs.add(replace(ENTRY, session_id="a"), "2026-01-02T00:00:00+00:00")
    stop = threading.Event()
    house = errands(store, open_shelf(home, Settings()), ModelFineTuner(home), stop)
    house.do_due()
    assert '"session_id": "a"' in home.master_log.read_text() and len(list(home.logs.glob("session_log_a_*"))) == 1


def test_what_is_long_ends_with_the_daemon(store: Store, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_AT_ONCE", 1)
    for name in "abc":
        store.logs.add(replace(ENTRY, session_id=name), "2026-01-02T00:00:00+00:00")
    stop = threading.Event()
    house, append = errands(store, open_shelf(home, Settings()), ModelFineTuner(home), stop), journal._append

    def told_meanwhile(*given: Any) -> None:
        stop.set()
        append(*given)

    monkeypatch.setattr(journal, "_append", told_meanwhile)
    monkeypatch.setattr(release, "tidy", lambda *given: pytest.fail("somebody waits for the end"))
    house.do_due()
    assert home.master_log.read_text().count("\n") == 1


def test_a_place_that_is_away_does_not_end_it(store: Store, home: Home, caplog) -> None:
    shelf = open_shelf(home, replace(Settings(), store=StoreSettings(artifacts=f"memory://{home.root}")))

    def away(self: Artifacts, kind: str) -> None:
        raise ArtifactError("unreachable", "nobody is at home")

    shelf._artifacts.names = away.__get__(shelf._artifacts)
    assert errands(store, shelf, ModelFineTuner(home), threading.Event()).do_due() > 0
    assert "nobody is at home" in caplog.text


def test_what_another_machine_forgot_leaves_this_ones_files(store: Store, home: Home) -> None:
    """This machine took the sessions in and made their data; another one is told to forget something."""
    tuner = ModelFineTuner(home=home)
    for name, said in (("a", "I owe Quillfeather money"), ("b", "I keep hens")):
        came = session(name, f"u: {said}", "a: Noted.", "u: I sing bass", "a: Good.")
        store.sessions.add(came, 5)
        store.examples.replace(name, build_examples(came))
        (home.processed / f"completed_{name}.json").write_text(f"{came.as_json()}")
        tuner.prepare_training_data(came, build_examples(came), "2026-01-02T00:00:00+00:00")
    row = store.sessions.message_rows(store.sessions.number("a"))[0]
    forget.forget(store, messages=[row["rowid"]])
    kept = session("a", "u: I sing bass", "a: Good.")
    store.examples.replace("a", build_examples(kept))  # as the data step makes it, wherever that runs
    assert any("Quillfeather" in file.read_text() for file in home.root.rglob("*.json*"))
    forget_here(store, home, tuner)
    assert not any("Quillfeather" in file.read_text() for file in home.root.rglob("*.json*"))
    assert len(tuner.training_files("a")) == 2 and "sing bass" in tuner.training_files("a")[0].read_text()
    assert "hens" in (home.processed / "completed_b.json").read_text()
    before = {file: file.stat().st_mtime_ns for file in home.root.rglob("*.json*")}
    forget_here(store, home, tuner)
    assert before == {file: file.stat().st_mtime_ns for file in home.root.rglob("*.json*")}, "once is enough"


@pytest.mark.parametrize("marked", [None, "", "x"])
def test_a_session_with_nothing_left_to_learn_keeps_the_files_that_the_data_step_made(
    sqlite: Store, home: Home, marked: str | None
) -> None:
    """The machine that did the forgetting looks again, too, and the data step has been there in between."""
    tuner = ModelFineTuner(home=home)
    came = session("a", "u: I owe Quillfeather money", "a: Noted.")
    sqlite.sessions.add(came, 5)
    forget.forget(sqlite, sessions=["a"])
    if marked is not None:
        home.forgotten.write_text(marked)
    path = tuner.prepare_training_data(came, [], sqlite.sessions.get("a").received_at)
    forget_here(sqlite, home, tuner)
    assert tuner.training_files("a") == [path, home.chat_data / path.name]
    assert [it.read_text() for it in tuner.training_files("a")] == ["", ""]


def test_at_no_moment_are_the_training_files_away(store: Store, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends a daemon between two steps leaves nothing undone."""
    tuner = ModelFineTuner(home=home)
    came = session("a", "u: I owe Quillfeather money", "a: Noted.", "u: I sing bass", "a: Good.")
    store.sessions.add(came, 5)
    path = tuner.prepare_training_data(came, build_examples(came), store.sessions.get("a").received_at)
    forget.forget(store, messages=[store.sessions.message_rows(store.sessions.number("a"))[0]["rowid"]])
    store.examples.replace("a", build_examples(session("a", "u: I sing bass", "a: Good.")))
    prepare = tuner.prepare_training_data

    def ended(*given: Any, **more: Any) -> None:
        assert path.exists(), "until the new one takes its place"
        raise KeyboardInterrupt

    monkeypatch.setattr(tuner, "prepare_training_data", ended)
    with pytest.raises(KeyboardInterrupt):
        forget_here(store, home, tuner)
    monkeypatch.setattr(tuner, "prepare_training_data", prepare)
    forget_here(store, home, tuner)
    assert "sing bass" in path.read_text() and "Quillfeather" not in path.read_text()
