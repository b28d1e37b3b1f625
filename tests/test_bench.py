"""The benchmarks that run whole processes, in short: they still run, and what they check holds."""

import sys
from pathlib import Path

import pytest

from bench import stores
from bench.figures import table
from bench.scale import cost, speed
from bench.scale.team import Supply
from bench.soak import lives
from bench.soak.replay import replay
from bench.soak.tables import figures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at through /proc"),
]
NOWHERE = Path("no such file")  # then what is said comes from examples/


@pytest.mark.parametrize(("kind", "sessions"), [("sqlite", 300), ("postgresql", 60)])
def test_a_short_soak_learns_every_session_once(tmp_path: Path, kind: str, sessions: int) -> None:
    make, source = lives.maker(NOWHERE, sessions)
    with stores.place(kind, tmp_path / "home") as place:
        outcome = replay(place, make, sessions, window=60, every=0.2)
    assert (outcome.wrong, outcome.dead) == ([], 0)
    assert outcome.samples[-1].learned == sessions and outcome.samples[-1].rss_mb > 10
    assert all(part.bytes > 0 for part in outcome.parts)
    assert "dead letters" in table("soak", figures(outcome, sessions, source))


def test_workers_side_by_side_do_every_step_once(tmp_path: Path) -> None:
    with stores.place("postgresql", tmp_path / "postgresql" / "home") as place:
        found = {figure.name: figure for figure in speed.figures(place, Supply(NOWHERE), rounds=1, sessions=4)}
    assert found["steps that were not done exactly once"].value == 0
    assert found["4 workers, 40 users, to 1"].value > 1


def test_a_file_starts_its_first_step(tmp_path: Path) -> None:
    with stores.place("sqlite", tmp_path / "sqlite" / "home") as place:
        waits = cost.files(place, Supply(NOWHERE), starts=5)
    assert all(0 < figure.value < 60_000 for figure in waits)
