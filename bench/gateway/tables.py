"""What bursts say, as figures. Knows nothing of proxies but their names.

*Added* is the time that an answer took, less the median of the direct answers of the same kind in the same round.
"""

import statistics
from collections.abc import Mapping

from bench.figures import Figure, percentile
from bench.gateway.load import Burst

Bursts = dict[tuple[str, int], list[tuple[Burst, float]]]  # kind and at once -> of each round, and its CPU in ms

PLAIN_TARGET_MS, STREAM_TARGET_MS = 0.5, 1.0
_OURS = "ATLES"
_CPU = (
    ("plain", 16, "plain reply, CPU per request", PLAIN_TARGET_MS),
    ("stream", 16, "50-token stream, CPU per request", STREAM_TARGET_MS),
    ("paced", 16, "50-token stream at 5 ms a token, CPU per request", None),
)
_MEMORY = f"{_OURS} + memory"


def figures(proxies: Mapping[str, Bursts], direct: str) -> list[Figure]:
    others = {name: bursts for name, bursts in proxies.items() if name != direct}
    found = []
    for kind, at_once, name, target in _CPU:
        for it, bursts in others.items():
            found.append(_cpu(f"{it}: {name}", bursts[kind, at_once], target if it == _OURS else None))
    for at_once in (1, 16, 64):
        for name, bursts in others.items():
            found += _added(f"{name}: plain, added at {at_once}", bursts, proxies[direct], "plain", at_once)
    for at_once in (1, 16):
        for name, bursts in others.items():
            found += _added(
                f"{name}: first byte of a stream, added at {at_once}", bursts, proxies[direct], "paced", at_once,
                first=True,
            )  # fmt: skip
    if {_OURS, _MEMORY} <= proxies.keys():
        found += _added("recall, added at 1", proxies[_MEMORY], proxies[_OURS], "plain", 1)
    for kind in ("plain", "stream"):
        for at_once in (1, 16, 64):
            found += [_rate(f"{it}: {kind}, at {at_once}", bursts[kind, at_once]) for it, bursts in proxies.items()]
    return found


def _cpu(name: str, rounds: list[tuple[Burst, float]], target: float | None) -> Figure:
    each = [spent / len(burst.last) for burst, spent in rounds]
    count = sum(len(burst.last) for burst, _ in rounds)
    mean = sum(spent for _, spent in rounds) / count
    note = f"{count:,} requests, 16 at once; rounds from {min(each):.2f} to {max(each):.2f}"
    return Figure(name, mean, "CPU-ms", target, note)


def _added(name: str, bursts: Bursts, below: Bursts, kind: str, at_once: int, *, first: bool = False) -> list[Figure]:
    values: list[float] = []
    for (burst, _), (base, _) in zip(bursts[kind, at_once], below[kind, at_once], strict=True):
        middle = statistics.median(base.first if first else base.last)
        values += [value - middle for value in (burst.first if first else burst.last)]
    return [
        Figure(f"{name}, p50", percentile(values, 0.5), "ms"),
        Figure(f"{name}, p99", percentile(values, 0.99), "ms", note=f"n={len(values):,}"),
    ]


def _rate(name: str, rounds: list[tuple[Burst, float]]) -> Figure:
    """Median of the rounds, and the part of a core that it had in the meantime."""
    rates = [len(burst.last) / burst.seconds for burst, _ in rounds]
    share = statistics.median(spent / burst.seconds / 1e3 for burst, spent in rounds)
    return Figure(
        name, statistics.median(rates), "per s", note=f"with {share:.2f} of a core; at most {max(rates):,.0f}"
    )
