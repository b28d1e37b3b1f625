"""How fast the built-in model server answers: llama.cpp alone, and through ATLES with recording, base and adapter.

    python -m bench served [--served-home HOME]

All with the same threads, by turns in one run: the same 128 tokens after the same prompt, one chat at a time. An
adapter is asked, too, where a home is given in which one was promoted (`make demo` leaves one: atles_demo).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from atles import wheel
from atles.config import load_settings
from atles.layout import Home
from bench.figures import Figure, say
from bench.gateway.program import Program

_TOKENS, _ROUNDS = 128, 8
_PROMPT = "Tell me a long story about a lighthouse keeper and the sea."


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--served-home", type=Path, metavar="HOME", help="served: ask the adapter of this home, too")


def measure(options: argparse.Namespace) -> list[Figure]:
    gguf = wheel.gguf()
    if gguf is None:
        raise RuntimeError(f"the base model is not installed: {wheel.INSTALL}")
    with tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch:
        folder = Path(scratch)
        home = options.served_home or folder / "home"
        programs = [
            Program("llama.cpp", [sys.executable, "-m", "bench.served", "alone", str(gguf)], folder / "alone.log"),
            Program("ATLES", [sys.executable, "-m", "bench.served", "gateway", str(home)], folder / "ours.log"),
        ]
        ways = {"llama.cpp alone": (programs[0].url, "base"), "base": (programs[1].url, "atles:base")}
        if options.served_home:
            ways["adapter"] = (programs[1].url, "atles")
        try:
            speeds: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(_ROUNDS + 1):
                for way, (url, model) in ways.items():
                    speed = _tokens_a_second(url, model)
                    if number:  # the first round starts the servers
                        speeds[way].append(speed)
                say(", ".join(f"{way} {values[-1]:.0f}" for way, values in speeds.items() if values) or "started")
        finally:
            for program in programs:
                program.stop()
    alone = statistics.median(speeds.pop("llama.cpp alone"))
    figures = [Figure("llama.cpp alone", alone, "tokens/s", note=f"one chat, {_TOKENS} tokens, median of {_ROUNDS}")]
    for way, values in speeds.items():
        name, median = f"through ATLES, {way}", statistics.median(values)
        least = 0.8 if way == "base" else None
        figures += [Figure(name, median, "tokens/s"), Figure(f"{name} / alone", median / alone, "", least=least)]
    return figures


def _tokens_a_second(url: str, model: str) -> float:
    body = {
        "model": model, "max_tokens": _TOKENS, "temperature": 0, "ignore_eos": True,
        "messages": [{"role": "user", "content": _PROMPT}],
    }  # fmt: skip
    headers = {"Content-Type": "application/json", "X-Atles-Memory": "off"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.perf_counter()
    with opener.open(request, timeout=300) as answer:
        made = json.load(answer)["usage"]["completion_tokens"]
    return made / (time.perf_counter() - began)


def _alone(gguf: str) -> None:
    """llama.cpp's own server as it comes, but for the threads and the context, which are those of ATLES's."""
    import xllamacpp

    from atles.ml.serve import Spec, parameters

    given, ours = xllamacpp.CommonParams(), parameters(Spec(gguf), "v")
    given.model.path, given.port = gguf, 0
    given.n_ctx, given.n_parallel = ours.n_ctx, ours.n_parallel
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = ours.cpuparams.n_threads
    server = xllamacpp.Server(given)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


def _gateway(folder: str) -> None:
    from dataclasses import replace

    from atles.daemon import LearningDaemon

    home = Home(folder)
    settings = load_settings(home)
    settings = replace(
        settings,
        gateway=replace(settings.gateway, port=0, enabled=True),
        train=replace(settings.train, enabled=False),
    )
    daemon = LearningDaemon(home, settings, embedded=False, gateway=True)
    daemon.start()
    print(f"{daemon.gateway_url}/v1", flush=True)
    sys.stdin.read()
    daemon.stop()


if __name__ == "__main__":
    {"alone": _alone, "gateway": _gateway}[sys.argv[1]](sys.argv[2])
