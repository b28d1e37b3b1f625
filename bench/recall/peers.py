"""What recall finds on LoCoMo: ATLES without and with MiniLM, beside mem0 and plain SQLite FTS5, by the public scorer.

    python -m bench recall [--no-peers]

Each is asked the same questions by `../shared/bench/locomo_recall.py`, in a process of its own. mem0 takes the turns as
they are (`infer=False`), so no language model has a part in it; its vectors come from the same MiniLM as ATLES's. It
lives in a virtual environment of its own (`bench/results/.venv-mem0`, of requirements/bench-recall.txt), and its
process may not use the network.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.figures import ROOT, Figure, say

SCORER = ROOT.parent / "shared/bench/locomo_recall.py"
LOCOMO = ROOT.parent / "shared/data/locomo10.json"
REQUIREMENTS = ROOT / "requirements/bench-recall.txt"
VENV = ROOT / "bench/results/.venv-mem0"
ATLES, MINILM, MEM0, FTS5 = "atles", "atles, MiniLM", "mem0, MiniLM", "SQLite FTS5"
LEAST = {ATLES: (80.0, 52.0), MINILM: (82.5, 56.0)}  # recall@10 in percent: of all questions, of multi-hop ones
_CONVERSATIONS = 10  # of the whole of LoCoMo; the targets are for that
_LONGEST_SECONDS = 3600


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--locomo", type=Path, metavar="FILE", default=LOCOMO, help="LoCoMo's questions [%(default)s]")
    parser.add_argument("--conversations", type=int, metavar="N", help="only the first N, without targets [all]")
    parser.add_argument("--no-peers", action="store_true", help="ATLES alone, without mem0 and FTS5")


def measure(options: argparse.Namespace) -> list[Figure]:
    missing = [str(file) for file in (SCORER, options.locomo) if not file.is_file()]
    if missing:
        raise RuntimeError(f"LoCoMo and its scorer may not be part of this repository; not there: {', '.join(missing)}")
    results, left_out = {}, {}
    for kind in (ATLES, MINILM) if options.no_peers else (ATLES, MINILM, MEM0, FTS5):
        try:
            python = mem0_python() if kind == MEM0 else sys.executable
            results[kind] = run(kind, python, options.locomo, options.conversations)
        except RuntimeError as error:
            if kind != MEM0:
                raise
            left_out[kind] = f"{kind} left out: {' '.join(str(error).split())}"
            say(f"recall: {left_out[kind]}")
        else:
            say(f"recall: {kind}: {json.dumps(results[kind])}")
    whole = options.conversations is None or options.conversations >= _CONVERSATIONS
    return [figure for kind, it in results.items() for figure in figures(kind, it, whole, left_out)]


def figures(kind: str, it: dict[str, Any], whole: bool, left_out: dict[str, str]) -> list[Figure]:
    overall, multi_hop = LEAST.get(kind, (None, None)) if whole else (None, None)
    said = "; ".join([it["about"], f"{it['questions']} questions", *(left_out.values() if kind == FTS5 else ())])
    cpu = f"{it['index_cpu_s']:.3g} CPU-s"
    return [
        Figure(f"{kind}: recall@10", it["recall"], "%", note=said, least=overall),
        Figure(f"{kind}: recall@10, multi-hop", it["multi_hop"], "%", least=multi_hop),
        Figure(f"{kind}: query, CPU p50", it["query_cpu_ms"], "ms", note=f"{it['query_ms']:.3g} ms wall, for 20 turns"),
        Figure(f"{kind}: index", it["index_s"], "s", note=f"per 1,000 turns; {cpu}"),
    ]


def run(kind: str, python: str, locomo: Path, conversations: int | None) -> dict[str, Any]:
    """What one of them scores and costs, from a fresh process."""
    with tempfile.TemporaryDirectory(prefix="atles-bench-") as scratch:
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1",
            "MEM0_TELEMETRY": "False", "MEM0_DIR": str(Path(scratch) / "mem0"), "OPENAI_API_KEY": "none",
        }  # fmt: skip
        job = {"kind": kind, "locomo": str(locomo.resolve()), "conversations": conversations, "scratch": scratch}
        try:
            answer = subprocess.run(
                [python, "-m", "bench.recall.peers", json.dumps(job)],
                cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{kind} was not done after {_LONGEST_SECONDS} s") from error
    if answer.returncode:
        raise RuntimeError(f"{kind} ended with code {answer.returncode}: {answer.stderr.strip()[-600:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def mem0_python() -> str:
    """The interpreter of mem0's virtual environment, made where it is missing or was made of other versions."""
    python, stamp = VENV / "bin/python", VENV / "made-of.txt"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return str(python)
    say(f"recall: making {VENV} for mem0")
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.parent.mkdir(parents=True, exist_ok=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(REQUIREMENTS)]
    for command in ([sys.executable, "-m", "venv", str(VENV)], install):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise RuntimeError(f"mem0 cannot be installed; {' '.join(command)} said: {answer.stderr.strip()[-300:]}")
    stamp.write_text(wanted, "utf-8")
    return str(python)


# What runs in a process of its own. The scorer makes one retriever per conversation: index(), search(), close().


