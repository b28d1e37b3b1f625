"""Who may read a home, and that somebody says so."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from atles.cli.app import atles
from atles.layout import Home
from atles.store import Store
from atles.upkeep.privacy import exposed

SECRET = '[store]\nurl = "postgresql://me:hunter2@db/atles"\n'


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that everybody finds, as where somebody made the folder before ATLES came."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        if not all(above.stat().st_mode & 0o011 for above in root.resolve().parents):
            pytest.skip(f"others have no way to {root}")
        made = Home(root).create()
        Store(made.database).close()
        yield made


def privacy(home: Home, *words: str) -> dict[str, Any]:
    """What `atles doctor` finds."""
    said = CliRunner().invoke(atles, ["--home", str(home.root), *words, "doctor", "--json"], catch_exceptions=False)
    (finding,) = [it for it in json.loads(said.stdout) if it["check"] == "privacy"]
    return finding


def test_what_atles_made_is_nobody_elses(home: Home) -> None:
    home.config.write_text('[store]\nurl = "postgresql://me@db/atles"\n')
    home.config.chmod(0o644)
    assert exposed(home) == [], "settings without a secret may be read"
    assert privacy(home)["state"] == "ok"


def test_settings_that_hold_a_password_must_not_be_readable(home: Home) -> None:
    home.config.write_text(SECRET)
    home.config.chmod(0o640)
    assert exposed(home) == [home.config]
    found = privacy(home)
    assert found["state"] == "warn" and found["fix"] == f"`chmod -R go-rwx {home.config}`"
    assert "hunter2" not in json.dumps(found)
    home.config.chmod(0o600)
    assert exposed(home) == []


def test_so_must_other_settings_files_and_the_services_secrets(home: Home) -> None:
    other = home.root / "my settings.toml"
    other.write_text(SECRET)
    other.chmod(0o644)
    home.secrets.write_text("OPENAI_API_KEY=x\n")
    home.secrets.chmod(0o644)
    assert exposed(home, other) == [other, home.secrets]
    assert f"'{other}'" in privacy(home, "--config", str(other))["fix"]


def test_what_an_earlier_atles_left_open_is_named(home: Home) -> None:
    for path in (home.database, home.processed):
        path.chmod(path.stat().st_mode | 0o044)
    assert exposed(home) == [home.database], "to its processed/ nobody has a way"
    home.root.chmod(0o700)
    assert exposed(home) == [], "nor to anything else, now"


def test_a_home_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert exposed(Home(tmp_path / "none")) == []
