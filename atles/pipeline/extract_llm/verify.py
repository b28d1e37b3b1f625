"""Holds a model's items against the session, and keeps of each what the session itself says. Trusts nothing.

What is stored is never the model's sentence but the speaker's, cut out of the message whole: so no word, name or number
can be made up, and no "not" or "if" can be dropped. The model only points; its own words have to agree with the place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atles.pipeline.extract_llm import doubts, values
from atles.pipeline.extract_llm.prompt import CERTAINTY, MEANT
from atles.pipeline.extract_llm.tokens import Token, normal, places, sentences, stem, tokens, words
from atles.records import Claim, ForgetRequest, MemoryType, Session

Guard = Callable[[Session, int, str], str]  # session, position, sentence -> why it is no memory; "" if it may be one
SlotOf = Callable[[str], tuple[str, str]]  # sentence -> its slot and value, ("", "") if a rule sees none

_TAKEN_AS_TRUE = (MemoryType.FACT, MemoryType.CORRECTION)
_LONGEST, _LONGEST_RULE = 400, 1500  # characters of a memory; of a procedure
_FUNCTION_WORDS = frozenset(
    """a an the and or but so of to in on at for from by with as into about than then that this these those there here
    it its is are was were be been being am do does did has have had having will would can could shall should may might
    must i me my mine myself we us our ours you your yours he him his she her hers they them their 's who which what
    when where how if not no user users person called named name says said wants prefers likes asked asks assistant
    also too very just now""".split()
)
_TO_THE_ASSISTANT = frozenset("you your please always never don't not i me my we first then when whenever call".split())


@dataclass(frozen=True, slots=True)
class _Said:
    role: str
    text: str
    tokens: tuple[Token, ...]
    stems: frozenset[str]
    words: frozenset[str]


class _Refused(Exception):
    """The item is no memory; the argument says why."""


class Verifier:
    """For one session. Every method returns what may be stored, or the reason why nothing may."""

    def __init__(self, session: Session, guard: Guard | None = None, slot_of: SlotOf | None = None) -> None:
        self._session, self._guard, self._slot_of = session, guard, slot_of
        self._said: dict[int, _Said] = {}
        for message in session.messages:
            stranger = bool(session.user and message.name and message.name != session.user)
            if message.role == "assistant" or (message.role == "user" and not stranger):
                text = normal(message.text)
                found = tuple(tokens(text))
                known = frozenset(token.word for token in found)
                self._said[message.position] = _Said(message.role, text, found, frozenset(map(stem, known)), known)
        self._order = sorted(self._said)
        self._owned = doubts.own([said.text for said in self._said.values() if said.role == "user"])
        self._english = doubts.english([word.word for said in self._said.values() for word in said.tokens[:500]])
        self._seen: set[tuple[object, ...]] = set()

    def claim(self, type: MemoryType, item: Any) -> Claim | str:
        """What an item of the model's says, in the speaker's words."""
        try:
            return self._claim(type, item)
        except _Refused as reason:
            return str(reason)

    def forget(self, item: Any) -> ForgetRequest | str:
        """A request of the user's to forget."""
        try:
            _, about, quote = self._fields(item, _LONGEST)
            position, at, end = self._find(quote, item.get("message"))
            said = self._said[position]
            start, stop = self._sentence(said, at, end)
            sentence = said.text[start:stop]
            if said.role != "user" or not doubts.asks_to_forget(sentence):
                return "not asked"
            self._doubt(position, (at, end), (start, stop), hypothetical=False)
        except _Refused as reason:
            return str(reason)
        found = places(words(about), said.tokens)
        if not found:  # a text that repeats the request says nothing more
            return "not said"
        first, past = found[0]
        about = said.text[said.tokens[first].start : said.tokens[past - 1].end]
        return ForgetRequest(position, "" if doubts.asks_to_forget(about) else about)

    def _claim(self, type: MemoryType, item: Any) -> Claim:
        longest = _LONGEST_RULE if type is MemoryType.PROCEDURE else _LONGEST
        fields, text, quote = self._fields(item, longest)
        position, at, end = self._find(quote, fields.get("message"))
        said = self._said[position]
        start, stop = self._sentence(said, at, end)
        sentence = said.text[start:stop]
        if len(sentence) > longest:
            raise _Refused("too long")
        self._check_words(text, sentence, said)
        messages, confidence = (position,), CERTAINTY.get(str(fields.get("certainty")), 0.7)
        if said.role == "assistant":
            messages, confidence = (position, self._confirmed(position, stop)), confidence * 0.8
        self._doubt(position, (at, end), (start, stop), hypothetical=type in _TAKEN_AS_TRUE)
        self._check_kind(type, position, sentence)
        own_words = type is MemoryType.FACT and said.role == "user"
        if own_words and not doubts.of_the_user(words(doubts.unquoted(sentence)), self._owned):
            if self._english:
                raise _Refused("somebody else")
            confidence *= 0.75  # nobody here can tell whose it is
        if type in (MemoryType.QUESTION, MemoryType.SUMMARY):
            self._once((type, *words(sentence)))
            return Claim(type, sentence, messages, said_by=said.role, confidence=confidence)
        ended = fields.get("ended") is True and doubts.says_over(sentence)
        slot, value = self._value(fields, said, start, stop, ended)
        replaces = self._replaced(fields, position, sentence, value)
        self._once((*words(sentence), slot, value.casefold()))
        return Claim(
            type, sentence, messages, said_by=said.role, confidence=round(confidence, 2), slot=slot, value=value,
            replaces=replaces, ended=ended,
            changed=bool(replaces) or (fields.get("changed") is True and doubts.says_new(sentence)),
        )  # fmt: skip

    def _fields(self, item: Any, longest: int) -> tuple[Mapping[str, Any], str, str]:
        """The item, its text and its quote, if it can be a memory by its own account."""
        if (
            not isinstance(item, dict)
            or not isinstance(item.get("quote"), str)
            or not isinstance(item.get("text"), str)
        ):
            raise _Refused("malformed")
        if len(item["text"]) > longest or len(item["quote"]) > longest:
            raise _Refused("too long")
        if item.get("about", "user") != "user":
            raise _Refused("somebody else")
        if item.get("said_as", MEANT) != MEANT:
            way = item["said_as"]
            raise _Refused(way.replace("_", " ") if isinstance(way, str) and len(way) < 20 else "malformed")
        quoted = words(item["quote"])
        if not words(item["text"]) or len(quoted) < 2 or not set(quoted) - _FUNCTION_WORDS:
            raise _Refused("empty")
        return item, item["text"], item["quote"]

    def _find(self, quote: str, named: Any) -> tuple[int, int, int]:
        """The message that holds the quote, and between which tokens: the named one, or the only other."""
        needle = words(quote)
        named = int(named) if isinstance(named, str) and named.isdecimal() and len(named) < 7 else named
        found = {position: places(needle, said.tokens) for position, said in self._said.items()}
        holders = [position for position, where in found.items() if where]
        if not holders:
            raise _Refused("not said")
        if named not in holders and len(holders) > 1:
            raise _Refused("wrong message")
        position = named if named in holders else holders[0]
        return position, *found[position][0]

    def _sentence(self, said: _Said, at: int, end: int) -> tuple[int, int]:
        """From where to where the sentences go that hold these tokens."""
        start, stop = said.tokens[at].start, said.tokens[end - 1].end
        around = [bounds for bounds in sentences(said.text) if bounds[0] < stop and bounds[1] > start]
        return around[0][0], around[-1][1]

    def _check_words(self, text: str, sentence: str, said: _Said) -> None:
        """Every word of the model's own is the speaker's, and none of theirs that turns the meaning is missing."""
        text = normal(text)
        content = [token for token in tokens(text) if token.word not in _FUNCTION_WORDS]
        if not content:
            raise _Refused("empty")
        for token in content:
            exact = token.word[0].isdigit() or (text[token.start].isupper() and token.start > 0)
            if token.word not in said.words and (exact or stem(token.word) not in said.stems):
                raise _Refused("not said")
        if doubts.negated(sentence) != doubts.negated(text):
            raise _Refused("not said")

    def _confirmed(self, position: int, stop: int) -> int:
        """The user's message that confirms the end of the assistant's, which speaks of the user."""
        said = self._said[position]
        after = self._order[self._order.index(position) + 1 :]
        last = sentences(said.text)[-1]
        of_user = {"you", "your"}.intersection(words(said.text[last[0] : last[1]]))
        if not after or self._said[after[0]].role != "user" or stop != last[1] or not of_user:
            raise _Refused("assistant said")
        if not doubts.affirms(self._said[after[0]].text):
            raise _Refused("assistant said")
        return after[0]

    def _doubt(self, position: int, quote: tuple[int, int], bounds: tuple[int, int], *, hypothetical: bool) -> None:
        """That nothing shows that the words aren't meant. `quote` are tokens, `bounds` those of the sentences."""
        said, (start, stop) = self._said[position], bounds
        sentence = said.text[start:stop]
        following = said.text[stop:].strip() or next(
            (self._said[p].text for p in self._order if p > position and self._said[p].role == "user"), ""
        )
        if doubts.secret(sentence):
            raise _Refused("secret")
        unreal = doubts.unreal(sentence, following)
        if unreal == "joke" or (unreal and hypothetical):
            raise _Refused(unreal)
        if doubts.quoted(said.text, said.tokens[quote[0]].start, said.tokens[quote[1] - 1].end, sentence):
            raise _Refused("quotation")
        if doubts.plays([self._said[p].text for p in self._order if p <= position and self._said[p].role == "user"]):
            raise _Refused("role play")
        if self._guard and (reason := self._guard(self._session, position, sentence)):
            raise _Refused(reason)

    def _check_kind(self, type: MemoryType, position: int, sentence: str) -> None:
        """That the sentence can be of the kind that the model says."""
        asks, said = sentence.rstrip("\"')”’ ").endswith(("?", "？", "؟")), words(sentence)
        if type is MemoryType.QUESTION:
            if not asks or self._said[position].role != "user":
                raise _Refused("no question")
        elif asks and type is not MemoryType.SUMMARY and self._said[position].role == "user":
            polite = said[:1] in (["can"], ["could"], ["would"], ["will"]) and said[1:2] == ["you"]
            if type is MemoryType.FACT or not polite:
                raise _Refused("question")
        if type is MemoryType.CORRECTION and not any(
            p < position and self._said[p].role == "assistant" for p in self._order
        ):
            raise _Refused("nothing to correct")
        rule = type in (MemoryType.PREFERENCE, MemoryType.PROCEDURE)
        theirs = _TO_THE_ASSISTANT.intersection(said) or doubts.of_the_user(said, self._owned)
        if rule and self._english and not theirs:
            raise _Refused("somebody else")

    def _value(self, fields: Mapping[str, Any], said: _Said, start: int, stop: int, ended: bool) -> tuple[str, str]:
        """Slot and value as far as the sentence gives them; a slot that it does not show is left out."""
        sentence = said.text[start:stop]
        if self._slot_of and not ended and (seen := self._slot_of(sentence))[0]:
            return seen
        slot, value = fields.get("slot"), fields.get("value")
        if not isinstance(slot, str) or not isinstance(value, str) or not (slot := values.shape(slot)):
            return "", ""
        within = tokens(sentence)
        for at, past in places(words(value), within):
            if values.holds(slot, at, past - at, within, sentence, ended):
                return slot, sentence[within[at].start : within[past - 1].end]
        return "", ""

    def _replaced(self, fields: Mapping[str, Any], position: int, sentence: str, value: str) -> str:
        """What the speaker says is no longer so: in the sentence, or in the answer that it corrects."""
        old = words(fields["replaces"]) if isinstance(fields.get("replaces"), str) else []
        if not old or old == words(value) or not doubts.says_new(sentence):
            return ""
        before = [p for p in self._order if p < position][-1:]
        for text in (sentence, *(self._said[p].text for p in before if self._said[p].role == "assistant")):
            found = tokens(text)
            for first, past in places(old, found):
                return text[found[first].start : found[past - 1].end]
        return ""

    def _once(self, key: tuple[object, ...]) -> None:
        if key in self._seen:
            raise _Refused("duplicate")
        self._seen.add(key)
