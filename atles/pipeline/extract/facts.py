"""Facts: statements of the user on themselves and their world, clause by clause, in their words. No I/O."""

import re
from collections import Counter
from dataclasses import replace

from atles.pipeline.extract import guards
from atles.pipeline.extract.changes import change
from atles.pipeline.extract.endings import ending
from atles.pipeline.extract.extent import cut_out, reported_first
from atles.pipeline.extract.judge import judge
from atles.pipeline.extract.names import NO_FRAGMENT, People
from atles.pipeline.extract.reading import BLANK, Clause, Sentence
from atles.pipeline.extract.slots import slot_of
from atles.pipeline.extract.third import NAME_IS, OWNS, THIRD, last_resort
from atles.pipeline.extract.turns import fronted, over, says_no_more, takes_the_place
from atles.pipeline.extract.verdict import NOTHING, Verdict
from atles.pipeline.extract.wording import COMPLEMENT, PRONOUN, clean
from atles.pipeline.extract.words import KIN, OTHERS, PETS
from atles.records import Claim, MemoryType

_MOST_WORDS = 40
_PUZZLE = re.compile(
    r"\bhow (?:many|much|long|far|fast|old)\b.*\b(?:left|in total|altogether|each|remain\w*|combined)\b", re.IGNORECASE
)
_SAID_LAUGHING = frozenset("role state age event plan goal history dropped me".split())
_VERBAL = frozenset(
    "i you u we is are am was were do does did can could will would has have had my me it that this let "
    "need want get got make give tell show go explain write send check thats whats help put use find say "
    "said works".split()
)


