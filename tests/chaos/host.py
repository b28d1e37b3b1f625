"""A chat application with a SessionTracker, as a process of its own, to be killed.

    python -m tests.chaos.host HOME NAME PACE

It has one session after the other and says on stdout what it was told has happened, when it has: {"session": id} it
began, {"session": id, "said": [role, words]}, {"session": id, "file": name} it was handed over. It ends when its
standard input does.
"""

import json
import os
import random
import sys
import threading
import time

from atles.capture.tracker import SessionTracker
from tests.chaos.traffic import crowded


def main() -> None:
    root, name, pace = sys.argv[1], sys.argv[2], float(sys.argv[3])
    chance, over = random.Random(name), threading.Event()
    threading.Thread(target=wait_for_end, args=(over,), daemon=True).start()
    tracker, number = SessionTracker(home=root), 0
    while not over.is_set():
        number += 1
        session = f"host_{name}_{number}"
        # Before, not after: of one that was killed in between nobody could say whether it had begun.
        print(json.dumps({"session": session}), flush=True)
        while crowded(tracker.home) and not over.is_set():
            time.sleep(pace)
        tracker.start_session(session)
        for turn in range(chance.randint(1, 5)):
            for role, words in (
                ("user", f"What is in crate {turn} of {session}?"),
                ("assistant", f"Crate {turn} of {session} holds part {chance.randrange(10**6)}."),
            ):
                tracker.log_message(role, words)
                print(json.dumps({"session": session, "said": [role, words]}), flush=True)
                time.sleep(chance.uniform(0, pace / 4))
        path = tracker.end_session()
        assert path is not None, "the disk is there"
        print(json.dumps({"session": session, "file": path.name}), flush=True)


def wait_for_end(over: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    over.set()


if __name__ == "__main__":
    main()
