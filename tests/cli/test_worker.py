"""`atles worker`: what it is given, and how it ends. What workers do together is in `tests/test_cluster.py`."""

from collections.abc import Callable

import pytest
from click.testing import Result

from atles.cli import worker
from atles.store import Store
from atles.upkeep.house import House

Call = Callable[..., Result]


@pytest.mark.parametrize("label", ["GPU", 'gpu"', "a b", "gpu\n"])
def test_a_label_is_what_a_setting_can_ask_for(call: Call, label: str) -> None:
    assert f"--label must be small letters, digits and -, with commas between them, not {label!r}" in (
        call("worker", "--label", "gpu", "--label", label, code=2).stderr
    )


def test_labels_may_be_listed_as_in_the_settings() -> None:
    assert worker._labels(("gpu,big", "a-100")) == ["gpu", "big", "a-100"]


@pytest.mark.parametrize("ends", [True, False])
def test_the_store_is_not_closed_under_a_thread(
    call: Call, postgresql: str, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setenv("ATLES_STORE_URL", postgresql)
    monkeypatch.setattr(worker, "until_told", lambda: lambda: None)
    monkeypatch.setattr(worker, "share_one_arena", lambda: None)
    opened: list[Store] = []
    open_store, join = worker.open_store, House.join
    monkeypatch.setattr(worker, "open_store", lambda *given: opened.append(open_store(*given)) or opened[0])
    monkeypatch.setattr(House, "join", lambda house, timeout: join(house, timeout) and ends)
    call("worker")
    (store,) = opened
    assert store.database._connections == [] if ends else store.database._connections
    store.close()
