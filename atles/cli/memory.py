"""`memory`: what is remembered of a user, and what people do to it by hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Group, Scope
from atles.cli.forget import delete
from atles.cli.show import SHORT, answer, count, shortened, styled, table, when
from atles.errors import AtlesError
from atles.insights import memories as insights
from atles.pipeline import curate
from atles.pipeline.reconcile import folded
from atles.records import MemoryType, canonical_json

if TYPE_CHECKING:
    from rich.console import RenderableType

_TYPES = [kind.value for kind in MemoryType if kind not in (MemoryType.TOPIC, MemoryType.SUMMARY)]
_user = click.option("--user", help="Whose memory; needed where several people's are stored.")


@click.command(cls=Group)
def memory() -> None:
    """What is remembered of you: list, show, change, pin, forget, export.

    Without a command: the list.
    """


@memory.command("list")
@click.option("--type", "kind", type=click.Choice(_TYPES), help="Only memories of this type.")
@click.option("--all", "ended", is_flag=True, help="Also what holds no more.")
@_user
@click.pass_obj
def list_(scope: Scope, kind: str | None = None, ended: bool = False, user: str | None = None) -> None:
    """What holds now, newest first; then the topics."""
    with scope.store() as store:
        number = store.sessions.user(user)
        document = insights.listed(store, number, MemoryType(kind) if kind else None, ended=ended)
    answer(scope, document, _list_view)


def _list_view(document: dict[str, Any]) -> "Iterator[RenderableType]":
    if not document["memories"]:
        yield "Nothing is remembered yet; it comes with the first session in which somebody tells of themselves."
    else:
        yield table(
            "id", "type", "since", "said", "memory",
            rows=(
                (it["id"][:SHORT], it["type"], it["valid_from"][:10], f"{it['count']}×" if it["count"] else "by hand",
                 _marked(it))
                for it in document["memories"]
            ),
            right=("said",),
        )  # fmt: skip
    if document["topics"]:
        yield ""
        yield "Topics: " + ", ".join(
            f"{it['text']} ({it['sessions']}×)" if it["sessions"] > 1 else it["text"] for it in document["topics"][:15]
        )
    if document["refused"]:
        yield ""
        some = ", ".join(f"{number} {reason}" for reason, number in list(document["refused"].items())[:6])
        yield f"Not taken for a memory: {some}."


def _marked(it: dict[str, Any]) -> Any:
    text = shortened(it["text"], 110) + (" (pinned)" if it["pinned"] else "")
    if it["valid_to"]:
        return styled(f"{text} (until {it['valid_to'][:10]}, {it['ended_how'] or 'ended'})", "dim")
    return text


@memory.command("show")
@click.argument("name", metavar="ID")
@click.pass_obj
def show(scope: Scope, name: str) -> None:
    """One memory: where it was said, and how long it held.

    For a session's ID: what that session taught.
    """
    with scope.store() as store:
        if row := store.memories.session_or_none(name):
            number = store.sessions.number(row["session_id"])
            taught = [it.as_json() for it in store.memories.of_session(number)]
            answer(scope, {**row, "memories": taught}, _session_view)
            return
        document = insights.shown(store, store.memories.get(name))
    answer(scope, document, _show_view)


def _session_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"{it['session_id']}: {count(it['message_count'], 'message')}, learned {when(it['timestamp'])}"
    for found in it["data"].get("summary", ()):
        yield f"In short: {found['text']}"
    if it["memories"]:
        yield ""
        yield table("id", "type", "memory", rows=((m["id"][:SHORT], m["type"], _marked(m)) for m in it["memories"]))
    if it["topics"]:
        yield ""
        yield f"Topics: {', '.join(it['topics'])}"


def _show_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield f"{it['type']}: {it['text']}"
    until = f" until {when(it['valid_to'])} ({it['ended_how']})" if it["valid_to"] else ", and holds"
    yield f"since {when(it['valid_from'])}{until}; {_whence(it)}{', pinned' if it['pinned'] else ''}"
    if it["slot"] and (not it["edited"] or folded(it["value"]) in folded(it["text"])):  # an edit changes the text alone
        yield f"{it['slot']} = {it['value']}"
    if it["replaced_by_text"]:
        yield f"in its place: {it['replaced_by_text']} ({it['replaced_by'][:SHORT]})"
    if it["sources"]:
        yield ""
        yield table(
            "session", "message", "said",
            rows=((row["session_id"], row["position"] + 1, shortened(row["text"], 200)) for row in it["sources"]),
            right=("message",),
        )  # fmt: skip


def _whence(it: dict[str, Any]) -> str:
    if it["edited"]:
        return "written by hand" if it["extractor"] == "hand" else "edited by you"
    return f"found by {it['extractor']}, confidence {it['confidence']:.2f}"


@memory.command("timeline")
@click.argument("about", required=False)
@_user
@click.pass_obj
def timeline(scope: Scope, about: str | None, user: str | None) -> None:
    """What was true when, and what took its place.

    Every memory, in the order in which they came to be. With ABOUT, only those that hold one of these words.
    """
    words = set(folded(about or "").split())
    with scope.store() as store:
        number = store.sessions.user(user)
        found = store.memories.of_user(number, ended=True) if number is not None else []
        texts = {it.id: it.text for it in found}
        document = [
            {**it.as_json(), "replaced_by_text": texts.get(it.replaced_by, "")}
            for it in sorted(found, key=lambda it: it.valid_from)
            if not words or words & set(folded(it.text).split())
        ]
    answer(scope, document, _timeline_view)


def _timeline_view(found: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    if not found:
        yield "There is nothing to tell."
        return
    yield table(
        "from", "until", "type", "memory",
        rows=(
            (it["valid_from"][:10], (it["valid_to"] or "")[:10], it["type"],
             styled(shortened(it["text"], 100) + _then(it), "dim" if it["valid_to"] else ""))
            for it in found
        ),
    )  # fmt: skip


def _then(it: dict[str, Any]) -> str:
    return f"  → {shortened(it['replaced_by_text'], 60)}" if it["replaced_by_text"] else ""


@memory.command("edit")
@click.argument("memory_id", metavar="ID")
@click.argument("text")
@click.pass_obj
def edit(scope: Scope, memory_id: str, text: str) -> None:
    """Give the memory ID the words TEXT. It then stays so, whatever its session says."""
    with scope.store() as store:
        document = curate.edit(store, memory_id, text, scope.settings().scrub.level).as_json()
    answer(scope, document, lambda it: [f"{it['id'][:SHORT]} now says: {it['text']}"])


@memory.command("add")
@click.argument("text")
@click.option("--type", "kind", type=click.Choice(_TYPES), default="fact", show_default=True)
@click.option("--user", default="", help="Whose memory it is.")
@click.pass_obj
def add(scope: Scope, text: str, kind: str, user: str) -> None:
    """Remember TEXT, without any chat."""
    with scope.store() as store:
        found, new = curate.add(store, text, level=scope.settings().scrub.level, kind=kind, user=user)
    answer(scope, {**found.as_json(), "new": new}, lambda it: [_added(it)])


def _added(it: dict[str, Any]) -> str:
    return f"{'Remembered' if it['new'] else 'Known already'}: {it['text']} ({it['id'][:SHORT]})"


@memory.command("pin")
@click.argument("memory_id", metavar="ID")
@click.option("--off", is_flag=True, help="No longer.")
@click.pass_obj
def pin(scope: Scope, memory_id: str, off: bool) -> None:
    """Let the memory ID never fade."""
    with scope.store() as store:
        found = store.memories.get(memory_id)
        store.memories.pin(found.id, not off)
        document = store.memories.get(found.id).as_json()
    answer(scope, document, lambda it: [f"{it['id'][:SHORT]} is {'pinned' if it['pinned'] else 'not pinned'}."])


@memory.command("forget")
@click.argument("memory_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(scope: Scope, memory_ids: tuple[str, ...], yes: bool) -> None:
    """Delete memories for good.

    With the words of the messages that said them: as `atles forget --memory`, which says more.
    """
    with scope.store() as store:
        delete(scope, store, memories=memory_ids, yes=yes)


@memory.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--user", help="Only this user's.")
@click.pass_obj
def export(scope: Scope, file: Path | None, user: str | None) -> None:
    """Write all memories as JSON lines, to FILE or to standard output."""
    from atles.layout import write_atomic

    with scope.store() as store:
        lines = "".join(canonical_json(it) + "\n" for it in curate.export(store, user))
    if file is None:
        click.echo(lines, nl=False)
    else:
        write_atomic(file, lines, exported=True)
        click.echo(f"{count(lines.count(chr(10)), 'memory', 'memories')} written to {file}.")


@memory.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--user", help="Whose memories they are; else as each line says.")
@click.pass_obj
def import_(scope: Scope, file: Any, user: str | None) -> None:
    """Read memories from FILE; - is standard input.

    It holds what `export` wrote, or lines of {"text": "…"}. What is known already is not written twice; a bad
    line ends it, with nothing imported.
    """
    try:
        lines = file.read().split("\n")
    except UnicodeDecodeError as error:
        raise AtlesError(f"{file.name} is not UTF-8: {error}") from error
    with scope.store() as store:
        new, known = curate.import_(store, lines, scope.settings().scrub.level, user)
    answer(scope, {"new": new, "known": known}, lambda it: [f"{it['new']} new, {it['known']} known already."])
