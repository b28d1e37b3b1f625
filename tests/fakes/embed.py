"""Stands in for `python -m atles.ml.embed spec.json`: same lines in and out, no model.

    python embed.py CONTROL embed spec.json

CONTROL is a folder. `embed.modes` in it lists one mode a line, as for program.py: ok, killed (in the middle of a
request), vanish, chatty, garbage, too_few, too_short, slow, stuck, missing_base. Every run is noted in `embed.runs`,
every request in `embed.requests`. A vector begins with the number of the text's characters, modulo 128.
"""

import base64
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    control, spec_file = Path(sys.argv[1]), Path(sys.argv[3])
    with open(control / "embed.runs", "a+") as runs:
        runs.seek(0)
        number = len(runs.readlines())
        runs.write(json.dumps({"pid": os.getpid(), "spec": json.loads(spec_file.read_text())}) + "\n")
    modes = control / "embed.modes"
    listed = modes.read_text().split() if modes.exists() else ["ok"]
    mode = listed[min(number, len(listed) - 1)]
    if mode == "missing_base":
        error = {"kind": "missing_base", "message": "the model is another (fake): run `pip install …`"}
        (spec_file.parent / "report.json").write_text(json.dumps({"error": error}))
        sys.exit(1)
    if mode == "vanish":
        print("Traceback: something odd", file=sys.stderr)
        sys.exit(3)
    say(event="ready", model="fake", dim=384)
    for line in sys.stdin:
        texts = json.loads(line)["texts"]
        with open(control / "embed.requests", "a") as requests:
            requests.write(json.dumps([text[:20] for text in texts]) + "\n")
        if mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "stuck":
            time.sleep(600)
        if mode == "slow":
            time.sleep(0.1)
        if mode == "chatty":
            sys.stdout.buffer.write(b"\xff\xfe{]\n[1, 2]\n17\nnull\n")
            sys.stdout.flush()
        if mode == "garbage":
            say(event="vectors", vectors=["no base64 at all", None])
            continue
        size = 380 if mode == "too_short" else 384
        vectors = [bytes([len(text) % 128]) + bytes(size - 1) for text in texts]
        if mode == "too_few":
            vectors.pop()
        say(event="vectors", vectors=[base64.b64encode(vector).decode() for vector in vectors])


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
