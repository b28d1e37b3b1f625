"""Writes docs/cli.md from the commands' own --help, so that the two cannot differ (a test compares them).

python -m atles.cli.reference > docs/cli.md
"""

from collections.abc import Iterator

import click

from atles.cli.app import atles

_HEAD = """# The command line

<!-- Made by `python -m atles.cli.reference > docs/cli.md`. Change the docstrings in atles/cli/, not this page. -->

The options of every command may stand before or after its name: `atles --home X status` is `atles status --home X`.
"""


def reference() -> str:
    """The page: `--help` of every command, at 80 columns."""
    parts = [_HEAD]
    root = click.Context(atles, info_name="atles", terminal_width=80, **atles.context_settings)
    for words, command, context in _commands(root):
        parts.append(f"{'#' * (len(words) + 1)} {' '.join(words)}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(context: click.Context) -> Iterator[tuple[list[str], click.Command, click.Context]]:
    group = context.command
    yield context.command_path.split(), group, context
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command:
                yield from _commands(click.Context(command, parent=context, info_name=name))


if __name__ == "__main__":
    print(reference(), end="")
