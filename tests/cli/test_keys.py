"""keys: shown once, stored as a hash, and gone when they are removed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.layout import Home
from atles.store import Store

Call = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture
def home(root: Path) -> Home:
    home = Home(root).create()
    Store(home.database).close()
    return home


def test_a_key_is_shown_once_and_only_its_hash_is_stored(home: Home, call: Call, told: Told) -> None:
    made = told("keys", "add", "phone", "--user", "ann")
    assert made["key"].startswith("atles_") and (made["user"], made["admin"]) == ("ann", False)
    said = call("keys", "add", "desk", "--admin").stdout.splitlines()
    assert said[0].startswith("atles_") and "cannot be shown again" in said[1]
    listed = told("keys", "list")
    assert [(it["name"], it["user"], it["admin"]) for it in listed] == [("phone", "ann", False), ("desk", "", True)]
    assert not {"key", "hash"} & set(listed[0])
    for key in (made["key"], said[0]):
        assert key not in call("keys").stdout
        secret = key.rpartition("_")[2].encode()
        for file in home.root.rglob("*"):
            assert not file.is_file() or secret not in file.read_bytes()


def test_the_key_says_who_comes(home: Home, told: Told) -> None:
    made = told("keys", "add", "phone", "--user", "ann")
    store = Store(home.database)
    found = store.keys.find(made["key"])
    assert found and (found.name, found.user, found.admin) == ("phone", "ann", False)
    assert store.keys.find(made["key"][:-1]) is None and store.keys.find("atles_") is None
    store.close()


def test_a_removed_key_is_gone_and_the_last_one_says_what_that_means(home: Home, call: Call, told: Told) -> None:
    made = told("keys", "add", "phone")
    told("keys", "add", "desk")
    assert "last" not in call("keys", "remove", made["id"]).stdout
    assert "It was the last one: within two seconds" in call("keys", "remove", "desk").stdout
    assert told("keys") == [] and "none, and no others come in" in call("keys").stdout


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_a_name_can_be_read(home: Home, call: Call, name: str) -> None:
    assert "1 to 100 characters" in call("keys", "add", name, code=2).stderr


def test_what_cannot_be_done_is_said_in_a_line(home: Home, call: Call) -> None:
    call("keys", "add", "phone")
    assert "remove it first" in call("keys", "add", "phone", code=1).stderr
    assert "`atles keys` lists them" in call("keys", "remove", "laptop", code=1).stderr


def test_no_home_is_made(root: Path, call: Call) -> None:
    call("keys", "add", "phone", code=1)
    assert not root.exists()
