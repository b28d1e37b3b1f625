"""`atles demo`: the whole loop on real chats, and what it changed. Measures and shows; the learning is the daemon's."""

import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import atles
from atles.capture import session_file
from atles.config import Settings
from atles.daemon import LearningDaemon
from atles.errors import AtlesError
from atles.layout import Home, write_atomic
from atles.pipeline.answer import Answerer
from atles.pipeline.progress import describe
from atles.records import Adapter
from atles.store import Store

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


def run(
    home: Home, settings: Settings, console: Console, sessions: Path, questions_file: Path, *, fresh: bool
) -> dict[str, Any]:
    """Ask, learn, ask again; writes and returns the report. Raises AtlesError where a hop fails."""
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
    store = Store(home.database)
    try:
        console.print(f"[bold]1. Before.[/bold] {len(questions)} questions that only this user's chats can answer:")
        asked = [_ask(home, settings, store, questions, "base", "base", memory=False, seconds=seconds, console=console)]

        console.print("\n[bold]2. The chats arrive[/bold] in the sessions folder, and the daemon learns from them.")
        _learn(home, settings, files, seconds, console)
        adapter = _newest(store)
        judged = adapter.verdict or {}
        promoted = bool(judged.get("promote"))
        color, word = ("green", "PROMOTED") if promoted else ("yellow", "REJECTED")
        console.print(f"\n[bold]3. The gate.[/bold] {adapter.name}: [bold {color}]{word}[/]\n   {adapter.reason}")

        console.print("\n[bold]4. After.[/bold] The same questions again:")
        for model, title in (("base", "base"), (adapter.name, "adapter")):
            for memory in (False, True):
                if (model, memory) == ("base", False):
                    continue
                asked.append(
                    _ask(home, settings, store, questions, model, title, memory=memory, seconds=seconds, console=console)
                )
    finally:
        store.close()

    _show(questions, asked, console)
    kept = judged.get("numbers", {}).get("kept")
    report = {
        "questions": len(questions),
        **{way.key: sum(way.right) for way in asked},
        "kept": kept,
        "verdict": "promoted" if promoted else "rejected",
        "reason": adapter.reason,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "adapter_name": adapter.name,
        "answers": [
            {"id": question.id, "ask": question.ask, **{way.key: way.answers[number] for way in asked}}
            for number, question in enumerate(questions)
        ],
    }
    write_atomic(home.root / "demo_report.json", json.dumps(report, indent=2))
    _look_next(home, adapter, report, console)
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
    mark.touch()


def _questions(path: Path) -> list[Question]:
    questions = []
    try:
        lines = path.read_text("utf-8").splitlines()
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
    console: Console,
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


def _learn(home: Home, settings: Settings, files: Sequence[Path], seconds: dict[str, float], console: Console) -> None:
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

    daemon = LearningDaemon(home, settings, on_progress=show)
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
        f"{stats['total_memory_items']} topics and preferences remembered"
    )


def _newest(store: Store) -> Adapter:
    adapters = store.adapters.list()
    if not adapters:
        raise AtlesError("the sessions held too little to train on: see `atles sessions` and train.min_new_examples")
    return adapters[-1]


def _show(questions: Sequence[Question], asked: Sequence[Asked], console: Console) -> None:
    order = ("base", "base_memory", "adapter", "adapter_memory")
    ways = sorted(asked, key=lambda way: order.index(way.key))
    table = Table(title="\nWhat was right", title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("question", ratio=1)
    for way in ways:
        table.add_column(way.title.replace(" + ", "\n+ "), justify="center")
    for number, question in enumerate(questions):
        table.add_row(question.ask, *("[green]✓[/]" if way.right[number] else "[dim]·[/]" for way in ways))
    table.add_section()
    table.add_row("[bold]right[/]", *(f"[bold]{sum(way.right)}[/] of {len(questions)}" for way in ways))
    console.print(table)

    first, last = ways[0], ways[-1]
    words = Table(title="\nIn its own words", title_justify="left", title_style="bold", pad_edge=False, show_lines=True)
    words.add_column("question", ratio=3)
    words.add_column("before (base)", ratio=4)
    words.add_column(f"after ({last.title})", ratio=4)
    for number, question in enumerate(questions):
        words.add_row(question.ask, _short(first.answers[number]), _short(last.answers[number]))
    console.print(words)


def _short(answer: str, characters: int = 150) -> str:
    text = " ".join(answer.split())
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _look_next(home: Home, adapter: Adapter, report: Mapping[str, Any], console: Console) -> None:
    train, numbers = adapter.train, (adapter.verdict or {}).get("numbers", {})
    console.print(
        f"\n[bold]What it cost.[/bold] {train['training_examples']} examples, {train['tokens']:,} tokens, "
        f"{train['time_taken']:.0f} s of training at {train['tokens_per_second']:.0f} tokens/s, "
        f"{train['peak_memory_mb']:.0f} MB; loss {train['loss_first']:.2f} -> {train['loss']:.2f}."
    )
    if report["kept"] is not None:
        console.print(
            f"[bold]What it kept.[/bold] {numbers['general_right_kept']:.0f} of the "
            f"{numbers['general_right_base']:.0f} general answers that the base had right ({report['kept']:.0%})."
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
        f"  {home.root}/demo_report.json\n"
    )


def example_folder() -> Path:
    """The example sessions: in a checkout beside the package, in an installed package inside it."""
    package = Path(atles.__file__).parent
    for folder in (package.parent / "examples", package / "data" / "examples"):
        if (folder / "questions.jsonl").exists():
            return folder
    raise AtlesError("the example sessions are not there; name others with --sessions and --questions")
