"""Vectors for texts, from the program `embed`: started at the first text, stopped when nobody asks. Knows no model.

Used from any thread. Nothing here imports numpy: what comes is bytes.
"""

import json
import shutil
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from atles import programs
from atles.clock import new_id
from atles.errors import ProgramFailed

DIM = 384  # signed bytes in a vector
_AT_ONCE = 32  # texts in a request; between two, somebody else may ask
_ANSWER_SECONDS = 60.0  # for a request; 32 texts of full length take 4 s on one core
_END_SECONDS = 5.0  # for ending by itself


class _NoAnswer(ProgramFailed):
    """The program hung."""


class Embedder:
    """`work` is a folder for the subprocess's files; it is stopped after `idle_seconds` without a text."""

    def __init__(self, work: Path, threads: int = 1, idle_seconds: float = 300) -> None:
        self._work = work
        self._spec = {"threads": threads}
        self._idle_seconds = idle_seconds
        self._running: tuple[subprocess.Popen[str], Path] | None = None
        self._idle: threading.Timer | None = None
        self._next = threading.Lock()  # held by whoever is next in line
        self._busy = threading.Lock()  # held for one request

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """The vector of each text, in order: 384 signed bytes; the dot product of two is their cosine · 127².

        A program that died is started again once. Raises ProgramFailed.
        """
        vectors: list[bytes] = []
        for first in range(0, len(texts), _AT_ONCE):
            with self._turn():
                vectors += self._ask(texts[first : first + _AT_ONCE])
        return vectors

    def close(self) -> None:
        """Stop the program. A text that comes later starts it again."""
        with self._turn():
            self._stop()

    def __enter__(self) -> "Embedder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One request's time. With `_busy` alone, a thread that has many requests would take every turn."""
        with self._next:
            self._busy.acquire()
        try:
            if self._idle:
                self._idle.cancel()
                self._idle = None
            yield
        finally:
            if self._running:
                self._idle = threading.Timer(self._idle_seconds, self._stop_idle)
                self._idle.daemon = True
                self._idle.start()
            self._busy.release()

    def _stop_idle(self) -> None:
        with self._busy:
            if self._idle is threading.current_thread():  # nobody came while this waited
                self._idle = None
                self._stop()

    def _ask(self, texts: Sequence[str]) -> list[bytes]:
        try:
            return self._request(texts)
        except _NoAnswer:
            raise  # it would hang again, and somebody waits
        except ProgramFailed as error:
            if not error.retryable:
                raise
            return self._request(texts)

    def _request(self, texts: Sequence[str]) -> list[bytes]:
        process, folder = self._running or self._start()
        hung = threading.Event()

        def end() -> None:
            hung.set()
            process.kill()

        too_late = threading.Timer(_ANSWER_SECONDS, end)
        too_late.daemon = True
        too_late.start()
        try:
            vectors = _exchange(process, texts)
            if vectors is not None:
                return vectors
            code = process.wait()
            if hung.is_set():
                words = f"embed gave no answer in {_ANSWER_SECONDS:g} s and was ended; is the machine busy?"
                raise _NoAnswer("embed", "killed", words)
            programs.report("embed", folder, code)
            raise ProgramFailed("embed", "crash", "embed ended without an answer")
        except BaseException:
            # What it may still say would be taken for the answer to the next request.
            process.kill()
            self._stop()
            raise
        finally:
            too_late.cancel()

    def _start(self) -> tuple[subprocess.Popen[str], Path]:
        folder = self._work / f"embed-{new_id()}"
        try:
            self._running = programs.start("embed", self._spec, folder), folder
        except OSError as error:
            raise ProgramFailed("embed", "crash", f"embed cannot be started in {folder}: {error}") from error
        return self._running

    def _stop(self) -> None:
        if self._running is None:
            return
        process, folder = self._running
        self._running = None
        for stream in (process.stdin, process.stdout):
            try:
                if stream:
                    stream.close()
            except BrokenPipeError:
                pass  # it died before it had read everything
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _exchange(process: subprocess.Popen[str], texts: Sequence[str]) -> list[bytes] | None:
    """The program's answer, or None if it ended instead."""
    assert process.stdin and process.stdout  # it was started with pipes
    try:
        process.stdin.write(json.dumps({"texts": list(texts)}) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has died; its output ends below
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a library that prints
        if isinstance(event, dict) and event.get("event") == "vectors":
            return _vectors(event, len(texts))
    return None


def _vectors(event: dict[str, object], count: int) -> list[bytes]:
    try:
        vectors = [b64decode(vector, validate=True) for vector in event["vectors"]]  # type: ignore[union-attr]
    except (KeyError, TypeError, ValueError):
        vectors = []
    if len(vectors) != count or any(len(vector) != DIM for vector in vectors):
        raise ProgramFailed("embed", "crash", f"embed answered with something else than {count} vectors of {DIM} bytes")
    return vectors
