"""Which conversation a request goes on with, and what it adds. No HTTP here: requests are lists of messages."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atles.capture.abandoned import close_abandoned
from atles.capture.journal import journal_path, read
from atles.capture.open_session import OpenSession
from atles.capture.session_file import parse
from atles.gateway import at_hand
from atles.gateway.conversations import Added, Conversations
from atles.layout import Home
from atles.pipeline.standing import standing
from atles.records import Session


class FakeArchive:
    """What the store knows of finished sessions: their ids and the keys of their last messages."""

    def __init__(self) -> None:
        self.chains: dict[str, str] = {}

    def holds(self, session_id: str) -> bool:
        return session_id in self.chains

    def ending_with(self, keys: Sequence[str]) -> tuple[str, str] | None:
        found = [(key, id) for key in keys for id, chain in self.chains.items() if chain == key]
        return (found[0][1], found[0][0]) if found else None


class World:
    """The conversations of a gateway, and what is on the disk."""

    def __init__(self, home: Home) -> None:
        self.home, self.archive, self.now = home, FakeArchive(), 1000.0
        self.ended: list[OpenSession] = []
        self.answers = 0
        self.busy = False  # then files are written later
        self.begin()

    def begin(self) -> None:
        """As a new process does, with nothing in memory."""
        self.conversations = Conversations(self.home, self.archive, self._end, clock=lambda: self.now)

    def restart(self) -> int:
        self.begin()
        return self.conversations.take_up_all()

    def _end(self, session: OpenSession) -> None:
        """What the daemon makes of a session that has ended."""
        self.ended.append(session)
        if self.busy:
            return
        session.finished().write()
        self.archive.chains[session.session_id] = session.metadata.get("chain", "")

    def ask(self, *words: str, answer: str | None = None, **more: Any) -> tuple[str, str]:
        """One exchange; the conversation's id and the answer. See `send`."""
        return self.send(history(*words), answer, **more)

    def send(
        self, messages: list[dict[str, Any]], answer: str | dict[str, Any] | None = None, *, user: str = "",
        client: str = "app", name: str = "", after: str = "", answer_id: str = "",
    ) -> tuple[str, str]:  # fmt: skip
        self.answers += 1
        answer = f"answer {self.answers}" if answer is None else answer
        said = {"role": "assistant", "content": answer} if isinstance(answer, str) else answer
        place = self.conversations.find(messages, user, client, name, after)
        self.added: Added = self.conversations.add(place, said, answer_id)
        self.conversations.leave(place)
        return place.conversation.id, str(said["content"])

    def messages(self, id: str) -> list[dict[str, Any]]:
        """What the journal of an open session holds."""
        return read(journal_path(self.home, id).read_bytes()).messages

    def words(self, id: str) -> list[str]:
        return [it["content"] for it in self.messages(id)]

    def stands(self, id: str) -> list[str]:
        """The words of the branch that stands."""
        session = Session.of({"session_id": id, "messages": self.messages(id)})
        return [it.text for it in standing(session.messages)]

    def sessions(self) -> list[str]:
        return sorted(read(path.read_bytes()).session_id for path in self.home.open_sessions.glob("*.jsonl"))


def history(*words: str) -> list[dict[str, Any]]:
    """The user's words and the assistant's by turns; "s: …" is the system's."""
    found: list[dict[str, Any]] = []
    for text in words:
        if text.startswith("s: "):
            found.append({"role": "system", "content": text[3:]})
        else:
            spoken = [it for it in found if it["role"] != "system"]
            found.append({"role": ("user", "assistant")[len(spoken) % 2], "content": text})
    return found


@pytest.fixture
def world(home: Home) -> World:
    return World(home)


# --- what goes on ---


def test_a_history_that_is_sent_again_adds_only_what_is_new(world: World) -> None:
    id, one = world.ask("s: be brief", "q1")
    again, two = world.ask("s: be brief", "q1", one, "q2")
    assert again == id
    assert world.ask("s: be brief", "q1", one, "q2", two, "q3")[0] == id
    assert world.words(id) == ["be brief", "q1", one, "q2", two, "q3", "answer 3"]
    assert [it["role"] for it in world.messages(id)][:3] == ["system", "user", "assistant"]
    assert all("parent" not in it.get("metadata", {}) for it in world.messages(id))


