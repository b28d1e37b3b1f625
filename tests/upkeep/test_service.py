"""Services: what systemd and launchd read, as they read it; and what is never overwritten."""

import plistlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from atles.errors import AtlesError
from atles.upkeep import service
from atles.upkeep.launchd import Launchd
from atles.upkeep.service import Service
from atles.upkeep.systemd import Systemd

ODD = "/srv/a b%h\"q\\x$HOME [é]'\\"  # all that means something to systemd, to a glob or to a shell


def made(home: str = "/srv/atles", **changes: object) -> Service:
    command = (sys.executable, "-P", "-m", "atles", "--home", home, "run", "--quiet")
    return replace(Service("atles", Path(home), command, 90.0), **changes)  # type: ignore[arg-type]


def lines(keeper: Systemd, what: Service) -> dict[str, list[str]]:
    """A unit's settings, without its comments."""
    found: dict[str, list[str]] = {}
    for line in keeper.definition(what).decode("utf-8", "surrogateescape").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def words(value: str) -> list[str]:
    """What systemd.syntax(7) makes of a line of several words: quotes, backslashes, specifiers."""
    found, word, quoted, escaped = [], "", False, False
    for character in [*value, " "]:
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            found.append(word)
            word = ""
        else:
            word += character
    assert not (quoted or escaped or word)
    assert all("%" not in it.replace("%%", "") for it in found), "a specifier"
    return [it.replace("%%", "%") for it in found]


USER, SYSTEM = Systemd(Path("/units")), Systemd(Path("/units"), system=True)


@pytest.mark.parametrize("home", ["/srv/atles", ODD, "/ends with a space ", "/\udcff bytes", "/a;b#c"])
def test_any_path_comes_through(home: str) -> None:
    what = made(home, writes=(Path("/mnt/my models"),), user="atles")
    unit = lines(SYSTEM, what)
    (command,) = unit["ExecStart"]
    assert tuple(it.replace("$$", "$") for it in words(command)) == what.command
    assert command.count("$") == 2 * home.count("$"), "a single one would stand for a variable"
    assert words(unit["ReadWritePaths"][0]) == [home, "-/mnt/my models"]
    assert words(unit["Environment"][0]) == [f"HF_HOME={home}/models/huggingface"]
    assert unit["WorkingDirectory"] == [home.replace("%", "%%") + "/"]
    assert SYSTEM.home_of(SYSTEM.definition(what)) == home


def test_the_file_of_secrets_is_a_path_not_a_pattern() -> None:
    assert lines(USER, made("/a*b[c]"))["EnvironmentFile"] == ["-/a[*]b[[]c]/atles.env"]
    assert lines(USER, made("/a\\b"))["EnvironmentFile"] == ["-/a\\\\b/atles.env"]


@pytest.mark.parametrize("home", ["/srv/a\nb", "/srv/a\x7f", "/srv/\t"])
def test_what_no_definition_can_hold_is_refused(home: str) -> None:
    with pytest.raises(AtlesError, match="control character"):
        made(home)


@pytest.mark.parametrize("name", ["", "../x", "a b", ".hidden", "x" * 101, "a\n", "a/b"])
def test_a_name_is_a_file_name(name: str) -> None:
    with pytest.raises(AtlesError, match="no name for a service"):
        made(name=name)


def test_only_what_the_users_systemd_can_do_is_asked_of_it() -> None:
    user, system = lines(USER, made()), lines(SYSTEM, made(user="atles"))
    assert set(user) < set(system)
    assert set(system) - set(user) == {
        "After", "Wants", "User", "KeyringMode", "CapabilityBoundingSet", "AmbientCapabilities", "ProtectSystem",
        "ReadWritePaths", "ProtectHome", "Environment", "PrivateTmp", "ProtectKernelTunables",
        "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectClock", "ProtectHostname",
        "ProtectProc", "DevicePolicy", "DeviceAllow",
    }  # fmt: skip
    assert (user["WantedBy"], system["WantedBy"]) == (["default.target"], ["multi-user.target"])
    assert (user["TimeoutStopSec"], system["User"]) == (["90"], ["atles"])
    for unit in (user, system):
        assert unit["Type"] == ["notify"] and unit["Restart"] == ["on-failure"] and unit["UMask"] == ["0077"]
        assert "MemoryDenyWriteExecute" not in unit, "PyTorch writes code as it runs"


# --- systemd's own judgement ---

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not installed")
MOST_EXPOSED = 3.0


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False)


