"""`sessions`: what came in, what became of it, and another try for what failed."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.capture.inbox import Inbox
from atles.cli.command import Group, Scope, queue_of, resolve
from atles.cli.show import SHORT, answer, count, shortened, styled, table, when
from atles.errors import AtlesError
from atles.insights.status import owner
from atles.layout import Home
from atles.pipeline.forget import is_forgotten
from atles.pipeline.jobs import first_job
from atles.queue import Queue
from atles.records import Split, Step

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
        queue = queue_of(store)
        dead = _dead(queue)
        document = {
            "sessions": [{**row, "state": _state(row)} for row in store.sessions.list()],
            "dead": dead,
            "quarantine": _quarantine(scope.home),
        }
    answer(scope, document, _list_view)


def _state(row: dict[str, Any]) -> str:
    """Where a session stands, in a word or two. One that is held out is in memory, and checks adapters."""
    if row["errors"]:
        return "failed"
    if row["waiting_for"]:
        return str(row["waiting_for"])
    if not row["logged"]:
        return "at work"
    return "learned" if row["split"] == Split.TRAIN else "held out"


def _dead(queue: Queue) -> list[dict[str, Any]]:
    return [
        {"job": job.key, "session_id": job.payload.get("session_id"), "error": job.error, "tries": job.attempts}
        for job in queue.dead()
    ]


def _quarantine(home: Home) -> list[dict[str, str]]:
    """The files set aside, and why."""
    return [
        {"file": path.name.removesuffix(".reason.txt"), "reason": path.read_text("utf-8", "replace").strip()}
        for path in sorted(home.quarantine.glob("*.reason.txt"))
    ]


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
        yield table("failed for good", "error", rows=((job["job"], job["error"]) for job in document["dead"]))
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
        stored = store.sessions.get(name)
        document = {
            **stored.session.as_json(),
            "messages": [{**message.raw, "id": message.id} for message in stored.session.messages],
            "revision": stored.revision,
            "split": stored.split,
            "received_at": stored.received_at,
            "waiting_for": stored.waiting_for,
            "steps": list(store.logs.steps(name, stored.revision).values()),
            "examples": [{"id": it.id, **asdict(it)} for it in store.examples.of_session(name)],
            "adapters": store.adapters.that_saw(name),
            "log": [*store.logs.of_session(name), None][0],
        }
    texts = [
        (message.id[:SHORT], message.role, "(forgotten)" if is_forgotten(message) else message.text)
        for message in stored.session.messages
    ]
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
    home = scope.home
    with scope.store() as store:
        queue = queue_of(store)
        jobs = [it["job"] for it in _dead(queue) if everything or name in (it["job"], it["session_id"])]
        wanted = Path(name).name.removesuffix(".reason.txt") if name else ""
        files = [it["file"] for it in _quarantine(home) if everything or it["file"] == wanted]
        if not (jobs or files or everything):
            raise AtlesError(f"nothing of {name!r} failed or is in quarantine; `atles sessions` lists what did")
        revived = sum(queue.revive(key) for key in dict.fromkeys(jobs))
        settings = scope.settings()
        inbox = Inbox(
            home, store, queue, first_job,
            heldout_every=settings.train.heldout_every, settle_seconds=settings.daemon.settle_seconds,
            scrub=lambda session: session,  # it takes nothing here: it moves files back
        )  # fmt: skip
        for file in files:
            inbox.restore(file)
    document = {"jobs": revived, "files": files, "daemon_runs": owner(home) is not None}
    answer(scope, document, _retry_view)


def _retry_view(done: dict[str, Any]) -> "Iterable[RenderableType]":
    if not (done["jobs"] or done["files"]):
        return ["There is nothing to try again."]
    said = f"{count(done['jobs'], 'job')} and {count(len(done['files']), 'file')} will be tried again"
    return [f"{said}." if done["daemon_runs"] else f"{said} by the next `atles start` or `atles drain`."]
