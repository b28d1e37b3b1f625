"""The adapters of a home with their datasets and reports, and the place where several machines share them.

What is asked for and not here is fetched, what was made here is shared (`store.artifacts`; without it, all stays here).
Shared is what others may need: the weights of what can serve, the data of what is to be judged, the reports.
Knows which files these are and by what a copy is known to be whole; not how they are stored elsewhere.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atles.errors import ArtifactError, AtlesError
from atles.layout import Home
from atles.records import Adapter, AdapterState, content_id
from atles.settings import Settings
from atles.store.artifacts import Artifacts

_ADAPTERS, _DATASETS, _REPORTS = "adapters", "datasets", "reports"
# Put in place last, so that it says of a copy that the rest is there, too.
_WEIGHTS, _MANIFEST, _REPORT = "adapter_model.safetensors", "manifest.json", "report.json"
_REPORT_FILES = ("lineage.json", "report.html", _REPORT)
_NOT_TRAINED = frozenset((*_REPORT_FILES, "adapter.gguf"))  # in an adapter's folder, and made later
_ID = 12  # digits of a hash that tell what two machines made under one name


class Shelf:
    """Paths are of this home. Raises ArtifactError where something has to be fetched or shared and cannot be."""

    def __init__(self, home: Home, artifacts: Artifacts) -> None:
        self.home, self._artifacts = home, artifacts

    def check(self) -> None:
        """Raise ArtifactError if a package for the shared place is missing."""
        self._artifacts.check()

    def adapter(self, adapter: Adapter) -> Path:
        """The folder of an adapter, as its training left it. Raises AtlesError where its weights are gone or were
        changed since: what was judged would not be what serves."""
        folder = self.home.adapter(adapter.name)
        wrong = _wrong(folder, adapter)
        if wrong and self._artifacts.fetch(_ADAPTERS, _weights_name(adapter), folder):
            wrong = _wrong(folder, adapter)
        if wrong and adapter.state is AdapterState.REJECTED:
            raise AtlesError(f"{wrong}; it was rejected: {adapter.reason}")
        if wrong:
            out = "`atles rollback` goes back to what served before, `atles train --now` makes another"
            raise self._missing(f"{wrong}; {out}")
        return folder

    def dataset(self, dataset_id: str) -> Path:
        """The folder of a dataset. Raises AtlesError where it is gone."""
        folder = self.home.dataset(dataset_id)
        if not (folder / _MANIFEST).exists() and not self._artifacts.fetch(_DATASETS, dataset_id, folder):
            raise self._missing(f"{folder} holds no dataset; `atles train --now` makes one of what is known now")
        return folder

    def report(self, adapter: Adapter) -> Path:
        """Where the adapter's report lies as JSON, if it has one; its page and its lineage lie beside it."""
        folder = self.home.adapter(adapter.name)
        if self._artifacts.url and adapter.verdict and not _has_report(folder, adapter):
            self._artifacts.fetch(_REPORTS, _report_name(adapter), folder)
        return folder / _REPORT

    def withdraw(self, adapters: Sequence[Adapter]) -> None:
        """Of all adapters, delete what is shared and no longer needed: all of those that were retired, the weights of
        those that were rejected, the data of those that were judged. Done again it changes nothing, so what could not
        be deleted goes the next time. What the store does not know is somebody else's, or not recorded yet."""
        needed = _needed(adapters)
        names, data = {it.name for it in adapters}, {it.dataset_id for it in adapters}
        for kind, known in ((_ADAPTERS, names), (_REPORTS, names), (_DATASETS, data)):
            for name in self._artifacts.names(kind):
                if name not in needed[kind] and name.partition(".")[0] in known:
                    self._artifacts.remove(kind, name)

    def offer(self, adapters: Sequence[Adapter]) -> None:
        """Of these adapters, share what this home has and others need, unless it is shared. Raises OSError."""
        if not self._artifacts.url:
            return
        needed = _needed(adapters)
        missing = {
            kind: names.difference(name for name, whole in self._artifacts.names(kind).items() if whole)
            for kind, names in needed.items()
        }
        for it in adapters:
            folder, data = self.home.adapter(it.name), self.home.dataset(it.dataset_id)
            if _weights_name(it) in missing[_ADAPTERS] and not _wrong(folder, it):
                self._share(_ADAPTERS, _weights_name(it), folder, _files(folder, _WEIGHTS))
            if it.dataset_id in missing[_DATASETS] and (data / _MANIFEST).exists():
                self._share(_DATASETS, it.dataset_id, data, _files(data, _MANIFEST))
            if it.verdict and _report_name(it) in missing[_REPORTS] and _has_report(folder, it):
                self._share(_REPORTS, _report_name(it), folder, _REPORT_FILES)

    def _share(self, kind: str, name: str, folder: Path, files: Sequence[str]) -> None:
        try:
            self._artifacts.publish(kind, name, folder, files)
        except ArtifactError as error:
            # Somebody shared it a moment ago: the same, though what lies beside it may differ a little.
            if error.kind != "conflict":
                raise

    def _missing(self, what: str) -> AtlesError:
        if not self._artifacts.url:
            return AtlesError(f"{what}; where several machines work, store.artifacts lets them share it")
        return ArtifactError(
            "missing",
            f"{what}. It is not in {self._artifacts.url}, either, where a daemon whose machine has it puts it if it "
            "can serve or is to be judged",
        )