@needs_systemd
@pytest.mark.parametrize("keeper", [USER, SYSTEM], ids=["user", "system"])
def test_systemd_understands_every_line(keeper: Systemd, tmp_path: Path) -> None:
    home = tmp_path / ODD.rpartition("/")[2]
    home.mkdir()
    file = tmp_path / "atles.service"
    file.write_bytes(keeper.definition(made(str(home), user="atles" if keeper is SYSTEM else "")))
    found = analyze("verify", "--man=no", str(file))
    complaints = [line for line in found.stderr.splitlines() if "atles.service" in line or "Unknown" in line]
    assert (found.returncode, complaints) == (0, [])


@needs_systemd
def test_systemd_finds_the_service_well_protected(tmp_path: Path) -> None:
    if "--offline" not in analyze("security", "--help").stdout:
        pytest.skip("this systemd cannot judge a file")
    file = tmp_path / "atles.service"
    file.write_bytes(SYSTEM.definition(made(user="atles")))
    found = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", "--no-pager", str(file))
    assert found.returncode == 0, found.stdout


# --- launchd ---

LAUNCHD = Launchd(Path("/agents"), 501)


@pytest.mark.parametrize("home", ["/Users/me/atles", ODD])
def test_a_property_list_says_what_a_unit_says(home: str) -> None:
    what = made(home)
    document = plistlib.loads(LAUNCHD.definition(what))
    assert document == {
        "Label": "atles",
        "ProgramArguments": list(what.command),
        "WorkingDirectory": home,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": 90,
        "StandardOutPath": f"{home}/learning_daemon/daemon.err",
        "StandardErrorPath": f"{home}/learning_daemon/daemon.err",
        "Umask": 0o077,
    }
    assert LAUNCHD.home_of(LAUNCHD.definition(what)) == home
    assert LAUNCHD.file("atles") == Path("/agents/atles.plist")
    assert LAUNCHD.begin("atles") == [["launchctl", "bootstrap", "gui/501", "/agents/atles.plist"]]
    assert LAUNCHD.end("atles") == [["launchctl", "bootout", "gui/501/atles"]]


@pytest.mark.parametrize("other", [b"", b"<plist", plistlib.dumps({"Label": "x"}), plistlib.dumps([]), b"bplist00"])
def test_another_property_list_is_not_ours(other: bytes) -> None:
    assert LAUNCHD.home_of(other) is None


# --- writing and removing ---


def test_a_definition_is_written_and_written_anew(tmp_path: Path) -> None:
    keeper = Systemd(tmp_path / "systemd" / "user")
    assert service.install(keeper, made()) is False
    assert keeper.file("atles").read_bytes() == keeper.definition(made())
    assert service.install(keeper, made(stop_seconds=10.0)) is True
    assert b"TimeoutStopSec=10" in keeper.file("atles").read_bytes()


def test_the_service_of_another_home_is_left_alone(tmp_path: Path) -> None:
    keeper = Systemd(tmp_path)
    service.install(keeper, made("/srv/one"))
    with pytest.raises(AtlesError, match="works on /srv/one; choose another --name"):
        service.install(keeper, made("/srv/other"))
    assert keeper.home_of(keeper.file("atles").read_bytes()) == "/srv/one"


@pytest.mark.parametrize("keeper", [USER, LAUNCHD], ids=["systemd", "launchd"])
def test_what_somebody_else_wrote_is_left_alone(keeper: Systemd | Launchd, tmp_path: Path) -> None:
    keeper = Systemd(tmp_path) if keeper is USER else Launchd(tmp_path, 501)
    keeper.file("atles").write_text("[Service]\nExecStart=/usr/bin/atles --home /srv/atles run\n")
    for attempt in (lambda: service.install(keeper, made()), lambda: service.remove(keeper, "atles")):
        with pytest.raises(AtlesError, match="was not written by `atles install`"):
            attempt()
    assert keeper.file("atles").exists()


def test_what_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(AtlesError, match=r"there is no .*/work\.service; --name and --system say"):
        service.remove(Systemd(tmp_path), "work")


def test_a_command_that_fails_speaks_for_itself() -> None:
    with pytest.raises(AtlesError, match=r"python.* -c 'import sys; sys.exit\(\"no bus\"\)'` failed: no bus"):
        service.run([[sys.executable, "-c", 'import sys; sys.exit("no bus")']])
    with pytest.raises(AtlesError, match=r"`/no/such/program x` cannot be run: No such file or directory"):
        service.run([["/no/such/program", "x"]])
    with pytest.raises(AtlesError, match="failed: exit code 3"):
        service.run([[sys.executable, "-c", "import sys; sys.exit(3)"]])
