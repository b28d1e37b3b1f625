"""What the next training waits for."""

from datetime import datetime
from typing import Any

from atles.insights.status import owner
from atles.layout import Home
from atles.pipeline import schedule
from atles.pipeline.room import Room
from atles.settings import Settings
from atles.store import Store


def training(home: Home, store: Store, settings: Settings, *, queued: bool = False) -> dict[str, Any]:
    """How much is new, how much is needed, and what else holds a training back; `queued`: somebody asked for one."""
    today = datetime.now().astimezone()
    spent = schedule.minutes_on(today.date(), store.adapters.list())
    return {
        "enabled": settings.train.enabled,
        "new_examples": store.examples.count_new(),
        "needed": settings.train.min_new_examples,
        "heldout": store.examples.count_heldout(),
        "heldout_needed": settings.gate.min_heldout,
        "put_off": schedule.not_now(settings.train, today, schedule.load_per_core(), schedule.on_battery(), spent),
        "no_room": Room(home, settings.disk).no_training(),
        "mixed": schedule.mixed(settings.train, store.sessions.users()),
        "minutes_today": spent,
        "queued": queued,
        "daemon_runs": owner(home) is not None,
    }
