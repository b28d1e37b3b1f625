"""`install` and `uninstall`: what is written where, and what people are told."""

import json
import os
import plistlib
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.cli import install
from atles.daemon import LearningDaemon
from atles.layout import Home
from atles.settings import Settings
from tests.cli.conftest import on_a_terminal
from tests.fakes import FakePrograms

Call = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is written outside the test's folder."""
    monkeypatch.setattr(install, "PLATFORM", "linux")
    monkeypatch.setattr(install, "SYSTEM_UNITS", tmp_path / "etc" / "systemd" / "system")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "me")
    return tmp_path


class Control:
    """systemctl or launchctl: writes down what it is told; fails with `says` if there is something."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._told, self.says = folder, folder / "told", folder / "says"
        folder.mkdir()
        for name in ("systemctl", "launchctl"):
            program = folder / name
            program.write_text(
                f'#!/bin/sh\necho "{name} $*" >> "{self._told}"\n'
                f'if [ -e "{self.says}" ]; then cat "{self.says}" >&2; exit 1; fi\n'
            )
            program.chmod(0o755)

    @property
    def told(self) -> list[str]:
        return self._told.read_text().splitlines() if self._told.exists() else []


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    made = Control(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return made


def test_a_unit_for_the_users_systemd(call: Call, root: Path, place: Path, control: Control) -> None:
    said = call("install").stdout
    file = place / "config" / "systemd" / "user" / "atles.service"
    unit = file.read_text()
    assert f"ExecStart={sys.executable} -P -m atles --home {root} run --quiet\n" in unit
    assert f"{file} is written: ATLES on {root}." in said
    assert "systemctl --user daemon-reload && systemctl --user enable --now atles" in said
    assert "loginctl enable-linger" in said
    assert control.told == [], "nothing is started unasked"
    assert (root / "learning_daemon").is_dir(), "systemd wants the folder that it works in"


def test_without_a_place_named_it_is_below_the_users_home(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    call("install", "--name", "atles-work")
    assert (place / "me" / ".config" / "systemd" / "user" / "atles-work.service").exists()


def test_what_is_given_to_install_is_given_to_the_daemon(call: Call, root: Path, tmp_path: Path) -> None:
    (tmp_path / "my settings.toml").write_text("[train]\nepochs = 2\n")
    shown = call("--config", str(tmp_path / "my settings.toml"), "install", "--print", "--set", "train.seed=3").stdout
    assert f'--home {root} --config "{tmp_path}/my settings.toml" --set train.seed=3 run --quiet\n' in shown


def test_the_environment_is_not_baked_in(call: Call, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("ATLES_STORE_URL", "postgresql://me:hunter2@db/atles")
    shown = call("install", "--print").stdout
    assert "hunter2" not in shown and f"EnvironmentFile=-{root}/atles.env\n" in shown


def test_to_print_changes_nothing(call: Call, told: Told, root: Path, place: Path) -> None:
    shown = call("install", "--print").stdout
    assert shown.startswith("# Written by `atles install`") and shown.endswith("WantedBy=default.target\n")
    assert told("install", "--print") == {
        "file": str(place / "config" / "systemd" / "user" / "atles.service"), "definition": shown,
    }  # fmt: skip
    assert not root.exists() and not (place / "config").exists()


def test_what_is_printed_can_be_copied_from_a_terminal(call: Call, root: Path) -> None:
    printed = call("install", "--print").stdout
    assert max(map(len, printed.splitlines())) > 80
    assert on_a_terminal(root, "install", "--print") == printed


def test_a_wrong_setting_is_said_at_once(call: Call, place: Path) -> None:
    assert "did you mean train.epochs" in call("install", "--set", "train.epoch=1", code=2).stderr
    assert not (place / "config").exists()


def test_now_starts_it(call: Call, told: Told, control: Control) -> None:
    document = told("install", "--now")
    assert document["started"] is True and document["name"] == "atles"
    assert control.told == ["systemctl --user daemon-reload", "systemctl --user enable --now atles"]
    call("install", "--now")
    assert control.told[2:] == ["systemctl --user disable --now atles", *control.told[:2]], "by the new definition"


def test_where_systemd_does_not_run_there_is_a_way_out(call: Call, place: Path, control: Control) -> None:
    control.says.write_text("Failed to connect to bus: No medium found\n")
    said = call("install", "--now", code=1).stderr
    assert "atles.service is written, but `systemctl --user daemon-reload` failed" in said
    assert "Failed to connect to bus: No medium found" in said and "`atles start`" in said
    assert (place / "config" / "systemd" / "user" / "atles.service").exists()


def test_where_there_is_no_systemd_at_all(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = call("install", "--now", code=1).stderr
    assert "`systemctl --user daemon-reload` cannot be run: No such file" in said and "`atles start`" in said


def test_a_daemon_that_runs_already_is_not_pushed_aside(
    call: Call, root: Path, place: Path, control: Control, fake: FakePrograms
) -> None:
    daemon = LearningDaemon(Home(root), Settings())
    daemon.start()
    try:
        said = call("install", "--now", code=1).stderr
        assert f"a daemon (pid {os.getpid()}) works on {root} already: `atles stop` first" in said
        assert control.told == [] and not (place / "config").exists()
        assert "atles stop" in call("install").stdout
    finally:
        daemon.stop()


def test_uninstall_ends_and_deletes_and_leaves_the_home(call: Call, root: Path, place: Path, control: Control) -> None:
    call("install")
    file = place / "config" / "systemd" / "user" / "atles.service"
    assert f"{file} is deleted" in call("uninstall").stdout
    assert not file.exists() and root.exists()
    assert control.told == ["systemctl --user disable --now atles", "systemctl --user daemon-reload"]
    assert "there is no" in call("uninstall", code=1).stderr


def test_uninstall_says_what_it_could_not_end(call: Call, told: Told, control: Control) -> None:
    call("install")
    control.says.write_text("Failed to connect to bus\n")
    assert "Failed to connect to bus" in told("uninstall")["trouble"]


def test_two_homes_need_two_names(call: Call, tmp_path: Path, place: Path) -> None:
    call("install")
    other = ["--home", str(tmp_path / "other"), "install"]
    assert "choose another --name" in call(*other, code=1).stderr
    call(*other, "--name", "atles-other")
    assert len(list((place / "config" / "systemd" / "user").iterdir())) == 2


# --- for the machine ---


def owned(path: Path, uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the folder belonged to that user."""
    real = Path.stat

    def seen(self: Path, **more: Any) -> os.stat_result:
        state = real(self, **more)
        if self != path:
            return state
        fields = list(state)
        fields[stat.ST_UID] = uid
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "stat", seen)


