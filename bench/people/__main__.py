"""Checks a folder of people and controls: `python -m bench.people [FOLDER]`. Exit code 1 where it is not of the
form."""

import sys
from collections import Counter
from pathlib import Path

from bench.people import HERE, KINDS, load


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    found = load(folder)
    print(f"{folder}: {len(found.people)} people, {len(found.controls)} controls")
    for person in found.people:
        kinds = Counter(probe.kind for probe in person.probes)
        counts = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        print(f"  {person.name}: {len(person.sessions)} sessions; {counts}")
    for remark in found.remarks:
        print(f"  remark: {remark}")
    for problem in found.problems:
        print(f"  PROBLEM: {problem}")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
