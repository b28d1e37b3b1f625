"""`sessions`: what came in, what became of it, and another try for what failed."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Group, Scope, resolve
from atles.cli.show import SHORT, answer, count, shortened, styled, table, when
from atles.insights import sessions as insights
from atles.insights.status import owner
from atles.pipeline import retry as again
from atles.records import Message, Step

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(cls=Group)
def sessions() -> None:
    """List, show and retry sessions.

    Without a command: the list.
    """


@sessions.command("list")
@click.pass_obj
def list_(scope: Scope) -> None:
    """All sessions, oldest first; then what failed and what was set aside."""
    with scope.store() as store:
        document = {
            "sessions": insights.listed(store),
            "dead": again.dead(scope.queue(store)),
            "quarantine": again.quarantine(scope.home),
        }
    answer(scope, document, _list_view)


def _list_view(document: dict[str, Any]) -> "Iterator[RenderableType]":
    if document["sessions"]:
        yield table(
            "session", "began", "messages", "examples", "state",
            rows=(
                (row["session_id"], when(row["start_time"] or row["received_at"]), row["message_count"],
                 row["examples"], styled(row["state"], "red" if row["errors"] else ""))
                for row in document["sessions"]
            ),
            right=("messages", "examples"),
        )  # fmt: skip
    else:
        yield "No session yet. `atles ingest PATH…` hands some over; docs/tracker.md shows how a chat app does."
    if document["dead"]:
        yield ""
        yield table("failed", "error", rows=((job["job"], job["error"]) for job in document["dead"]))
    if document["quarantine"]:
        yield ""
        yield table("in quarantine", "reason", rows=((it["file"], it["reason"]) for it in document["quarantine"]))
    if document["dead"] or document["quarantine"]:
        yield ""
        yield "`atles sessions retry NAME`, or --all, tries again."


@sessions.command("show")
@click.argument("session_id", metavar="ID")
@click.pass_obj
def show(scope: Scope, session_id: str) -> None:
    """One session: its messages, steps, examples, and the adapters that learned from it.

    The beginning of an ID is enough if no other session begins like it.
    """
    with scope.store() as store:
        name = resolve(session_id, [row["session_id"] for row in store.sessions.list()])
        document = insights.shown(store, name)
    messages = [Message(it["id"], position, it) for position, it in enumerate(document["messages"])]
    texts = [(it.id[:SHORT], it.role, "(forgotten)" if it.is_forgotten else it.text) for it in messages]
    answer(scope, document, lambda shown: _show_view(shown, texts))


def _show_view(shown: dict[str, Any], texts: list[tuple[str, str, str]]) -> "Iterator[RenderableType]":
    use = "held out, to check adapters with" if shown["split"] == "heldout" else "for training"
    yield f"{shown['session_id']}: {count(len(texts), 'message')}, received {when(shown['received_at'])}, {use}"
    if shown["metadata"]:
        yield f"metadata: {json.dumps(shown['metadata'], ensure_ascii=False)}"
    yield ""
    yield table("id", "role", "message", rows=texts)
    if shown["steps"]:
        order = list(Step)
        yield ""
        yield table(
            "step", "seconds", "tries", "result",
            rows=((it["step"], f"{it['seconds']:.3f}", it["attempts"], _outcome(it))
                  for it in sorted(shown["steps"], key=lambda it: order.index(it["step"]))),
            right=("seconds", "tries"),
        )  # fmt: skip
    if shown["examples"]:
        yield ""
        learned = {it["message_id"]: it for it in shown["examples"]}  # the same answer alone and in its conversation
        yield table(
            "learned question", "answer",
            rows=((shortened(it["instruction"], 100), shortened(it["output"], 120)) for it in learned.values()),
        )  # fmt: skip
    yield ""
    if shown["log"]:
        yield f"Training: {shown['log']['training']}."
    yield f"Adapters trained on it: {', '.join(shown['adapters']) or 'none'}."


def _outcome(step: dict[str, Any]) -> Any:
    if step["error"]:
        return styled(step["error"], "red")
    made = step["result"]
    if "new_examples" in made:
        return f"{count(made['examples'], 'example')}, {made['new_examples']} new"
    if "insights_extracted" in made:
        said = [count(made["memories"], "new memory", "new memories"), count(len(made["insights_extracted"]), "topic")]
        said += [f"{made[key]} {key}" for key in ("confirmed", "ended", "forgotten") if made[key]]
        return ", ".join(said)
    return "done"


@sessions.command("retry")
@click.argument("name", required=False, metavar="[ID|FILE|JOB]")
@click.option("--all", "everything", is_flag=True, help="Everything that failed or was set aside.")
@click.pass_obj
def retry(scope: Scope, name: str | None, everything: bool) -> None:
    """Try again what failed for good, or a file in quarantine (mend it first).

    \b
      atles sessions retry completed_session_20261102_071844.json
      atles sessions retry --all
    """
    if (name is None) is not everything:
        raise click.UsageError("name a session, a job or a quarantined file; or give --all")
    with scope.store() as store:
        done = again.retry(scope.home, scope.queue(store), name)
    document = {**done, "daemon_runs": owner(scope.home) is not None}
    answer(scope, document, _retry_view)


def _retry_view(done: dict[str, Any]) -> "Iterable[RenderableType]":
    if not (done["jobs"] or done["files"]):
        return ["There is nothing to try again."]
    said = f"{count(done['jobs'], 'job')} and {count(len(done['files']), 'file')} will be tried again"
    return [f"{said}." if done["daemon_runs"] else f"{said} by the next `atles start` or `atles drain`."]
