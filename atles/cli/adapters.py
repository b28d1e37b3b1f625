"""`adapters` and `rollback`: what was trained, how it was judged, and which of it serves."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atles.cli.command import Command, Group, Scope, resolve
from atles.cli.show import answer, count, duration, facts, shortened, sparkline, styled, table, when
from atles.insights import adapters as insights
from atles.pipeline import release
from atles.pipeline.shelf import open_shelf
from atles.store import Store
from atles.store.adapters import BASE

if TYPE_CHECKING:
    from rich.console import RenderableType

_COLOURS = {"promoted": "green", "rejected": "red", "retired": "yellow"}


@click.command(cls=Group)
def adapters() -> None:
    """List, show, promote and roll back adapters.

    Without a command: the list.
    """


@adapters.command("list")
@click.pass_obj
def list_(scope: Scope) -> None:
    """All adapters, oldest first.

    `gain` is how much lower their loss on sessions never trained on is than that of what served
    before; `kept` the share of the base's right general answers that are still right. * serves.
    """
    with scope.store() as store:
        document = insights.listed(scope.home, store)
    answer(scope, document, _list_view)


def _list_view(found: Sequence[dict[str, Any]]) -> "Iterator[RenderableType]":
    if not found:
        yield "No adapter yet; one is trained when enough new examples are there (train.min_new_examples)."
        return
    yield table(
        "", "adapter", "state", "gain", "kept", "created",
        rows=(
            ("*" if it["active"] else "", it["name"], styled(it["state"], _COLOURS.get(it["state"], "")),
             _percent(it["gain"]), _percent(it["kept"]), when(it["created_at"]))
            for it in found
        ),
        right=("gain", "kept"),
    )  # fmt: skip
    if not any(it["active"] for it in found):
        yield ""
        yield "None of them serves; the base model answers."


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


@adapters.command("show")
@click.argument("name")
@click.pass_obj
def show(scope: Scope, name: str) -> None:
    """One adapter: verdict, training, loss curve, and what it was trained on.

    The beginning of a NAME is enough if no other adapter begins like it.
    """
    with scope.store() as store:
        document = insights.shown(scope.home, store, _whole(store, name))
    answer(scope, document, _show_view)


def _show_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    train, data, folder = it["train"], it["dataset"], Path(it["path"])
    state = f"{it['state']}{', serves now' if it['active'] else ''}"
    losses = [step["own"] for step in train.get("losses", ())]
    yield facts(
        ("Adapter", it["name"]),
        ("State", styled(state, _COLOURS.get(it["state"], ""))),
        ("Verdict", it["reason"]),
        ("Base", it["base"]),
        ("Created", when(it["created_at"])),
        ("Folder", str(folder)),
        (
            "Trained on",
            f"{count(data['train_examples'], 'example')} of {count(len(data['train_sessions']), 'session')}, "
            f"checked on {data['heldout_examples']} of {len(data['heldout_sessions'])} others",
        ),
        (
            "Training",
            f"{count(train['steps'], 'step')} in {duration(train['time_taken'])}, {train['tokens']:,} tokens, "
            f"{train['tokens_per_second']:.0f} tokens/s, peak {train['peak_memory_mb']:,.0f} MB",
        ),
        ("Loss", f"{train['loss_first']:.3f} {sparkline(losses)} {train['loss']:.3f}"),
        *(
            (file, str(folder / file))
            for file in ("report.html", "report.json", "lineage.json")
            if (folder / file).exists()
        ),
    )
    if it["verdict"]:
        yield ""
        yield table("measured", "", rows=_numbers(it["verdict"]["numbers"]), right=("",))


def _numbers(numbers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in numbers.items():
        yield name.replace("_", " "), _number(value)


@adapters.command("diff")
@click.argument("a")
@click.argument("b")
@click.pass_obj
def diff(scope: Scope, a: str, b: str) -> None:
    """Two adapters side by side: what each was measured to do, and general answers that differ."""
    with scope.store() as store:
        shelf = open_shelf(scope.home, scope.settings())
        document = insights.compared(shelf, store, _whole(store, a), _whole(store, b))
    answer(scope, document, _diff_view)


def _diff_view(it: dict[str, Any]) -> "Iterator[RenderableType]":
    yield table(
        "measured", *it["adapters"],
        rows=((name.replace("_", " "), *map(_number, values)) for name, values in it["numbers"].items()),
        right=it["adapters"],
    )  # fmt: skip
    if it["answers"]:
        yield ""
        yield table(
            "general prompt", *it["adapters"],
            rows=((row["prompt"], *(f"{'✓' if right else '✗'} {shortened(said, 60)}"
                                    for right, said in zip(row["right"], row["answers"], strict=True)))
                  for row in it["answers"]),
        )  # fmt: skip


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else json.dumps(value)


def _whole(store: Store, name: str) -> str:
    return resolve(name, [adapter.name for adapter in store.adapters.list()])


@adapters.command("promote")
@click.argument("name")
@click.pass_obj
def promote(scope: Scope, name: str) -> None:
    """Let an adapter answer that passed the gate earlier."""
    with scope.store() as store:
        chosen = _whole(store, name)
        _, before = store.adapters.active()
        release.promote(store, chosen)
    _tell_move(scope, before, chosen)


@click.command(cls=Command)
@click.pass_obj
def rollback(scope: Scope) -> None:
    """Let answer what answered before the active adapter.

    Done again, it goes back one more, until the base model answers.
    """
    with scope.store() as store:
        before, now = release.rollback(store)
    _tell_move(scope, before, now)


adapters.add_command(rollback)


def _tell_move(scope: Scope, before: str, now: str) -> None:
    old, new = (name if name != BASE else "the base model" for name in (before, now))
    answer(scope, {"from": before or None, "to": now or None}, lambda _: [f"{new} answers now, instead of {old}."])
