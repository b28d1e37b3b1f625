"""What the daemon does, and when it trains."""

from typing import Any

from atles.gateway.api import schema
from atles.gateway.api.route import Asked, Needs, Parts, Route
from atles.gateway.refusal import Refusal
from atles.insights.status import status
from atles.insights.training import training
from atles.pipeline.jobs import ask_to_train
from atles.pipeline.lanes import TRAIN


def _status(parts: Parts, asked: Asked) -> Any:
    seen = status(parts.home, parts.store, parts.queue, parts.settings)
    if not asked.admin:  # jobs name the sessions of others
        seen |= {"pid": None, "home": None, "queue": {**seen["queue"], "running": [], "dead": []}}
    return seen


def _training(parts: Parts, asked: Asked) -> Any:
    return training(parts.home, parts.store, parts.settings)


def _train(parts: Parts, asked: Asked) -> Any:
    if not ask_to_train(parts.store, parts.queue, parts.settings):
        raise Refusal(409, "no_training", training(parts.home, parts.store, parts.settings)["mixed"])
    parts.wake(TRAIN)
    return training(parts.home, parts.store, parts.settings, queued=True)


_TEXT, _COUNT, _TRUTH = schema.text(), schema.whole(), schema.truth()
_OR_NULL = schema.or_null(_TEXT)
_STATUS = schema.obj(
    {
        "is_running": _TRUTH, "pid": schema.or_null(_COUNT), "home": _OR_NULL,
        "stats": schema.obj({"sessions_processed": _COUNT, "total_messages": _COUNT, "total_memory_items": _COUNT,
                             "total_fine_tunes": _COUNT, "uptime_hours": schema.NUMBER}),
        "queue": schema.obj({"waiting": _COUNT, "running": schema.array(_TEXT),
                             "dead": schema.array(schema.obj({"job": _TEXT, "error": _TEXT}))}),
        "inbox": schema.whole("Files not taken in yet."), "quarantine": _COUNT, "active_adapter": _OR_NULL,
        "progress": schema.or_null(schema.OBJECT),
        "disk": schema.obj({"free": schema.whole("Bytes."), "state": schema.text("ok, no training, or no learning")}),
        "damage": schema.text("How the daemon has found its database to be damaged; empty if it has not."),
        "trains": schema.truth("Whether trainings are switched on."),
    }
)  # fmt: skip
_TRAINING = schema.obj(
    {
        "enabled": _TRUTH, "new_examples": _COUNT, "needed": _COUNT, "heldout": _COUNT, "heldout_needed": _COUNT,
        "put_off": schema.text("Why a training waits, in words; empty if it need not."),
        "mixed": schema.text("Why no adapter may be trained on what several users said; empty if one may."),
        "no_room": schema.text("Why the disk has no room for a training, in words; empty if it has."),
        "minutes_today": schema.NUMBER, "queued": schema.truth("One was asked for just now."),
        "daemon_runs": _TRUTH,
    }
)  # fmt: skip

ROUTES = (
    Route("GET", "/api/status", "Daemon", "What the daemon does and has done", _status, _STATUS, of_user=False),
    Route("GET", "/api/train", "Daemon", "What the next training waits for", _training, _TRAINING, of_user=False),
    Route(
        "POST", "/api/train", "Daemon", "Train on what is there, whatever the next training waits for", _train,
        _TRAINING, Needs.ADMIN, of_user=False, refused={409: "What several users said would be mixed."},
    ),
)  # fmt: skip