def test_the_same_exchange_twice_adds_nothing(world: World) -> None:
    id, one = world.ask("q1")
    world.ask("q1", one, "q2", answer="two", answer_id="first")
    size = journal_path(world.home, id).stat().st_size
    assert world.ask("q1", one, "q2", answer="two", answer_id="second") == (id, "two")
    assert journal_path(world.home, id).stat().st_size == size
    assert not world.added.learn
    assert world.conversations.answered("second") == world.conversations.answered("first") == (id, 3)


def test_an_answer_made_again_is_a_sibling(world: World) -> None:
    id, one = world.ask("q1")
    _, two = world.ask("q1", one, "q2")
    _, other = world.ask("q1", one, "q2")
    assert world.words(id) == ["q1", one, "q2", two, other]
    assert world.messages(id)[-1]["metadata"] == {"parent": 2}
    assert world.stands(id) == ["q1", one, "q2", two, other]
    world.ask("q1", one, "q2", two, "q3")
    assert world.stands(id) == ["q1", one, "q2", other, two, "q3", "answer 4"], "the client chose the first one"


def test_the_first_answer_made_again_is_a_sibling(world: World) -> None:
    id, one = world.ask("q1")
    again, other = world.ask("q1")
    assert again == id
    assert world.words(id) == ["q1", one, other]
    assert world.ask("q1", one, "q2")[0] == world.ask("q1", other, "q2")[0] == id


def test_a_changed_question_is_a_branch(world: World) -> None:
    id, one = world.ask("q1")
    world.ask("q1", one, "q2")
    _, other = world.ask("q1", one, "q2, but changed")
    assert world.stands(id) == ["q1", one, "q2, but changed", other]
    assert len(world.messages(id)) == 6


def test_a_question_changed_in_the_middle_is_a_branch(world: World) -> None:
    id, one = world.ask("q1")
    _, two = world.ask("q1", one, "q2")
    _, three = world.ask("q1", one, "q2", two, "q3")
    assert world.ask("q1", one, "other")[0] == id
    assert world.stands(id) == ["q1", one, "other", "answer 4"]
    assert world.ask("q1", one, "q2", two, "q3", three, "q4")[0] == id, "and back to the older branch"
    assert world.stands(id) == ["q1", one, "q2", two, "q3", three, "q4", "answer 5"]
    assert Counter(world.words(id)).most_common(1)[0][1] == 1


def test_the_first_question_changed_is_another_conversation(world: World) -> None:
    first, _ = world.ask("q1")
    second, _ = world.ask("q1, but changed")
    assert first != second


def test_tools_are_part_of_the_conversation_however_their_arguments_are_written(world: World) -> None:
    def call(arguments: str) -> dict[str, Any]:
        function = {"name": "weather", "arguments": arguments}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }

    question = {"role": "user", "content": "Rain?"}
    id, _ = world.send([question], call('{"city": "Oslo","days":1}'))
    result = {"role": "tool", "content": "Yes.", "tool_call_id": "c1"}
    again, _ = world.send([question, call('{"days": 1, "city": "Oslo"}') | {"content": ""}, result], "Rain.")
    assert again == id
    assert [it["role"] for it in world.messages(id)] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(
    "sent",
    [
        "  The answer.\n",
        [{"type": "text", "text": "The answer."}],
        "<think>Let me see</think>\n\nThe answer.",
        "The answer.\r\n",
    ],
)
def test_how_a_client_writes_an_answer_again_does_not_count(world: World, sent: Any) -> None:
    id, _ = world.ask("q1", answer="<think>What was asked?</think>The answer.")
    again, _ = world.send([*history("q1"), {"role": "assistant", "content": sent}, *history("q2")])
    assert again == id
    assert len(world.messages(id)) == 4


def test_an_answer_that_the_client_changed_stays_in_its_conversation(world: World) -> None:
    id, one = world.ask("q1")
    assert world.ask("q1", "one, shortened", "q2")[0] == id
    assert world.ask("q1", "one, shortened", "q2", "two, shortened", "q3")[0] == id
    assert world.stands(id) == [
        "q1", one, "one, shortened", "q2", "answer 2", "two, shortened", "q3", "answer 3",
    ]  # fmt: skip


def test_an_answer_is_dated_when_it_was_there_and_its_question_when_it_was_asked(world: World) -> None:
    place = world.conversations.find(history("q"), "", "app")
    asked_at = place.asked_at
    world.conversations.add(place, {"role": "assistant", "content": "a"})
    question, answer = world.messages(place.conversation.id)
    assert question["timestamp"] == asked_at < answer["timestamp"]


