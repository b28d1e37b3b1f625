"""How results look: JSON for programs, text and tables for people. Knows terminals, nothing of ATLES.

A command has one document and a view of it. `--json` prints the document, so a table never shows what a
program cannot get. rich is imported only where something is drawn: the daemon's process never pays for it.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TypeVar

import click

from atles.cli.command import Scope

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

T = TypeVar("T")
_WIDE = 100_000  # piped: a row is a line, however long
_BLOCKS = "▁▂▃▄▅▆▇█"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

SHORT = 8  # characters of an id in a table; commands take the beginning of one


def answer(scope: Scope, document: T, view: Callable[[T], Iterable["RenderableType"]]) -> None:
    """Print the document as JSON or as its view: parts, each a text or something that rich draws."""
    if scope.json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))
        return
    pen: Console | None = None
    for part in view(document):
        if isinstance(part, str):
            click.echo(_wrapped(clean(part)))
        else:
            pen = pen or console()
            with pen.capture() as drawn:
                pen.print(part)
            # rich fills each line up with spaces; `| grep` and `git diff` are better off without.
            click.echo("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()), nl=False)


def _wrapped(text: str) -> str:
    return click.wrap_text(text, get_terminal_size().columns) if sys.stdout.isatty() else text


def console(*, stderr: bool = False) -> "Console":
    """A terminal to draw on. Colours only in a terminal, and not with NO_COLOR: rich sees to both."""
    from rich.console import Console

    pen = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
    return pen if pen.is_terminal else Console(
        stderr=stderr, markup=False, emoji=False, highlight=False, color_system=None, width=_WIDE
    )  # fmt: skip


def table(*columns: str, rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> "Table":
    """A table with a heading line and no frame. Columns named in `right` hold numbers."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for name in columns:
        drawn.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else clean(str(cell)) for cell in row))
    return drawn


def facts(*pairs: tuple[str, Any]) -> "Table":
    """Names and values, one pair a line."""
    from rich.table import Table

    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(name, clean(value) if isinstance(value, str) else value)
    return drawn


def styled(text: str, style: str) -> "Text":
    from rich.text import Text

    return Text(clean(text), style=style)


def clean(text: str) -> str:
    """The text without control characters: a stored message must not be able to drive the terminal."""
    return _CONTROL.sub("\ufffd", text)


def shortened(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 message`, `2 messages`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def when(iso: str | None) -> str:
    """An ISO 8601 time in local time, to the minute; what is not one stays as it is (hosts write what they like)."""
    try:
        moment = datetime.fromisoformat(iso or "")
    except ValueError:
        return shortened(iso, 16) if iso else "-"
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """`0.42 s`, `5 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds < 10 and seconds % 1:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes} min {rest:02} s"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes:02} min"


def sparkline(values: Sequence[float], width: int = 50) -> str:
    """A curve in one line: each character is the mean of its share of the values."""
    if not values:
        return ""
    width = min(width, len(values))
    edges = [position * len(values) // width for position in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join(_BLOCKS[round((mean - low) / span * 7) if span else 0] for mean in means)
