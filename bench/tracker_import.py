"""What `from atles import SessionTracker` costs a host application, beyond starting Python.

    python bench/tracker_import.py [--json]

Wall-clock of fresh interpreters, with and without the import, taken in turn; medians. The budget is 50 ms.
"""

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 30
IMPORT = "from atles import SessionTracker"
# What a first message adds: json, and the journal's file.
FIRST_MESSAGE = (
    "import tempfile; home = tempfile.mkdtemp(); "
    f"import time; t = time.perf_counter(); {IMPORT}; tracker = SessionTracker(home=home); "
    "tracker.log_message('user', 'Hello'); print((time.perf_counter() - t) * 1e3)"
)


def started(program: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return (time.perf_counter() - begin) * 1e3


def main() -> None:
    bare, loaded, first = [], [], []
    for _ in range(ROUNDS):
        bare.append(started("pass"))
        loaded.append(started(IMPORT))
        answer = subprocess.run([sys.executable, "-c", FIRST_MESSAGE], check=True, capture_output=True, text=True)
        first.append(float(answer.stdout))
    modules = subprocess.run(
        [sys.executable, "-c", f"import sys; n = len(sys.modules); {IMPORT}; print(len(sys.modules) - n)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    figures = {
        "interpreter_ms": round(statistics.median(bare), 1),
        "import_ms": round(statistics.median(loaded) - statistics.median(bare), 1),
        "import_and_first_message_ms": round(statistics.median(first), 1),
        "modules_loaded": int(modules.stdout),
        "budget_ms": 50,
    }
    if "--json" in sys.argv:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
