"""`report` and `why`: what an adapter learned, kept and cost, and what an answer can come from."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Scope, resolve
from atles.cli.show import answer, count, duration, shortened, sparkline, styled, table, when
from atles.insights import adapters
from atles.insights.why import why as why_of
from atles.pipeline.chosen import open_memory
from atles.pipeline.shelf import open_shelf
from atles.store import Store

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Command)
@click.argument("name", required=False)
@click.pass_obj
def report(scope: Scope, name: str | None) -> None:
    """What an adapter learned and kept, and why it serves or does not.

    Without a NAME: of the newest one that was judged. The same as a page for a browser lies beside it
    as report.html.
    """
    with scope.store() as store:
        shelf = open_shelf(scope.home, scope.settings())
        path = adapters.report_file(shelf, store, _chosen(store, name))
    answer(scope, adapters.report(path), lambda it: _report_view(it, path.with_name("report.html")))


def _chosen(store: Store, name: str | None) -> str:
    return resolve(name, [it.name for it in store.adapters.list()]) if name else adapters.newest_judged(store)


def _report_view(it: dict[str, Any], html: Path) -> "Iterator[RenderableType]":
    verdict, train, data = it["verdict"], it["train"], it["data"]
    yield styled(f"{it['adapter']}: {'promoted' if verdict['promote'] else 'rejected'}", "bold")
    yield verdict["reason"]
    yield ""
    yield table("", "what decided it", rows=((_mark(check["met"]), check["says"]) for check in verdict["checks"]))
    if it["learned"]:
        yield ""
        yield table(
            "asked in new words", "before", "after",
            rows=((shortened(row["question"], 60), shortened(row["before"], 80), shortened(row["after"], 80))
                  for row in it["learned"]),
        )  # fmt: skip
    yield ""
    kept = it["kept"]
    gained = f", {kept['gained']} others gained" if kept.get("gained") else ""
    yield f"Kept: {kept['kept']} of {kept['of']} general answers{gained}." + " Lost:" * bool(kept["lost"])
    if it["kept"]["lost"]:
        yield table(
            "question", "before", "after",
            rows=((shortened(row["question"], 60), shortened(row["before"], 80), shortened(row["after"], 80))
                  for row in it["kept"]["lost"]),
        )  # fmt: skip
    yield ""
    losses = [step["own"] for step in train["losses"]]
    yield f"Loss: {train['loss_first']:.2f} {sparkline(losses)} {train['loss']:.2f}"
    yield (
        f"Trained {when(it['created_at'])} on {count(data['train_examples'], 'example')} of "
        f"{count(len(data['by_session']), 'session')}: {duration(train['time_taken'])}, {train['tokens']:,} tokens, "
        f"{train['peak_memory_mb']:,.0f} MB; judged in {duration(it['evaluation']['seconds'])}"
    )
    if html.exists():
        yield f"In a browser: {html}"


def _mark(met: bool) -> Any:
    return styled("✓", "green") if met else styled("✗", "red")


@click.command(cls=Command)
@click.argument("question")
@click.option("--user", help="Whose memory; needed where several people's are stored.")
@click.pass_obj
def why(scope: Scope, question: str, user: str | None) -> None:
    """Which memories and learned examples an answer to QUESTION can come from.

    What an example taught counts only if the adapter that serves has seen it.
    """
    with scope.store() as store:
        memory = open_memory(scope.home, store, scope.settings())
        try:
            document = why_of(memory, question, user)
        finally:
            memory.close()
    answer(scope, document, _why_view)


def _why_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    if not it["memories"]:
        yield "Nothing that was said bears on it: an answer comes from the base model alone."
        return
    yield "Put before the question:"
    yield table(
        "session", "what was said", "why",
        rows=((row["session_id"] or "by hand", shortened(row["text"], 90), ", ".join(row["why"]))
              for row in it["memories"]),
    )  # fmt: skip
    yield ""
    if it["examples"]:
        yield f"Learned by {it['model']}, which serves:"
        yield table(
            "session", "question", "answer",
            rows=((it["session_id"], shortened(it["ask"], 60), shortened(it["answer"], 80)) for it in it["examples"]),
        )  # fmt: skip
    elif it["model"] == "base":
        yield "No adapter serves, so nothing of it is in the model."
    else:
        yield f"{it['model']} serves, and has learned nothing from these messages."
