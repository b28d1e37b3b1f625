"""How the demo shows what it found. Knows tables and colours, measures nothing."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import HORIZONTALS
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atles.layout import Home
from atles.records import Adapter

if TYPE_CHECKING:
    from atles.cli.demo import Asked


_PIPED_WIDTH = 100


def console(*, to_stderr: bool) -> Console:
    """A terminal as wide as it is; a file gets a page."""
    pen = Console(stderr=to_stderr, highlight=False)
    return pen if pen.is_terminal else Console(stderr=to_stderr, highlight=False, width=_PIPED_WIDTH)


def show(console: Console, questions: Sequence[str], asked: Sequence["Asked"]) -> None:
    """What each way got right, and the answers before and after."""
    order = ("base", "base_memory", "adapter", "adapter_memory")
    ways = sorted(asked, key=lambda way: order.index(way.key))
    console.print("\n[bold]What was right[/bold]")
    table = Table(box=HORIZONTALS, pad_edge=False)
    table.add_column("question", ratio=1)
    for way in ways:
        table.add_column(way.title.replace(" + ", "\n+ "), justify="center")
    for number, question in enumerate(questions):
        table.add_row(escape(question), *("[green]✓[/]" if way.right[number] else "[dim]·[/]" for way in ways))
    table.add_section()
    table.add_row("[bold]right[/]", *(f"[bold]{sum(way.right)}[/] of {len(questions)}" for way in ways))
    console.print(table)

    first, last = ways[0], ways[-1]
    console.print("\n[bold]In its own words[/bold]")
    words = Table(box=HORIZONTALS, pad_edge=False, show_lines=True)
    words.add_column("question", ratio=3)
    words.add_column("before (base)", ratio=4)
    words.add_column(f"after ({last.title})", ratio=4)
    for number, question in enumerate(questions):
        words.add_row(escape(question), _short(first.answers[number]), _short(last.answers[number]))
    console.print(words)


def _short(answer: str, characters: int = 110) -> str:
    text = " ".join(answer.split())
    return escape(text if len(text) <= characters else text[: characters - 1] + "…")


def look_next(console: Console, home: Home, adapter: Adapter, report: Mapping[str, Any]) -> None:
    """What it cost and kept, and where to look."""
    train, numbers = adapter.train, (adapter.verdict or {}).get("numbers", {})
    console.print(
        f"\n[bold]What it cost.[/bold] {train['training_examples']} examples, {train['tokens']:,} tokens, "
        f"{train['time_taken']:.0f} s of training at {train['tokens_per_second']:.0f} tokens/s, "
        f"{train['peak_memory_mb']:.0f} MB; loss {train['loss_first']:.2f} -> {train['loss']:.2f}."
    )
    if report["kept"] is not None:
        console.print(
            f"[bold]What it kept.[/bold] {numbers['general_right_kept']:.0f} of the "
            f"{numbers['general_right_base']:.0f} general answers that the base had right ({report['kept']:.0%}); "
            f"{numbers['general_right_gained']:.0f} others are right now that were not."
        )
    if report["verdict"] == "rejected":
        console.print("[yellow]The base model goes on serving: a rejected adapter is kept, but never used.[/yellow]")
    run_in = f"atles --home {home.root}"
    console.print(
        "\n[bold]Where to look next[/bold]\n"
        f"  {run_in} adapters show {adapter.name}\n"
        f"  {run_in} memory\n"
        f"  {run_in} sessions\n"
        f'  {run_in} ask "{report["answers"][0]["ask"]}"\n'
        f"  {run_in} chat\n"
        f"  {run_in} start        and set your OpenAI client to base_url=http://127.0.0.1:8765/v1, model=atles\n"
        f"  {home.root}/demo_report.json\n"
    )
