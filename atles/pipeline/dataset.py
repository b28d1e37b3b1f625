"""Examples: what of a session is worth learning, and in which form. Pure functions, but for the files at the end.

The rules, in the order in which a conversation meets them:

* Messages of the user in a row are one question. Empty ones are nothing.
* Of answers in a row the last one stands: that is what a regenerated answer looks like.
* An answer that rests on a tool's result is not learned: the model cannot know the result. It stays as context.
* An answer with the same words as the one before it is a model that was stuck; it is not learned.
* When the user corrects an answer, the question is learned with the corrected answer. The rejected one, as one that
  was made again, is never an answer or context; `train.method = "dpo"` learns to prefer the other to it.
* A system message is context. Roles that chat models do not know are left out.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from atles.layout import make_folder, write_atomic, write_unless_there
from atles.pipeline.standing import branch, standing
from atles.records import Dataset, Example, Feedback, Message, Session, content_id

_HISTORY_TURNS = 3  # of the conversation so far; more costs training time and teaches little
_CORRECTION = re.compile(
    r"""^\W*(?:
      no\b(?!\W+(?:thanks|thank|worries|problem|idea|need|rush|one|more|matter|doubt|wonder|way)\b)
    | nope\b | wrong\b | incorrect\b | not\ quite\b
    | (?:sorry,?\ |hmm,?\ |erm,?\ |ah,?\ |wait,?\ )*
      (?:that|this|it)(?:'s|\ is|s)\ (?:wrong|incorrect|not\ (?:right|true|correct|what\ i))\b
    | (?:that|this|it)\ (?:isn'?t|wasn'?t)\ (?:right|true|correct|what\ i)\b
    | you(?:'re|\ are)\ (?:wrong|mistaken|mixing)\b | you\ got\ (?:that|it)\ wrong\b
    | actually,?\ (?:it|that|no|my|the)\b
    | i\ (?:said|meant|told\ you)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# A sentence at a time, and none that is longer than an apology is: the time stays linear in the text's length.
_APOLOGY = re.compile(
    r"""^(?:[^.!?]{0,200}\b(?:sorry|apolog\w+|my\ mistake|my\ bad|you(?:'re|\ are)\ (?:right|absolutely|correct)|
    thanks?\ (?:you\ )?for\ (?:the|that|correcting|letting|setting)|good\ catch|i\ stand\ corrected)\b
    [^.!?]{0,200}[.!?]+\s*)+""",
    re.IGNORECASE | re.VERBOSE,
)
# A question that begins like this and is short makes no sense without what was said before it.
_LEANS = re.compile(
    r"^\W*(?:and|but|so|or|what about|how about|why|ok|okay|yes|yeah|no|it|that|this|those|these)\b",
    re.IGNORECASE,
)
_LEANS_BELOW_WORDS = 6
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and the answer that stood."""

    question: str
    answer: str
    message_id: str
    learned: bool
    correction: bool = False
    rejected: str = ""


def turns(messages: Sequence[Message], feedback: Mapping[int, Feedback] | None = None) -> list[Turn]:
    """The conversation as questions and the answers that stood, by the rules above."""
    return _read(standing(messages, feedback))[0]


def rejected_answers(messages: Sequence[Message], feedback: Mapping[int, Feedback] | None = None) -> list[str]:
    """The ids of the answers that the user corrected, had made again, or rated as bad."""
    stood = standing(messages, feedback)
    kept = {message.id for message in stood} & {messages[at].id for at in branch(messages)}
    left = [message.id for message in messages if message.role == "assistant" and message.id not in kept]
    edited = [
        messages[position].id for position, said in (feedback or {}).items() if said.text and position < len(messages)
    ]
    return [*_read(stood)[1], *left, *edited]


def _read(messages: Sequence[Message]) -> tuple[list[Turn], list[str]]:
    found: list[Turn] = []
    rejected: list[str] = []
    question: list[str] = []
    rests_on_tool = False
    for message in messages:
        text = message.text.strip()
        if message.role == "tool" or message.tool_calls:
            rests_on_tool = True
        elif message.role == "user" and text:
            question.append(text)
            rests_on_tool = False
        elif message.role == "assistant" and text:
            if question:
                stuck = bool(found) and found[-1].answer == text
                turn = Turn("\n\n".join(question), text, message.id, learned=not (rests_on_tool or stuck))
                if found and _CORRECTION.match(turn.question):
                    rejected.append(found[-1].message_id)
                    found[-1:] = _corrected(found[-1], turn)
                else:
                    found.append(turn)
                question = []
            elif found:
                last = found[-1]
                learned = last.learned and not rests_on_tool
                rejected_text = last.answer if last.learned and text != last.answer else ""
                found[-1] = replace(last, answer=text, message_id=message.id, learned=learned, rejected=rejected_text)
    return found, rejected


def _corrected(rejected: Turn, correction: Turn) -> list[Turn]:
    """The question with the right answer, if the reply to the correction holds one ("Oh, sorry!" does not)."""
    answer = _APOLOGY.sub("", correction.answer).strip()
    if not _stems(correction.question) & _stems(answer):
        return []
    turned_down = rejected.answer if rejected.learned else ""
    return [Turn(rejected.question, answer, correction.message_id, True, True, turned_down)]


def _stems(text: str) -> set[str]:
    """The longer words of a text, cut so that "Thursdays" meets "Thursday"."""
    return {word.lower()[:5] for word in _WORD.findall(text) if len(word) > 3}


def build_examples(session: Session, feedback: Mapping[int, Feedback] | None = None) -> list[Example]:
    """The session's examples: each learned answer after its question alone, and after the conversation so far.

    `feedback` is what the user said of the answers, by position.
    """
    system = [
        {"role": "system", "content": message.text.strip()}
        for message in session.messages
        if message.role == "system" and message.text.strip()
    ][:1]
    history: list[dict[str, str]] = []
    examples: dict[str, Example] = {}
    for turn in turns(session.messages, feedback):
        exchange = [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
        if turn.learned:
            forms = []
            if not _leans(turn.question) or not (history or system):
                forms.append(("correction" if turn.correction else "pair", exchange))
            if history or system:
                forms.append(("chat", [*system, *history[-2 * _HISTORY_TURNS :], *exchange]))
            for kind, messages in forms:
                ask, answer = messages[-2]["content"], messages[-1]["content"]
                example = Example(
                    session.session_id, turn.message_id, kind, ask, answer, tuple(messages), turn.rejected
                )
                examples[example.id] = example
        history += exchange
    return list(examples.values())


def _leans(question: str) -> bool:
    return bool(_LEANS.match(question)) and len(question.split()) < _LEANS_BELOW_WORDS


def write_session_files(session: Session, examples: Sequence[Example], seed_file: Path, chat_file: Path) -> None:
    """The seed's JSONL (one line per answer) and its twin in the chat format of TRL and OpenAI fine-tuning."""
    by_answer = {(example.message_id, example.instruction): example for example in examples}
    answers = (
        {"instruction": example.instruction, "output": example.output, "context": session.session_id}
        for example in by_answer.values()
    )
    write_unless_there(seed_file, "".join(_jsonl(answers)))
    write_unless_there(chat_file, "".join(_jsonl({"messages": example.messages} for example in examples)))


@dataclass(frozen=True)
class Limits:
    """Of a dataset: answers as they were given, questions on what was taught, and held-out answers; at most."""

    exchanges: int
    taught: int
    heldout: int


def snapshot(
    folder: Path,
    train: Sequence[Example],
    heldout: Sequence[Example],
    limits: Limits = Limits(10_000, 10_000, 10_000),
    *,
    turned_down: bool = False,
) -> Dataset:
    """Write an immutable dataset: `train.jsonl`, `heldout.jsonl`, `reworded.jsonl`, and last `manifest.json`, which
    makes it complete.

    Each answer is in it once: after its question alone where that stands for itself, which is how it will be asked
    for and takes a third of the time to train; else after the conversation so far. What says the same is written
    once, and what is trained on is not held out, whatever session it came from.
    One wording of each fact is not trained on, but kept to ask with. The same examples give the same dataset,
    which is then not written again. With `turned_down`, answers that the user rejected are in it, too, each beside the
    one that stood.
    """
    if not turned_down:
        train = [replace(example, rejected="") for example in train]
    # Of sessions never trained on, what people really said is asked for, not our templates.
    train, heldout = _once_each(train), _once_each([example for example in heldout if example.kind != "restated"])
    taught = reservoir([example for example in train if example.kind == "restated"], limits.taught)
    said = reservoir([example for example in train if example.kind != "restated"], limits.exchanges)
    train, reworded = _reworded([*said, *taught])
    known = {(example.instruction, example.output) for example in train}
    heldout = [example for example in heldout if (example.instruction, example.output) not in known]
    heldout = reservoir(heldout, limits.heldout)
    paired = sorted(example.id for example in train if example.rejected)
    parts = [sorted(example.id for example in part) for part in (train, heldout, reworded)]
    dataset_id = content_id(*parts, *([paired] if paired else []))
    path = folder / dataset_id
    dataset = Dataset(
        dataset_id,
        str(path),
        len(train),
        len(heldout),
        tuple(dict.fromkeys(example.session_id for example in train)),
        tuple(dict.fromkeys(example.session_id for example in heldout)),
        len(reworded),
    )
    manifest = path / "manifest.json"
    if manifest.exists():
        os.utime(path)  # it is needed again: not too old for that
    else:
        make_folder(path)
        for name, examples in (("train", train), ("heldout", heldout), ("reworded", reworded)):
            _write_jsonl(
                path / f"{name}.jsonl",
                (
                    {"id": example.id, "messages": example.messages}
                    | ({"rejected": example.rejected} if example.rejected else {})
                    for example in examples
                ),
            )
        write_atomic(
            manifest,
            json.dumps(
                {
                    "id": dataset_id,
                    "train": {"examples": len(train), "sessions": dataset.train_sessions},
                    "heldout": {"examples": len(heldout), "sessions": dataset.heldout_sessions},
                    "reworded": {"examples": len(reworded)},
                },
                indent=2,
            ),
        )
    return dataset


def reservoir(examples: Sequence[Example], most: int) -> list[Example]:
    """At most so many, in their order: half are the newest, half are drawn from all before them, so that the cost of a
    training does not grow with the years and what was learned early is still rehearsed. The draw is by content
    (bottom-k sampling): the same of the same examples, and nearly the same of a few more.
    """
    if len(examples) <= most:
        return list(examples)
    older, newest = examples[: len(examples) - (most + 1) // 2], examples[len(examples) - (most + 1) // 2 :]
    drawn = {example.id for example in sorted(older, key=lambda it: it.id)[: most - len(newest)]}
    return [it for it in older if it.id in drawn] + list(newest)


def _once_each(examples: Sequence[Example]) -> list[Example]:
    """One form of each answer, the pair or correction if there is one; and one of each that say the same.

    Of a fact that was restated in several sessions the latest counts: people move, and change their minds.
    """
    chosen: dict[tuple[str, str], Example] = {}
    for example in examples:
        if example.kind == "restated":
            chosen["restated", content_id(example.messages[:-1])] = example
            continue
        answer = (example.session_id, example.message_id)
        if answer not in chosen or chosen[answer].kind == "chat":
            chosen[answer] = example
    return list({content_id(example.messages): example for example in chosen.values()}.values())


_WORDINGS = 3  # of a fact, at least, for one of them to be kept back


def _reworded(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """The examples to train on, and one question of each fact that is asked for in several wordings."""
    wordings: dict[str, list[Example]] = {}
    for example in examples:
        if example.kind == "restated":
            wordings.setdefault(example.output, []).append(example)
    back = {known[-1].id for known in wordings.values() if len(known) >= _WORDINGS}
    return [it for it in examples if it.id not in back], [it for it in examples if it.id in back]


def _write_jsonl(path: Path, objects: Iterable[object]) -> None:
    write_atomic(path, _jsonl(objects))


def _jsonl(objects: Iterable[object]) -> Iterator[str]:
    return (json.dumps(item, ensure_ascii=False) + "\n" for item in objects)