class Reader:
    """Reads the sentences of a session in order; remembers who was spoken of. `refused` counts why what was refused."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._people = People()

    def read(self, said: list[Sentence]) -> list[Claim]:
        """The facts of one message."""
        found: list[Claim] = []
        before: Sentence | None = None
        ours = False  # whether "she" or "it" can be someone or something of the user's
        for number, sentence in enumerate(said):
            later = said[number + 1] if number + 1 < len(said) else None
            if later is not None and guards.takes_back(later):
                self.refused["joke"] += 1
                before, ours = None, False
                continue
            if guards.opens_hypothesis(sentence.plain):
                if len(sentence.words) > 3:
                    self.refused["hypothetical"] += 1
                if not re.match(r"\W*(?:if|had|e\.?g|for example|wish)", sentence.plain, re.I):
                    break  # "Imagine …": the rest of the message is set in that world
                before, ours = None, False
                continue
            claims = self._sentence(sentence, before if ours else None, said[number - 1] if number else None)
            if not claims and (new := fronted(sentence, said[number - 1] if number else None)) is not None:
                claims = [new]
            if not claims and found and self._follows(sentence, found[-1]):
                continue_ = found.pop()
                claims = [self._with(sentence, continue_)]
            if (
                claims
                and found
                and found[-1].ended
                and says_no_more(found[-1])
                and claims[0].changed
                and not claims[0].ended
                and found[-1].messages == claims[0].messages
            ):
                claims[0] = replace(claims[0], replaces=claims[0].replaces or found.pop().replaces)
            found += claims
            names = self._people.read(sentence)
            if (
                names
                and not claims
                and before is not None
                and len(sentence.words) <= 4
                and BLANK not in before.plain
                and len(before.words) <= 25
                and not guards.joke(before)
            ):
                names = [
                    replace(
                        names[0], text=f"{before.text}{before.tail.strip() if before.asked else '.'} {names[0].text}"
                    )
                ]
            found += [claim for claim in names if not any(claim.text.lower() in other.text.lower() for other in found)]
            family = (KIN | PETS).intersection(sentence.words) or any(
                name in sentence.words for name in self._people.known
            )
            others = OTHERS.intersection(sentence.words) and not family
            if (
                (family and not others and {"my", "our", "the"}.intersection(sentence.words))
                or claims
                or "new" in sentence.words[:2]
            ):
                ours = not others
            elif sentence.words and sentence.words[0] not in ("she", "he", "it", "they", "his", "her", "its"):
                ours = False
            before = sentence if not PRONOUN.match(sentence.plain) else before
        return found

    def _follows(self, sentence: Sentence, last: Claim) -> bool:
        """Whether a sentence without a verb goes on with the fact before it: "i have two cats. milo and otis"."""
        words = sentence.words
        if (
            last.messages != (sentence.position,)
            or not words  # a smiley
            or sentence.asked
            or BLANK in sentence.plain
            or guards.joke(sentence)
            or words[0] in NO_FRAGMENT
        ):
            return False
        if last.ended:
            return (
                bool({"now", "instead"}.intersection(words))
                and len(words) <= 16
                and not {"you", "u"}.intersection(words)
            )
        return (
            len(words) <= 7
            and not _VERBAL.intersection(words)
            and not any(word.endswith(("ing", "ed")) for word in words)
        )

    def _with(self, sentence: Sentence, last: Claim) -> Claim:
        if last.ended:
            return replace(last, text=clean(sentence.text), ended=False, changed=True)
        return replace(last, text=f"{last.text}. {clean(sentence.text)}")

    def _sentence(self, sentence: Sentence, before: Sentence | None, asked: Sentence | None) -> list[Claim]:
        if not sentence.words or len(sentence.words) < 2:
            return []
        clauses = sentence.clauses()
        verdicts: list[Verdict] = []
        for at in range(len(clauses)):
            verdicts.append(self._clause(sentence, clauses, at, before, bool(verdicts) and verdicts[-1].fact))
        facts = [at for at, verdict in enumerate(verdicts) if verdict.fact]
        for verdict in verdicts:
            if verdict.reason and not verdict.fact:
                self.refused[verdict.reason] += 1
        if not facts:
            return []
        if guards.SECRET.search(sentence.text):
            self.refused["secret"] += 1
            return []
        if guards.joke(sentence) or (
            guards.laughed_at(sentence) and any(verdicts[at].kind in _SAID_LAUGHING for at in facts)
        ):
            self.refused["joke"] += 1
            return []
        return self._claims(sentence, clauses, verdicts, facts, before, asked)

    def _clause(
        self, sentence: Sentence, clauses: list[Clause], at: int, before: Sentence | None, follows: bool
    ) -> Verdict:
        clause = clauses[at]
        words = clause.words
        last = at == len(clauses) - 1
        if len(words) > 90:
            return Verdict(False, "too long")
        if guards.asks(clause):
            return NOTHING
        if sentence.asked and _PUZZLE.search(sentence.plain):
            return Verdict(False, "hypothetical")
        if (
            sentence.asked
            and last
            and (len(clauses) == 1 or clause.before in ("", ",", "or"))
            and "i" not in words[:2]
            and "my" not in words[:1]
            and not words[0].startswith("we")
        ):
            return NOTHING
        if sentence.asked and len(clauses) == 1 and not re.search(r"[,;:–—]", sentence.plain):
            return Verdict(False, "question") if "i" in words or "my" in words else NOTHING
        if words[0] in ("if", "unless", "whether", "wish") or clause.before.endswith((" if", "as if")):
            return NOTHING
        verdict = judge(words, clause.plain)
        if not verdict.fact and THIRD.match(" ".join(words)) and len(words) > 2:
            mine = (
                before is not None
                or follows
                or (
                    at > 0
                    and re.search(r"\bnow(?: on)?$|\binstead$|\bthese days$", " ".join(words))
                    and not guards.asks(clauses[at - 1])
                )
                or self._people.meant(words)
                or any(
                    (KIN | PETS | {"boy", "girl", "kid"}).intersection(other.words)
                    and {"my", "our", "the"} & set(other.words)
                    and not OTHERS.intersection(other.words)
                    for other in clauses[:at]
                )
            )
            of_a_relative = KIN.intersection(word for other in clauses[:at] for word in other.words)
            if mine and of_a_relative and OWNS.match(" ".join(words)):
                return Verdict(False, "somebody else")  # a sister's tattoo is hers
            verdict = Verdict(True, kind="third", sure=0.75) if mine and not guards.hypothetical(clause) else NOTHING
        if not verdict.fact and (match := NAME_IS.match(" ".join(words))) and match["name"] in self._people.known:
            verdict = Verdict(True, kind="known", sure=0.75)
        if not verdict.fact and verdict.reason in ("", "ephemeral"):
            ended = over(clause)
            if ended.fact and (not verdict.reason or clause.words[:1] == ("we",)):
                verdict = ended
        if not verdict.fact:
            return verdict
        if guards.hypothetical(clause):
            return Verdict(False, "hypothetical")
        if at and any(
            other.words[0] == "if" and other.words[1:2] and not last_resort(other)
            for other in clauses[max(0, at - 1) : at]
        ):
            return Verdict(False, "hypothetical")
        said = guards.reported(clause)
        if said >= 0 and reported_first(clause, said):
            return Verdict(False, "somebody else")
        if at and guards.reported(clauses[at - 1]) >= 0 and not clause.before.strip(", "):
            return Verdict(False, "somebody else")
        return verdict

    def _claims(
        self,
        sentence: Sentence,
        clauses: list[Clause],
        verdicts: list[Verdict],
        facts: list[int],
        before: Sentence | None,
        asked: Sentence | None,
    ) -> list[Claim]:
        found: list[Claim] = []
        for at in facts:
            verdict = verdicts[at]
            text, lead = cut_out(sentence, clauses, at, facts, verdict.kind, before, asked, self._people)
            text = clean(COMPLEMENT.sub("", clean(text)))
            if text.split(" ")[0].lower() in ("always", "never", "please"):
                continue
            if len(text.split()) < 2 or len(text.split()) > _MOST_WORDS + 20:
                continue
            new = change(text)
            if new.ended and ending(clauses[at].text.replace("’", "'")) is None:
                new = replace(new, changed=True, ended=False)  # what is over is said in a clause that came along
            text = clean(new.text)
            slot, value = slot_of(text)
            claim = Claim(
                MemoryType.FACT, lead + text, (sentence.position,), confidence=round(verdict.sure, 2),
                slot=slot, value=value, replaces=new.replaces, ended=new.ended,
                changed=new.changed or verdict.kind in ("gain", "of what"),
            )  # fmt: skip
            claim = takes_the_place(claim, found, clauses, at, facts)
            if found and claim.changed and not claim.ended and found[-1].ended:
                claim = replace(claim, replaces=claim.replaces or found[-1].replaces)
                if says_no_more(found[-1]):
                    found.pop()
            if found and text in found[-1].text:
                continue
            if found and found[-1].text in claim.text:
                found.pop()
            found.append(claim)
        return found
