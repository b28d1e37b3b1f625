"""Who else on this machine may read what a home holds. Knows files and their rights, and what a password looks like."""

import os
from collections.abc import Iterator
from pathlib import Path

from atles.config import masked
from atles.layout import Home


def exposed(home: Home, settings: Path | None = None) -> list[Path]:
    """What others can read: secrets, chats, and what was learned from them.

    The settings file (default: the home's) counts if it holds a password. Raises OSError.
    """
    if os.name != "posix":
        return []  # rights are another thing there
    return [path for path in _private(home, settings or home.config) if path.exists() and _open_to_others(path)]


def _private(home: Home, settings: Path) -> Iterator[Path]:
    if settings.exists():
        text = settings.read_text("utf-8", "replace")
        if masked(text) != text:
            yield settings
    yield home.secrets
    yield from (home.database, home.log, home.master_log, home.training_data, home.adapters)
    yield from (home.sessions, home.open_sessions, home.processed, home.quarantine)


def _open_to_others(path: Path) -> bool:
    """Whether its own rights and those of all folders above let others come to it."""
    folders = path.resolve().parents
    return bool(path.stat().st_mode & 0o044) and all(folder.stat().st_mode & 0o011 for folder in folders)
