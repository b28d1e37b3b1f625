"""`report` and `why`: what an adapter learned, kept and cost, and what an answer can come from."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Failure, Scope, resolve
from atles.cli.show import answer, count, duration, shortened, sparkline, styled, table, when
from atles.errors import AtlesError
from atles.pipeline.memory import open_memory
from atles.records import AdapterState
from atles.store import Store
from atles.store.adapters import BASE

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
        path = _report_of(scope, store, name)
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path} cannot be read: {error}") from error
    answer(scope, document, lambda it: _report_view(it, path.with_name("report.html")))


def _report_of(scope: Scope, store: Store, name: str | None) -> Path:
    judged = [it for it in store.adapters.list() if it.state not in (AdapterState.CANDIDATE, AdapterState.RETIRED)]
    if name:
        chosen = resolve(name, [it.name for it in store.adapters.list()])
    elif judged:
        chosen = judged[-1].name
    else:
        raise AtlesError("no adapter has been judged yet; `atles adapters` lists them")
    path = scope.home.adapter(chosen) / "report.json"
    if not path.exists():
        raise AtlesError(f"{chosen} has no report: {store.adapters.get(chosen).reason}")
    return path


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
        settings = scope.settings()
        memory = open_memory(scope.home, store, settings)
        try:
            hits = memory.recall(question, settings.memory.recall, settings.memory.recall_tokens, user)
        finally:
            memory.close()
        _, active = store.adapters.active()
        learned = store.examples.lineage(store.adapters.get(active).dataset_id) if active != BASE else []
        said = {hit.message_id for hit in hits}
        sessions = {hit.session_id for hit in hits}
        known = {it["example_id"] for it in learned}
        taught = [
            {"id": it.id, "session_id": it.session_id, "message_id": it.message_id, "ask": it.instruction,
             "answer": it.output}
            for name in sorted(sessions - {""})
            for it in store.examples.of_session(name)
            if it.id in known and it.message_id in said
        ]  # fmt: skip
    document = {
        "question": question,
        "model": active or "base",
        "memories": [
            {"memory_id": hit.memory_id, "session_id": hit.session_id, "message_id": hit.message_id, "kind": hit.kind,
             "text": hit.text, "why": list(hit.why)}
            for hit in hits
        ],
        "examples": taught,
    }  # fmt: skip
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
