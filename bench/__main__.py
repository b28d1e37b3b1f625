"""Runs the benchmarks, all or the named ones, and prints a table of each.

    python -m bench                                  all but learn and soak: about 40 minutes on 2 cores
    python -m bench learn                            hours; what was done is kept, so it can be interrupted
    python -m bench soak                             half an hour
    python -m bench import daemon --json figures.json

Exit code 1 if a target is missed or a benchmark could not run.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

from bench.figures import machine, say, table

BENCHMARKS = {
    "import": "bench.imports",
    "daemon": "bench.daemon",
    "gateway": "bench.gateway",
    "learn": "bench.learn",
    "memory": "bench.memory",
    "recall": "bench.recall.peers",
    "scale": "bench.scale",
    "served": "bench.served",
    "soak": "bench.soak",
    "training": "bench.training",
    "turns": "bench.recall.turns",
}
LONG = ("learn", "soak")  # run if they are named


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What ATLES costs, measured on this machine.")
    unnamed = f"all but {' and '.join(LONG)} if none is named"
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; {unnamed}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too; - for stdout")
    modules = {name: importlib.import_module(module) for name, module in BENCHMARKS.items()}
    for name, module in modules.items():
        module.add_arguments(parser.add_argument_group(name))
    options = parser.parse_args()
    if unknown := set(options.names) - set(modules):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(modules)}")

    report = {"machine": machine(), "figures": {}, "errors": {}}
    say(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    tables = []
    for name in options.names or [name for name in modules if name not in LONG]:
        say(f"{name}: {modules[name].__doc__.splitlines()[0]}")
        try:
            figures = modules[name].measure(options)
        except RuntimeError as error:  # the others are still worth having
            say(f"{name} could not run: {error}")
            report["errors"][name] = str(error)
            continue
        report["figures"][name] = [figure.as_json() for figure in figures]
        tables.append(table(name, figures))
        print(f"\n{tables[-1]}\n", flush=True)
        _write(report, options.json)
    _write(report, options.json, to_stdout=True)
    missed = [figure for figures in report["figures"].values() for figure in figures if figure["met"] is False]
    return 1 if missed or report["errors"] else 0


def _write(report: dict, file: Path | None, *, to_stdout: bool = False) -> None:
    """After every benchmark, so that a run that is interrupted leaves what it has."""
    text = json.dumps(report, indent=2)
    if file and str(file) != "-":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", "utf-8")
    elif file and to_stdout:
        print(text)


if __name__ == "__main__":
    sys.exit(main())
