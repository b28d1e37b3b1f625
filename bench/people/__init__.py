"""Invented people to measure on: what they said in their sessions, and what should be known of them afterwards.

A folder of this form holds one JSON file a person and one with controls:

    person    {"persona": text or object, "sessions": [session files], "probes": [probe]}
    probe     {"id", "kind", "ask", "paraphrases": [text], "expect": regex, "reject": regex, "taught_in": [session ids]}
    controls  [{"id", "ask", "expect"}]

`expect` and `reject` are searched without regard to case; "" matches nothing. Kinds: fact, update (changed later: the
new, not the old), correction, preference (the regexes are about an answer to `ask`; `request`, where it is given, is
how the wish was put), procedure, distractor, secret and forget (of the last three only `reject` counts).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = ("fact", "update", "correction", "preference", "procedure", "distractor", "secret", "forget")
HERE = Path(__file__).parent
_CONTROLS = 150
_PEOPLE, _SESSIONS = 6, 8


@dataclass(frozen=True)
class Probe:
    id: str
    kind: str
    ask: str
    paraphrases: tuple[str, ...]
    expect: re.Pattern[str] | None
    reject: re.Pattern[str] | None
    request: re.Pattern[str] | None
    taught_in: tuple[str, ...]

    def right(self, text: str) -> bool:
        """Whether a text says what is expected, and not what is rejected."""
        return bool(self.expect and self.expect.search(text)) and not self.wrong(text)

    def wrong(self, text: str) -> bool:
        return bool(self.reject and self.reject.search(text))


@dataclass(frozen=True)
class Person:
    name: str
    persona: Any
    sessions: tuple[dict[str, Any], ...]
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class Control:
    id: str
    ask: str
    expect: re.Pattern[str]


@dataclass
class People:
    """What a folder holds. `problems` say where it is not of the form; `remarks` what is thin."""

    people: list[Person] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def load(folder: Path) -> People:
    """The people and controls of a folder, as far as they can be understood."""
    found = People()
    files = sorted(folder.glob("*.json")) + sorted(folder.glob("*.jsonl"))
    if not files:
        found.problems.append(f"{folder} holds no JSON file")
    for file in files:
        try:
            text = file.read_text("utf-8-sig")
            lines = [line for line in text.splitlines() if line.strip()]
            document = [json.loads(line) for line in lines] if file.suffix == ".jsonl" else json.loads(text)
        except (OSError, ValueError) as error:
            found.problems.append(f"{file.name}: {error}")
            continue
        items = document if isinstance(document, list) else [document]
        for number, item in enumerate(items):
            where = file.name if len(items) == 1 else f"{file.name}[{number}]"
            if not isinstance(item, dict):
                found.problems.append(f"{where} is no object")
            elif "sessions" in item or "probes" in item:
                name = file.stem if len(items) == 1 else f"{file.stem}-{number}"
                found.people.append(_person(item, name, where, found))
            elif "controls" in item:
                found.controls += [
                    c for n, it in enumerate(item["controls"]) if (c := _control(it, f"{where}[{n}]", found))
                ]
            elif control := _control(item, where, found):
                found.controls.append(control)
    _counts(found)
    return found


def _person(item: dict[str, Any], name: str, where: str, found: People) -> Person:
    sessions, probes = [], []
    for key in ("persona", "sessions", "probes"):
        if key not in item:
            found.problems.append(f"{where}: `{key}` is missing")
    for n, session in enumerate(item.get("sessions") or []):
        if not isinstance(session, dict) or not isinstance(session.get("messages"), list):
            found.problems.append(f"{where}: sessions[{n}] is no object with `messages`")
            continue
        known = session.get("session_id") or session.get("id") or f"{name}_{n + 1:02}"
        sessions.append({"metadata": {}, **session, "session_id": str(known)})
    ids = [session["session_id"] for session in sessions]
    if len(ids) != len(set(ids)):
        found.problems.append(f"{where}: two sessions have one id")
    for n, probe in enumerate(item.get("probes") or []):
        if made := _probe(probe, f"{where}: probes[{n}]", ids, found):
            probes.append(made)
    if len({probe.id for probe in probes}) != len(probes):
        found.problems.append(f"{where}: two probes have one id")
    return Person(name, item.get("persona"), tuple(sessions), tuple(probes))


def _probe(item: Any, where: str, sessions: list[str], found: People) -> Probe | None:
    if not isinstance(item, dict):
        found.problems.append(f"{where} is no object")
        return None
    where = f"{where} ({item.get('id', 'no id')})"
    missing = [key for key in ("id", "kind", "ask", "taught_in") if not item.get(key) and item.get(key) != 0]
    if missing:
        found.problems.append(f"{where}: {', '.join(f'`{key}`' for key in missing)} missing")
        return None
    if item["kind"] not in KINDS:
        found.problems.append(f"{where}: kind is {item['kind']!r}; kinds are {', '.join(KINDS)}")
        return None
    given = item["taught_in"] if isinstance(item["taught_in"], list) else [item["taught_in"]]
    taught = [sessions[it] if isinstance(it, int) and 0 <= it < len(sessions) else str(it) for it in given]
    if unknown := [it for it in taught if it not in sessions]:
        found.problems.append(f"{where}: taught_in names {unknown[0]!r}, which is no session of this person")
    expect, reject = (_regex(item.get(key), f"{where}: {key}", found) for key in ("expect", "reject"))
    needed = "reject" if item["kind"] in ("distractor", "secret", "forget") else "expect"
    if not item.get(needed) and item["kind"] != "preference":
        found.problems.append(f"{where}: a {item['kind']} needs `{needed}`")
    return Probe(
        str(item["id"]), item["kind"], str(item["ask"]), tuple(item.get("paraphrases") or ()), expect, reject,
        _regex(item.get("request"), f"{where}: request", found), tuple(taught),
    )  # fmt: skip


def _control(item: Any, where: str, found: People) -> Control | None:
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("ask", "expect")):
        found.problems.append(f"{where} is no control: it needs id, ask and expect")
        return None
    expect = _regex(item["expect"], f"{where}: expect", found)
    return Control(str(item.get("id", item["ask"])), item["ask"], expect) if expect else None


def _regex(text: Any, where: str, found: People) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(str(text), re.IGNORECASE)
    except re.error as error:
        found.problems.append(f"{where} is no regular expression: {error}")
        return None


def _counts(found: People) -> None:
    if len(found.people) < _PEOPLE:
        found.remarks.append(f"{len(found.people)} people; {_PEOPLE} or more make the figures worth something")
    if len(found.controls) < _CONTROLS:
        found.remarks.append(f"{len(found.controls)} controls; {_CONTROLS} or more are wanted")
    for person in found.people:
        if len(person.sessions) < _SESSIONS:
            found.remarks.append(f"{person.name}: {len(person.sessions)} sessions; {_SESSIONS} are wanted")
        if absent := [kind for kind in KINDS if not any(probe.kind == kind for probe in person.probes)]:
            found.remarks.append(f"{person.name}: no probe of the kinds {', '.join(absent)}")
        found.remarks += _untaught(person)


def _untaught(person: Person) -> Iterator[str]:
    """Probes whose answer nobody said."""
    said = {
        session["session_id"]: "\n".join(str(message.get("content")) for message in session["messages"])
        for session in person.sessions
    }
    for probe in person.probes:
        regex = probe.reject if probe.kind in ("distractor", "secret", "forget") else probe.expect
        if regex and probe.kind != "preference" and not any(regex.search(said.get(it, "")) for it in probe.taught_in):
            yield f"{person.name}: {probe.id}: what it looks for is not in {', '.join(probe.taught_in)}"
