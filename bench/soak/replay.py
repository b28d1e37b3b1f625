"""Hands sessions to a daemon as fast as it takes them, and looks at it every few seconds. Knows no figures."""

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.figures import say
from bench.running import Running, settings
from bench.soak.lives import Maker
from bench.stores import Place

_LOOK_SECONDS = 0.1
_SENT_AGAIN = 100  # every so many files, an earlier one comes once more
_SILENCE_SECONDS = 300.0  # without a session learned: it is stuck
_SAY_SECONDS = 60.0
_TAUGHT = "select count(distinct session_id) from examples where withdrawn_at is null"
_NAME = re.compile(r"soak_\d+")  # of a session


@dataclass(frozen=True, slots=True)
class Sample:
    """The daemon at one moment: seconds since the start, sessions learned by then, MB, CPU seconds, bytes."""

    seconds: float
    learned: int
    rss_mb: float
    files: int
    threads: int
    cpu: float
    server_cpu: float
    database: int
    log: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Part:
    """Something in the home that grows: its files, their bytes, and what the disk gives for them."""

    name: str
    files: int
    bytes: int
    on_disk: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `wrong` says, in words, what was not learned exactly once; `dead` counts jobs."""

    samples: Sequence[Sample]
    parts: Sequence[Part]
    wrong: Sequence[str]
    dead: int

    def write(self, file: Path) -> None:
        """Every sample, as a JSON line."""
        file.write_text("".join(json.dumps(asdict(sample)) + "\n" for sample in self.samples), "utf-8")


def replay(place: Place, make: Maker, total: int, given: Sequence[str] = (), *, window: int, every: float) -> Outcome:
    """Have a daemon learn `total` sessions, `window` on their way at most, a sample `every` so many seconds. `given` is
    more for its command line. Raises RuntimeError if it stops learning."""
    off = settings(train_enabled="false", gateway_enabled="false")
    root, log = str(place.home.root), place.home.root.with_name("stderr.log")
    with Running("atles", "--home", root, *off, *place.settings, *given, "run", "--quiet", log=log) as daemon:
        feeder = _Feeder(place, make, total)
        taken = [_sample(place, daemon, 0.0)]
        began = heard = said = time.monotonic()
        while (learned := place.count("select count(*) from session_logs")) < total or place.jobs("waiting", "running"):
            now = time.monotonic()
            if learned > taken[-1].learned:
                heard = now
            if not daemon.alive() or now - heard > _SILENCE_SECONDS:
                raise RuntimeError(f"the daemon stopped learning after {learned:,} sessions: {daemon.errors()}")
            feeder.feed(learned, window)
            if now - began - taken[-1].seconds >= every:
                taken.append(_sample(place, daemon, now - began))
            if now - said >= _SAY_SECONDS:
                said = now
                say(f"soak: {learned:,} sessions, {taken[-1].rss_mb:.1f} MB, {taken[-1].jobs} jobs on their way")
            time.sleep(_LOOK_SECONDS)
        taken.append(_sample(place, daemon, time.monotonic() - began))
        dead = place.jobs("dead")
    return Outcome(taken, _parts(place), _wrong(place, total, feeder), dead)


class _Feeder:
    """Writes sessions where the daemon does not look, and renames them into its folder."""

    def __init__(self, place: Place, make: Maker, total: int) -> None:
        self._inbox, self._make, self._total = place.home.sessions, make, total
        self._stage = place.home.root.with_name("stage")  # on the same disk, so that a rename hands over
        self._stage.mkdir()
        self.sent = self.sent_again = self.messages = 0

    def feed(self, learned: int, window: int) -> None:
        """Hand over sessions until so many more than were learned are on their way; and some of those once more."""
        while self.sent < min(learned + window, self._total):
            self.messages += self._send(self.sent)
            self.sent += 1
            if self.sent % _SENT_AGAIN == 0 and self.sent_again < learned:
                self._send(self.sent_again)
                self.sent_again += 1

    def _send(self, number: int) -> int:
        session = self._make(number)
        file = self._stage / f"completed_{session['session_id']}.json"
        file.write_text(json.dumps(session), "utf-8")
        os.replace(file, self._inbox / file.name)
        return len(session["messages"])


def _sessions(folder: Path, pattern: str) -> int:
    """How many sessions have a file there with something in it: one that came twice, or whose data was made again, may
    have several."""
    files = (file for file in folder.glob(pattern) if file.stat().st_size)
    return len({found[0] for file in files if (found := _NAME.search(file.name))})


def _files(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern))


def _sample(place: Place, daemon: Running, seconds: float) -> Sample:
    return Sample(
        seconds, place.count("select count(*) from session_logs"), daemon.memory_mb()["rss"], daemon.open_files(),
        daemon.threads(), daemon.cpu_seconds(), place.server_cpu_seconds(), place.bytes(), place.log_bytes(),
        place.jobs("waiting", "running"),
    )  # fmt: skip


def _parts(place: Place) -> list[Part]:
    home = place.home
    named = {
        "processed/": home.processed,
        "training_data/": home.training_data,
        "session logs": home.logs,
        "daemon.log": home.daemon,
    }
    parts = [Part("database", 1, place.bytes(), place.bytes())]
    for name, folder in named.items():
        pattern = "daemon.log*" if name == "daemon.log" else "**/*"
        found = [file.stat() for file in folder.glob(pattern) if file.is_file()]
        parts.append(Part(name, len(found), sum(it.st_size for it in found), sum(it.st_blocks * 512 for it in found)))
    return parts


def _wrong(place: Place, total: int, feeder: _Feeder) -> list[str]:
    """Everything that was counted, and is not what it must be after each session was learned once."""
    home = place.home
    logged = [json.loads(line)["session_id"] for line in home.master_log.read_text("utf-8").splitlines()]
    counts = {
        "sessions stored": (place.count("select count(*) from sessions"), total),
        "messages stored": (place.count("select count(*) from messages"), feeder.messages),
        "memory steps": (place.count("select count(*) from steps where step = 'memory' and error = ''"), total),
        "data steps": (place.count("select count(*) from steps where step = 'data' and error = ''"), total),
        "session logs": (place.count("select count(*) from session_logs"), total),
        "steps that took more than one try": (place.count("select count(*) from steps where attempts <> 1"), 0),
        "sessions in the master log": (len(set(logged)), total),
        "sessions with a log file": (_sessions(home.logs, "session_log_*.json"), total),
        "sessions with examples in a file": (_sessions(home.training_data, "training_*.jsonl"), place.count(_TAUGHT)),
        "sessions with a file in processed/": (_sessions(home.processed, "completed_*.json"), total),
        "files in quarantine/": (_files(home.quarantine, "*"), 0),
        "files left in sessions/": (_files(home.sessions, "completed_*.json"), 0),
    }
    return [f"{name}: {found:,}, not {wanted:,}" for name, (found, wanted) in counts.items() if found != wanted]
