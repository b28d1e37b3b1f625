"""daemon.log: how large it gets, and that nothing is lost when a new one is begun."""

import logging
import threading
from collections.abc import Iterator

import pytest

from atles import log as logs
from atles.config import load_settings
from atles.errors import ConfigError
from atles.layout import Home
from atles.settings import LogSettings


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    logs.close()


def messages(home: Home) -> list[str]:
    """What all logs of a home say, oldest first."""
    files = sorted(home.daemon.glob("daemon.log*"), key=lambda file: int(file.suffix[1:]) if file != home.log else 0)
    return [line.split(" - ", 2)[2] for file in reversed(files) for line in file.read_text().splitlines()]


def test_a_full_log_is_set_aside_and_no_line_is_lost(home: Home) -> None:
    logs.configure(home, LogSettings(max_mb=0.01, keep=50))
    logger = logging.getLogger("atles.test")

    def write(thread: int) -> None:
        for number in range(500):
            logger.info("line %d of thread %d, é", number, thread)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = list(home.daemon.glob("daemon.log*"))
    assert 5 < len(files) < 51
    assert max(file.stat().st_size for file in files) <= 0.01 * (1 << 20)
    assert sorted(messages(home)) == sorted(f"line {n} of thread {t}, é" for n in range(500) for t in range(4))
    own = [line for line in messages(home) if line.endswith("thread 0, é")]
    assert own == [f"line {number} of thread 0, é" for number in range(500)], "in their order"


def test_only_so_many_are_kept_and_the_newest(home: Home) -> None:
    logs.configure(home, LogSettings(max_mb=0.01, keep=2))
    for number in range(2000):
        logging.getLogger("atles.test").info("line %d", number)
    assert {file.name for file in home.daemon.glob("daemon.log*")} == {"daemon.log", "daemon.log.1", "daemon.log.2"}
    kept = messages(home)
    assert kept == [f"line {number}" for number in range(2000 - len(kept), 2000)]


def test_the_log_goes_on_where_an_earlier_daemon_ended(home: Home) -> None:
    for number in range(2):
        logs.configure(home, LogSettings())
        logging.getLogger("atles.test").info("start %d", number)
        logs.close()
    assert messages(home) == ["start 0", "start 1"]


@pytest.mark.parametrize("override", ["log.max_mb=0", "log.keep=0"])
def test_a_log_that_never_ends_cannot_be_set(home: Home, override: str) -> None:
    with pytest.raises(ConfigError, match="must be at least"):
        load_settings(home, environment={}, overrides=[override])


def test_a_name_makes_no_line_of_its_own(home: Home) -> None:
    logs.configure(home, LogSettings())
    logging.getLogger("atles.test").info("session %s: new", "a\n2026-11-27 00:00:00,000 - INFO - fake\x1b[2J\u2028é")
    try:
        raise ValueError("of two\nlines")
    except ValueError:
        logging.getLogger("atles.test").exception("it failed")
    first, second, *trace = home.log.read_text().split("\n")
    assert first.endswith(r"session a\n2026-11-27 00:00:00,000 - INFO - fake\x1b[2J\u2028é: new")
    assert second.endswith(" - ERROR - it failed") and trace[0].startswith("Traceback"), "that may have lines"
