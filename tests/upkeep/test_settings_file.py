"""One setting is changed, and all else stays as its owner wrote it."""

import tomllib
from pathlib import Path

import pytest

from atles.errors import ConfigError
from atles.upkeep.settings_file import change, changed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[store]\nurl = "x"\n'),
        ("# mine\n[train]\nepochs = 3\n", '# mine\n[train]\nepochs = 3\n\n[store]\nurl = "x"\n'),
        ("[store]\n", '[store]\nurl = "x"\n'),
        (
            '[store] # here\n# url = ""\nschema = "a" # so\n\n# next\n[train]\n',
            '[store] # here\n# url = ""\nschema = "a" # so\nurl = "x"\n\n# next\n[train]\n',
        ),
        ('[store]\n  url = "old"  # why\n[train]\nseed = 1', '[store]\nurl = "x"\n[train]\nseed = 1\n'),
        ('[models.a]\nurl = "http://a"\n', '[models.a]\nurl = "http://a"\n\n[store]\nurl = "x"\n'),
        ("[store]\r\nschema = 'a'\r\n", "[store]\nschema = 'a'\nurl = \"x\"\n"),
    ],
)
def test_a_key_is_set(before: str, after: str) -> None:
    assert changed(before, "store", {"url": "x"}, "") == after
    assert changed(after, "store", {"url": "x"}, "") == after


def test_a_key_is_commented_out_and_says_why() -> None:
    before = '[models.a]\nurl = "http://a"\n[store]\nurl = "x" # there\nschema = "a"\n'
    after = changed(before, "store", {"url": None, "artifacts": None}, "Because.")
    assert after == '[models.a]\nurl = "http://a"\n[store]\n# Because.\n# url = "x" # there\nschema = "a"\n'
    assert changed(after, "store", {"url": None}, "Because.") == after


def test_whatever_is_in_a_value(tmp_path: Path) -> None:
    value = 'postgresql://u@h/d?options=-c%20x="y"\\ü\n'
    change(tmp_path / "new" / "atles.toml", "store", {"url": value}, "")
    assert tomllib.loads((tmp_path / "new" / "atles.toml").read_text("utf-8"))["store"]["url"] == value
    assert (tmp_path / "new" / "atles.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    ['store.url = "a"\n', 'store = { url = "a" }\n', '[store]\nurl = """\na\n"""\n', '[store]\n"url" = "a"\n'],
)
def test_what_cannot_be_changed_line_by_line_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "atles.toml").write_text(text)
    for value in ("x", None):
        with pytest.raises(ConfigError, match=r"store.url cannot be changed in it; do it by hand"):
            change(tmp_path / "atles.toml", "store", {"url": value}, "")
    assert (tmp_path / "atles.toml").read_text() == text


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("")
    (tmp_path / "atles.toml").symlink_to("real.toml")
    change(tmp_path / "atles.toml", "store", {"url": "x"}, "")
    assert (tmp_path / "atles.toml").is_symlink() and 'url = "x"' in (tmp_path / "real.toml").read_text()
