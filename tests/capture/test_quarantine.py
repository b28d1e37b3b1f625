"""What is set aside: never without its reason, never in another's place, and back again."""

from pathlib import Path

import pytest

from atles.capture.quarantine import reasons, restore, set_aside
from atles.layout import Home


def bad(home: Home, words: str) -> Path:
    path = home.sessions / "completed_bad.json"
    path.write_text(words)
    return path


def aside(home: Home) -> dict[str, tuple[str, str]]:
    return {name: ((home.quarantine / name).read_text(), reason) for name, reason in reasons(home)}


def test_each_has_a_name_and_its_own_reason(home: Home) -> None:
    for word in ("one", "two"):
        set_aside(bad(home, word), home.quarantine / "completed_bad.json", f"why {word}")
    assert aside(home) == {"completed_bad.json": ("one", "why one"), "completed_bad.2.json": ("two", "why two")}


def test_one_that_comes_meanwhile_keeps_its_name(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from atles.capture import quarantine

    take = quarantine.take_name

    def late(file: Path, path: Path) -> Path:
        path.write_text("another's")
        return take(file, path)

    monkeypatch.setattr(quarantine, "take_name", late)
    set_aside(bad(home, "mine"), home.quarantine / "completed_bad.json", "why")
    assert aside(home)["completed_bad.json"][0] == "another's"
    assert aside(home)["completed_bad.2.json"] == ("mine", "why")


def test_a_kill_in_between_leaves_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path, wanted = bad(home, "x"), home.quarantine / "completed_bad.json"

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        set_aside(path, wanted, "why")
    assert path.exists()
    set_aside(path, wanted, "why")
    assert aside(home) == {"completed_bad.json": ("x", "why")} and not path.exists()


def test_a_newer_file_of_that_name_is_not_destroyed(home: Home) -> None:
    set_aside(bad(home, "{"), home.quarantine / "completed_bad.json", "why")
    corrected = bad(home, "corrected by its host")
    assert restore(home, "completed_bad.json").name == "completed_bad.2.json"
    assert corrected.read_text() == "corrected by its host"
    assert (home.sessions / "completed_bad.2.json").read_text() == "{" and aside(home) == {}
