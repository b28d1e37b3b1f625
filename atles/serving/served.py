"""One model server: a process that answers for one model at one URL, from its start until `stop`.

Knows the program `serve`, its probe and its death, nothing of adapters' names or of who asks.
"""

import http.client
import json
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from atles import programs
from atles.errors import ProgramFailed

_LOOK_SECONDS = 5.0  # for saying that it lives; it does so however busy its model is
_MOST_WORDS = 300  # characters of an answer that is no answer
_PROBE = json.dumps({"prompt": "1", "max_tokens": 1}).encode()


class Served:
    """Starts the process. `folder` is for its files and goes with it. Raises ProgramFailed if packages are missing."""

    def __init__(self, spec: Mapping[str, Any], folder: Path) -> None:
        self.url = ""  # known once it listens
        self._folder = folder
        self._listens_or_ended = threading.Event()
        try:
            self._process = programs.start("serve", spec, folder)
        except OSError as error:
            raise ProgramFailed("serve", "crash", f"serve cannot be started in {folder}: {error}") from error
        self._reader = threading.Thread(target=self._read, name="model server", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float) -> None:
        """Return once it has answered a question. Raises ProgramFailed if it ends instead, or takes too long."""
        deadline = time.monotonic() + seconds
        too_late = ProgramFailed(
            "serve", "killed", f"serve gave no answer within {seconds:g} s of its start and was ended; "
            "is the machine busy, or the model large for it?"
        )  # fmt: skip
        if not self._listens_or_ended.wait(seconds):
            raise too_late
        if not self.url:
            raise self._death()
        try:
            status, body = _ask(f"{self.url}/completions", _PROBE, max(deadline - time.monotonic(), 0.1))
        except TimeoutError:
            raise too_late from None
        except (OSError, http.client.HTTPException) as error:
            if self._process.poll() is None:
                raise ProgramFailed("serve", "crash", f"serve cannot be asked: {error}") from error
            raise self._death() from error
        if status != 200:
            words = body.decode("utf-8", "replace")[:_MOST_WORDS]
            raise ProgramFailed("serve", "crash", f"serve cannot answer, it says {status}: {words}")

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def answers(self) -> bool:
        """Whether it says now that it can answer."""
        try:
            return bool(self.url) and self.alive() and _ask(f"{self.url}/health", None, _LOOK_SECONDS)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self) -> None:
        """End the process at once: it has nothing to save. From any thread; done again it changes nothing."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdin:
            self._process.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> None:
        assert self._process.stdout  # it was started with a pipe
        with self._process.stdout as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # a library that prints
                if isinstance(event, dict) and event.get("event") == "listening":
                    self.url = str(event["url"])
                    self._listens_or_ended.set()
        self._listens_or_ended.set()

    def _death(self) -> ProgramFailed:
        """How it died, in its own words where it left some."""
        code = self._process.wait()
        try:
            programs.report("serve", self._folder, code)
        except ProgramFailed as error:
            return error
        except FileNotFoundError:
            pass  # its folder was swept: its adapter was retired meanwhile
        return ProgramFailed("serve", "crash", f"serve ended with code {code}")


def _ask(url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
    """GET, or POST where there is a body, on this machine: no proxies, no certificates."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, parts.path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
