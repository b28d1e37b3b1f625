"""The settings in force: command line > ATLES_* environment > one TOML file > the defaults in `settings`.

Knows names and types, reads one file; creates nothing. An unknown key is an error that names the nearest known one.
A password in an address is never shown, and not taken from the command line, which every user of a machine can read.
"""

import difflib
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from atles.errors import ConfigError
from atles.layout import Home
from atles.passwords import brief, masked
from atles.settings import RULES, SECTIONS, ModelServer, Settings, keys

# Settings that hold an address: one that cannot be read is not shown either.
_ADDRESSES = frozenset(("store.url", "store.artifacts", "memory.llm_url", "gateway.upstream", "models.url"))


def load_settings(
    home: Home,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
) -> Settings:
    """The settings in force for a home.

    `file` defaults to `<home>/atles.toml`; `environment` to the process's; `overrides` are `section.key=value`.
    Raises ConfigError that names the place, the key and what would be right.
    """
    path = file or home.config
    settings = Settings()
    for key, value in _from_file(path, must_exist=file is not None):
        settings = _with(settings, key, value, f"in {path}")
    env = os.environ if environment is None else environment
    names = {_variable(key): key for key in keys()}
    for name in sorted(env):
        if not name.startswith("ATLES_") or name == "ATLES_HOME":
            continue
        if name not in names:
            raise ConfigError(f"unknown environment variable {name}{_nearest(name, names)}")
        key = names[name]
        settings = _with(settings, key, _read(key, env[name], f"in the environment ({name})"), name)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {masked(override)!r} is not of the form section.key=value")
        key, text, where = key.strip(), text.strip(), "on the command line"
        settings = _with(settings, key, _read(key, text, where), where)
        if masked(text) != text:
            raise ConfigError(
                f"{key} {where} holds a password, and every user of this machine can read that there; write it into "
                f"{path} (and `chmod 600` it), or put it into the environment as {_variable(key)}"
            )
    return settings


def environment(name: str, setting: str) -> str:
    """A secret that `setting` names instead of holding it. Raises ConfigError if it is not there."""
    value = os.environ.get(name, "")
    if not value:
        raise ConfigError(f"{setting} names {name}, and the environment holds no such variable")
    return value


def _variable(key: str) -> str:
    return f"ATLES_{key.replace('.', '_').upper()}"


def _from_file(path: Path, must_exist: bool) -> Iterable[tuple[str, Any]]:
    try:
        text = path.read_text("utf-8-sig")  # some editors begin a file with a byte order mark
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"there is no config file {path}") from None
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for section, values in document.items():
        if section not in (*SECTIONS, "models"):
            raise ConfigError(f"unknown section [{section}] in {path}{_nearest(section, (*SECTIONS, 'models'))}")
        if not isinstance(values, dict):
            raise ConfigError(f"{section} in {path} must be a section: write [{section}] and its keys below")
        yield from ((f"{section}.{key}", value) for key, value in values.items())


def _read(key: str, text: str, where: str) -> Any:
    """A value from text, by the type of the key's default."""
    kind = type(_known(key, where))
    if kind is str:
        return text
    if kind is bool:
        if text.lower() in ("true", "1", "yes", "on"):
            return True
        if text.lower() in ("false", "0", "no", "off"):
            return False
        raise ConfigError(f"{key} {where} must be true or false, not {masked(text)!r}")
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{key} {where} must be {_a(kind)}, not {masked(text)!r}") from None


def _with(settings: Settings, key: str, value: Any, where: str) -> Settings:
    section, option = key.split(".", 1)
    if section == "models":
        return replace(settings, models={**settings.models, option: _model(option, value, where)})
    value = _checked(key, value, type(_known(key, where)), where)
    return replace(settings, **{section: replace(getattr(settings, section), **{option: value})})


def _model(name: str, values: Any, where: str) -> ModelServer:
    """A `[models.NAME]` from its keys."""
    place = f"[models.{name}] {where}"
    if not isinstance(values, dict):
        raise ConfigError(f"models.{name} {where} must be a section: write [models.{name}] and its keys below")
    known = {option.name: option.default for option in fields(ModelServer) if option.name != "name"}
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown setting {key!r} in {place}{_nearest(key, known)}")
    if "url" not in values:
        raise ConfigError(f"{place} needs a url")
    checked = {key: _checked(f"models.{key}", value, type(known[key]), place) for key, value in values.items()}
    return ModelServer(name, **checked)


def _checked(key: str, value: Any, kind: type, where: str) -> Any:
    """The value, if it is of that type and keeps the setting's rules."""
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{key} {where} must be {_a(kind)}, not {_shown(value)}")
    if kind is float and not math.isfinite(value):
        raise ConfigError(f"{key} {where} must be a finite number, not {value!r}")
    for ruled, holds, message in RULES:
        if ruled == key and not holds(value):
            shown = repr(brief(value)) if key in _ADDRESSES else _shown(value)
            raise ConfigError(f"{key} {where} {message}, not {shown}")
    return value


def _known(key: str, where: str) -> Any:
    known = keys()
    if key not in known:
        raise ConfigError(f"unknown setting {masked(key)!r} {where}{_nearest(key, known)}")
    return known[key]


def _shown(value: Any) -> str:
    """A value in a message; of several only that they are."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a section"
    return repr(masked(value))


def _a(kind: type) -> str:
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[kind]


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {close[0]}?" if close else "; `atles config` lists all of them"
