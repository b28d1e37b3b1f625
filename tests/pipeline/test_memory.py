"""What sessions add to memory, whatever their order and however often; and what memory adds to a question."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from atles.errors import AtlesError
from atles.pipeline.injected import MARK_BEGIN, MARK_END, with_memory
from atles.pipeline.memory import MemoryProcessor
from atles.records import Claim, Extraction, ForgetRequest, MemoryType, Session
from atles.settings import MemorySettings, Settings
from atles.store import Store
from tests.raw import everything
from tests.samples import document, session


class Scripted:
    """An extractor that says what it was told to: per session id, claims."""

    def __init__(self, **claims: Sequence[Claim]) -> None:
        self.claims = claims
        self.forget: dict[str, tuple[ForgetRequest, ...]] = {}

    def extract(self, session: Session) -> Extraction:
        name = session.session_id
        return Extraction(tuple(self.claims.get(name, ())), self.forget.get(name, ()))


def fact(text: str, **fields: Any) -> Claim:
    return Claim(**{"type": MemoryType.FACT, "text": text, "messages": (0,), **fields})


def said(name: str, month: int, *lines: str, **fields: Any) -> dict[str, Any]:
    return document(name, *lines, start_time=f"2026-{month:02}-01T00:00:00+00:00", **fields)


LEEDS = said("leeds", 1, "u: I live in Leeds")
BATH = said("bath", 3, "u: I live in Bath now")
YORK = said("york", 5, "u: we moved to York")
HOMES = Scripted(
    leeds=[fact("I live in Leeds", slot="home", value="leeds")],
    bath=[fact("I live in Bath now", slot="home", value="bath", changed=True)],
    york=[fact("we moved to York", slot="home", value="york", changed=True)],
)


@pytest.fixture
def memory(store: Store) -> MemoryProcessor:
    return MemoryProcessor(store=store)


def state(store: Store, user: str | None = None) -> list[tuple[str, str, str | None]]:
    number = store.sessions.user(user)
    assert number is not None
    found = store.memories.of_user(number, ended=True)
    return sorted((it.text, it.valid_from[:7], it.valid_to and it.valid_to[:7]) for it in found)


HISTORY = [("I live in Bath now", "2026-03", "2026-05"), ("I live in Leeds", "2026-01", "2026-03"),
           ("we moved to York", "2026-05", None)]  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations([LEEDS, BATH, YORK])))
def test_history_is_the_same_in_whatever_order_sessions_arrive(store: Store, order: list[dict[str, Any]]) -> None:
    memory = MemoryProcessor(store=store, extractor=HOMES)
    for each in order:
        memory.process_session(each)
    assert state(store) == HISTORY
    for each in order:
        assert memory.process_session(each)["memory_items_created"] == 0, "the same session twice changes nothing"
    assert state(store) == HISTORY


def test_a_memory_says_where_it_came_from_and_how_often(store: Store) -> None:
    memory = MemoryProcessor(store=store, extractor=Scripted(a=[fact("I keep hens")], b=[fact("i keep hens!")]))
    memory.process_session(said("a", 1, "u: I keep hens"))
    result = memory.process_session(said("b", 2, "u: i keep hens!"))
    assert (result["memories"], result["confirmed"]) == (0, 1)
    user = store.sessions.user()
    assert user is not None
    (found,) = [store.memories.get(it.id) for it in store.memories.of_user(user)]
    assert found.count == 2 and [name for name, _ in found.sources] == ["a", "b"]


def test_what_a_session_no_longer_says_is_taken_back(store: Store) -> None:
    script = Scripted(leeds=HOMES.claims["leeds"], bath=HOMES.claims["bath"])
    memory = MemoryProcessor(store=store, extractor=script)
    memory.process_session(LEEDS)
    memory.process_session(BATH)
    script.claims = {"leeds": HOMES.claims["leeds"]}  # it turned out to be a joke
    assert memory.process_session(BATH)["taken_back"] == 1
    assert state(store) == [("I live in Leeds", "2026-01", None)]


def test_what_is_refused_is_counted(store: Store) -> None:
    memory = MemoryProcessor(store=store, extractor=Scripted(a=[fact("it is so")]))
    assert memory.process_session(said("a", 1, "u: it is so"))["refused"] == {"says nothing": 1}


def test_what_holds_comes_before_what_held_and_both_say_so(store: Store) -> None:
    memory = MemoryProcessor(store=store, extractor=HOMES)
    memory.process_session(said("bath", 3, "u: I live in Bath now"))
    memory.process_session(said("leeds", 1, "u: I live in Leeds"))
    first, second = memory.recall("Where do I live?")
    assert (first.text, first.valid_to, first.kind) == ("I live in Bath now", None, "fact")
    assert second.text == "I live in Leeds" and second.valid_to == "2026-03-01T00:00:00+00:00"
    assert "held until 2026-03-01" in second.why
    (then,) = memory.recall("Where do I live?", at="2026-02-01")
    assert then.text == "I live in Leeds" and then.valid_to is None, "as it was known then"
    assert memory.recall("Where do I live?", at="2025-01-01") == []


@pytest.mark.parametrize("at", ["yesterday", "2099-01-01", "31.05.2026"])
def test_a_time_that_is_none_is_named(memory: MemoryProcessor, at: str) -> None:
    with pytest.raises(AtlesError, match="no time in the past"):
        memory.recall("bees", at=at)


def test_users_never_see_each_others_words(store: Store) -> None:
    memory = MemoryProcessor(store=store)
    for name in ("ada", "bob"):
        for number in range(3):
            memory.process_session(
                said(f"{name}{number}", 1, f"u: I live in {name}ville and keep bees", metadata={"user": name})
            )
    for name, other in (("ada", "bob"), ("bob", "ada")):
        hits = memory.recall("Where do I live with my bees?", 50, user=name)
        assert hits and {hit.session_id[:3] for hit in hits} == {name}
        assert other not in repr(memory.before("bees?", user=name)) and other not in repr(state(store, name))
    with pytest.raises(AtlesError, match=r"2 users: say of whom \(ada, bob\)"):
        memory.recall("bees")
    assert memory.recall("bees", user="eve") == []


def test_recall_fits_its_budget(memory: MemoryProcessor) -> None:
    for number in range(5):
        memory.process_session(said(f"s{number}", 1, f"u: note {number} on bees: {'honey ' * 20}"))
    assert len(memory.recall("bees", 5)) == 5
    assert len(memory.recall("bees", 5, budget_tokens=70)) == 2
    assert memory.recall("bees", 5, budget_tokens=3) == []


def test_an_answer_that_the_user_corrected_is_not_recalled(tmp_path: Path) -> None:
    memory = MemoryProcessor(tmp_path / "atles.db")
    lines = ("u: When is choir practice?", "a: Choir practice is on Tuesday.")
    memory.process_session(session("s", *lines))
    assert "Tuesday" in " ".join(hit.text for hit in memory.recall("choir practice"))
    memory.process_session(session("s", *lines, "u: No, it's on Thursday", "a: Choir practice is on Thursday."))
    said = " ".join(hit.text for hit in memory.recall("choir practice"))
    assert "Thursday" in said and "Tuesday" not in said


def test_its_own_context_fed_back_a_hundred_times_adds_nothing(store: Store) -> None:
    memory = MemoryProcessor(store=store)
    memory.process_session(said("a", 1, "u: I live in Leeds and I keep three hens. Please answer in French."))
    before = state(store)
    assert before
    for number in range(100):
        messages = list(memory.before("Where do I live?"))
        assert "French" in messages[0]["content"] and "Leeds" in messages[1]["content"]
        if number % 2:  # as a client that makes a system message of all of it
            block, mark, question = messages[1]["content"].partition(MARK_END)
            system = {"role": "system", "content": f"{messages[0]['content']}\n{block}{mark}"}
            messages = [system, {"role": "user", "content": question.strip()}]
        messages.append({"role": "assistant", "content": "You live in Leeds and keep three hens."})
        memory.process_session({"session_id": f"round{number}", "messages": messages, "metadata": {}})
    assert state(store) == before
    assert MARK_BEGIN not in repr(store.sessions.get("round1").session)


def test_what_is_put_before_a_question_is_marked(store: Store) -> None:
    memory = MemoryProcessor(store=store)
    memory.process_session(said("a", 1, "u: I live in Leeds. Please keep it short."))
    system, message = memory.before("Where do I live?")
    block, _, question = message["content"].partition(MARK_END)
    assert message["role"] == "user" and block.startswith(MARK_BEGIN)
    assert "I live in Leeds" in block and question == "\n\nWhere do I live?"
    assert system["role"] == "system" and "keep it short" in system["content"]
    assert system["content"].startswith(MARK_BEGIN) and system["content"].endswith(MARK_END)


def test_what_bears_much_less_on_a_question_is_not_put_before_it(store: Store) -> None:
    said_at_times = ["u: I live in Leeds", "a: Nice.", "u: The bus to Leeds was late and the rain was cold"]
    everything = MemoryProcessor(store=store, settings=Settings(memory=MemorySettings(recall_share=0.0)))
    everything.process_session(said("a", 1, *said_at_times))
    assert "bus" in everything.before("Which town do I live in, Leeds?")[-1]["content"]
    (message,) = MemoryProcessor(store=store).before("Which town do I live in, Leeds?")
    assert "I live in Leeds" in message["content"] and "bus" not in message["content"]


def test_a_general_question_gets_no_memory_that_only_shares_a_word_with_it(store: Store) -> None:
    memory = MemoryProcessor(store=store)
    memory.process_session(said("a", 1, "u: I live in Leeds, in a country house", "a: Nice."))
    assert memory.before("Which country is famous for pizza?") == [
        {"role": "user", "content": "Which country is famous for pizza?"}
    ]
    assert "Leeds" in memory.before("Which country do I live in?")[-1]["content"]


def test_nothing_known_puts_nothing_before_a_question() -> None:
    assert with_memory("q", []) == [{"role": "user", "content": "q"}]


def test_secrets_are_stored_nowhere(store: Store) -> None:
    memory = MemoryProcessor(store=store)
    memory.process_session(
        said("a", 1, "u: My wifi password is Blue-Heron-77 and I live in Leeds", "a: Blue-Heron-77, ok")
    )
    assert b"Leeds" in everything(store)
    assert b"Blue-Heron" not in everything(store)


@pytest.mark.parametrize("late", [False, True])
def test_how_a_memory_ended_is_known_whichever_session_came_first(store: Store, late: bool) -> None:
    memory = MemoryProcessor(store=store, extractor=HOMES)
    for home in (BATH, LEEDS) if late else (LEEDS, BATH):
        memory.process_session(home)
    (leeds,) = [it for it in store.memories.of_user(1, ended=True) if "Leeds" in it.text]
    assert (leeds.valid_to, leeds.ended_how) == ("2026-03-01T00:00:00+00:00", "replaced")


def test_nothing_fades_unless_it_is_asked_for_and_never_what_is_pinned(store: Store) -> None:
    old = [fact("I keep hens"), fact("I sing bass", messages=(1,)), fact("I ski", messages=(2,))]
    lines = ("u: I keep hens", "u: I sing bass", "u: I ski")
    extractor = Scripted(a=old)
    memory = MemoryProcessor(store=store, extractor=extractor)
    memory.process_session(said("a", 1, *lines))
    assert memory.fade() == 0
    user = store.sessions.user()
    assert user is not None
    by_text = {it.text: it.id for it in store.memories.of_user(user)}
    store.memories.pin(by_text["I sing bass"], True)
    memory.used(memory.recall("Do I ski?", 1))
    fading = MemoryProcessor(store=store, settings=Settings(memory=MemorySettings(fade_days=30)), extractor=extractor)
    assert fading.fade() == 1
    assert {it.text for it in store.memories.of_user(user)} == {"I sing bass", "I ski"}
    assert store.memories.get(by_text["I keep hens"]).ended_how == "faded"


@pytest.fixture
def odd() -> Iterator[dict[str, Any]]:
    yield {"session_id": "odd", "messages": [], "metadata": {}}


@pytest.mark.parametrize(
    "content",
    [
        "🤖🎉👩‍👩‍👧", "我住在上海，我的猫叫小白。", "אני גר בחיפה ויש לי כלב", "```python\ndef f():\n    return 1\n```",
        "Traceback (most recent call last):\n  File \"x.py\", line 1\nKeyError: 'a'\n" * 50, "", " \n\t ", "\0\ud83d",
        "lorem ipsum dolor sit amet " * 3_700, None, [], [{"type": "image_url", "image_url": {"url": "data:,"}}],
        {"a": 1}, 17,
    ],
    ids=lambda it: ascii(it)[:20],
)  # fmt: skip
@pytest.mark.parametrize("at", ["2026-01-01T00:00:00+00:00", None, "yesterday", "2099-01-01T00:00:00Z", 1767225600])
def test_odd_messages_and_times_lose_nothing(
    memory: MemoryProcessor, odd: dict[str, Any], content: Any, at: Any
) -> None:
    odd["messages"] = [
        {"role": "user", "content": content, "timestamp": at},
        {"role": "user", "content": "I keep hens"},
    ]
    memory.process_session(odd)
    assert memory.process_session(odd)["memory_items_created"] == 0
    assert memory.recall("hens")[0].text == "I keep hens"
    assert len(memory.store.sessions.get("odd").session.messages) == 2


def test_index_makes_many_sessions_searchable_at_once(memory: MemoryProcessor) -> None:
    sessions = [said(f"s{number}", 1, f"u: note {number} on bees", "a: fine") for number in range(50)]
    assert memory.index(sessions) == 100
    assert memory.index(sessions) == 0
    assert [hit.text for hit in memory.recall("note 17", 1)] == ["note 17 on bees"]
