"""ATLES, the learning daemon: finished chats become memory, training data and a better model.

    from atles import SessionTracker

    with SessionTracker() as tracker:
        tracker.log_message("user", "Hello")
        tracker.log_message("assistant", "Hi there!")

The names below are loaded on first use, so that importing the tracker costs a host application next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME_OF = {
    "SessionTracker": "atles.capture.tracker",
    "get_tracker": "atles.capture.tracker",
    "track_user_message": "atles.capture.tracker",
    "track_assistant_message": "atles.capture.tracker",
    "start_tracked_session": "atles.capture.tracker",
    "end_tracked_session": "atles.capture.tracker",
    "mark_session_complete": "atles.capture.tracker",
    "LearningDaemon": "atles.daemon",
    "start_daemon": "atles.one_daemon",
    "stop_daemon": "atles.one_daemon",
    "get_daemon": "atles.one_daemon",
    "get_daemon_status": "atles.one_daemon",
    "MemoryProcessor": "atles.pipeline.memory",
    "ModelFineTuner": "atles.pipeline.finetune",
    "Home": "atles.layout",
    "Settings": "atles.config",
    "load_settings": "atles.config",
}

__all__ = [
    "Home",
    "LearningDaemon",
    "MemoryProcessor",
    "ModelFineTuner",
    "SessionTracker",
    "Settings",
    "__version__",
    "end_tracked_session",
    "get_daemon",
    "get_daemon_status",
    "get_tracker",
    "load_settings",
    "mark_session_complete",
    "start_daemon",
    "start_tracked_session",
    "stop_daemon",
    "track_assistant_message",
    "track_user_message",
]

if TYPE_CHECKING:
    from atles.capture.tracker import (
        SessionTracker,
        end_tracked_session,
        get_tracker,
        mark_session_complete,
        start_tracked_session,
        track_assistant_message,
        track_user_message,
    )
    from atles.config import load_settings
    from atles.daemon import LearningDaemon
    from atles.layout import Home
    from atles.one_daemon import get_daemon, get_daemon_status, start_daemon, stop_daemon
    from atles.pipeline.finetune import ModelFineTuner
    from atles.pipeline.memory import MemoryProcessor
    from atles.settings import Settings


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'atles' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
