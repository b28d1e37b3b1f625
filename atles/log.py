"""Logging set-up: `daemon.log` in the original's format, ids bound by the callers. Nothing happens at import."""

import logging
import re
import sys
import time
from logging.handlers import RotatingFileHandler
from typing import Any

from atles.layout import Home, private
from atles.settings import LogSettings

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
FORMAT = "%(asctime)s - %(levelname)s - %(message)s"


def configure(home: Home, settings: LogSettings, *, console: bool = False, file: bool = True) -> None:
    """Send the `atles` loggers to `daemon.log`, if `file`, and to stderr, if `console`. A full `daemon.log` becomes
    `daemon.log.1`, that one `daemon.log.2`, and so on.

    Raises OSError where the log cannot be opened. Calling it again replaces the handlers.
    """
    logger = logging.getLogger("atles")
    close()
    formatter = _OneLine(FORMAT)
    formatter.converter = time.gmtime
    handlers: list[logging.Handler] = []
    if file:
        most = int(settings.max_mb * (1 << 20))
        handlers.append(
            _PrivateFile(
                home.log, maxBytes=most, backupCount=settings.keep, encoding="utf-8", errors="backslashreplace"
            )
        )
    if console:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def close() -> None:
    """Detach and close what `configure` attached."""
    logger = logging.getLogger("atles")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


class _OneLine(logging.Formatter):
    """What is said stays in its line: names of sessions and files are others', and could look like lines of ours."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], record.message)
        return super().formatMessage(record)


class _PrivateFile(RotatingFileHandler):
    """Its files are for the owner alone."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=private)
