"""A short chaos run on each store; `python -m tests.chaos` is the long one. CHAOS_KILLS=200 makes these longer."""

import os
import random
from pathlib import Path

import pytest

from atles.config import load_settings
from tests.chaos import boundaries
from tests.chaos.driver import AT_RANDOM, Driver, Kill, plan
from tests.chaos.verdict import Verdict, judge

SEED = 20261126


def test_a_plan_holds_every_boundary_as_often_and_is_the_same_for_a_seed() -> None:
    kills = plan(random.Random(SEED), 200)
    assert len(kills) == 200
    assert {kills.count(Kill("whoever comes there", boundary)) for boundary in boundaries.ALL} == {3}
    assert kills == plan(random.Random(SEED), 200) != plan(random.Random(SEED + 1), 200)
    assert len({kill.victim for kill in plan(random.Random(SEED), 25, workers=2) if kill.where == AT_RANDOM}) > 5


@pytest.mark.slow
@pytest.mark.parametrize(("store", "workers", "kills"), [("sqlite", 0, 25), ("postgresql", 2, 12)])
def test_every_session_is_learned_once_whoever_is_killed(
    tmp_path: Path, request: pytest.FixtureRequest, store: str, workers: int, kills: int
) -> None:
    url = request.getfixturevalue("postgresql") if store == "postgresql" else ""
    settings = (f"store.url={url}", "queue.lease_seconds=3") if url else ()
    driver = Driver(tmp_path, SEED, store=settings, workers=workers)
    kills = int(os.environ.get("CHAOS_KILLS", kills))
    run = driver.run(plan(random.Random(SEED), kills, workers))
    assert sum(run.killed.values()) == kills
    assert run.wrong == []
    assert driver.ledger.handed_over > kills and driver.ledger.turns
    overrides = load_settings(driver.home, environment={}, overrides=driver.settings)
    assert judge(driver.home, driver.ledger, overrides, kills) == Verdict([], [], [])
