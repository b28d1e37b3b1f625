"""What all commands share: the options that select a home and settings, and how a failure ends.

Knows click and exit codes, no command. The shared options are accepted before and after the command's name,
because people type both; the last one given counts.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.config import load_settings
from atles.errors import AtlesError, ConfigError
from atles.layout import Home
from atles.settings import Settings

if TYPE_CHECKING:
    from atles.queue import Queue
    from atles.store import Store

FAILED, USAGE, NOT_RUNNING = 1, 2, 3
_LONGEST = 120  # characters of what a list of commands says of one
INTERRUPTED, BROKEN_PIPE = 128 + 2, 128 + 13  # what a shell reports for SIGINT and SIGPIPE


@dataclass
class Scope:
    """What a command works on, as the shared options say. Opens nothing until asked."""

    home_folder: Path | None = None
    config: Path | None = None
    overrides: list[str] = field(default_factory=list)
    json: bool = False

    @property
    def home(self) -> Home:
        """Its path is absolute: a message that names it is read where it is not clear from which folder."""
        return Home(Home(self.home_folder).root.absolute())

    def settings(self) -> Settings:
        """The settings in force. Raises ConfigError."""
        return load_settings(self.home, file=self.config, overrides=self.overrides)

    @contextmanager
    def store(self) -> Iterator["Store"]:
        """The store of a home that exists: looking at one never makes one. Raises AtlesError."""
        from atles.store import existing_store

        store = existing_store(self.home, self.settings())
        try:
            yield store
        finally:
            store.close()

    def queue(self, store: "Store") -> "Queue":
        """The store's queue, to look at and to revive; this process claims nothing from it."""
        from atles.pipeline.lanes import open_queue

        return open_queue(store, self.settings())


def resolve(given: str, names: Sequence[str]) -> str:
    """The name that `given` is or begins, if there is exactly one; else `given`, for the store to complain about."""
    found = [name for name in names if name.startswith(given)]
    if given in names or not found:
        return given
    if len(found) > 1:
        some = ", ".join(found[:5]) + " …" * (len(found) > 5)
        raise AtlesError(f"{given!r} is short for {len(found)} of them: {some}")
    return found[0]


class _Shared(click.Option):
    """An option that every command has. It goes into the Scope, not to the function."""

    def __init__(self, *names: str, **attributes: Any) -> None:
        super().__init__(list(names), expose_value=False, callback=_into_scope, **attributes)


def _into_scope(context: click.Context, option: click.Parameter, value: Any) -> None:
    scope = context.ensure_object(Scope)
    if option.name == "overrides":
        scope.overrides += value
    elif value:  # not given here: what was given before the command's name stays
        setattr(scope, str(option.name), value)


def _shared_options(*, with_json: bool) -> list[click.Parameter]:
    folder, file = click.Path(path_type=Path, file_okay=False), click.Path(path_type=Path, dir_okay=False)
    options: list[click.Parameter] = [
        _Shared("--home", "home_folder", type=folder, help="Storage root.  [$ATLES_HOME, else ./atles_memory]"),
        _Shared("--config", type=file, help="Settings file.  [HOME/atles.toml]"),
        _Shared("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable."),
    ]
    if with_json:
        options.append(_Shared("--json", is_flag=True, help="One JSON document instead of text."))
    return options


class Command(click.Command):
    """A command with the shared options; `with_json=False` where there is no result to show."""

    def __init__(self, *args: Any, with_json: bool = True, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += _shared_options(with_json=with_json)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _format_options(self, ctx, formatter)


class Group(click.Group):
    """Commands about one kind of thing. Without a command's name, it is the one named `default`."""

    command_class = Command

    def __init__(self, *args: Any, default: str = "list", **attributes: Any) -> None:
        super().__init__(*args, invoke_without_command=True, **attributes)
        self.default = default
        self.params += _shared_options(with_json=True)

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        default = self.get_command(ctx, self.default)
        if ctx.invoked_subcommand is None and default:
            return ctx.invoke(default)
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, it) for name in self.list_commands(ctx) if (it := self.get_command(ctx, name))]
        with formatter.section("Commands"):  # click would cut a sentence off at the end of its line
            formatter.write_dl([(name, it.get_short_help_str(_LONGEST)) for name, it in commands])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _format_options(self, ctx, formatter)


def _format_options(command: click.Command, context: click.Context, formatter: click.HelpFormatter) -> None:
    """The command's own options first: they are what one looks for."""
    for heading, shared in (("Options", False), ("Options of every command", True)):
        lines = [
            record
            for option in command.get_params(context)
            if isinstance(option, click.Option)
            and isinstance(option, _Shared) is shared
            and (record := option.get_help_record(context))
        ]
        if lines:
            with formatter.section(heading):
                formatter.write_dl(lines)


class Failure(click.ClickException):
    """An explained failure: one line on stderr, no traceback."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # pyright: ignore[reportAttributeAccessIssue]  # click's own subclasses differ, too

    def show(self, file: Any = None) -> None:
        click.echo(f"atles: {self.message}", err=True)


@contextmanager
def explained() -> Iterator[None]:
    """What can go wrong below, as an exit code and one line."""
    try:
        yield
    except ConfigError as error:
        raise Failure(str(error), USAGE) from error
    except AtlesError as error:
        raise Failure(str(error)) from error
    except BrokenPipeError:
        # The reader (`head`, `less`) has gone. What is still buffered would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        raise Failure(f"{error.strerror or error}{place}") from error
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)  # closes the terminal's ^C
        raise click.exceptions.Exit(INTERRUPTED) from None
