"""When a training may run."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from atles.pipeline.schedule import minutes_on, not_now, on_battery
from atles.records import Adapter, AdapterState
from atles.settings import TrainSettings

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SETTINGS = TrainSettings()


def test_an_idle_machine_at_any_hour_may_train() -> None:
    assert not_now(SETTINGS, NOON, 0.2, False, 500.0) == ""


@pytest.mark.parametrize(
    ("hours", "at", "may"),
    [
        ("22:00-07:00", "23:30", True), ("22:00-07:00", "06:59", True), ("22:00-07:00", "07:00", False),
        ("22:00-07:00", "12:00", False), ("09:00-17:00", "12:00", True), ("09:00-17:00", "17:00", False),
        ("09:00-17:00", "08:59", False),
    ],
)  # fmt: skip
def test_hours_may_go_over_midnight(hours: str, at: str, may: bool) -> None:
    then = datetime.fromisoformat(f"2026-05-01T{at}:00+00:00")
    waits = not_now(replace(SETTINGS, hours=hours), then, 0.0, False, 0.0)
    assert (waits == "") is may and (may or hours in waits)


def test_each_thing_that_holds_a_training_back_is_said() -> None:
    assert "busy: 3.0 processes a core, 1 are allowed" in not_now(SETTINGS, NOON, 3.0, False, 0.0)
    assert not_now(replace(SETTINGS, max_load=0.0), NOON, 3.0, False, 0.0) == ""
    assert "battery" in not_now(SETTINGS, NOON, 0.0, True, 0.0)
    assert not_now(replace(SETTINGS, on_battery=True), NOON, 0.0, True, 0.0) == ""
    budget = replace(SETTINGS, minutes_per_day=30)
    assert "30 of 30 minutes" in not_now(budget, NOON, 0.0, False, 30.0) and not not_now(budget, NOON, 0.0, False, 29.0)


def test_the_minutes_of_a_day_are_its_trainings(tmp_path: Path) -> None:
    def trained(at: str, seconds: float) -> Adapter:
        return Adapter("a", "b", "d", "/a", AdapterState.REJECTED, "", at, {"time_taken": seconds})

    local = datetime(2026, 5, 1, 12).astimezone().isoformat()
    other = datetime(2026, 5, 2, 12).astimezone().isoformat()
    assert minutes_on(date(2026, 5, 1), [trained(local, 90), trained(local, 30), trained(other, 600)]) == 2.0


@pytest.mark.parametrize(
    ("supplies", "drives"),
    [
        ({}, False),
        ({"BAT0": ("Battery", "Discharging", "")}, True),
        ({"BAT0": ("Battery", "Discharging", ""), "AC": ("Mains", "", "0")}, True),
        ({"BAT0": ("Battery", "Charging", ""), "AC": ("Mains", "", "1")}, False),
        ({"BAT0": ("Battery", "Discharging", ""), "AC": ("Mains", "", "1")}, False),
        ({"AC": ("Mains", "", "0")}, False),
    ],
)
def test_what_drives_the_machine(tmp_path: Path, supplies: dict[str, tuple[str, str, str]], drives: bool) -> None:
    for name, (kind, status, online) in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in (("type", kind), ("status", status), ("online", online)):
            if text:
                (tmp_path / name / file).write_text(text + "\n")
    assert on_battery(tmp_path) is drives and not on_battery(tmp_path / "none")
