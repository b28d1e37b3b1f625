"""What `from atles import SessionTracker` costs a host application, beyond starting Python.

    python bench/tracker_import.py [--json]

Milliseconds in fresh interpreters, medians; bytecode is cached, as it is in any installation. The budget is 50 ms.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 40
IMPORT = """
import sys, time
modules, begin = len(sys.modules), time.perf_counter()
from atles import SessionTracker
imported = time.perf_counter()
tracker = SessionTracker(home=sys.argv[1])
tracker.log_message("user", "Hello")
first = time.perf_counter()
for _ in range(1000):
    tracker.log_message("assistant", "Hi there!")
logged = time.perf_counter()
tracker.end_session()
print((imported - begin) * 1e3, (first - imported) * 1e3, logged - first, (time.perf_counter() - logged) * 1e3)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": f"{scratch}/bytecode"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        rows = []
        for number in range(ROUNDS + 1):
            command = [sys.executable, "-c", IMPORT, f"{scratch}/home{number}"]
            answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            rows.append([float(figure) for figure in answer.stdout.split()])
    imported, first, message, end = (statistics.median(column) for column in zip(*rows[1:], strict=True))
    figures = {
        "import_ms": round(imported, 1),
        "import_fastest_ms": round(min(row[0] for row in rows), 1),
        "budget_ms": 50,
        "first_message_ms": round(first, 1),
        "message_ms": round(message, 3),
        "end_session_1000_messages_ms": round(end, 1),
    }
    if "--json" in sys.argv:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
