"""What a machine does now and then for others, and at their word: in a thread of its own."""

import threading
from dataclasses import replace

from atles.errors import ArtifactError
from atles.layout import Home
from atles.pipeline.shelf import open_shelf
from atles.records import Adapter, AdapterState, Dataset
from atles.settings import Settings, StoreSettings
from atles.store import Store
from atles.store.artifacts import Artifacts
from atles.upkeep.errands import errands


def test_what_another_machine_retired_goes_here_and_where_it_was_shared(store: Store, home: Home) -> None:
    settings = replace(Settings(), store=StoreSettings(artifacts=f"memory://{home.root}"))
    shelf, shared = open_shelf(home, settings), Artifacts(settings.store.artifacts)
    store.examples.add_dataset(Dataset("d", "/d", 0, 0, (), ()), [])
    store.adapters.add(Adapter("a", "base", "d", "/a", AdapterState.CANDIDATE, "new", "2026", {}))
    for folder, file in ((home.adapter("a"), "adapter_model.safetensors"), (home.dataset("d"), "manifest.json")):
        folder.mkdir(parents=True)
        (folder / file).write_text("{}")
    house = errands(store, shelf, threading.Event())
    assert 0 < house.do_due() <= 300
    assert shared.names("adapters") == {"a": True} and shared.names("datasets") == {"d": True}
    store.adapters.retire("a", "It saw what was forgotten since.")
    again = errands(store, shelf, threading.Event())
    again.do_due()
    assert not home.adapter("a").exists() and not home.dataset("d").exists()
    assert shared.names("adapters") == {} and shared.names("datasets") == {}


def test_a_place_that_is_away_does_not_end_it(store: Store, home: Home, caplog) -> None:
    shelf = open_shelf(home, replace(Settings(), store=StoreSettings(artifacts=f"memory://{home.root}")))

    def away(self: Artifacts, kind: str) -> None:
        raise ArtifactError("unreachable", "nobody is at home")

    shelf._artifacts.names = away.__get__(shelf._artifacts)
    assert errands(store, shelf, threading.Event()).do_due() > 0
    assert "nobody is at home" in caplog.text
