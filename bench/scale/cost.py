"""What the engine itself takes of a session, CPU and time, with steps that do nothing."""

import json
import os
import random
import time
from collections.abc import Callable

from atles.records import Session
from bench.figures import Figure, percentile, say
from bench.scale.team import Giver, Supply, Team
from bench.stores import Place

CPU_TARGET_MS, START_TARGET_MS = 3.0, 50.0
_USERS = 40
_WARM = 50  # sessions that do not count: caches, prepared statements
_PAUSE_SECONDS = (0.05, 0.25)  # between two that come one by one
_LOOKED_FOR, _LOOK_SECONDS = 12, 5.0  # jobs that nobody tells of; they come at any moment between two looks


def figures(place: Place, supply: Supply, sessions: int, starts: int, workers: int = 0) -> list[Figure]:
    """CPU of a backlog, and of jobs that another process puts one by one; how soon these start."""
    told = workers > 0  # PostgreSQL tells workers of a new job; in SQLite another process's are found by looking
    say(f"scale: {place.name}, steps that do nothing")
    with Team(place, 0.0, workers) as team, Giver(place) as giver:
        warm = supply.take(_WARM, _USERS)
        giver.give(*warm)
        team.finish(warm)
        made = supply.take(sessions, _USERS)
        before, server, own = team.cpu_seconds(), place.server_cpu_seconds(), time.process_time()
        giver.give(*made)
        put = time.process_time() - own
        team.finish(made)
        jobs, served = team.cpu_seconds() - before, place.server_cpu_seconds() - server
        waits = _starts(team, supply.take(starts if told else _LOOKED_FOR, _USERS), giver.give, told)
    note, each = f"three jobs of each; {sessions} sessions at once", 1e3 / sessions
    whose = f"{place.name}: "
    found = [
        Figure(f"{whose}the worker's CPU per session", jobs * each, "CPU-ms", CPU_TARGET_MS, note),
        Figure(f"{whose}to store a session and put its job", put * each, "CPU-ms", note="all in one transaction"),
    ]
    if served:
        found.append(Figure(f"{whose}the server's CPU per session", served * each, "CPU-ms", note="of both"))
    target, why = (START_TARGET_MS, "") if told else (None, "found by looking; sessions come as files")
    return [*found, *_waits(f"{whose}job put by another process -> started", waits, target, why)]


def files(place: Place, supply: Supply, starts: int) -> list[Figure]:
    """From a file's rename into sessions/ to the start of its first step, in one daemon."""
    stage = place.home.root.with_name("stage")
    stage.mkdir(parents=True)

    def drop(session: Session) -> None:
        file = stage / place.home.completed(session.session_id).name
        file.write_text(json.dumps(session.as_json()), "utf-8")
        os.replace(file, place.home.sessions / file.name)

    say(f"scale: {place.name}, files one by one")
    with Team(place, 0.0) as team:
        made = supply.take(starts, _USERS)
        before = team.cpu_seconds()
        waits = _starts(team, made, drop, told=True)
        spent = 1e3 * (team.cpu_seconds() - before) / starts
    whose, why = f"{place.name}: ", "parsed, scrubbed, stored, committed"
    return [
        *_waits(f"{whose}file dropped -> started", waits, START_TARGET_MS, why),
        Figure(f"{whose}the daemon's CPU per session, one by one", spent, "CPU-ms", note="with what takes the file"),
    ]


def _starts(team: Team, made: list[Session], put: Callable[[Session], None], told: bool) -> list[float]:
    """How long each session waited for its first step, in ms, from just before it was put."""
    pause, came = random.Random(0), {}
    for session in made:
        time.sleep(pause.uniform(*_PAUSE_SECONDS) if told else pause.uniform(0, _LOOK_SECONDS))
        came[session.session_id] = time.monotonic()
        put(session)
        if not told:
            team.finish([session])
    team.finish(made)
    began = team.began()
    return [1e3 * (began[name] - at) for name, at in came.items()]


def _waits(name: str, waits: list[float], target: float | None, note: str) -> list[Figure]:
    return [
        Figure(f"{name}, p50", percentile(waits, 0.5), "ms", target, note),
        Figure(f"{name}, p99", percentile(waits, 0.99), "ms", note=f"n={len(waits)}"),
    ]
