"""`config`: every setting, its value, and where that comes from."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Group, Scope
from atles.cli.show import answer, styled, table
from atles.config import load_settings, masked
from atles.errors import AtlesError
from atles.layout import make_folder, write_atomic
from atles.settings import help_texts, keys

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Group)
def config() -> None:
    """Show the settings, or write a file to change them in.

    Settings come from --set, then ATLES_SECTION_KEY in the environment, then HOME/atles.toml (or
    --config), then the defaults. Without a command: all of them.
    """


@config.command("list")
@click.pass_obj
def list_(scope: Scope) -> None:
    """Every setting, its value, where that comes from, and what it does."""
    in_force, helps, defaults = keys(scope.settings()), help_texts(), keys()
    document = [
        {"key": key, "value": masked(value), "default": defaults[key], "from": source, "help": helps[key]}
        for (key, value), source in zip(in_force.items(), _sources(scope), strict=True)
    ]
    answer(scope, document, _view)


def _sources(scope: Scope) -> Iterator[str]:
    """The last source that changed each setting."""
    file = keys(load_settings(scope.home, file=scope.config, environment={}))
    environment = keys(load_settings(scope.home, file=scope.config))
    for key, value in keys(scope.settings()).items():
        if value != environment[key]:
            yield "--set"
        elif value != file[key]:
            yield "environment"
        else:
            yield "file" if value != keys()[key] else "default"


def _view(settings: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    yield table(
        "setting", "value", "what it does",
        rows=(
            (styled(it["key"], "" if it["from"] == "default" else "bold"), _value(it), it["help"])
            for it in settings
        ),
    )  # fmt: skip


def _value(setting: dict[str, Any]) -> Any:
    text = _toml(setting["value"])
    if setting["from"] == "default":
        return text
    return styled(f"{text} ({setting['from']}; default {_toml(setting['default'])})", "bold")


@config.command("init")
@click.pass_obj
def init(scope: Scope) -> None:
    """Write HOME/atles.toml with every setting, commented out. An existing file is left alone."""
    path = scope.config or scope.home.config
    if path.exists():
        raise AtlesError(f"{path} exists already; move it away first")
    make_folder(path.parent)
    write_atomic(path, _template())
    answer(scope, {"file": str(path)}, lambda _: [f"{path} is written: every setting with its default, commented out."])


def _template() -> str:
    lines = ["# Settings of ATLES. A line without its # changes a setting; `atles config` shows those in force."]
    helps = help_texts()
    for section, group in groupby(keys().items(), key=lambda pair: pair[0].partition(".")[0]):
        lines += ["", f"[{section}]"]
        for key, value in group:
            lines += [f"# {helps[key]}", f"# {key.partition('.')[2]} = {_toml(value)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    return json.dumps(value)  # TOML writes texts, numbers and booleans as JSON does
