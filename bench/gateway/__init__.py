"""What the gateway costs beside a model server: CPU of a request, added latency, requests per second, memory.

    python -m bench gateway [--gateway-rounds 10] [--with-litellm]

Direct, through a bare pass-through of aiohttp, through ATLES without and with memory, and through LiteLLM, all before
one model server that takes no time; in short bursts, one after the other, in another order in each round. Needs Linux.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from atles.layout import Home
from bench.figures import ROOT, Figure, say
from bench.gateway import litellm
from bench.gateway.homes import answered, remembering
from bench.gateway.load import TURNS, Asker
from bench.gateway.program import Program
from bench.gateway.tables import Bursts, figures
from bench.gateway.upstream import EVENTS, PACE_SECONDS
from bench.recall.made import TURNS as STORED
from bench.recall.made import maker, question, texts
from bench.sessions import TOPICAL_CHAT

DIRECT, BARE, ATLES, REMEMBERING, LITELLM = "direct", "aiohttp", "ATLES", "ATLES + memory", "LiteLLM"
GROWING = "ATLES, many conversations"
# Name, model, stream, at once. Streams at once and as a real server sends them, a token every 5 ms.
KINDS = (
    ("plain", "fake", False, 1), ("plain", "fake", False, 16), ("plain", "fake", False, 64),
    ("stream", "fake", True, 1), ("stream", "fake", True, 16), ("stream", "fake", True, 64),
    ("paced", "fake-paced", True, 1), ("paced", "fake-paced", True, 16),
)  # fmt: skip
_QUESTIONS = 300
_FILES = 500
_WARM = 64
_PACED_TIMES = 2.5
_AFTER_SECONDS = 0.05  # what a proxy does after its last answer belongs to the burst
MISSING_TARGET = 0


@dataclass
class Proxy:
    """Who is asked, and what came of it by kind of burst. `home` is where ATLES records."""

    name: str
    program: Program
    asker: Asker
    key: str = ""
    home: Home | None = None
    bursts: Bursts = field(default_factory=dict)


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--gateway-rounds", type=int, default=10, help="rounds of bursts [%(default)s]")
    parser.add_argument("--gateway-seconds", type=float, default=0.6, help="length of a burst [%(default)g]")
    parser.add_argument(
        "--gateway-requests", type=int, default=10_000, help="of many conversations, before memory is looked at again"
    )
    parser.add_argument("--gateway-turns", type=int, default=100_000, help="stored where memory is on [%(default)s]")
    parser.add_argument("--gateway-from", type=Path, default=TOPICAL_CHAT, metavar="FILE", help="a Topical-Chat file")
    parser.add_argument(
        "--gateway-cache", type=Path, default=ROOT / "bench/results/gateway", metavar="DIR",
        help="keep the store and LiteLLM there [bench/results/gateway]",
    )  # fmt: skip
    parser.add_argument("--with-litellm", action="store_true", help="measure LiteLLM, too; installed there by pip")


def measure(options: argparse.Namespace) -> list[Figure]:
    if not sys.platform.startswith("linux"):
        raise RuntimeError("proxies are measured through /proc, which only Linux has")
    if options.with_litellm:
        litellm.install(options.gateway_cache)
    else:
        say("gateway: LiteLLM is not measured; --with-litellm installs and measures it")
    said, source = texts(options.gateway_from)
    session = maker(said)
    stored = options.gateway_turns // STORED
    questions = [question(session, stored, number) for number in range(_QUESTIONS)]
    with tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch, ExitStack() as running:
        folder = Path(scratch)
        created = _creating(folder)
        full = Home(folder / REMEMBERING)
        remembering(full, options.gateway_cache, session, source, options.gateway_turns)
        upstream = running.enter_context(_python("upstream", folder, "upstream"))

        def ours(name: str, memory: str) -> Proxy:
            home = Home(folder / name)
            program = _python(name, folder, "ours", str(home.root), upstream.url, memory)
            return Proxy(name, running.enter_context(program), Asker(questions), home=home)

        bare = running.enter_context(_python(BARE, folder, "bare", upstream.url))
        proxies = [Proxy(DIRECT, upstream, Asker(questions)), Proxy(BARE, bare, Asker(questions))]
        proxies += [ours(ATLES, "off"), ours(REMEMBERING, "on")]
        if options.with_litellm:
            proxies.append(_litellm(options.gateway_cache, folder, upstream.url, questions, running.enter_context))
        say(f"gateway: {options.gateway_rounds} rounds of {len(proxies) * len(KINDS)} bursts")
        asyncio.run(_rounds(proxies, options.gateway_rounds, options.gateway_seconds))
        found = figures({proxy.name: proxy.bursts for proxy in proxies}, DIRECT)
        found += [_rss(proxy) for proxy in proxies[1:]]
        growing = ours(GROWING, "off")
        found += asyncio.run(_grow(growing, options.gateway_requests))
        for proxy in [*proxies, growing]:
            proxy.program.stop()
        recording = [proxy for proxy in [*proxies, growing] if proxy.home]
        return [*found, *(_missing(proxy) for proxy in recording), created]


async def _rounds(proxies: list[Proxy], rounds: int, seconds: float) -> None:
    for proxy in proxies:  # what is loaded once does not count
        for _, model, stream, _ in KINDS[::3]:
            await proxy.asker.burst(
                proxy.program.port, model=model, stream=stream, at_once=8, count=_WARM, key=proxy.key
            )
    for number in range(rounds):
        for kind in random.Random(f"kinds {number}").sample(KINDS, len(KINDS)):
            name, model, stream, at_once = kind
            # All proxies one after the other for each kind, so that what is subtracted was measured seconds ago.
            for proxy in random.Random(f"{number} {kind}").sample(proxies, len(proxies)):
                # A paced stream takes a quarter of a second: the burst is longer, and not all begin in one moment.
                longer, spread = (_PACED_TIMES, len(EVENTS) * PACE_SECONDS) if name == "paced" else (1.0, 0.0)
                cpu = proxy.program.cpu_seconds()
                burst = await proxy.asker.burst(
                    proxy.program.port, model=model, stream=stream, at_once=at_once, seconds=longer * seconds,
                    key=proxy.key, spread=spread,
                )  # fmt: skip
                await asyncio.sleep(_AFTER_SECONDS)
                spent = 1e3 * (proxy.program.cpu_seconds() - cpu)
                proxy.bursts.setdefault((name, at_once), []).append((burst, spent))


async def _grow(proxy: Proxy, requests: int) -> list[Figure]:
    """What memory a gateway takes before and after so many requests of as many conversations as that makes."""
    say(f"gateway: {requests:,} requests of {requests // TURNS:,} conversations")
    port, asker = proxy.program.port, proxy.asker
    await asker.burst(port, model="fake", stream=True, at_once=16, count=_WARM)
    before, cpu, began = proxy.program.rss_mb(), proxy.program.cpu_seconds(), time.monotonic()
    for stream in (False, True):
        await asker.burst(port, model="fake", stream=stream, at_once=16, count=requests // 2)
    spent = 1e3 * (proxy.program.cpu_seconds() - cpu) / requests
    note = f"{requests:,} requests in {time.monotonic() - began:.0f} s, half of them streams; {spent:.2f} CPU-ms each"
    after = proxy.program.rss_mb()
    return [
        Figure(f"{ATLES}: RSS before {requests:,} requests", before, "MB"),
        Figure(f"{ATLES}: RSS after {requests:,} requests", after, "MB", note=f"{requests // TURNS:,} conversations"),
        Figure(f"{ATLES}: RSS grown by", after - before, "MB", note=note),
    ]


def _rss(proxy: Proxy) -> Figure:
    note = f"{len(proxy.asker.answered):,} requests"
    return Figure(f"{proxy.name}: RSS after the bursts", proxy.program.rss_mb(), "MB", note=note)


def _missing(proxy: Proxy) -> Figure:
    assert proxy.home
    kept = answered(proxy.home)
    missing = [asked for asked in proxy.asker.answered if asked not in kept]
    note = f"of {len(proxy.asker.answered):,} that a client saw answered; in a journal or completed file"
    return Figure(f"{proxy.name}: exchanges not recorded", len(missing), "exchanges", MISSING_TARGET, note)


def _creating(folder: Path) -> Figure:
    """What depends on the disk: the gateway creates a file for every conversation and for every hand-over."""
    began = time.process_time()
    for number in range(_FILES):
        os.close(os.open(folder / f"empty-{number}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    spent = 1e3 * (time.process_time() - began) / _FILES
    note = f"below {tempfile.gettempdir()}, TMPDIR chooses; a conversation of {TURNS} answers creates two"
    return Figure("creating an empty file where the homes are", spent, "CPU-ms", note=note)


def _litellm(
    cache: Path, folder: Path, upstream: str, questions: list[str], running: Callable[[Program], Program]
) -> Proxy:
    made = litellm.LiteLLM(cache, folder, upstream)
    program = Program(
        LITELLM, made.command, folder / "litellm.log",
        url=made.url, ready=made.ready, seconds=made.start_seconds, environment=made.environment,
    )  # fmt: skip
    return Proxy(f"{LITELLM} {litellm.VERSION}", running(program), Asker(questions), key=made.key)


def _python(name: str, folder: Path, module: str, *arguments: str) -> Program:
    return Program(name, [sys.executable, "-m", f"bench.gateway.{module}", *arguments], folder / f"{name}.log")
