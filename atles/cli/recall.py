"""`recall`: what memory would put before a question, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Scope
from atles.cli.show import answer, shortened, styled, table
from atles.pipeline.chosen import open_memory

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Command)
@click.argument("query")
@click.option("-k", "k", type=click.IntRange(min=1), default=5, show_default=True, help="How many at most.")
@click.option("--budget", type=click.IntRange(min=1), help="How many tokens they may take together, by estimate.")
@click.option("--at", help="As it was known then: 2026-05-31, or with a time.")
@click.option("--user", help="Whose memory; needed where several people's are stored.")
@click.pass_obj
def recall(scope: Scope, query: str, k: int, budget: int | None, at: str | None, user: str | None) -> None:
    """Find what bears on QUERY in all that was said, and say why.

    Any words will do; none of them is syntax. What holds now comes before what held once.

    \b
      atles recall "where do I live?"
      atles recall "choir practice" --at 2026-03-01
    """
    with scope.store() as store:
        memory = open_memory(scope.home, store, scope.settings())
        try:
            found = memory.recall(query, k, budget, user, at)
        finally:
            memory.close()
    answer(scope, [asdict(hit) for hit in found], _view)


def _view(found: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    if not found:
        yield "Nothing that was said bears on this."
        return
    yield table(
        "said", "by", "what", "why",
        rows=(
            (hit["timestamp"][:10], hit["role"],
             styled(shortened(hit["text"], 140) + _until(hit), "dim" if hit["valid_to"] else ""),
             "; ".join(hit["why"][:4]))
            for hit in found
        ),
    )  # fmt: skip


def _until(hit: dict[str, Any]) -> str:
    return f" (until {hit['valid_to'][:10]})" if hit["valid_to"] else ""
