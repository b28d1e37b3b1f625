"""Logging set-up: `daemon.log` in the original's format, ids bound by the callers. Nothing happens at import."""

import logging
import sys
import time
from logging.handlers import RotatingFileHandler

from atles.layout import Home

FORMAT = "%(asctime)s - %(levelname)s - %(message)s"


def configure(home: Home, *, console: bool = False) -> None:
    """Send the `atles` loggers to `daemon.log` (rotated at 10 MB, five kept), and to stderr if `console`.

    Raises OSError where the log cannot be opened. Calling it again replaces the handlers.
    """
    logger = logging.getLogger("atles")
    close()
    formatter = logging.Formatter(FORMAT)
    formatter.converter = time.gmtime
    handlers: list[logging.Handler] = [
        RotatingFileHandler(home.log, maxBytes=10_000_000, backupCount=5, encoding="utf-8", errors="backslashreplace")
    ]
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
