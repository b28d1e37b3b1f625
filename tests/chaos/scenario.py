"""Sessions are handed over to a daemon that runs beside; for a record of what that does with the disk.

    python -m tests.chaos.scenario HOME CONTROL SESSIONS [section.key=value …]

Whenever a session is handed over, its id is added to CONTROL/handed_over: there, and not before, it must not be lost.
"""

import json
import os
import sys
import time
from pathlib import Path

from atles.capture.outbox import hand_over
from atles.capture.tracker import SessionTracker
from atles.layout import Home
from tests.chaos.killable import Killable
from tests.chaos.traffic import conversation
from tests.fakes import FakePrograms
from tests.fakes.process import idle, until


def main() -> None:
    home, fake, sessions = Home(Path(sys.argv[1])), FakePrograms(Path(sys.argv[2])), int(sys.argv[3])
    told = os.open(fake.control / "handed_over", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    daemon = Killable("daemon", home, fake, ["run", "--quiet"], sys.argv[4:])
    try:
        until(daemon.began.is_set, "the daemon works")
        tracker = SessionTracker(home=home.root)
        for number in range(1, sessions + 1):
            session = conversation(number)
            if number % 3:
                hand_over(home, session["session_id"], json.dumps(session))
            else:
                tracker.start_session(session["session_id"])
                for message in session["messages"]:
                    tracker.log_message(message["role"], message["content"])
                assert tracker.end_session()
            os.write(told, f"{session['session_id']}\n".encode())
            time.sleep(0.05)
        until(lambda: idle(home), "all is learned")
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


if __name__ == "__main__":
    main()