def test_it_is_time_to_learn_after_every_so_many_answers(world: World) -> None:
    words, learn = ["q0"], []
    for number in range(1, 12):
        _, answer = world.ask(*words)
        learn.append(world.added.learn)
        words += [answer, f"q{number}"]
    assert [number for number, it in enumerate(learn, 1) if it] == [5, 10]


# --- what does not belong together ---


def test_the_same_first_question_of_another_client_or_user_begins_another_conversation(world: World) -> None:
    ids = {
        world.ask("Hello", client="app")[0],
        world.ask("Hello", client="other app")[0],
        world.ask("Hello", client="app", user="ann")[0],
        world.ask("Hello", client="app", user="bob")[0],
    }
    assert len(ids) == 4


def test_the_same_first_question_much_later_or_again_and_again_begins_another_conversation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = world.ask("Hello")
    world.now += 3600
    second, _ = world.ask("Hello")
    assert second != first
    monkeypatch.setattr(at_hand, "_MOST_OPEN", 1)
    world.ask("other", client="other app")
    third, _ = world.ask("Hello")
    assert third not in (first, second), "nor when it is not in memory any more"
    monkeypatch.undo()
    second = third
    ids = [world.ask("Hello")[0] for _ in range(20)]
    assert ids[:7] == [second] * 7
    assert ids[7] != second, "nobody has one answer made again eight times"


def test_two_clients_with_the_same_first_exchange_each_stay_in_theirs(world: World) -> None:
    one, _ = world.ask("Hello", answer="Hi!", client="one")
    two, _ = world.ask("Hello", answer="Hi!", client="two")
    assert one != two
    assert world.ask("Hello", "Hi!", "I am one", client="one")[0] == one
    assert world.ask("Hello", "Hi!", "I am two", client="two")[0] == two
    assert world.ask("Hello", "Hi!", "I am one", "answer 3", "and more", client="a newer version of one")[0] == one


def test_a_greeting_or_examples_that_many_requests_begin_with_do_not_make_them_one(world: World) -> None:
    greeting = {"role": "assistant", "content": "How can I help?"}
    greeted = {world.send([greeting, *history(f"question {n}")])[0] for n in range(5)}
    assert len(greeted) == 5
    shots = {world.ask("2+2?", "4", "3+3?", "6", f"{n}+{n}?")[0] for n in range(4, 9)}
    assert len(shots) == 5
    first = min(greeted | shots)
    assert all(len(world.messages(id)) in (3, 6) for id in greeted | shots), first


def test_a_conversation_that_began_elsewhere_goes_on_here(world: World) -> None:
    id, three = world.ask("q1", "one", "q2", "two", "q3")
    assert world.ask("q1", "one", "q2", "two", "q3", three, "q4")[0] == id
    _, other = world.ask("q1", "one", "q2", "two", "q3", three, "q4")
    assert world.stands(id)[-3:] == ["q4", "answer 2", other]


# --- clients that cut their history off ---


def test_a_client_that_sends_only_the_last_messages_stays_in_its_conversation(world: World) -> None:
    words = ["q0"]
    ids = set()
    for number in range(1, 8):
        id, answer = world.ask(*words[-5:])
        ids.add(id)
        words += [answer, f"q{number}"]
    assert len(ids) == 1
    assert world.words(id) == words[:-1]
    assert world.stands(id) == words[:-1]


def test_so_does_one_that_keeps_the_first_messages_or_leaves_some_out(world: World) -> None:
    words = ["q0"]
    for number in range(1, 7):
        id, answer = world.ask(*words)
        words += [answer, f"q{number}"]
    kept = [*words[:2], *words[-3:]]
    assert world.ask(*kept)[0] == id
    assert world.stands(id) == [*words, "answer 7"]
    again, _ = world.ask(*kept)
    assert again == id
    assert len(world.messages(id)) == len(words) + 2, "an answer made again is one there, too"


