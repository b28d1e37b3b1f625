"""ModelFineTuner: from sessions to training files, and from a training file to an adapter."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from filelock import FileLock

from atles import programs
from atles.clock import compact, timestamp
from atles.config import load_settings
from atles.errors import AtlesError
from atles.layout import Home, file_name, make_folder, names, write_atomic
from atles.pipeline.dataset import build_examples, write_session_files
from atles.pipeline.injected import with_memory
from atles.pipeline.practice import exercises
from atles.records import Example, Recalled, Session, TrainReport, content_id
from atles.settings import ModelSettings, Settings

Progress = Callable[[Mapping[str, Any]], None]


def prompts(name: str) -> Path:
    """A set of general prompts that ships with ATLES: `anchors` to train with, `general` to judge with."""
    return Path(str(files("atles") / "data" / f"{name}.jsonl"))


def model_spec(model: ModelSettings, home: Home) -> dict[str, Any]:
    """What every machine-learning program needs to know of the base model."""
    return {
        "base": model.base,
        "models_dir": str(Path(model.folder).resolve() if model.folder else home.models.resolve()),
        "precision": model.precision,
        "device": model.device,
        "threads": model.threads,
    }


class ModelFineTuner:
    """Trains LoRA adapters (Hu et al., arXiv 2106.09685) in a subprocess. `model_name` is a base as in `model.base`."""

    def __init__(
        self, model_name: str | None = None, *, home: Home | None = None, settings: Settings | None = None
    ) -> None:
        self.home = home or Home()
        self.settings = settings or load_settings(self.home)
        self.model_name = model_name or self.settings.model.base

    def prepare_training_data(
        self,
        session: Session | Mapping[str, Any],
        examples: list[Example] | None = None,
        at: str | None = None,
        *,
        grown: bool = True,
    ) -> Path:
        """Write the session's examples as JSONL: `instruction`, `output`, `context` (the session id).

        The chat-format twin lies in `chat/` under the same name. `at` (ISO 8601) names the file, so that a step that
        runs twice writes the same file twice. `grown`: the session may have files from when it was shorter, to be
        looked for and removed. Raises OSError where it cannot be written.
        """
        if not isinstance(session, Session):
            session = Session.of(session)
        examples = build_examples(session) if examples is None else examples
        name = f"training_{file_name(session.session_id)}_{compact(at or timestamp())}.jsonl"
        make_folder(self.home.chat_data)
        path = self.home.training_data / name
        write_session_files(session, examples, path, self.home.chat_data / name)
        # What the session held before it grew is in the new file, unless it was corrected since. The folders hold
        # the files of all sessions, so they are searched only if need be.
        for earlier in self.training_files(session.session_id) if grown else ():
            if earlier.name != name:
                earlier.unlink(missing_ok=True)
        return path

    def training_files(self, session_id: str) -> list[Path]:
        """The files of a session, in both formats."""
        stem, folders = f"training_{file_name(session_id)}", (self.home.training_data, self.home.chat_data)
        return [
            folder / name
            for folder in folders
            for name in names(folder)
            if name.startswith(stem) and _STAMP.fullmatch(name, len(stem))
        ]

    def fine_tune_model(
        self,
        training_file: Path | str,
        *,
        name: str | None = None,
        on_progress: Progress = lambda event: None,
        stop: programs.Stop | None = None,
    ) -> TrainReport:
        """Train an adapter on a JSONL file in the seed's or the chat format; it is saved as `adapters/<name>`.

        Interrupted training goes on where its last checkpoint is. One training runs at a time on a home; a second
        caller waits. Raises AtlesError for a file that holds no examples, ProgramFailed when training fails.
        """
        examples = list(_conversations(Path(training_file)))
        if not examples:
            raise AtlesError(f"{training_file} holds no example to learn from")
        train = self.settings.train
        if train.method == "distill":
            examples = [{**example, "notes": _with_notes(example["messages"])} for example in examples]
        recipe = {key: value for key, value in asdict(train).items() if key in _RECIPE}
        name = name or f"adapter-{content_id(self.model_name, recipe, examples)[:10]}"
        self.home.create()
        folder = self.home.work / f"train-{name}"
        make_folder(folder)
        # Named by content: a training of the same name on other examples is not the one that was interrupted.
        data = folder / f"examples-{content_id(examples)}.jsonl"
        write_atomic(data, "".join(json.dumps(example) + "\n" for example in examples))
        with FileLock(self.home.work / "training.lock", mode=0o600):
            spec = {
                **model_spec(self.settings.model, self.home),
                **recipe,
                "base": self.model_name,
                "examples": str(data.resolve()),
                "anchors": str(prompts("anchors")),
                **(self._practice(recipe, folder, on_progress, stop) if train.practice else {}),
                "output_dir": str((self.home.adapters / name).resolve()),
            }
            result = programs.run("train", spec, folder, on_progress=on_progress, stop=stop)
        return TrainReport(
            adapter=name,
            path=str(self.home.adapters / name),
            base=self.model_name,
            success=True,
            loss=result["loss_last"],
            loss_first=result["loss_first"],
            training_examples=result["examples"],
            anchors=result["anchors"],
            steps=result["steps"],
            tokens=result["tokens"],
            time_taken=result["seconds"],
            tokens_per_second=result["tokens_per_second"],
            peak_memory_mb=result["peak_memory_mb"],
            losses=tuple(result["losses"]),
            details={key: value for key, value in result.items() if key not in ("losses",)},
        )

    def _practice(
        self, recipe: Mapping[str, Any], folder: Path, on_progress: Progress, stop: programs.Stop | None
    ) -> dict[str, str]:
        """Where to begin: an adapter that has practised to answer from memory in the prompt, made once per base; and
        some of the exercises, so that it keeps that."""
        some = folder / "rehearse.jsonl"
        write_atomic(some, "".join(json.dumps(row) + "\n" for row in exercises(_REHEARSED)))
        return {"start": self._practised(recipe, on_progress, stop), "rehearse": str(some.resolve())}

    def _practised(self, recipe: Mapping[str, Any], on_progress: Progress, stop: programs.Stop | None) -> str:
        recipe = {**recipe, **_PRACTICE}
        anchors = prompts("anchors") if self.settings.train.anchors_per_step else None
        spec = {
            **model_spec(self.settings.model, self.home),
            **recipe,
            "base": self.model_name,
            "anchors": str(anchors) if anchors else None,
        }
        rows = "".join(json.dumps(row) + "\n" for row in exercises())
        name = content_id(self.model_name, recipe, rows, anchors.read_text("utf-8") if anchors else "")
        folder = Path(spec["models_dir"]) / "practised" / name
        if not folder.exists():
            work = self.home.work / f"practice-{name}"
            make_folder(work)
            write_atomic(work / "exercises.jsonl", rows)
            spec |= {"examples": str((work / "exercises.jsonl").resolve()), "output_dir": str(folder)}
            make_folder(folder.parent)

            def practising(event: Mapping[str, Any]) -> None:
                on_progress({**event, "phase": "practice"} if event.get("phase") == "train" else event)

            programs.run("train", spec, work, on_progress=practising, stop=stop)
        return str(folder)


_STAMP = re.compile(r"_\d{8}_\d{6}\.jsonl")  # what follows a session's name in the names of its training files
# One pass over the exercises, all questions on the same notes in one step: the notes are then computed once.
_PRACTICE = {
    "method": "sft", "epochs": 1, "batch_size": 12, "repeat": 1, "learning_rate": 5e-4, "anchors_per_step": 12,
    "anchor_weight": 16.0, "max_length": 1024,
}  # fmt: skip
_REHEARSED = 16  # exercises of notes, each with its questions, once an epoch

# The settings of [train] that are the trainer's; the others say when to train.
_RECIPE = frozenset(
    """method lora_rank lora_alpha learning_rate epochs repeat batch_size anchors_per_step anchor_weight max_length
    max_steps seed""".split()
)


def _with_notes(messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The conversation up to its answer, with the answer among the notes before the question."""
    *earlier, question, answer = messages
    note = Recalled("", "", "user", answer["content"], "", 0.0)
    return [*earlier, *with_memory(question["content"], [note])]


def _conversations(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a training file as `{"id", "messages"}`. Raises AtlesError that names the bad line."""
    # Not splitlines(): JSON may hold U+2028 and U+0085, which are no ends of lines there.
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            messages = item.get("messages") or [
                {"role": "user", "content": item["instruction"]},
                {"role": "assistant", "content": item["output"]},
            ]
        except (json.JSONDecodeError, AttributeError, KeyError) as error:
            raise AtlesError(
                f"{path}, line {number}: a line is an object with `messages`, or with `instruction` and `output`"
            ) from error
        rejected = {"rejected": item["rejected"]} if item.get("rejected") else {}
        yield {"id": item.get("id") or content_id(messages), "messages": messages, **rejected}
