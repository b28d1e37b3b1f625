"""What of a conversation is worth learning, and in which form."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atles.pipeline import dataset
from atles.pipeline.dataset import Limits, build_examples, reservoir, snapshot, turns, write_session_files
from atles.records import Example, Session
from tests.samples import EXAMPLES, chat, messages, session


def pairs(*lines: str) -> list[tuple[str, str]]:
    """Question and answer of each turn that is learned."""
    return [(turn.question, turn.answer) for turn in turns(messages(*lines)) if turn.learned]


@pytest.mark.parametrize(
    ("lines", "learned"),
    [
        (["u: Q", "a: A"], [("Q", "A")]),
        (["u: Q1", "u: Q2", "a: A"], [("Q1\n\nQ2", "A")]),
        (["u: Q", "a: A1", "a: A2"], [("Q", "A2")]),  # regenerated: the last one stands
        (["a: Welcome!", "u: Q", "a: A"], [("Q", "A")]),
        (["u: Q"], []),
        (["a: A"], []),
        ([], []),
        (["u: ", "u:   ", "a: A"], []),
        (["u: Q", "a: ", "a:  "], []),
        (["u: Q", "a: ", "a: A"], [("Q", "A")]),
        (["u: Q1", "a: A", "u: Q2", "a: A"], [("Q1", "A")]),  # stuck
        (["u: Q1", "a: A", "u: Q2", "a: B", "u: Q3", "a: A"], [("Q1", "A"), ("Q2", "B"), ("Q3", "A")]),
        (["s: Be short.", "u: Q", "a: A"], [("Q", "A")]),
        (["u: Q", "t: 7", "a: It is 7."], []),  # rests on a tool
        (["u: Q", "t: 7", "a: It is 7.", "u: Thanks", "a: Any time"], [("Thanks", "Any time")]),
        (["u:  Q ", "a:  A "], [("Q", "A")]),
    ],
)  # fmt: skip
def test_the_turns_that_are_learned(lines: list[str], learned: list[tuple[str, str]]) -> None:
    assert pairs(*lines) == learned


def test_an_answer_that_calls_a_tool_is_no_answer_and_what_follows_rests_on_it() -> None:
    data = session("s", "u: Weather?", "a: Let me look", "t: rain", "a: It rains.").as_json()
    data["messages"][1]["tool_calls"] = [{"id": "1", "function": {"name": "weather", "arguments": "{}"}}]
    (turn,) = turns(Session.of(data).messages)
    assert (turn.answer, turn.learned) == ("It rains.", False)


def test_unknown_roles_and_odd_contents_are_left_out() -> None:
    data = session("s", "u: Q", "a: A").as_json()
    data["messages"][1:1] = [{"role": "robot", "content": "noise"}, {"role": None, "content": "noise"}, {}]
    data["messages"].insert(0, {"role": "user", "content": None})
    assert "noise" not in json.dumps([example.messages for example in build_examples(Session.of(data))])
    assert [example.instruction for example in build_examples(Session.of(data))] == ["Q"]


@pytest.mark.parametrize(
    "complaint",
    [
        "No, it's on Thursdays.", "no its Thursday", "Nope, Thursday!", "Wrong. Thursday.", "That's wrong, Thursday",
        "thats not right, it is Thursday", "That isn't correct, it is on Thursday", "Sorry, that's wrong: Thursday",
        "You're wrong, it is Thursday", "you got that wrong, Thursday", "Actually, it is Thursday", "I said Thursday",
        "I meant Thursday", "I told you, Thursday", "hmm, that is not what I said. Thursday", "Not quite: Thursday",
    ],
)  # fmt: skip
def test_after_a_correction_the_corrected_answer_is_learned(complaint: str) -> None:
    (turn,) = turns(messages("u: When is choir?", "a: On Tuesday.", f"u: {complaint}", "a: Choir is on Thursday."))
    assert (turn.question, turn.answer, turn.correction) == ("When is choir?", "Choir is on Thursday.", True)


@pytest.mark.parametrize(
    "reply",
    [
        "No thanks, that was all", "no worries", "No problem!", "No idea, you choose", "Thanks, Thursday it is",
        "Now tell me about Thursday", "Nobody told me of Thursday", "What is wrong with Thursday?", "Not now",
        "Incorrectly spelt names annoy me", "Is that right?", "That is a nice Thursday",
    ],
)  # fmt: skip
def test_what_only_sounds_like_a_correction_is_none(reply: str) -> None:
    found = turns(messages("u: When is choir?", "a: On Thursday.", f"u: {reply}", "a: Fine, on Thursday."))
    assert [turn.question for turn in found] == ["When is choir?", reply]
    assert not any(turn.correction for turn in found)


def test_corrected_twice_the_last_answer_is_learned() -> None:
    found = turns(
        messages(
            "u: When?", "a: Monday.", "u: No, Tuesday!", "a: Tuesday then", "u: No, Wednesday", "a: It's Wednesday"
        )
    )
    assert [(turn.question, turn.answer) for turn in found] == [("When?", "It's Wednesday")]


def test_an_apology_is_no_answer() -> None:
    assert pairs("u: When?", "a: Monday.", "u: No, Thursday.", "a: Oh, sorry about that!") == []
    (pair,) = pairs("u: When?", "a: Monday.", "u: No, Thursday.", "a: Sorry, my mistake! It is on Thursday.")
    assert pair == ("When?", "It is on Thursday.")


def test_the_rejected_answer_is_in_no_file(tmp_path: Path) -> None:
    data = session(
        "s", "s: Be kind.", "u: Where is my key?", "a: Below the REJECTED mat.", "u: No, it is behind the lamp.",
        "a: You're right, sorry. Your key is behind the lamp.", "u: And the spare one?", "a: In the kitchen drawer.",
        "u: Which colour has it got?", "a: Red as a tomato.",
    )  # fmt: skip
    examples = build_examples(data)
    write_session_files(data, examples, tmp_path / "seed.jsonl", tmp_path / "chat.jsonl")
    snapshot(tmp_path / "datasets", examples, examples[:1])
    written = "".join(file.read_text() for file in tmp_path.rglob("*.json*"))
    assert "behind the lamp" in written and "In the kitchen drawer" in written
    assert "REJECTED" not in written and "No, it is" not in written and "sorry" not in written
    assert {example.kind for example in examples} == {"correction", "chat", "pair"}


def test_for_dpo_a_dataset_holds_what_was_turned_down_beside_what_stood(tmp_path: Path) -> None:
    examples = build_examples(
        session(
            "s", "u: Where is my key?", "a: Below the mat.", "u: No, it is behind the lamp.",
            "a: Your key is behind the lamp.", "u: Name a red fruit", "a: A banana!", "a: A cherry.", "u: Thanks",
            "a: :)",
        )
    )  # fmt: skip
    assert {it.output: it.rejected for it in examples if it.rejected} == {
        "Your key is behind the lamp.": "Below the mat.",
        "A cherry.": "A banana!",
    }
    plain = snapshot(tmp_path, examples, [])
    paired = snapshot(tmp_path, examples, [], turned_down=True)
    assert plain.id != paired.id
    rows = [json.loads(line) for line in (Path(paired.path) / "train.jsonl").read_text().splitlines()]
    assert sorted(row["rejected"] for row in rows if "rejected" in row) == ["A banana!", "Below the mat."]


def test_each_answer_is_learned_alone_and_within_its_conversation() -> None:
    examples = build_examples(Session.of(chat(1)))
    assert [(example.kind, len(example.messages)) for example in examples] == [("pair", 2), ("pair", 2), ("chat", 4)]
    assert all(example.messages[-1] == {"role": "assistant", "content": example.output} for example in examples)


@pytest.mark.parametrize("stub", ["and the second?", "Why?", "what about Tuesday?", "ok and then", "it broke again"])
def test_a_question_that_leans_on_what_was_said_is_never_learned_alone(stub: str) -> None:
    examples = build_examples(session("s", "u: Name two planets, one at a time", "a: Mars", f"u: {stub}", "a: Venus"))
    assert [e.kind for e in examples if e.instruction == stub] == ["chat"]
    alone = build_examples(session("s", f"u: {stub}", "a: Venus"))
    assert [e.kind for e in alone] == ["pair"], "there is nothing it could lean on"


def test_a_longer_question_may_begin_like_a_stub() -> None:
    examples = build_examples(
        session("s", "u: Hi", "a: Hello", "u: Why is the sky blue above the sea?", "a: Light is scattered.")
    )
    assert [e.kind for e in examples if "sky" in e.instruction] == ["pair", "chat"]


def test_a_system_message_is_context_and_the_history_is_short() -> None:
    lines = ["s: Be brief.", "s: Ignored."]
    for number in range(6):
        lines += [f"u: Question number {number} is what?", f"a: Answer {number}"]
    last = [e for e in build_examples(session("s", *lines)) if e.kind == "chat"][-1]
    assert last.messages[0] == {"role": "system", "content": "Be brief."}
    assert [m["content"] for m in last.messages[1:]] == [
        text for n in (2, 3, 4, 5) for text in (f"Question number {n} is what?", f"Answer {n}")
    ]


_WORDS = st.sampled_from(
    ["", "No, that is wrong", "Hi", "ok", "It is Thursday", "Sorry! Thursday", "漢", "\ud83d", "No"]
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", "x"]), "content": _WORDS}
)


@given(st.lists(_MESSAGE, max_size=12))
def test_every_example_is_a_chat_that_ends_with_a_learned_answer(raw: list[dict[str, Any]]) -> None:
    data = Session.of({"session_id": "s", "messages": raw, "metadata": {}})
    examples = build_examples(data)
    assert len({example.id for example in examples}) == len(examples)
    ids = {message.id for message in data.messages}
    for example in examples:
        roles = [message["role"] for message in example.messages if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(message["content"].strip() for message in example.messages)
        assert example.message_id in ids
        assert example.messages[-2]["content"] == example.instruction


def test_a_longer_session_adds_examples_and_changes_none() -> None:
    long = ["u: When is tea?", "a: At four.", "u: Who comes to tea?", "a: Ada and Bob."]
    short = {example.id for example in build_examples(session("s", *long[:2]))}
    assert short < {example.id for example in build_examples(session("s", *long))}


def test_the_two_files_of_a_session(tmp_path: Path) -> None:
    data = Session.of(chat(1))
    write_session_files(data, build_examples(data), tmp_path / "seed.jsonl", tmp_path / "chat.jsonl")
    seed = [json.loads(line) for line in (tmp_path / "seed.jsonl").read_text().splitlines()]
    assert seed == [
        {"instruction": q, "output": a, "context": "session_001"}
        for q, a in (
            ("What colour is the boat number 1?", "Boat number 1 is painted colour 7."),
            ("Where does the boat number 1 lie?", "Boat number 1 lies at pier 3."),
        )
    ]
    chats = [json.loads(line)["messages"] for line in (tmp_path / "chat.jsonl").read_text().splitlines()]
    assert [len(messages) for messages in chats] == [2, 2, 4]
    assert all(set(message) == {"role", "content"} for messages in chats for message in messages)


def example(session_id: str, question: str, answer: str, *before: str) -> Example:
    history = tuple({"role": "user" if i % 2 == 0 else "assistant", "content": t} for i, t in enumerate(before))
    asked = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return Example(session_id, question, "chat" if before else "pair", question, answer, (*history, *asked))


def test_an_answer_is_trained_on_once_after_its_question_alone_where_that_stands_for_itself(tmp_path: Path) -> None:
    both = [example("a", "Q", "A", "x", "y"), example("a", "Q", "A"), example("a", "and?", "B", "x", "y")]
    made = snapshot(tmp_path, both, [])
    lines = [json.loads(line)["messages"] for line in (Path(made.path) / "train.jsonl").read_text().splitlines()]
    assert [(len(messages), messages[-2]["content"]) for messages in lines] == [(2, "Q"), (4, "and?")]


def test_what_two_sessions_say_alike_is_trained_on_once_and_never_held_out(tmp_path: Path) -> None:
    train = [example("a", "Q", "A"), example("b", "Q", "A"), example("b", "P", "B")]
    heldout = [
        example("c", "Q", "A"),
        example("c", "Q", "A", "x", "y"),
        example("c", "new", "N"),
        example("d", "new", "N"),
    ]
    made = snapshot(tmp_path, train, heldout)
    assert (made.train_examples, made.heldout_examples) == (2, 1)
    lines = (Path(made.path) / "heldout.jsonl").read_text().splitlines()
    assert [json.loads(line)["messages"][0]["content"] for line in lines] == ["new"]


def test_a_snapshot_is_named_by_what_it_holds_and_written_once(tmp_path: Path) -> None:
    train, heldout = [example("a", "Q", "A"), example("b", "P", "B")], [example("c", "new", "N")]
    first = snapshot(tmp_path, train, heldout)
    stamps = {file: file.stat().st_mtime_ns for file in Path(first.path).iterdir()}
    again = snapshot(tmp_path, list(reversed(train)), heldout)
    assert again.id == first.id
    assert {file: file.stat().st_mtime_ns for file in Path(first.path).iterdir()} == stamps
    assert snapshot(tmp_path, train, []).id != first.id
    manifest = json.loads((Path(first.path) / "manifest.json").read_text())
    assert manifest["train"] == {"examples": 2, "sessions": ["a", "b"]}
    assert manifest["heldout"] == {"examples": 1, "sessions": ["c"]}


def test_the_manifest_comes_last_so_a_torn_snapshot_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, heldout = [example("a", "Q", "A")], [example("c", "new", "N")]
    written: list[str] = []
    write = dataset.write_atomic

    def full_at_the_second_file(path: Path, data: str) -> None:
        written.append(path.name)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(dataset, "write_atomic", full_at_the_second_file)
    with pytest.raises(OSError, match="No space"):
        snapshot(tmp_path, train, heldout)
    made = snapshot(tmp_path, train, heldout)
    parts = ["train.jsonl", "heldout.jsonl", "reworded.jsonl"]
    assert written == [*parts[:2], *parts, "manifest.json"]
    assert len((Path(made.path) / "heldout.jsonl").read_text().splitlines()) == 1


def test_the_demos_sessions_give_enough_to_learn_and_to_judge() -> None:
    found = [build_examples(Session.of(json.loads(file.read_text()))) for file in sorted(EXAMPLES.glob("*.json"))]
    assert len(found) >= 10 and all(found)
    assert sum(map(len, found)) >= 40


@pytest.mark.parametrize("words", ["sorry ", "x sorry, ", "thanks for the ", "no, ", "a"], ids=str.strip)
def test_a_long_and_strange_answer_is_read_in_a_moment(words: str) -> None:
    said = messages(
        "u: Q", "a: A", f"u: {words * 50_000}", f"a: {words * 50_000}", "u: No, Thursday", f"a: {words * 50_000}"
    )
    began = time.process_time()
    turns(said)
    assert time.process_time() - began < 2.0


def numbered(first: int, count: int, kind: str = "pair") -> list[Example]:
    return [
        Example("s", f"m{n}", kind, f"q{n}", f"a{n}",
                ({"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}))
        for n in range(first, first + count)
    ]  # fmt: skip


def test_a_reservoir_keeps_the_newest_and_some_of_all_that_was_before() -> None:
    examples = numbered(0, 100)
    chosen = reservoir(examples, 20)
    assert len(chosen) == 20 and chosen[10:] == examples[90:]
    assert {it.id for it in chosen[:10]} < {it.id for it in examples[:90]}
    assert chosen == reservoir(examples, 20)
    assert reservoir(examples[:20], 20) == examples[:20] and reservoir(examples, 0) == []


def test_a_dataset_is_no_larger_than_it_may_be(tmp_path: Path) -> None:
    train = [*numbered(0, 30), *numbered(100, 30, "restated")]
    made = snapshot(tmp_path, train, numbered(200, 30), Limits(exchanges=5, taught=7, heldout=6))
    assert (made.train_examples, made.heldout_examples) == (12, 6)