class Fts5:
    """SQLite's full-text search as it comes: stemmed words, any of the question's, by bm25."""

    def index(self, conversation: dict[str, Any]) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.execute("CREATE VIRTUAL TABLE turns USING fts5(id UNINDEXED, body, tokenize='porter unicode61')")
        rows = [(turn["id"], spoken(turn)) for session in conversation["sessions"] for turn in session["turns"]]
        self._db.executemany("INSERT INTO turns VALUES (?, ?)", rows)

    def search(self, question: str, k: int) -> list[str]:
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(re.findall(r"\w+", question.lower())))
        found = self._db.execute("SELECT id FROM turns WHERE turns MATCH ? ORDER BY bm25(turns) LIMIT ?", (words, k))
        return [row[0] for row in found]

    def close(self) -> None:
        self._db.close()


def spoken(turn: dict[str, Any]) -> str:
    return f"{turn['speaker']}: {turn['text']} {turn['caption']}".strip()


def mem0_retriever(scratch: Path) -> type:
    """mem0 with its default vector store (Qdrant, local); all conversations share it, each as a user of its own."""
    from mem0 import Memory
    from mem0.embeddings.base import EmbeddingBase
    from mem0.utils.factory import EmbedderFactory

    from atles.serving.embedder import DIM, Embedder

    embedder = Embedder(scratch / "embed")

    class MiniLM(EmbeddingBase):
        """The vectors that ATLES has, too."""

        def embed(self, text: str, memory_action: str | None = None) -> list[float]:
            vector = memoryview(embedder.embed([text])[0]).cast("b")
            return [number / 127 for number in vector]

    # mem0 knows its embedders by name, and checks the name against a list.
    globals()["MiniLM"] = MiniLM
    EmbedderFactory.provider_to_class["huggingface"] = f"{__name__}.MiniLM"
    store = {"collection_name": "locomo", "path": str(scratch / "qdrant"), "embedding_model_dims": DIM}
    memory = Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "embedder": {"provider": "huggingface", "config": {"embedding_dims": DIM}},
            "llm": {"provider": "openai", "config": {"api_key": "none"}},  # made, never asked
            "history_db_path": str(scratch / "history.db"),
        }
    )

    class Mem0:
        def index(self, conversation: dict[str, Any]) -> None:
            self._user = str(conversation["id"])
            for session in conversation["sessions"]:
                for turn in session["turns"]:
                    role = "user" if turn["speaker"] == conversation["speakers"][0] else "assistant"
                    message = {"role": role, "name": turn["speaker"], "content": spoken(turn)}
                    known = {"dialog": turn["id"], "when": session["iso"]}
                    memory.add([message], user_id=self._user, metadata=known, infer=False)

        def search(self, question: str, k: int) -> list[str]:
            found = memory.search(question, top_k=k, filters={"user_id": self._user})
            return [hit["metadata"]["dialog"] for hit in found["results"]]

    return Mem0


def retriever(kind: str, scratch: Path) -> tuple[type, str]:
    """What the scorer asks, and what a reader should know of it."""
    if kind == FTS5:
        return Fts5, f"SQLite {sqlite3.sqlite_version}"
    if kind == MEM0:
        made = mem0_retriever(scratch)
        return made, f"mem0 {version('mem0ai')}, infer=False, Qdrant local, without its extras fastembed and spaCy"
    from atles import __version__
    from bench.recall import locomo

    weights = "weights learned without the conversation asked"
    return (locomo.RetrieverMiniLM if kind == MINILM else locomo.Retriever), f"atles {__version__}, {weights}"


def timed(made: type, costs: dict[str, list[float]]) -> Callable[[], Any]:
    """The same retriever; its CPU time goes to `costs`, with that of the process that makes the vectors."""

    class Timed(made):
        def index(self, conversation: dict[str, Any]) -> None:
            began = _cpu_seconds()
            super().index(conversation)
            costs["index"].append(_cpu_seconds() - began)

        def search(self, question: str, k: int) -> list[str]:
            began = _cpu_seconds()
            found = super().search(question, k)
            costs["search"].append(_cpu_seconds() - began)
            return found

    return Timed


def _cpu_seconds() -> float:
    """Of this process and of those that it has started and that still run. A program is started for good here."""
    total = time.process_time()
    for task in Path("/proc/self/task").glob("*/children"):
        for child in task.read_text().split():
            total += time.clock_gettime((~int(child) << 3) | 2)  # the clock of all its threads, in nanoseconds
    return total


def no_network() -> list[str]:
    """From here on, this process gets no connection; the list says what was tried."""
    tried: list[str] = []

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            tried.append(f"{event} {arguments[:2] if event == 'socket.getaddrinfo' else arguments[1:]}")
            raise OSError("no network in this benchmark")

    sys.addaudithook(refuse)
    return tried


def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("locomo_recall", SCORER)
    assert spec and spec.loader  # it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    job = json.loads(sys.argv[1])
    tried = no_network()
    made, about = retriever(job["kind"], Path(job["scratch"]))
    costs: dict[str, list[float]] = {"index": [], "search": []}
    asked = timed(made, costs)
    result = scorer().evaluate(job["locomo"], asked, ks=(5, 10, 20), limit=job["conversations"])
    if tried:
        raise RuntimeError(f"{job['kind']} tried to reach the network: {tried[:3]}")
    groups, timing = result["groups"], result["timing"]
    found = {
        "about": about,
        "questions": groups["overall"]["n"],
        "recall": 100 * groups["overall"]["recall@10"],
        "multi_hop": 100 * groups["multi-hop"]["recall@10"],
        "query_cpu_ms": 1000 * statistics.median(costs["search"]),
        "query_ms": timing["query_ms_p50"],
        "index_s": timing["index_s_per_1k_turns"],
        "index_cpu_s": 1000 * sum(costs["index"]) / timing["turns"],
        "cpu_s": _cpu_seconds(),
    }
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in found.items()}))


if __name__ == "__main__":
    main()
