"""Questions whose answers are known to lie in certain messages: LoCoMo's, and those of invented people.

Knows how each becomes sessions of a store, and which of their messages hold the answer. LoCoMo (Maharana et al.,
2024) may be used for measuring only; nothing of it is kept.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.figures import ROOT
from bench.people import Person, load

LOCOMO = ROOT.parent / "shared/data/locomo10.json"
_ANSWERABLE = (1, 2, 3, 4)  # category 5 asks for what was never said
KINDS = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}


@dataclass(frozen=True)
class Question:
    text: str
    kind: str
    evidence: frozenset[tuple[str, int]]  # (session id, position) of the messages that hold the answer


@dataclass(frozen=True)
class Group:
    """Sessions of one user, and questions on them. Weights are judged on groups that they were not learned from."""

    name: str
    source: str
    sessions: tuple[dict[str, Any], ...]
    questions: tuple[Question, ...]


def conversation_sessions(
    conversation: dict[str, Any], user: str
) -> tuple[list[dict[str, Any]], dict[str, tuple[str, int]]]:
    """A LoCoMo conversation in the form of the public scorer (id, sessions, turns) as session files of a user; and
    where each of its dialogue ids lies."""
    sessions, places = [], {}
    for session in conversation["sessions"]:
        session_id = f"{user}/{session['n']}"
        messages = []
        for turn in session["turns"]:
            places[turn["id"]] = (session_id, len(messages))
            messages.append(
                {
                    "role": "user" if turn["speaker"] == conversation["speakers"][0] else "assistant",
                    "name": turn["speaker"],
                    "content": f"{turn['text']} {turn['caption']}".strip(),
                    **({"timestamp": session["iso"]} if session["iso"] else {}),
                }
            )
        sessions.append(
            {
                "session_id": session_id,
                "start_time": session["iso"] or None,
                "messages": messages,
                "metadata": {"user": user},
            }
        )
    return sessions, places


def locomo(file: Path) -> Iterator[Group]:
    """Each conversation of a LoCoMo file."""
    for sample in json.loads(file.read_text("utf-8")):
        raw, name = sample["conversation"], sample["sample_id"]
        numbers = sorted(int(match[1]) for key in raw if (match := re.fullmatch(r"session_(\d+)", key)))
        conversation = {
            "speakers": [raw["speaker_a"], raw["speaker_b"]],
            "sessions": [
                {
                    "n": number,
                    "iso": _iso(raw.get(f"session_{number}_date_time", "")),
                    "turns": [
                        {
                            "id": it["dia_id"],
                            "speaker": it["speaker"],
                            "text": it["text"],
                            "caption": it.get("blip_caption", ""),
                        }
                        for it in raw[f"session_{number}"]
                    ],
                }
                for number in numbers
            ],
        }
        sessions, places = conversation_sessions(conversation, name)
        questions = []
        for qa in sample["qa"]:
            named = re.findall(r"D:?(\d+):(\d+)", " ".join(qa.get("evidence") or ()))
            evidence = frozenset(places[key] for a, b in named if (key := f"D{int(a)}:{int(b)}") in places)
            if evidence and qa["category"] in _ANSWERABLE:
                questions.append(Question(qa["question"], KINDS[qa["category"]], evidence))
        yield Group(name, "locomo", tuple(sessions), tuple(questions))


def people(folder: Path) -> Iterator[Group]:
    """Each invented person. The evidence is what the user said in the sessions that taught it."""
    for person in load(folder).people:
        sessions = tuple({**session, "metadata": {"user": person.name}} for session in person.sessions)
        yield Group(person.name, "people", sessions, tuple(_asked(person)))


def _asked(person: Person) -> Iterator[Question]:
    for probe in person.probes:
        if probe.kind not in ("fact", "update", "correction", "procedure") or probe.expect is None:
            continue
        evidence = frozenset(
            (session["session_id"], position)
            for session in person.sessions
            if session["session_id"] in probe.taught_in
            for position, message in enumerate(session["messages"])
            if message["role"] == "user" and probe.right(str(message["content"]))
        )
        if evidence:
            for text in (probe.ask, *probe.paraphrases):
                yield Question(text, probe.kind, evidence)


def _iso(text: str) -> str:
    try:
        return datetime.strptime(text.strip(), "%I:%M %p on %d %B, %Y").isoformat()
    except ValueError:
        return ""
