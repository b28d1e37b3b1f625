"""Sessions per second of 1, 2 and 4 worker processes on one store, by turns."""

import random
import statistics

from bench.figures import Figure, say
from bench.scale.program import ORDER
from bench.scale.team import Giver, Supply, Team
from bench.stores import Place

STEP_SECONDS = 0.05
LEAST_RATIOS = {2: 1.9, 4: 3.6}
REPEATED_TARGET = 0
_WORKERS = (1, *LEAST_RATIOS)
_USERS = 40
_CASES = (*((workers, _USERS) for workers in _WORKERS), (1, 1), (max(_WORKERS), 1))  # of one user, too


def figures(place: Place, supply: Supply, rounds: int, sessions: int) -> list[Figure]:
    """`sessions` is how many a worker has in a round: what is compared lasts as long with many as with one."""
    speeds: dict[tuple[int, int], list[float]] = {}
    repeated = given = 0
    for number in range(rounds):
        for workers, users in random.Random(number).sample(_CASES, len(_CASES)):
            count = sessions * workers
            found, speed = _run(place, supply, workers, count, users)
            repeated, given = repeated + found, given + count
            speeds.setdefault((workers, users), []).append(speed)
            say(f"scale: {workers} at work, users: {users}; {speed:.1f} sessions/s")
    wait = f"{len(ORDER)} steps of {STEP_SECONDS * 1e3:g} ms each; {place.name}; median of {rounds}"
    return [
        *_of_users(speeds, _USERS, f"{_USERS} users", wait),
        *_of_users(speeds, 1, "one user", "its sessions keep their order, so only their later steps run side by side"),
        Figure("steps that were not done exactly once", repeated, "", REPEATED_TARGET, f"of {len(ORDER) * given:,}"),
    ]


def _of_users(speeds: dict[tuple[int, int], list[float]], users: int, whose: str, note: str) -> list[Figure]:
    alone = speeds[1, users]
    found = []
    for (workers, _), measured in sorted(it for it in speeds.items() if it[0][1] == users):
        name = f"{workers} worker{'s' * (workers > 1)}, {whose}"
        found.append(Figure(name, statistics.median(measured), "sessions/s", note=note))
        if workers > 1:
            ratio = statistics.median(many / one for many, one in zip(measured, alone, strict=True))
            least = LEAST_RATIOS[workers] if users > 1 else None
            found.append(Figure(f"{name}, to 1", ratio, "times", note="within a round", least=least))
    return found


def _run(place: Place, supply: Supply, workers: int, count: int, users: int) -> tuple[int, float]:
    """Steps that were not done exactly once, and sessions per second from the first beginning to the last end."""
    made = supply.take(count, users)
    with Team(place, STEP_SECONDS, workers) as team, Giver(place) as giver:
        giver.give(*made)
        ended = team.finish(made)
        return team.repeated(made), count / (ended - min(team.began().values()))
