"""`chat` and `ask`: talking to what was learned."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from atles.capture.tracker import SessionTracker
from atles.cli.command import USAGE, Command, Failure, Scope, resolve
from atles.cli.show import answer as show
from atles.cli.show import clean, console
from atles.layout import write_atomic
from atles.pipeline.answer import Answerer
from atles.store import open_store

_model = click.option(
    "--model", default="active", show_default=True, metavar="active|base|NAME", help="Who answers; NAME is an adapter."
)
_no_memory = click.option("--no-memory", is_flag=True, help="Put nothing remembered before a question.")
_max_tokens = click.option("--max-tokens", type=click.IntRange(min=1), help="Longest answer.  [model.max_tokens]")


@contextlib.contextmanager
def _answerer(scope: Scope, model: str, no_memory: bool, max_tokens: int | None) -> Iterator[Answerer]:
    """Answers need a home to keep a converted model in, so this may make one."""
    settings, home = scope.settings(), scope.home.create()
    store = open_store(home, settings)
    try:
        names = ["active", "base", *(adapter.name for adapter in store.adapters.list())]
        answerer = Answerer(home, settings, store, resolve(model, names), memory=not no_memory, max_tokens=max_tokens)
        try:
            yield answerer
        finally:
            answerer.close()
    finally:
        store.close()


@click.command(cls=Command, with_json=False)
@_model
@_no_memory
@_max_tokens
@click.option("--no-learn", is_flag=True, help="Do not record this chat; nothing is learned from it.")
@click.pass_obj
def chat(scope: Scope, model: str, no_memory: bool, max_tokens: int | None, no_learn: bool) -> None:
    """Chat with what was learned. The chat is learned from, too.

    /exit or Ctrl-D ends it.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # line editing and history for input()

    tracker = None if no_learn else SessionTracker(home=scope.home.root)
    conversation: list[dict[str, str]] = []
    with _answerer(scope, model, no_memory, max_tokens) as answerer:
        click.echo(
            f"{answerer.model_name}, {'without' if no_memory else 'with'} memory; "
            f"this chat is {'not ' * no_learn}recorded. /exit or Ctrl-D ends it.",
            err=True,
        )
        try:
            for question in _questions():
                conversation.append({"role": "user", "content": question})
                if tracker and not tracker.get_current_session_id():
                    tracker.start_session(metadata={"source": "atles chat", "model": answerer.model_name})
                if tracker:
                    tracker.log_message("user", question)
                reply = _stream(answerer, conversation)
                click.echo()
                conversation.append({"role": "assistant", "content": reply})
                if tracker:
                    tracker.log_message("assistant", reply)
        finally:
            path = tracker.end_session() if tracker else None
            if path:
                click.echo(f"Recorded as {path.name}.", err=True)


def _questions() -> Iterator[str]:
    prompt = "you> " if sys.stdin.isatty() else ""
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            click.echo()
            return
        if line == "/exit":
            return
        if line:
            yield line


def _stream(answerer: Answerer, conversation: list[dict[str, str]]) -> str:
    """Print an answer as it comes. Until its first word a terminal shows that something happens: a model is loaded."""
    if not sys.stderr.isatty():
        reply = answerer.stream(conversation, _say)
    else:
        with console(stderr=True).status(f"{answerer.model_name} …") as waiting:

            def say(text: str) -> None:
                waiting.stop()
                _say(text)

            reply = answerer.stream(conversation, say)
    click.echo()
    return reply


def _say(text: str) -> None:
    click.echo(clean(text), nl=False)


@click.command(cls=Command)
@click.argument("question", required=False)
@click.option("--in", "source", type=click.Path(allow_dash=True), help='Lines of {"id", "ask"}; - is standard input.')
@click.option(
    "--out", "target", type=click.Path(allow_dash=True), default="-", help="The answers' file.  [standard output]"
)
@_model
@_no_memory
@_max_tokens
@click.pass_obj
def ask(
    scope: Scope,
    question: str | None,
    source: str | None,
    target: str,
    model: str,
    no_memory: bool,
    max_tokens: int | None,
) -> None:
    """Ask one QUESTION, or a file of them.

    A file holds a JSON object a line, {"id": …, "ask": "…"}; its answers come in the same order as
    {"id", "ask", "answer", "model"}. Answers are greedy: the same question gets the same answer.

    \b
      atles ask "What is my dog called?"
      atles ask --model base --no-memory "What is my dog called?"
      atles ask --in questions.jsonl --out answers.jsonl
    """
    if (question is None) is (source is None):
        raise click.UsageError("give one QUESTION, or a file of them with --in")
    if question is not None and target != "-":
        raise click.UsageError("--out goes with --in")
    asked = [_Question(None, question)] if question is not None else _read(source or "-")
    if target != "-" and not os.access(Path(target).resolve().parent, os.W_OK):
        raise click.UsageError(f"--out {target}: there is no folder there that can be written")
    with _answerer(scope, model, no_memory, max_tokens) as answerer:
        if question is not None and not scope.json:
            _stream(answerer, [{"role": "user", "content": question}])
            return
        answers = answerer.answer([it.ask for it in asked], _progress())
        rows = [
            {"id": it.id, "ask": it.ask, "answer": said, "model": answerer.model_name}
            for it, said in zip(asked, answers, strict=True)
        ]
    if question is not None:
        show(scope, rows[0], lambda _: ())
        return
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if target == "-":
        click.echo(lines, nl=False)
    else:
        write_atomic(Path(target), lines, exported=True)


@dataclass(frozen=True)
class _Question:
    id: Any
    ask: str


def _read(source: str) -> list[_Question]:
    """The questions of a JSONL file; the first bad line ends it, before any work is done."""
    try:
        with click.open_file(source, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")  # not splitlines(): JSON may hold U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read {source}: {error}", USAGE) from error
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            questions.append(_Question(row["id"], row["ask"]))
            wrong = not (isinstance(row["ask"], str) and row["ask"].strip())
        except (json.JSONDecodeError, KeyError, TypeError, RecursionError):
            wrong = True
        if wrong:
            raise Failure(f'{source}, line {number}: a line is an object like {{"id": "1", "ask": "Who am I?"}}', USAGE)
    return questions


def _progress() -> Any:
    """Says on a terminal how far a batch is."""
    if not sys.stderr.isatty():
        return lambda event: None

    def say(event: dict[str, Any]) -> None:
        if event.get("steps"):
            end = "\n" if event["step"] == event["steps"] else ""
            click.echo(f"\ranswered {event['step']} of {event['steps']}{end}", nl=False, err=True)

    return say