def test_the_machines_service_runs_as_the_owner_of_the_home(
    call: Call, root: Path, place: Path, monkeypatch: pytest.MonkeyPatch, control: Control
) -> None:
    root.mkdir()
    owned(root, 1, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    models = "--set", "model.folder=/srv/models"
    said = call("install", "--system", *models).stdout
    unit = (place / "etc" / "systemd" / "system" / "atles.service").read_text()
    assert f"User={root.owner()}\n" in unit and f"ReadWritePaths={root} -/srv/models\n" in unit
    assert "systemctl daemon-reload && systemctl enable --now atles" in said and "enable-linger" not in said
    assert list(root.iterdir()) == [], "what root makes in a home, its owner cannot write to"


def test_a_user_without_a_name_will_do(call: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    owned(root, 123456, monkeypatch)
    assert "User=123456\n" in call("install", "--system", "--print").stdout


def test_it_needs_root_and_does_not_run_as_root(call: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert f"install -d -m 700 -o USER {root}" in call("install", "--system", code=1).stderr
    root.mkdir()
    owned(root, 0, monkeypatch)
    assert f"chown -R USER {root}" in call("install", "--system", code=1).stderr
    owned(root, 1, monkeypatch)
    assert "needs root: `sudo " in call("install", "--system", code=1).stderr
    assert "needs root: `sudo " in call("uninstall", "--system", code=1).stderr


# --- elsewhere ---


def test_on_macos_it_is_an_agent(
    call: Call, place: Path, root: Path, monkeypatch: pytest.MonkeyPatch, control: Control
) -> None:
    monkeypatch.setattr(install, "PLATFORM", "darwin")
    said = call("install", "--now").stdout
    file = place / "me" / "Library" / "LaunchAgents" / "atles.plist"
    assert plistlib.loads(file.read_bytes())["ProgramArguments"][-2:] == ["run", "--quiet"]
    assert control.told == [f"launchctl bootstrap gui/{os.getuid()} {file}"]
    assert f"launchctl print gui/{os.getuid()}/atles" in said and "linger" not in said
    assert "leave out --system" in call("install", "--system", code=2).stderr
    call("uninstall")
    assert control.told[-1] == f"launchctl bootout gui/{os.getuid()}/atles" and not file.exists()


def test_other_systems_are_told_how_to_do_without(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "PLATFORM", "win32")
    assert "not on win32" in call("install", code=1).stderr
    assert "not on win32" in call("uninstall", code=1).stderr


def test_the_document_holds_what_the_text_says(told: Told, root: Path, control: Control) -> None:
    document = told("install")
    assert document["home"] == str(root) and document["started"] is False and document["pid"] is None
    assert json.dumps(document)
