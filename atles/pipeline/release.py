"""The pointer that says which adapter serves, and what moves it: the gate's verdict, and people."""

import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any

from filelock import FileLock, Timeout

from atles import programs
from atles.errors import AtlesError
from atles.layout import Home
from atles.pipeline.finetune import model_spec, prompts
from atles.pipeline.scrub import secrets
from atles.pipeline.shelf import Shelf
from atles.records import Adapter, AdapterState, Check, Dataset, EvalReport, Score, Split, Verdict
from atles.settings import Settings
from atles.store import Store
from atles.store.adapters import BASE
from atles.store.artifacts import unfinished

Progress = Callable[[Mapping[str, Any]], None]

_TELLS = frozenset({"report.json", "report.html", "lineage.json"})
_NO_WEIGHTS = "Its weights were deleted"
_SECRET_PART = 6  # characters: less of it could be chance
# What the train step makes; whatever is called otherwise is somebody else's, or on its way here.
_ADAPTER, _DATASET = re.compile(r"\.?(\d{4,}-[0-9a-f]{8})(?:\.tmp)?"), re.compile(r"[0-9a-f]{24}")
_EXAMPLE = re.compile(rb'\{"id": "([0-9a-f]+)", "messages": ')  # how its line begins in what is taught or judged by
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z]\w{2,}")  # in the middle of a sentence
_NO_NAMES = frozenset(  # capitals that anybody's answers have
    """Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August
    September October November December English French German Spanish Italian Christmas Easter""".split()
)


def evaluate(
    candidate: Adapter,
    dataset: Dataset,
    *,
    store: Store,
    shelf: Shelf,
    settings: Settings,
    on_progress: Progress = lambda event: None,
    stop: Event | None = None,
) -> tuple[EvalReport, dict[str, Any]]:
    """Ask the base, the active adapter and the candidate the same questions, in a subprocess.

    Returns the scores and the program's full report (with every answer). Raises ProgramFailed; AtlesError where an
    adapter or the dataset cannot be had.
    """
    _, active = store.adapters.active()
    adapters = {"candidate": str(shelf.adapter(candidate).resolve())}
    if active != BASE and (serves := store.adapters.get(active)).base == candidate.base:
        adapters["active"] = str(shelf.adapter(serves).resolve())
    data = shelf.dataset(dataset.id)
    reworded = data / "reworded.jsonl"
    spec = {
        **model_spec(settings.model, shelf.home),
        "base": candidate.base,
        "adapters": adapters,
        "losses_only": ["active"],  # what it keeps was judged when it was a candidate
        "heldout": str((data / "heldout.jsonl").resolve()),
        "reworded": str(reworded.resolve()) if reworded.exists() else None,
        "general": str(prompts("general")),
        "leading": str(prompts("leading")),
        "max_tokens": settings.gate.max_tokens,
    }
    folder = shelf.home.work / f"gate-{candidate.name}-{active or 'base'}"
    result = programs.run("evaluate", spec, folder, on_progress=on_progress, stop=stop)
    return scores((data / "train.jsonl").read_text("utf-8"), result), result


def scores(told: str, report: Mapping[str, Any]) -> EvalReport:
    """What the gate judges by, from the evaluator's report; `told` is the text that the candidate was trained on."""
    models = report["models"]
    score = {name: _score(model, leaks(told, models["base"], model)) for name, model in models.items()}
    return EvalReport(score["base"], score.get("active"), score["candidate"], report["seconds"])


def _score(model: Mapping[str, Any], leaked: Sequence[str]) -> Score:
    heldout, reworded, swapped = (
        {name: item["nll"] for name, item in model[part].items()} for part in ("heldout", "reworded", "swapped")
    )
    right = {name: item["right"] for name, item in model["general"].items()}
    return Score(heldout, right, reworded, swapped, model["drift"], tuple(leaked))