def test_a_cut_history_is_found_again_after_a_restart_and_among_many(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(at_hand, "_MOST_OPEN", 3)
    id, one = world.ask("q1")
    _, two = world.ask("q1", one, "q2")
    for number in range(5):
        world.ask(f"other {number}", client="another app")
    assert world.ask("q2", two, "q3")[0] == id
    world.restart()
    assert world.ask("q3", "answer 8", "q4")[0] == id
    assert len(world.messages(id)) == 8


def test_a_cut_history_is_stitched_to_nobody_elses(world: World) -> None:
    words = ["q1", "one", "thanks", "You're welcome!"]
    id = ""
    for number in (1, 3):
        id, _ = world.ask(*words[:number], answer=words[number])
    end = ["thanks", "You're welcome!", "Now this"]
    assert world.ask(*end, client="another app")[0] != id
    assert world.ask(*end, user="ann")[0] != id
    assert world.ask("something else", "an answer", *end)[0] != id, "its other messages are not in that conversation"
    assert world.ask(*end)[0] == id


def test_a_cut_history_that_two_conversations_hold_is_stitched_to_neither(world: World) -> None:
    ids = set()
    for first in ("about cats", "about dogs"):
        _, one = world.ask(first, answer=f"an answer {first}")
        ids.add(world.ask(first, one, "thanks", answer="You're welcome!")[0])
    assert len(ids) == 2
    assert world.ask("thanks", "You're welcome!", "Now this")[0] not in ids


# --- clients that say which session it is ---


def test_a_client_may_name_its_session(world: World) -> None:
    id, one = world.ask("q1", name="mine")
    assert id == "mine"
    assert world.ask("q1", one, "q2", name="mine")[0] == "mine"
    assert world.ask("q1", name="another")[0] == "another"
    assert world.words("mine") == ["q1", one, "q2", "answer 2"]


def test_a_client_that_names_its_session_may_leave_the_history_out(world: World) -> None:
    words = []
    for question in ("q1", "q2", "continue", "continue", "q1"):
        id, answer = world.ask(question, name="mine")
        words += [question, answer]
    assert world.words(id) == words
    assert world.stands(id) == words


def test_a_client_that_names_its_session_may_have_an_answer_made_again(world: World) -> None:
    _, one = world.ask("q1", name="mine")
    _, other = world.ask("q1", name="mine")
    assert world.stands("mine") == ["q1", one, other]
    world.ask("q1", other, "q2", name="mine")
    world.ask("q1", other, "q2, changed", name="mine")
    assert world.stands("mine") == ["q1", one, other, "q2, changed", "answer 4"]


def test_a_client_that_names_its_session_may_cut_its_history(world: World) -> None:
    _, one = world.ask("q1", name="mine")
    _, two = world.ask("q1", one, "q2", name="mine")
    world.ask("q2", two, "q3", name="mine")
    world.send([{"role": "assistant", "content": "answer 3"}, {"role": "user", "content": "q4"}], name="mine")
    world.ask("q1", "answer 4", "q5", name="mine")
    assert world.stands("mine") == ["q1", one, "q2", two, "q3", "answer 3", "q4", "answer 4", "q5", "answer 5"]


def test_the_id_that_an_answer_tells_is_a_name_too(world: World) -> None:
    id, one = world.ask("q1", user="ann")
    assert id.startswith("session_")
    assert world.ask("q1", one, "q2", name=id, user="ann")[0] == id
    assert world.ask("q3", name=id, user="ann")[0] == id
    assert world.stands(id) == ["q1", one, "q2", "answer 2", "q3", "answer 3"]
    assert world.ask("q1", name=id, user="bob")[0] != id


def test_two_users_may_choose_one_name(world: World) -> None:
    ids = [world.ask("q1", name="chat", user=user)[0] for user in ("", "ann", "bob")]
    assert ids == ["chat", "ann:chat", "bob:chat"]
    assert [world.ask("q1", "answer", "q2", name="chat", user=user)[0] for user in ("", "ann", "bob")] == ids


def test_no_name_leads_into_somebody_elses_session(world: World) -> None:
    world.ask("Ann's question", name="chat", user="ann")
    stranger, _ = world.ask("a question", name="ann:chat")
    assert stranger not in ("ann:chat", "chat")
    assert world.words(stranger) == ["a question", "answer 2"]
    assert world.words("ann:chat") == ["Ann's question", "answer 1"]
    world.restart()
    assert world.ask("a question", "answer 2", "another", name="ann:chat")[0] == stranger


def test_no_name_leads_into_the_session_of_a_tracker(world: World) -> None:
    tracked = OpenSession.begin(world.home, "chat", {"app": "x"})
    tracked.add(json.dumps({"role": "user", "content": "to somebody else"}))
    tracked.flush()
    id, _ = world.ask("q1", name="chat")
    assert id != "chat"
    assert world.words("chat") == ["to somebody else"]
    assert world.restart() == 1


def test_the_name_of_a_session_that_is_stored_gets_another_session(world: World) -> None:
    world.archive.chains["mine"] = "00"
    id, one = world.ask("q1", name="mine")
    assert id.startswith("session_")
    assert world.ask("q1", one, "q2", name="mine")[0] == id
    assert world.ask("q3", name="mine")[0] == id
    world.restart()
    assert world.ask("q4", name="mine")[0] == id, "a restart does not change that"


def test_the_name_of_a_session_that_has_just_ended_gets_another_session(world: World) -> None:
    """Its file lies in the folder, its messages differ: taken as one they would be in quarantine."""
    world.ask("q1", name="mine")
    world.conversations.end("mine")
    world.archive.chains.clear()  # nobody has stored it yet
    id, _ = world.ask("q2", name="mine")
    assert id != "mine"
    world.conversations.end(id)
    world.restart()
    assert world.ask("q3", name="mine")[0] not in ("mine", id)


def test_what_ended_is_not_taken_up_while_its_file_is_being_written(world: World) -> None:
    """Its journal is still there, and goes a moment later with whatever was added to it."""
    world.busy = True
    id, one = world.ask("q1")
    named, _ = world.ask("q1", name="mine")
    assert world.conversations.end(id)
    assert world.conversations.end(named)
    later, _ = world.ask("q1", one, "q2")
    other, _ = world.ask("q2", name="mine")
    assert not {id, named} & {later, other}
    for session in world.ended:
        session.finished().write()
    assert world.words(later) == ["q2", "answer 3"]
    assert world.words(other) == ["q2", "answer 4"]


def test_a_client_that_left_the_history_out_once_may_have_an_answer_made_again_later(world: World) -> None:
    world.ask("q1", name="mine")
    _, two = world.ask("q1, but changed", name="mine")
    world.ask("q1, but changed", two, "q2", name="mine")
    world.ask("q1", name="mine")
    assert world.messages("mine")[-1]["metadata"] == {"parent": 0}


@pytest.mark.parametrize("name", ["a/b", "..", "../../etc/passwd", "\0", "ünï 😀", "x" * 512, "-", "a b", "CON"])
def test_any_name_is_a_name(world: World, name: str) -> None:
    id, one = world.ask("q1", name=name)
    assert id == name
    world.restart()
    assert world.ask("q1", one, "q2", name=name)[0] == name
    assert world.words(name) == ["q1", one, "q2", "answer 2"]
    assert all(path.parent == world.home.open_sessions for path in world.home.root.rglob("*.jsonl"))


def test_a_client_may_say_which_answer_it_goes_on_with(world: World) -> None:
    id, one = world.ask("q1", answer_id="r1")
    assert world.ask("q2", after="r1", answer_id="r2")[0] == id
    assert world.ask("q2, changed", after="r1", answer_id="r3")[0] == id
    world.restart()
    assert world.ask("q3", after="r2")[0] == id
    assert world.stands(id) == ["q1", one, "q2", "answer 2", "q3", "answer 4"]
    assert world.ask("q2", after="r1", user="ann")[0] != id
    assert world.ask("q2", after="unheard of")[0] != id


# --- in memory, on the disk, ended ---


def test_conversations_that_are_not_in_memory_go_on_from_their_journals(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(at_hand, "_MOST_OPEN", 4)
    begun = [world.ask(f"first {n}") for n in range(20)]
    second = [world.ask(f"first {n}", answer, "second") for n, (_, answer) in enumerate(begun)]
    assert [id for id, _ in begun] == [id for id, _ in second]
    again = [world.ask(f"first {n}", answer, "second, changed") for n, (_, answer) in enumerate(begun)]
    assert [id for id, _ in again] == [id for id, _ in begun], "not only the end of each is known"
    assert all(len(world.messages(id)) == 6 for id, _ in begun)


def test_hundreds_of_conversations_take_no_more_memory_than_some(world: World) -> None:
    for number in range(600):
        world.ask(f"question {number}", client=f"app {number % 7}")
    at_hand_ = world.conversations._at_hand
    assert len(at_hand_._open) == 256
    assert len(at_hand_._latest) <= 7
    assert len(at_hand_.entries._here) <= 3 * 256


def test_a_conversation_with_an_answer_on_its_way_is_not_put_away(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(at_hand, "_MOST_OPEN", 2)
    id, one = world.ask("q1")
    place = world.conversations.find(history("q1", one, "q2"), "", "app")
    for number in range(10):
        world.ask(f"other {number}")
    assert world.ask("q1", one, "q2, changed")[0] == id
    world.conversations.add(place, {"role": "assistant", "content": "late"})
    world.conversations.leave(place)
    assert world.words(id) == ["q1", one, "q2, changed", "answer 12", "q2", "late"]
    assert world.stands(id) == ["q1", one, "q2", "late"]


def test_two_requests_of_one_session_at_once_are_both_in_it(world: World) -> None:
    places = [world.conversations.find(history(f"q{n}"), "", "app", "mine") for n in (1, 2)]
    for number, place in enumerate(places):
        world.conversations.add(place, {"role": "assistant", "content": f"a{number}"})
        world.conversations.leave(place)
    assert world.words("mine") == world.stands("mine") == ["q1", "a0", "q2", "a1"]


def test_a_request_without_an_answer_leaves_nothing(world: World) -> None:
    place = world.conversations.find(history("q1"), "", "app")
    world.conversations.leave(place)
    assert world.sessions() == []
    id, one = world.ask("q1")
    world.conversations.leave(world.conversations.find(history("q1", one, "q2"), "", "app"))
    assert world.words(id) == ["q1", one]
    assert world.ask("q1", one, "q2")[0] == id


def test_after_a_restart_all_goes_on_where_it_was(world: World) -> None:
    id, one = world.ask("s: be brief", "q1")
    _, two = world.ask("s: be brief", "q1", one, "q2")
    _, other = world.ask("s: be brief", "q1", one, "q2", answer_id="r3")
    world.ask("s: be brief", "q1", one, "q2, changed")
    named, _ = world.ask("q1", name="mine", user="ann")
    assert world.restart() == 2
    assert world.ask("s: be brief", "q1", one, "q2", other, "q3")[0] == id
    assert world.stands(id) == ["be brief", "q1", one, "q2", two, other, "q3", "answer 6"]
    assert world.ask("q1", "answer 5", "q2", name="mine", user="ann")[0] == named
    assert len(world.messages(named)) == 4
    assert world.conversations.answered("r3") == (id, 5)


def test_after_a_restart_a_first_answer_can_be_made_again(world: World) -> None:
    id, one = world.ask("q1")
    world.restart()
    assert world.ask("q1") == (id, "answer 2")
    assert world.stands(id) == ["q1", one, "answer 2"]


def test_after_a_restart_examples_still_do_not_make_requests_one(world: World) -> None:
    first, _ = world.ask("2+2?", "4", "3+3?")
    world.restart()
    assert world.ask("2+2?", "4", "5+5?")[0] != first


def test_a_restart_is_no_trouble_with_journals_that_are_odd(world: World) -> None:
    world.ask("q1")
    odd: list[list[Any]] = [
        [{"session_id": "a", "metadata": {"gateway": ""}}, {"message": {"role": "user"}}],
        [{"session_id": "b", "metadata": {"gateway": "", "first": 99, "client": 5}}, {"message": {"no": "role"}}],
        [{"session_id": "c", "metadata": {"gateway": "", "after": "no hex"}}],
        [{"session_id": "d", "metadata": {"gateway": ""}}, {"message": {"role": "user", "tool_calls": 5}}],
        [{"session_id": "e", "metadata": {"gateway": ""}}, {"message": {"role": [], "metadata": {"parent": 10**9}}}],
        [{"session_id": "f", "metadata": {"gateway": ["x"]}}],
    ]
    for number, lines in enumerate(odd):
        text = "".join("\n" + json.dumps(line) for line in lines)
        (world.home.open_sessions / f"{'abcdef'[number]}.jsonl").write_text(text)
    (world.home.open_sessions / "torn.jsonl").write_bytes(b'\n{"session_id": "to')
    assert world.restart() >= 1
    assert world.ask("q1", "answer 1", "q2")


def test_one_that_ended_and_goes_on_is_another_session_that_continues_it(world: World) -> None:
    id, one = world.ask("q1")
    assert world.conversations.end(id)
    assert [it.session_id for it in world.ended] == [id]
    later, two = world.ask("q1", one, "q2")
    assert later != id
    assert world.words(later) == ["q2", two]
    assert world.ask("q1", one, "q2", two, "q3")[0] == later
    assert world.ask("q1", one, "q2, changed")[0] == later
    assert world.stands(later) == ["q2, changed", "answer 4"]
    metadata = read(journal_path(world.home, later).read_bytes()).metadata
    assert metadata["continues"] == id
    world.restart()
    assert world.ask("q1", one, "q2", two, "q3", "answer 3", "q4")[0] == later
    assert world.stands(later) == ["q2", two, "q3", "answer 3", "q4", "answer 5"]
    assert world.ask("q1", one, "q2, changed again")[0] == later


def test_so_it_is_after_a_restart_by_what_is_stored(world: World) -> None:
    id, one = world.ask("q1")
    _, two = world.ask("q1", one, "q2")
    world.conversations.end(id)
    world.restart()
    later, _ = world.ask("q1", one, "q2", two, "q3")
    assert world.words(later) == ["q3", "answer 3"]
    assert read(journal_path(world.home, later).read_bytes()).metadata["continues"] == id


def test_an_answer_made_again_in_one_that_ended_comes_with_its_question(world: World) -> None:
    id, one = world.ask("q1")
    world.ask("q1", one, "q2")
    world.conversations.end(id)
    later, other = world.ask("q1", one, "q2")
    assert world.words(later) == ["q2", other]


def test_the_end_waits_for_the_answer_that_is_on_its_way(world: World) -> None:
    id, one = world.ask("q1")
    place = world.conversations.find(history("q1", one, "q2"), "", "app")
    assert world.conversations.end(id)
    assert not world.ended
    world.conversations.add(place, {"role": "assistant", "content": "late"})
    world.conversations.leave(place)
    (session,) = world.ended
    assert [json.loads(text)["content"] for text in session.messages] == ["q1", one, "q2", "late"]
    assert not world.conversations.end(id)


def test_only_its_user_ends_a_conversation(world: World) -> None:
    id, _ = world.ask("q1", user="ann")
    assert not world.conversations.end(id, "bob")
    assert not world.conversations.end("nothing", "ann")
    assert world.conversations.end(id, "ann")


def test_one_that_is_not_in_memory_can_be_ended(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(at_hand, "_MOST_OPEN", 1)
    id, _ = world.ask("q1")
    world.ask("other")
    assert world.conversations.end(id, "")
    assert [it.session_id for it in world.ended] == [id]


def test_a_new_conversation_of_the_same_client_ends_its_quiet_one(world: World) -> None:
    first, _ = world.ask("q1")
    world.now += 30
    second, _ = world.ask("another")
    assert not world.ended
    world.now += 61
    world.ask("a third", client="another app")
    assert not world.ended
    world.ask("a third")
    assert [it.session_id for it in world.ended] == [second], "the one that it used last"
    assert first in world.sessions()


def test_a_slow_answer_is_no_quiet(world: World) -> None:
    place = world.conversations.find(history("q1"), "", "app")
    world.now += 300
    world.ask("another")
    world.conversations.add(place, {"role": "assistant", "content": "at last"})
    world.conversations.leave(place)
    assert not world.ended
    assert world.words(place.conversation.id) == ["q1", "at last"]


def test_one_that_the_daemon_closed_meanwhile_goes_on_with_all_that_it_was(world: World) -> None:
    id, one = world.ask("q1")
    (short,) = close_abandoned(world.home, 0, now=lambda: 1e12)
    assert world.ask("q1", one, "q2")[0] == id
    (long,) = close_abandoned(world.home, 0, now=lambda: 1e12)
    before, after = (parse(path.read_bytes(), path.name) for path in (short, long))
    assert [it.id for it in after.messages][:2] == [it.id for it in before.messages]
    assert len(after.messages) == 4


def test_one_that_the_daemon_closed_while_it_was_not_in_memory_is_continued(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(at_hand, "_MOST_OPEN", 1)
    id, one = world.ask("q1")
    world.ask("other")
    close_abandoned(world.home, 0, now=lambda: 1e12)
    later, _ = world.ask("q1", one, "q2")
    assert later != id
    assert world.words(later) == ["q2", "answer 3"]


# --- a full disk ---


def test_what_cannot_be_written_is_written_later(world: World, monkeypatch: Any) -> None:
    id, one = world.ask("q1")
    folder, aside = world.home.open_sessions, world.home.sessions / "aside"
    folder.rename(aside)
    folder.write_text("no folder")
    world.ask("q1", one, "q2")
    monkeypatch.setattr(at_hand, "_MOST_OPEN", 1)
    for number in range(5):
        world.ask(f"other {number}")
    assert not world.conversations.settle()
    assert world.ask("q1", one, "q2", "answer 2", "q3")[0] == id
    folder.unlink()
    aside.rename(folder)
    assert world.conversations.settle()
    assert world.words(id) == ["q1", one, "q2", "answer 2", "q3", "answer 8"]
    assert len(world.sessions()) == 6


# --- any client ---


@dataclass(eq=False)
class Node:
    """A message in a client's tree of a conversation."""

    role: str
    text: str
    above: "Node | None"
    below: "list[Node]" = field(default_factory=list)

    def path(self) -> "list[Node]":
        return [*(self.above.path() if self.above else []), self]

    def all(self) -> "list[Node]":
        return [self, *(node for it in self.below for node in it.all())]


class RealClient:
    """Sends the history of its current branch with every request, as chat applications do; or, with `cut`, only the
    last messages of it. Its user goes on, has answers made again, changes questions, and goes back to what they left.
    """

    def __init__(self, world: World, name: str, cut: int | None) -> None:
        self.world, self.name, self.cut, self.count = world, name, cut, 0
        self.trunk: list[Node] = []  # first questions; one
        self.tip: Node | None = None
        self.newest: Node | None = None
        self.away = False  # maybe it is in memory no longer
        self.id = ""

    def do(self, what: str, number: int, short: bool) -> None:
        path = self.tip.path() if self.tip else []
        self.count += 1
        new = "go on" if short and not self.cut else f"question {self.count}"
        match what:
            case "say":
                self.ask(self.tip, new if self.tip else "the first question", short)
            case "again" if len(path) > 2:
                self.ask(path[-3], path[-2].text, short and self.tip is self.newest)
            case "again" if path and (self.name or self.may_begin_again()):
                self.ask(None, self.trunk[0].text, False)
            case "change" if len(path) > 2:
                at = number % (len(path) // 2 - 1) * 2 + 1
                self.ask(path[at], new, short)
            case "go back" if path:
                answers = [it for it in self.trunk[0].all() if it.role == "assistant"]
                self.tip = answers[number % len(answers)]
            case "restart":
                self.world.restart()
            case "others":
                self.away = True
                for other in range(3):
                    self.world.ask(f"{other}", client="another app")
            case "fail" if self.tip:
                said = [*self.history(self.tip), {"role": "user", "content": new}]
                place = self.world.conversations.find(said, "", "app", self.name)
                self.world.conversations.leave(place)
            case _:
                return

    def may_begin_again(self) -> bool:
        """Whether the first question alone still leads into the conversation."""
        return not self.away and len(self.trunk[0].below) < 7 and not any(it.below for it in self.trunk[0].below)

    def history(self, tip: Node) -> list[dict[str, Any]]:
        return [{"role": it.role, "content": it.text} for it in tip.path()]

    def ask(self, above: Node | None, text: str, same: bool) -> None:
        siblings = above.below if above else self.trunk
        question = next((it for it in siblings if it.text == text), None)
        if question is None:
            question = Node("user", text, above)
            siblings.append(question)
        # The same answer to the same question adds nothing, so that what stands stays what it was.
        known = self.tip.text if same and self.tip and self.tip is self.newest and self.tip in question.below else ""
        answer = known or ("ok" if same and not question.below and not self.cut else f"reply {self.count}")
        sent = self.history(question)[-self.cut if self.cut else 0 :]
        id, _ = self.world.send(sent, answer, client="app", name=self.name)
        assert self.id in ("", id), "one conversation"
        self.id, self.away = id, False
        found = next((it for it in question.below if it.text == answer), None)
        if found is None:
            found = Node("assistant", answer, question)
            question.below.append(found)
        self.tip = self.newest = found
        self.check()

    def check(self) -> None:
        """Each turn is there once, and what stands is what the client shows, with the answers made again."""
        assert self.tip
        there = Counter((it["role"], it["content"]) for it in self.world.messages(self.id))
        assert there == Counter((it.role, it.text) for it in self.trunk[0].all())
        expected: list[set[str]] = []
        for node in self.tip.path():
            rejected = {it.text for it in node.above.below if it is not node} if node.above else set()
            expected += [rejected] * (len(rejected) if node.role == "assistant" else 0) + [{node.text}]
        stands = self.world.stands(self.id)
        assert len(stands) == len(expected)
        assert all(text in allowed for text, allowed in zip(stands, expected, strict=True)), (stands, expected)


_DEED = st.tuples(
    st.sampled_from(["say", "say", "again", "change", "go back", "restart", "others", "fail"]),
    st.integers(0, 50),
    st.booleans(),
)


@pytest.mark.parametrize(("name", "cut"), [("", None), ("mine", None), ("", 5), ("mine", 5)])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deeds=st.lists(_DEED, min_size=3, max_size=25))
def test_whatever_its_user_does_each_turn_is_there_once_and_what_stands_is_what_the_client_shows(
    name: str, cut: int | None, deeds: list[tuple[str, int, bool]]
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(at_hand, "_MOST_OPEN", 2)
        client = RealClient(World(Home(folder).create()), name, cut)
        client.do("say", 0, False)
        for what, number, short in deeds:
            client.do(what, number, short)
