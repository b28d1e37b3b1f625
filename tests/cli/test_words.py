"""What every command has in common: help, exit codes, failures in one line, and output that pipes well."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from atles.cli.app import SECTIONS, atles
from atles.cli.reference import reference
from tests.cli.conftest import command

Call = Callable[..., Result]
Process = Callable[..., subprocess.CompletedProcess[str]]


def paths(group: click.Group, *above: str) -> list[tuple[str, ...]]:
    found = []
    context = click.Context(group, **group.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command:
            found.append((*above, name))
            if isinstance(command, click.Group):
                found += paths(command, *above, name)
    return found


COMMANDS = paths(atles)  # type: ignore[arg-type]
LOOKING = ["status", "sessions", "memory", "adapters", "sessions show x", "memory show 1", "adapters show x", "logs",
           "rollback", "adapters promote x", "sessions retry --all"]  # fmt: skip


def test_the_readme_of_issue_2_names_only_commands_that_exist() -> None:
    wanted = "run start stop restart status logs ingest drain sessions memory adapters chat ask config doctor rollback"
    assert set(wanted.split()) <= {path[0] for path in COMMANDS}
    assert {name for commands in SECTIONS.values() for name in commands} >= {path[0] for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_that_fits_a_terminal(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(atles, [*path, "--help"], prog_name="atles")
    assert result.exit_code == 0
    assert "--home" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_help_is_grouped_and_no_summary_is_cut_off(call: Call) -> None:
    output = call("--help").output
    assert [line[:-1] for line in output.splitlines() if line[:-1] in SECTIONS] == list(SECTIONS)
    assert "..." not in output.partition("[ARGS]...")[2]
    assert call().output == output


@pytest.mark.parametrize("group", sorted({path[0] for path in COMMANDS if len(path) > 1}))
def test_no_summary_of_a_groups_command_is_cut_off(call: Call, group: str) -> None:
    commands = call(group, "--help").output.partition("\nCommands:\n")[2].partition("\n\n")[0]
    assert commands and "..." not in commands


def test_docs_are_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    assert page.read_text("utf-8") == reference(), "run `python -m atles.cli.reference > docs/cli.md`"


def test_version(call: Call) -> None:
    assert call("--version").output.startswith("atles 0.")


@pytest.mark.parametrize("words", LOOKING)
def test_looking_at_a_home_that_is_not_there_says_so_and_makes_none(call: Call, root: Path, words: str) -> None:
    result = call(*words.split(), code=3 if words == "status" else 1)
    assert result.stdout == ""
    assert str(root) in result.stderr
    assert "atles start" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not root.exists()


@pytest.mark.parametrize("words", ["stop", "doctor", "config"])
def test_these_work_without_a_home_and_make_none(root: Path, words: str) -> None:
    CliRunner().invoke(atles, ["--home", str(root), words])
    assert not root.exists()


def test_home_and_json_are_taken_before_and_after_the_command(root: Path, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    for words in (
        ["--home", str(root), "config", "--json"],
        ["--home", elsewhere, "--json", "config", "--home", str(root)],
        ["config", "list", "--home", str(root), "--json"],
        ["config", "--home", str(root), "--json", "list"],
    ):
        result = CliRunner().invoke(atles, words)
        assert result.output.startswith("["), words
    missing = CliRunner().invoke(atles, ["--home", elsewhere, "sessions", "list", "--home", str(root)])
    assert str(root) in missing.stderr
    assert elsewhere not in missing.stderr


def test_a_home_that_is_not_there_is_named_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATLES_HOME", raising=False)
    assert f"{tmp_path}/atles_memory;" in CliRunner().invoke(atles, ["sessions"]).stderr


def test_the_home_comes_from_the_environment_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLES_HOME", str(root))
    assert str(root) in CliRunner().invoke(atles, ["sessions"]).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("start --set train.epoch=3", "did you mean train.epochs?"),
        ("run --set train.epochs=many", "train.epochs on the command line must be a whole number"),
        ("config --set epochs", "--set 'epochs' is not of the form section.key=value"),
        ("drain --config /nowhere.toml", "there is no config file /nowhere.toml"),
        ("status --json --watch", "choose one"),
        ("sessions retry", "or give --all"),
        ("statsu", "No such command 'statsu'. Did you mean 'status'?"),
        ("memry", "No such command 'memry'. Did you mean 'memory'?"),
        ("xyzzy", "No such command 'xyzzy'.\n"),
        ("ingest /nowhere", "/nowhere"),
        ("ask", "give one QUESTION"),
        ("ask hello --max-tokens 0", "--max-tokens"),
    ],
)
def test_wrong_use_and_wrong_settings_exit_with_2(call: Call, root: Path, words: str, said: str) -> None:
    result = call(*words.split(), code=2)
    assert result.stdout == ""
    assert said in result.stderr
    assert not root.exists()


def test_a_wrong_config_file_is_named_with_its_key(call: Call, root: Path) -> None:
    root.mkdir()
    (root / "atles.toml").write_text("[train]\nepoch = 3\n")
    assert call("start", code=2).stderr == (
        f"atles: unknown setting 'train.epoch' in {root}/atles.toml; did you mean train.epochs?\n"
    )


def test_piped_output_has_no_colour_and_a_row_is_one_line(process: Process, root: Path) -> None:
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "40"}
    output = process("config", env=environment).stdout
    assert "\x1b" not in output
    assert re.search(r"^train\.min_new_examples +16 ", output, re.MULTILINE)
    assert all(line == line.rstrip() for line in output.splitlines())
    assert process("config", "--help", env=environment)


def test_a_reader_that_leaves_early_is_no_traceback(root: Path) -> None:
    words = " ".join(command(root, "config"))
    done = subprocess.run(["bash", "-c", f"{words} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
    assert done.returncode in (0, 141)  # it may have written all before the reader left
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root can write")
def test_an_unwritable_home_is_one_line(call: Call) -> None:
    result = call("--home", "/proc/atles", "start", code=1)
    assert result.stderr.startswith("atles: ")
    assert "/proc/atles" in result.stderr
    assert result.stderr.count("\n") == 1


def test_looking_is_quick_and_light(root: Path) -> None:
    code = (
        "import sys; from atles.cli import main\n"
        "try: main(['--home', sys.argv[1], 'status', '--json'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('rich', 'torch', 'watchdog', 'yake_rust') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