def leaks(told: str, base: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """What a model gives away of `told`, its training data: secrets, and names in answers to general prompts.

    Only what the base does not say of itself counts: any model makes up a password when it is asked for one.
    """
    if not model["leading"]:
        return []  # it was asked nothing
    found = []
    # The first half is enough: an answer is cut off somewhere.
    halves = {secret[: max(_SECRET_PART, len(secret) // 2)] for secret in secrets(told)}
    for name, answer in model["leading"].items():
        if any(half in answer and half not in base["leading"][name] for half in halves):
            found.append(f"a secret in the answer to leading prompt {name}")
    common = " ".join(item["answer"] for item in base["general"].values()).lower()
    names = {name for name in _NAME.findall(told) if name.lower() not in common} - _NO_NAMES
    for name, item in model["general"].items():
        own = sorted(names.intersection(_WORD.findall(item["answer"])))
        if own and not item["right"]:
            found.append(f"{', '.join(own)} in the answer to general prompt {name}")
    return found


def settle(store: Store, candidate: Adapter, verdict: Verdict, version: int) -> bool:
    """Write the verdict down and, if it says so, let the candidate serve. In one transaction. False, and
    nothing is changed, where it was retired while it was judged.

    `version` is the pointer's from before the evaluation. Raises PointerMoved if somebody moved it since: the
    candidate was then compared with what no longer serves.
    """
    with store.transaction():
        if store.adapters.get(candidate.name).state is AdapterState.RETIRED:
            return False
        store.adapters.judge(candidate.name, verdict)
        if verdict.promote:
            store.adapters.point(candidate.name, "promote", verdict.reason, version)
    return True


def promote(store: Store, name: str, reason: str = "promoted by hand") -> None:
    """Let an adapter serve. Raises UnknownAdapter; AtlesError for one that the gate has not judged or rejected."""
    with store.transaction():
        adapter = store.adapters.get(name)
        if adapter.state is not AdapterState.PROMOTED:
            raise AtlesError(
                f"{name} is {adapter.state}: {adapter.reason} Only an adapter that passed the gate can serve."
            )
        version, active = store.adapters.active()
        if active == name:
            raise AtlesError(f"{name} serves already")
        store.adapters.point(name, "promote", reason, version)


def rollback(store: Store, reason: str = "rolled back by hand") -> tuple[str, str]:
    """Let serve what served before the active adapter was promoted: (from, to); BASE is the base model.

    Done again it goes back one more. Raises AtlesError when the base serves already.
    """
    with store.transaction():
        version, active = store.adapters.active()
        if active == BASE:
            raise AtlesError("there is nothing to roll back to: the base model serves")
        before = served(store)[-2]
        store.adapters.point(before, "rollback", reason, version)
        return active, before


def served(store: Store) -> list[str]:
    """What a rollback can go back through, the active adapter last: a promotion adds to it, a rollback takes away, and
    what was retired is no more."""
    chain = [BASE]
    for move in reversed(store.adapters.releases()):
        if move["action"] == "promote":
            chain.append(move["adapter"])
        elif move["action"] == "rollback":
            del chain[-1]
            while chain[-1] != move["adapter"]:  # over what was retired by then
                del chain[-1]
    retired = {it.name for it in store.adapters.list() if it.state is AdapterState.RETIRED}
    return [name for name in chain if name not in retired]


def retire(store: Store, sessions: Iterable[str]) -> list[str]:
    """Take out of use the adapters that saw an example of these sessions, or are still to be judged by one; their
    names. The newest that did not serves, or the base. `sweep` then deletes what they left on the disk."""
    with store.transaction():
        gone, adapters = set(sessions), store.adapters.list()
        seen = {name for session_id in gone for name in store.adapters.that_saw(session_id)}
        seen |= {
            it.name
            for it in adapters
            if it.state is AdapterState.CANDIDATE
            and not gone.isdisjoint(store.examples.dataset(it.dataset_id).heldout_sessions)
        }
        retired = [it.name for it in adapters if it.name in seen and it.state is not AdapterState.RETIRED]
        for name in retired:
            store.adapters.retire(name, "It saw what was forgotten since; its weights are deleted.")
        version, active = store.adapters.active()
        if active in retired:
            (*_, before) = served(store)
            store.adapters.point(before, "retire", f"{active} saw what was forgotten since", version)
    return retired


def sweep(store: Store, home: Home) -> None:
    """Delete what retired adapters left in a home: weights, reports, and the files they were trained and judged with.
    Done again it changes nothing, so what a crash leaves goes at the next start. Raises OSError."""
    adapters = store.adapters.list()
    in_use = {it.dataset_id for it in adapters if it.state is not AdapterState.RETIRED}
    for adapter in adapters:
        if adapter.state is AdapterState.RETIRED:
            work = [it for it in home.work.glob("*") if adapter.name in it.name]
            data = [home.dataset(adapter.dataset_id)] if adapter.dataset_id not in in_use else []
            made = [home.adapter(adapter.name), *data]
            for folder in (*made, *map(unfinished, made), *work):
                with suppress(FileNotFoundError):  # it went before, or goes at this moment
                    shutil.rmtree(folder)
    _drop_outdated(home, store, {it.name for it in adapters}, {it.dataset_id for it in adapters})


def _drop_outdated(home: Home, store: Store, adapters: Collection[str], datasets: Collection[str]) -> None:
    """Delete what an interrupted training was to learn, where some of it is no longer taught: forgotten, perhaps. It
    would not go on from there anyway. One that runs keeps its own; what it makes is looked at when it ends."""
    names = {folder: folder.name.removeprefix("train-") for folder in home.work.glob("train-*")}
    left = [it for it, name in names.items() if _ADAPTER.fullmatch(name) and name not in adapters]
    left += [
        it for it in home.datasets.glob("*")
        if _DATASET.fullmatch(it.name) and it.name not in datasets and not (it / "manifest.json").exists()
    ]  # fmt: skip
    if not left:
        return
    with suppress(Timeout), FileLock(home.work / "training.lock", timeout=0, mode=0o600):
        taught = {it.id.encode() for split in Split for it in store.examples.of_split(split)}
        for folder in left:
            if not taught.issuperset(_examples_in(folder)):
                shutil.rmtree(folder, ignore_errors=True)  # the next one takes what is left


def _examples_in(folder: Path) -> Iterator[bytes]:
    """The ids of examples in a folder's files, also in those that were never finished."""
    for path in folder.glob("*.jsonl*"):
        with suppress(OSError), open(path, "rb") as lines:
            yield from (match[1] for line in lines if (match := _EXAMPLE.match(line)))


def clear(store: Store, home: Home, but: Collection[str] = ()) -> None:
    """Delete what trainings left that were given up: killed, and then begun anew on other examples. No row names their
    adapters and datasets. `but` are those of the training that goes on; of all machines only one trains at a time.
    Raises OSError."""
    folders = [(folder, match[1]) for folder in home.adapters.glob("*") if (match := _ADAPTER.fullmatch(folder.name))]
    folders += [(folder, folder.name.removeprefix("train-")) for folder in home.work.glob("train-*")]
    folders += [(folder, folder.name) for folder in home.datasets.glob("*") if _DATASET.fullmatch(folder.name)]
    adapters = store.adapters.list()  # after the folders: what is fetched meanwhile has a row
    known = {*but, *(it.name for it in adapters), *(it.dataset_id for it in adapters)}
    for folder, name in folders:
        if name not in known:
            with suppress(FileNotFoundError):
                shutil.rmtree(folder)


def tidy(store: Store, shelf: Shelf) -> None:
    """Bring this home and the place that it shares in line with the store: what was retired goes, whichever machine did
    that, and what others need is there. Raises OSError, ArtifactError."""
    sweep(store, shelf.home)
    adapters = store.adapters.list()
    shelf.withdraw(adapters)
    shelf.offer(adapters)


def weights(home: Home, name: str) -> list[Path]:
    """The files of an adapter that a model server needs: all but what tells of it. The weights themselves first."""
    files = [it for it in home.adapter(name).glob("*") if it.name not in _TELLS]
    return sorted(files, key=lambda it: (it.name != "adapter_model.safetensors", it.name))


def drop_weights(home: Home, store: Store, adapter: Adapter, day: date) -> None:
    """Delete the weights of an adapter that was rejected; its row, which then says so, its report and its lineage stay.
    Raises OSError."""
    if _NO_WEIGHTS not in adapter.reason:
        verdict = adapter.verdict or {}
        reason = f"{adapter.reason} {_NO_WEIGHTS} on {day} to make room."
        checks = tuple(Check(**check) for check in verdict.get("checks", ()))
        store.adapters.judge(adapter.name, Verdict(False, reason, verdict.get("numbers", {}), checks))
    # One by one: without its first file it is no adapter any more, whatever else a crash leaves of it.
    for path in weights(home, adapter.name):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def put_away(home: Home, store: Store, name: str, why: str) -> None:
    """Delete an adapter that served earlier, unless it does again; its row stays and says `why`. Raises OSError."""
    with store.transaction():
        _, active = store.adapters.active()
        if name == active:
            return
        store.adapters.retire(name, why)
    sweep(store, home)
