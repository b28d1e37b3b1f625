"""Kill ATLES again and again while sessions keep coming, and see whether each is learned once.

    python -m tests.chaos --kills 200 --seed 7
    python -m tests.chaos --minutes 60 --json

The exit code is 1 if a session was lost or learned twice, or anything else is not as it must be. The home is then kept.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atles.config import load_settings
from bench import postgres
from tests.chaos import boundaries
from tests.chaos.driver import Driver, Kill, endless, plan
from tests.chaos.verdict import Verdict, judge

_SHOWN = 40  # of what is wrong


def main() -> int:
    options = _options()
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="atles-chaos-"))
    say = (lambda words: print(words, file=sys.stderr, flush=True)) if options.verbose else (lambda words: None)
    driver = Driver(folder, seed, store=_store(options.store), workers=options.workers, say=say)
    chance = random.Random(f"plan {seed}")
    stopped = ""
    try:
        if options.minutes:
            driver.run(endless(chance, options.workers), options.minutes * 60)
        else:
            driver.run(plan(chance, options.kills, options.workers))
    except AssertionError as error:
        stopped = str(error)
    outcome = _outcome(driver, stopped)
    length = f"--minutes {options.minutes:g}" if options.minutes else f"--kills {options.kills}"
    outcome["again"] = f"python -m tests.chaos {length} --seed {seed} --store {options.store}"
    outcome["again"] += f" --workers {options.workers}" if options.workers else ""
    if outcome["good"]:
        shutil.rmtree(folder)
    else:
        outcome["kept"] = str(folder)
    if options.json:
        print(json.dumps(outcome, indent=2, ensure_ascii=False))
    else:
        _show(outcome)
    return 0 if outcome["good"] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--kills", type=int, default=200, help="so many (200)")
    length.add_argument("--minutes", type=float, default=0.0, help="or for so long")
    parser.add_argument("--seed", type=int, help="of an earlier run, to have the same kills in the same order")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--workers", type=int, default=0, help="so many `atles worker` beside the daemon (postgresql)")
    parser.add_argument("--json", action="store_true", help="say it as one JSON object")
    parser.add_argument("--verbose", action="store_true", help="say each kill on stderr")
    options = parser.parse_args()
    if options.workers and options.store == "sqlite":
        parser.error("workers need a store that can be shared: --store postgresql")
    return options


def _store(kind: str) -> tuple[str, ...]:
    """The settings of a new store. What a killed worker held is free when its lease is over, on PostgreSQL."""
    if kind == "sqlite":
        return ()
    return f"store.url={postgres.server().database()}", "queue.lease_seconds=3"


def _outcome(driver: Driver, stopped: str) -> dict[str, Any]:
    """What became of a run; `stopped` is why it could not end."""
    run, ledger = driver.so_far, driver.ledger
    kills = sum(run.killed.values())
    verdict = Verdict([], [], [])
    if not stopped:
        verdict = judge(
            driver.home, ledger, load_settings(driver.home, environment={}, overrides=driver.settings), kills
        )
    wrong = [*([stopped] if stopped else []), *run.wrong, *verdict.wrong]
    return {
        "good": not (verdict.lost or verdict.duplicated or wrong),
        "kills": kills,
        "seconds": round(run.seconds, 1),
        "sessions": ledger.handed_over,
        "answers": len(ledger.turns),
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "wrong": wrong,
        "killed": [
            {"victim": it.victim, "where": it.where, "times": n} for it, n in sorted(run.killed.items(), key=_order)
        ],
        "boundaries_not_reached": sorted(set(boundaries.ALL) - {it.where for it in run.killed}),
    }


def _order(item: tuple[Kill, int]) -> tuple[str, int]:
    kill, _ = item
    return kill.victim, boundaries.ALL.index(kill.where) if kill.where in boundaries.ALL else -1


def _show(outcome: dict[str, Any]) -> None:
    print(f"{'victim':16}{'where':44}kills")
    for row in outcome["killed"]:
        print(f"{row['victim']:16}{row['where']:44}{row['times']:5}")
    missed: Sequence[str] = outcome["boundaries_not_reached"]
    print(f"{len(boundaries.ALL) - len(missed)} of {len(boundaries.ALL)} boundaries", *missed, sep="\n  not reached: ")
    print(
        f"{outcome['kills']} kills in {outcome['seconds']:g} s; {outcome['sessions']} sessions and "
        f"{outcome['answers']} answers of the gateway were handed over"
    )
    for kind in ("lost", "duplicated", "wrong"):
        print(f"{kind} {len(outcome[kind])}", *outcome[kind][:_SHOWN], sep="\n  ")
    print(f"again: {outcome['again']}")
    if "kept" in outcome:
        print(f"the home is kept in {outcome['kept']}")


if __name__ == "__main__":
    sys.exit(main())
