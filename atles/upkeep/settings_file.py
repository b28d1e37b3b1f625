"""Changes one setting in a settings file, and leaves all else there as its owner wrote it, comments too."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from atles.errors import ConfigError
from atles.layout import make_folder, write_atomic

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?")


def change(path: Path, section: str, changes: dict[str, str | None], why: str) -> None:
    """Set keys of a section of a file to texts; None: comment the line out, with `why` above it.

    The file is made if it is not there. Raises ConfigError where that cannot be done line by line, OSError.
    """
    path = path.resolve()  # a link stays one
    text = path.read_text("utf-8-sig") if path.exists() else ""
    new = changed(text, section, changes, why)
    if new != text:
        make_folder(path.parent)
        write_atomic(path, new)


def changed(text: str, section: str, changes: dict[str, str | None], why: str) -> str:
    """The same for the file's text."""
    wanted = tomllib.loads(text)
    for key, value in changes.items():
        if value is not None:
            wanted.setdefault(section, {})[key] = value
        elif key in wanted.get(section, {}):
            del wanted[section][key]
    lines, left = text.splitlines(), dict(changes)
    new: list[str] = []
    at, place = "", None
    for line in lines:
        if header := _HEADER.fullmatch(line):
            at = header[1].strip()
        found = next((key for key in left if at == section and re.match(rf"\s*{key}\s*=", line)), None)
        if found is None:
            new.append(line)
        elif (value := left.pop(found)) is None:
            new += [f"# {why}", f"# {line}"]
        else:
            new.append(_line(found, value))
        if at == section and line.strip() and not line.lstrip().startswith("#"):
            place = len(new)  # behind the section's last setting
    more = [_line(key, value) for key, value in left.items() if value is not None]
    if more and place is None:
        new += ["", f"[{section}]"] if new else [f"[{section}]"]
        place = len(new)
    new[place or 0 : place or 0] = more
    result = "".join(f"{line}\n" for line in new)
    if not _same(result, wanted):
        keys = ", ".join(f"{section}.{key}" for key in changes)
        raise ConfigError(f"the settings file is written in a way that {keys} cannot be changed in it; do it by hand")
    return result


def _line(key: str, value: str) -> str:
    return f"{key} = {json.dumps(value)}"  # TOML writes texts as JSON does


def _same(text: str, wanted: dict[str, Any]) -> bool:
    """Whether the text says what is wanted; an empty section is none."""
    try:
        return _filled(tomllib.loads(text)) == _filled(wanted)
    except tomllib.TOMLDecodeError:
        return False


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value != {}}
