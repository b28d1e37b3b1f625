"""The command `atles`: which commands there are, in which order, and where they live."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

from atles import __version__
from atles.cli.command import Group, explained

# Section -> command -> the module that has it, under the command's name.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Run": {
        "start": "atles.cli.service",
        "stop": "atles.cli.service",
        "restart": "atles.cli.service",
        "run": "atles.cli.foreground",
        "worker": "atles.cli.worker",
        "cluster": "atles.cli.cluster",
    },
    "Feed": {"ingest": "atles.cli.feed", "drain": "atles.cli.foreground", "train": "atles.cli.train"},
    "Look": {
        "status": "atles.cli.look",
        "logs": "atles.cli.look",
        "sessions": "atles.cli.sessions",
        "memory": "atles.cli.memory",
        "adapters": "atles.cli.adapters",
        "report": "atles.cli.report",
        "why": "atles.cli.report",
    },
    "Use": {
        "recall": "atles.cli.recall",
        "chat": "atles.cli.talk",
        "ask": "atles.cli.talk",
        "rollback": "atles.cli.adapters",
        "export": "atles.cli.export",
        "forget": "atles.cli.forget",
    },
    "Set up": {
        "demo": "atles.cli.demo",
        "doctor": "atles.cli.doctor",
        "config": "atles.cli.settings",
        "install": "atles.cli.install",
        "uninstall": "atles.cli.install",
        "keys": "atles.cli.keys",
        "prune": "atles.cli.prune",
        "backup": "atles.cli.backup",
        "restore": "atles.cli.backup",
        "migrate": "atles.cli.migrate",
    },
}
_MODULES = {name: module for commands in SECTIONS.values() for name, module in commands.items()}


class _Atles(Group):
    """Imports a command when it is used, lists them by section, and ends every failure in the same way."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, module in _MODULES.items() if find_spec(module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _MODULES.get(cmd_name)
        return getattr(import_module(module), cmd_name, None) if module and find_spec(module) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:  # click itself knows only commands that are imported
            close = difflib.get_close_matches(args[0], _MODULES, n=1)
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) if close else error from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl([(name, it.get_short_help_str(80)) for name, it in commands if it])

    def invoke(self, ctx: click.Context) -> Any:
        with explained():
            result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result


@click.command(cls=_Atles, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", message="atles %(version)s")
def atles() -> None:
    """ATLES learns from your finished chats: they become memory, training data, and a model that
    has proved to be better before it answers. All of it on your own machine.

    \b
    Begin:
      atles demo                  watch a model learn, from example chats
      atles start                 learn in the background from now on
      atles ingest my_chats/      hand over chats that you have as files
      atles status --watch        see what it does
      atles chat                  talk to what it has learned

    \b
    Exit codes: 0 done, 1 failed, 2 wrong use or wrong settings, 3 not running
    (status), 130 interrupted. Piped, a row of a table is one line and nothing
    is coloured; for programs there is --json.
    """
