"""`atles demo`: the whole loop on real chats, and what it changed. Measures and shows; the learning is the daemon's."""

import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import atles
from atles.capture import session_file
from atles.cli.command import Command, Scope
from atles.daemon import LearningDaemon
from atles.errors import AtlesError
from atles.layout import Home, write_atomic
from atles.pipeline.answer import Answerer
from atles.pipeline.progress import describe
from atles.records import Adapter
from atles.settings import Settings
from atles.store import Store, open_store

if TYPE_CHECKING:
    from rich.console import Console

_MARK = ".atles-demo"  # only a home with this file is ever emptied


@dataclass(frozen=True)
class Question:
    """`expect` must be found in a right answer, `reject` must not: regular expressions, in any case of letters."""

    id: str
    ask: str
    expect: str
    reject: str = ""

    def right(self, answer: str) -> bool:
        rejected = bool(self.reject) and re.search(self.reject, answer, re.IGNORECASE)
        return bool(re.search(self.expect, answer, re.IGNORECASE)) and not rejected


@dataclass(frozen=True)
class Asked:
    """One way of asking all questions: with which model, with or without memory."""

    key: str
    title: str
    answers: Sequence[str]
    right: Sequence[bool]


@click.command(cls=Command)
@click.option("--fresh", is_flag=True, help="Empty the home that an earlier demo left.")
@click.option("--sessions", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Other session files.")
@click.option("--questions", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Other questions.")
@click.pass_obj
def demo(scope: Scope, fresh: bool, sessions: Path | None, questions: Path | None) -> None:
    """Watch a real model learn from example chats.

    Asks questions, lets the daemon learn from the chats, and asks again: with and without memory, with and without
    the trained adapter. Takes some minutes. The home must be empty; the report is HOME/demo_report.json.

    \b
    Your own chats and questions:
      atles --home /tmp/mine demo --sessions chats/ --questions questions.jsonl
    A line of questions is {"id", "ask", "expect", "reject"}; the last two are
    regular expressions, and "reject" may be left out.
    """
    from atles.cli.demo_tables import console

    examples = example_folder() if not (sessions and questions) else Path()
    report = run(
        scope.home,
        scope.settings(),
        console(to_stderr=scope.json),
        sessions or examples / "sessions",
        questions or examples / "questions.jsonl",
        fresh=fresh,
    )
    if scope.json:
        click.echo(json.dumps(report, indent=2))


def run(
    home: Home, settings: Settings, console: "Console", sessions: Path, questions_file: Path, *, fresh: bool
) -> dict[str, Any]:
    """Ask, learn, ask again; writes and returns the report. Raises AtlesError where a hop fails."""
    from atles.cli import demo_chat, demo_tables

    _prepare(home, fresh)
    files = sorted(sessions.glob("*.json"))
    questions = _questions(questions_file)
    if not files:
        raise AtlesError(f"there are no session files in {sessions}")
    seconds: dict[str, float] = {}
    console.print(
        f"\n[bold]A real language model learns from {len(files)} chats, on this machine.[/bold]\n"
        f"Base model: {settings.model.base}. Everything it learns lies in {home.root}/ for you to look at.\n"
    )
    store = open_store(home, settings)
    try:
        console.print(f"[bold]1. Before.[/bold] {len(questions)} questions that only this user's chats can answer:")
        asked = [_ask(home, settings, store, questions, "base", "base", memory=False, seconds=seconds, console=console)]

        console.print("\n[bold]2. The chats arrive[/bold] in the sessions folder, and the daemon learns from them.")
        _learn(home, settings, files, seconds, console)
        adapter = _newest(store)
        judged = adapter.verdict or {}
        promoted = bool(judged.get("promote"))
        color, word = ("green", "PROMOTED") if promoted else ("yellow", "REJECTED")
        console.print(f"\n[bold]3. The gate.[/bold] {adapter.name}: [bold {color}]{word}[/]")
        console.print(f"   {adapter.reason}", markup=False)

        console.print("\n[bold]4. After.[/bold] The same questions again:")
        for model, title in (("base", "base"), (adapter.name, "adapter")):
            for memory in (False, True):
                if (model, memory) == ("base", False):
                    continue
                asked.append(
                    _ask(
                        home, settings, store, questions, model, title, memory=memory, seconds=seconds, console=console
                    )
                )
    finally:
        store.close()

    demo_tables.show(console, [question.ask for question in questions], asked)
    console.print("\n[bold]5. In any chat application.[/bold] Through the gateway, as an OpenAI client sees it:")
    ask = questions[min(1, len(questions) - 1)].ask
    with console.status("   the model server starts ..."):
        answered = demo_chat.chat(home, settings, ask)
    console.print(f"   > {ask}\n   {answered.adapter}: {answered.text.strip()}", markup=False)
    kept = judged.get("numbers", {}).get("kept")
    report = {
        "questions": len(questions),
        **{way.key: sum(way.right) for way in asked},
        "kept": kept,
        "verdict": "promoted" if promoted else "rejected",
        "reason": adapter.reason,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "adapter_name": adapter.name,
        "gateway": answered._asdict(),
        "answers": [
            {"id": question.id, "ask": question.ask, **{way.key: way.answers[number] for way in asked}}
            for number, question in enumerate(questions)
        ],
    }
    write_atomic(home.root / "demo_report.json", json.dumps(report, indent=2))
    demo_tables.look_next(console, home, adapter, report)
    return report


def _prepare(home: Home, fresh: bool) -> None:
    mark = home.root / _MARK
    if home.root.exists() and any(home.root.iterdir()):
        if not fresh or not mark.exists():
            raise AtlesError(
                f"{home.root} is not empty, and the demo begins with an empty home: choose another --home"
                + ("" if not mark.exists() else ", or empty this one, which an earlier demo left, with --fresh")
            )
        for item in home.root.iterdir():
            # The converted base model is the same every time.
            if item.name not in (_MARK, home.models.name):
                shutil.rmtree(item) if item.is_dir() else item.unlink()
    home.create()
    mark.touch(mode=0o600)


def _questions(path: Path) -> list[Question]:
    questions = []
    try:
        lines = path.read_text("utf-8").split("\n")
    except OSError as error:
        raise AtlesError(f"cannot read the questions: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            questions.append(Question(item["id"], item["ask"], item["expect"], item.get("reject", "")))
            re.compile(item["expect"] + "|" + item.get("reject", ""))
        except (ValueError, KeyError, TypeError, re.error) as error:
            raise AtlesError(f"{path}, line {number}: not a question with id, ask and expect: {error!r}") from error
    if not questions:
        raise AtlesError(f"{path} holds no question")
    return questions


def _ask(
    home: Home,
    settings: Settings,
    store: Store,
    questions: Sequence[Question],
    model: str,
    title: str,
    *,
    memory: bool,
    seconds: dict[str, float],
    console: "Console",
) -> Asked:
    key = title + ("_memory" if memory else "")
    label = title + (" + memory" if memory else "")
    started = time.monotonic()
    with console.status(f"   asking: {label} ..."):
        answerer = Answerer(home, settings, store, model, memory=memory)
        answers = answerer.answer([question.ask for question in questions])
    seconds[f"ask_{key}"] = time.monotonic() - started
    right = [question.right(answer) for question, answer in zip(questions, answers, strict=True)]
    console.print(f"   {label:<17} {sum(right)} of {len(questions)} right")
    return Asked(key, label, answers, right)


def _learn(
    home: Home, settings: Settings, files: Sequence[Path], seconds: dict[str, float], console: "Console"
) -> None:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    progress = Progress(
        SpinnerColumn(),
        TextColumn("   {task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    task = progress.add_task("memory and data", total=None)
    phases: dict[str, float] = {}

    def show(event: Mapping[str, Any]) -> None:
        phases.setdefault(event.get("phase", "train"), time.monotonic())
        progress.update(task, description=describe(event), completed=event.get("step", 0), total=event.get("steps"))

    daemon = LearningDaemon(home, settings, embedded=False, on_progress=show)
    daemon.start()
    try:
        started = time.monotonic()
        with progress:
            for file in files:
                data = file.read_bytes()
                session = session_file.parse(data, file.name)
                write_atomic(home.completed(session.session_id), data)
            dead = daemon.drain()
        seconds["learn"] = time.monotonic() - started
        status = daemon.get_status()
    finally:
        daemon.stop()
    if dead:
        raise AtlesError(
            "a step gave up: " + "; ".join(f"{job.key}: {job.error}" for job in dead) + f" (see {home.log})"
        )
    stats = status["stats"]
    console.print(
        f"   {stats['sessions_processed']} sessions, {stats['total_messages']} messages, "
        f"{stats['total_memory_items']} things remembered"
    )


def _newest(store: Store) -> Adapter:
    adapters = store.adapters.list()
    if not adapters:
        raise AtlesError("the sessions held too little to train on: see `atles sessions` and train.min_new_examples")
    return adapters[-1]


def example_folder() -> Path:
    """The example sessions: in a checkout beside the package, in an installed package inside it."""
    package = Path(atles.__file__).parent
    for folder in (package.parent / "examples", package / "data" / "examples"):
        if (folder / "questions.jsonl").exists():
            return folder
    raise AtlesError("the example sessions are not there; name others with --sessions and --questions")