def open_shelf(home: Home, settings: Settings) -> Shelf:
    """The shelf of a home, with the shared place that the settings name. Nothing is looked for yet."""
    return Shelf(home, Artifacts(settings.store.artifacts))


def _needed(adapters: Sequence[Adapter]) -> dict[str, set[str]]:
    """What is to be shared, by kind."""
    can_serve = (AdapterState.CANDIDATE, AdapterState.PROMOTED)
    return {
        _ADAPTERS: {_weights_name(it) for it in adapters if it.state in can_serve},
        _DATASETS: {it.dataset_id for it in adapters if it.state is AdapterState.CANDIDATE},
        _REPORTS: {_report_name(it) for it in adapters if it.verdict},
    }


def _wrong(folder: Path, adapter: Adapter) -> str:
    """What is wrong with the weights in a folder; "" where they are those of the adapter."""
    try:
        with (folder / _WEIGHTS).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"the weights of adapter {adapter.name} cannot be read: {error}"
    if found != (_sha256(adapter) or found):
        return f"the weights of adapter {adapter.name} in {folder} are not those that were judged"
    return ""


def _sha256(adapter: Adapter) -> str:
    """Of the weights; "" where it was trained before that was written down."""
    return adapter.train.get("details", {}).get("sha256", "")


def _weights_name(adapter: Adapter) -> str:
    """Two machines may train under the same name, and come to other weights."""
    return ".".join(filter(None, (adapter.name, _sha256(adapter)[:_ID])))


def _report_name(adapter: Adapter) -> str:
    """Two machines may judge the same adapter; one verdict counts."""
    return f"{adapter.name}.{_numbers_id(adapter.verdict)}"


def _has_report(folder: Path, adapter: Adapter) -> bool:
    """Whether a folder has the report of the adapter's verdict."""
    try:
        said = json.loads((folder / _REPORT).read_text("utf-8"))["verdict"]
        return _numbers_id(said) == _numbers_id(adapter.verdict)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _numbers_id(verdict: Any) -> str:
    """A verdict by what decided it: its words may be added to."""
    return content_id(verdict["numbers"])[:_ID]


def _files(folder: Path, last: str) -> list[str]:
    """What of a folder is to be shared."""
    names = {it.name for it in folder.iterdir() if it.is_file() and not it.name.startswith(".")}
    return [*sorted(names - _NOT_TRAINED - {last}), last]
