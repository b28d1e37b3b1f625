"""The trained model on this machine, in a subprocess: the same base, adapter and precision as in training."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from atles import programs
from atles.clock import new_id
from atles.errors import ProgramFailed
from atles.serving import Chat


class LocalModel:
    """`spec` says base, models_dir, precision, device and threads; `adapter` is a PEFT folder, or None for the base.

    `work` is a folder for the subprocess's files. The program starts at the first question; one that is
    streamed to stays loaded until `close`.
    """

    def __init__(self, spec: Mapping[str, Any], adapter: Path | None, work: Path, max_tokens: int) -> None:
        self._spec = {
            **spec,
            "adapter": str(adapter.resolve()) if adapter else None,
            "max_tokens": max_tokens,
        }
        self._work = work / f"generate-{new_id()}"
        self._process: subprocess.Popen[str] | None = None

    def answer(self, chats: Sequence[Chat], on_progress: programs.Progress = lambda event: None) -> list[str]:
        """The answers to independent chats, in order. Raises ProgramFailed."""
        requests = [{"id": str(number), "messages": list(chat)} for number, chat in enumerate(chats)]
        report = programs.run("generate", {**self._spec, "requests": requests}, self._work, on_progress=on_progress)
        shutil.rmtree(self._work)  # kept if it failed: it says why
        answers = {item["id"]: item["answer"] for item in report["answers"]}
        return [answers[request["id"]] for request in requests]

    def stream(self, chat: Chat, on_text: Callable[[str], None]) -> str:
        """One answer, piece by piece and as a whole. Raises ProgramFailed."""
        if self._process is None:
            self._process = programs.start("generate", {**self._spec, "interactive": True}, self._work)
        process = self._process
        assert process.stdin and process.stdout  # it was started with pipes
        try:
            process.stdin.write(json.dumps({"messages": list(chat)}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died; what it said of that is read below
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "token":
                on_text(event["text"])
            elif event["event"] == "answer":
                return event["text"]
        self._process = None
        programs.report("generate", self._work, process.wait())
        raise ProgramFailed("generate", "crash", "the model ended without an answer")

    def close(self) -> None:
        if self._process:
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    stream.close()
            if self._process.wait() == 0:
                shutil.rmtree(self._work, ignore_errors=True)
            self._process = None

    def __enter__(self) -> "LocalModel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
