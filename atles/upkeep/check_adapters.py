"""Whether the adapters that the store names are there as they were judged, and on their way if they are not judged."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from atles.clock import new_id
from atles.errors import AtlesError
from atles.layout import Home, make_folder
from atles.pipeline import release
from atles.pipeline.lanes import TRAIN
from atles.pipeline.shelf import Shelf, open_shelf
from atles.queue import NewJob, Queue
from atles.records import AdapterState, Step
from atles.settings import Settings
from atles.store import Store
from atles.store.artifacts import Artifacts
from atles.upkeep.finding import FAIL, OK, REPAIR, WARN, Finding, some

_OURS = re.compile(r"\d{4,}-[0-9a-f]{8}")  # what the daemon calls its adapters; other names are people's own


def weights(home: Home, store: Store, settings: Settings, today: date) -> Finding:
    """Adapters that may serve, and whose weights are gone or changed."""
    wrong = _wrong(home, store, settings)
    if not wrong:
        return Finding("adapters", OK, "those that may serve are as they were judged")
    _, active = store.adapters.active()

    def repair() -> str:
        said = [_mended(home, store, settings, name, today) for name in wrong]
        _, now = store.adapters.active()
        return "; ".join(said) + (f"; {now or 'the base model'} serves now" if now != active else "")

    serves = f" {active} serves at present." if active in wrong else ""
    fix = "`atles rollback`" if active in wrong else "restore them from a backup"
    return Finding(
        "adapters", FAIL, "; ".join(wrong.values()) + f".{serves}", f"{fix}, or {REPAIR} takes them out of use", repair
    )


def _wrong(home: Home, store: Store, settings: Settings) -> Mapping[str, str]:
    """Adapters that passed the gate by name, and what is wrong with each here. What is not here and shared is fetched
    when it is needed."""
    here, found = Shelf(home, Artifacts("")), {}
    for adapter in store.adapters.list():
        if adapter.state is not AdapterState.PROMOTED:
            continue
        if settings.store.artifacts and not home.adapter(adapter.name).exists():
            continue
        try:
            here.adapter(adapter)
        except AtlesError as error:
            found[adapter.name] = str(error).partition(";")[0]
    return found


def _mended(home: Home, store: Store, settings: Settings, name: str, today: date) -> str:
    """Set the files of an adapter aside, fetch it anew if machines share it, else let it never serve again."""
    kept = _set_aside(home, name)
    aside = f"; what there is of it is in {kept.relative_to(home.root)}" if kept else ""
    try:
        if settings.store.artifacts:
            open_shelf(home, settings).adapter(store.adapters.get(name))
            return f"{name} was fetched again{aside}"
    except AtlesError:
        pass  # nobody else has it
    reason = f"Its weights were lost, which was found on {today}."
    with store.transaction():
        store.adapters.retire(name, reason)
        version, active = store.adapters.active()
        if active == name:
            store.adapters.point(release.served(store)[-1], "retire", reason, version)
    return f"{name} was taken out of use{aside}"


def _set_aside(home: Home, name: str) -> Path | None:
    folder = home.adapter(name)
    if not folder.exists():
        return None
    make_folder(home.work)
    kept = home.work / f"adapter-{name}-{new_id()}"
    folder.rename(kept)
    return kept


def candidates(store: Store, queue: Queue) -> Finding:
    """Adapters that wait to be judged, and nobody is going to."""
    before = [it.name for it in store.adapters.list() if it.state is AdapterState.CANDIDATE]
    jobs = {str(job.payload.get("adapter")) for job in (*queue.open(), *queue.dead())}
    after = {it.name for it in store.adapters.list() if it.state is AdapterState.CANDIDATE}
    left = [name for name in before if name in after and name not in jobs]
    if not left:
        return Finding("candidates", OK, "each is judged, or will be")

    def repair() -> str:
        queue.put(
            *(
                NewJob(Step.GATE, f"{Step.GATE}:{name}", TRAIN, {"adapter": name}, order=TRAIN, priority=1)
                for name in left
            )
        )
        return f"queued to be judged: {some(left)}"

    return Finding("candidates", FAIL, f"no job is there to judge {some(left)}", f"{REPAIR} queues that", repair)


def folders(home: Home, store: Store, queue: Queue) -> Finding:
    """Folders of adapters that the store does not know: of a training that was given up, or of a database that was."""
    found = sorted(it.name for it in home.adapters.glob("*") if it.is_dir() and _OURS.fullmatch(it.name))
    training = any(job.kind == Step.TRAIN for job in queue.open())  # it takes up what is there
    known = {it.name for it in store.adapters.list()}
    left = [] if training else [name for name in found if name not in known]
    if not left:
        return Finding("adapter folders", OK, "each is an adapter's")

    def repair() -> str:
        kept = [_set_aside(home, name) for name in left]
        return f"moved, and deleted when retention.work_days are over: {some([it.name for it in kept if it])} in work/"

    return Finding(
        "adapter folders", WARN, f"the store does not know {some(left)}", f"{REPAIR} moves them to work/", repair
    )
