"""`atles train`: what the next training waits for, and what it waits for in any case."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from atles.layout import Home
from tests.cli.conftest import NO_TRAINING
from tests.fakes import FakePrograms
from tests.samples import chat, drop

Call = Callable[..., Result]
IDLE = ("--set", "train.max_load=0")  # whatever this machine does meanwhile


@pytest.fixture
def learned(root: Path, call: Call, fake: FakePrograms) -> Home:
    """Twelve sessions that no training has read."""
    home = Home(root).create()
    for number in range(12):
        drop(home, chat(number))
    call(*NO_TRAINING, "drain")
    return home


def test_it_says_what_the_next_training_waits_for(learned: Home, call: Call) -> None:
    said = call(*IDLE, "--set", "train.min_new_examples=999", "--set", "gate.min_heldout=1", "train").stdout
    assert "waits for new examples: " in said and "of 999 are there" in said
    assert "`atles train --now` does not wait." in said
    few = ("--set", "train.min_new_examples=1", "--set", "gate.min_heldout=1")
    assert call(*IDLE, *few, "train").stdout == "Nothing holds a training back.\n"


def test_no_training_is_promised_while_no_adapter_could_be_judged(
    learned: Home, call: Call, fake: FakePrograms
) -> None:
    strict = ("--set", "gate.min_heldout=999")
    for words in (("train",), ("train", "--now")):
        said = call(*IDLE, *strict, *words).stdout
        assert "for examples to judge by: " in said and "of 999 are held out" in said
        assert "begins" not in said and "does not wait" not in said
    call(*IDLE, *strict, "drain")
    assert fake.runs("train") == []


def test_with_enough_to_judge_by_it_begins(learned: Home, call: Call, fake: FakePrograms) -> None:
    few = ("--set", "gate.min_heldout=1")
    assert "A training begins with `atles drain`" in call(*IDLE, *few, "train", "--now").stdout
    call(*IDLE, *few, "drain")
    assert len(fake.runs("train")) == 1
