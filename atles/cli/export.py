"""`export`: an adapter, to take along: as PEFT, GGUF or Ollama reads it, or merged into its base."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from atles import programs
from atles.cli.command import Command, Scope, resolve
from atles.cli.show import answer
from atles.clock import new_id
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline.finetune import model_spec
from atles.pipeline.shelf import open_shelf
from atles.records import Adapter, AdapterState
from atles.serving.gguf import Files, base_gguf, convert
from atles.settings import Settings
from atles.store.adapters import BASE

_OURS = frozenset(("report.json", "report.html", "adapter.gguf"))  # in an adapter's folder, and no part of it
# The default system message in a chat template, where it is a plain text.
_SYSTEM = re.compile(r"<\|im_start\|>system(?:\\n|\n)([^{}'\"<|]+)<\|im_end\|>")
_CHATML = '''TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop "<|im_start|>"
PARAMETER stop "<|im_end|>"
'''


@dataclass(frozen=True)
class _Source:
    """What is exported, and what is needed for it."""

    adapter: Adapter
    folder: Path
    home: Home
    settings: Settings

    def files(self) -> Files:
        models = Path(model_spec(self.settings.model, self.home)["models_dir"])
        return Files(base_gguf(self.adapter.base, models, self.settings.serve.gguf), self.folder)


def _peft(source: _Source, target: Path) -> None:
    target.mkdir()
    for file in source.folder.iterdir():
        if file.is_file() and file.name not in _OURS and not file.name.startswith("."):
            shutil.copyfile(file, target / file.name)


def _gguf(source: _Source, target: Path) -> None:
    convert(source.files(), target, source.home.work)


def _merged(source: _Source, target: Path) -> None:
    spec = {
        "base": source.adapter.base,
        "models_dir": model_spec(source.settings.model, source.home)["models_dir"],
        "adapter": str(source.folder.resolve()),
        "output": str(target.resolve()),
    }
    folder = source.home.work / f"merge-{source.adapter.name}-{new_id()}"
    programs.run("merge", spec, folder)
    shutil.rmtree(folder)  # kept if it failed: it says why


def _ollama(source: _Source, target: Path) -> None:
    target.mkdir()
    files = source.files()
    report = convert(files, target / "adapter.gguf", source.home.work)
    base = target / "base.gguf"
    try:
        base.hardlink_to(files.gguf)  # Ollama refuses links that lead out of the folder; this one is the file itself
    except OSError:  # another disk
        shutil.copyfile(files.gguf, base)
    (target / "Modelfile").write_text(_modelfile(source.adapter, str(report.get("chat_template") or "")), "utf-8")


def _modelfile(adapter: Adapter, template: str) -> str:
    head = f"# {adapter.name}, made by ATLES. In this folder: ollama create atles -f Modelfile\n"
    lines = f"{head}FROM ./base.gguf\nADAPTER ./adapter.gguf\n"
    if "<|im_start|>" not in template:
        return lines  # Ollama reads the template from the base's file
    # Ollama compares templates with those that it knows; of a template with a system message of its own it knows none.
    system = _SYSTEM.search(template)
    return lines + _CHATML + (f'SYSTEM """{system[1]}"""\n' if system else "")


_FORMATS: Mapping[str, tuple[str, Callable[[_Source, Path], None]]] = {
    "peft": ("-peft", _peft),
    "gguf": (".gguf", _gguf),
    "merged": ("-merged", _merged),
    "ollama": ("-ollama", _ollama),
}


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--format", "form", type=click.Choice(list(_FORMATS)), default="peft", show_default=True,
    help="peft: the adapter for transformers and vLLM; gguf: for llama.cpp; merged: a whole model for transformers; "
    "ollama: a folder for `ollama create`.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="File or folder to make.  [NAME and the format, here]")
@click.option("--force", is_flag=True, help="Overwrite an earlier export.")
@click.pass_obj
def export(scope: Scope, name: str, form: str, out: Path | None, force: bool) -> None:
    """Export the adapter NAME, or the `active` one, for other programs.

    The beginning of a NAME is enough if no other adapter begins like it. Weights that are not those
    that were judged are not exported.
    """
    with scope.store() as store:
        _, active = store.adapters.active()
        if name == "active" and active == BASE:
            raise AtlesError("the base model serves: there is no active adapter to export")
        names = [adapter.name for adapter in store.adapters.list()]
        adapter = store.adapters.get(active if name == "active" else resolve(name, names))
    ending, write = _FORMATS[form]
    target = out or Path(f"{adapter.name}{ending}")
    settings = scope.settings()
    source = _Source(adapter, open_shelf(scope.home, settings).adapter(adapter), scope.home, settings)
    with _replacing(target, force) as new:
        write(source, new)
    document = {"adapter": adapter.name, "state": adapter.state, "reason": adapter.reason, "base": adapter.base,
                "format": form, "path": str(target.resolve())}  # fmt: skip
    answer(scope, document, _view)


def _view(it: Mapping[str, str]) -> Iterator[str]:
    yield it["path"]
    if it["state"] != AdapterState.PROMOTED:
        yield f"Mind that {it['adapter']} is {it['state']}: {it['reason']}"


@contextmanager
def _replacing(target: Path, force: bool) -> Iterator[Path]:
    """A path beside the target, to be filled; it becomes the target if nothing goes wrong."""
    if target.exists() and not force:
        raise AtlesError(f"{target} exists; --force overwrites it, --out names another place")
    new = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield new
        _as_usual(new)
        if target.is_dir() and new.is_dir():
            # --force with a wrong --out must not cost a folder of something else.
            others = {file.name for file in target.iterdir()} - {file.name for file in new.iterdir()}
            if others:
                raise AtlesError(
                    f"{target} holds more than an export ({', '.join(sorted(others)[:3])}); empty it first"
                )
            shutil.rmtree(target)
        os.replace(new, target)
    finally:
        if new.is_dir():
            shutil.rmtree(new)
        new.unlink(missing_ok=True)


def _as_usual(new: Path) -> None:
    """Give what was exported the rights that the user's files have: the programs make theirs for the owner alone."""
    umask = os.umask(0)
    os.umask(umask)
    for path in (new, *new.rglob("*")):
        if path.is_dir():
            path.chmod(0o777 & ~umask)
        elif path.stat().st_nlink == 1:  # else it is the base model's own file, too
            path.chmod(0o666 & ~umask)
