"""The figures of a soak, from its samples."""

import itertools
import statistics
from collections.abc import Sequence

from bench.figures import Figure
from bench.soak.replay import Outcome, Sample

SLOPE_TARGET_MB, FILES_TARGET, DEAD_TARGET, WRONG_TARGET = 0.25, 0, 0, 0
_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def figures(outcome: Outcome, total: int, note: str) -> list[Figure]:
    samples, last = outcome.samples, outcome.samples[-1]
    marks = [min(samples, key=lambda sample: abs(sample.learned - share * total)) for share in _QUARTERS]
    half = [sample for sample in samples if sample.learned >= total / 2]
    wrong, line = len(outcome.wrong), f"a line through {len(half)} samples"
    return [
        Figure("sessions learned and logged", total / last.seconds, "per s", note=note),
        Figure("counts that are not those of once each", wrong, "", WRONG_TARGET, "; ".join(outcome.wrong)),
        Figure("dead letters", outcome.dead, "jobs", DEAD_TARGET),
        *(Figure(f"RSS at {at:.0%}", mark.rss_mb, "MB") for at, mark in zip(_QUARTERS, marks, strict=True)),
        Figure("RSS per 1,000 sessions, last half", _slope(half), "MB", SLOPE_TARGET_MB, line),
        *(Figure(f"open files at {at:.0%}", mark.files, "") for at, mark in zip(_QUARTERS, marks, strict=True)),
        Figure("open files, last quarter less second", _more_files(samples, total), "", FILES_TARGET, "medians"),
        Figure("threads at the end", last.threads, ""),
        *_costs(marks),
        Figure("jobs on their way, most", max(sample.jobs for sample in samples), "jobs"),
        Figure("write-ahead log, most", max(sample.log for sample in samples) / 1e6, "MB"),
        *(
            Figure(
                f"{part.name}, per session", part.bytes / total, "bytes",
                note=f"{part.bytes / 1e6:,.1f} MB in {part.files:,} files; {part.on_disk / 1e6:,.1f} MB on the disk",
            )
            for part in outcome.parts
        ),
    ]  # fmt: skip


def _costs(marks: Sequence[Sample]) -> list[Figure]:
    """CPU of a session in each quarter: of the daemon, and of the database server where there is one."""
    found = []
    for number, (before, after) in enumerate(itertools.pairwise(marks), 1):
        learned = max(1, after.learned - before.learned)
        server = (after.server_cpu - before.server_cpu) * 1e3 / learned
        found.append(
            Figure(
                f"CPU per session, quarter {number}", (after.cpu - before.cpu) * 1e3 / learned, "CPU-ms",
                note=f"and {server:.1f} of the database server" if after.server_cpu else "",
            )
        )  # fmt: skip
    return found


def _slope(samples: Sequence[Sample]) -> float:
    """MB of RSS per 1,000 sessions: least squares, 0 where there is nothing to draw a line through."""
    if len({sample.learned for sample in samples}) < 2:
        return 0.0
    fitted = statistics.linear_regression([it.learned for it in samples], [it.rss_mb for it in samples])
    return 1000 * fitted.slope


def _more_files(samples: Sequence[Sample], total: int) -> float:
    early = [it.files for it in samples if 0.25 * total <= it.learned <= 0.5 * total]
    late = [it.files for it in samples if it.learned >= 0.75 * total]
    return statistics.median(late) - statistics.median(early) if early and late else 0.0
