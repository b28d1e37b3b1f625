"""How far a statement goes: what leans on it stays with it, what somebody else said does not."""

import re
from collections.abc import Collection, Sequence

from atles.pipeline.extract import guards
from atles.pipeline.extract.changes import change
from atles.pipeline.extract.judge import judge
from atles.pipeline.extract.names import NO_FRAGMENT, People
from atles.pipeline.extract.reading import BLANK, Clause, Sentence
from atles.pipeline.extract.turns import spoken_of
from atles.pipeline.extract.wording import LEADING, PRONOUN, SAYER, clean
from atles.pipeline.extract.words import KIN, OTHERS, PETS, tokens

_MOST_WORDS = 16  # of a clause that is taken along
_MOST_IN_ALL = 40  # of a sentence that is taken as a whole
_ATTACH = re.compile(
    r"^(?:which|who|whose|where|because|bc|cuz|since|as|when|until|till|for|so that|though|although|while|with)\b",
    re.IGNORECASE,
)


def end_of(clauses: Sequence[Clause], at: int, facts: Collection[int]) -> int:
    """Where the statement of a clause ends in its sentence; `facts` are the clauses that are statements themselves."""
    clause = clauses[at]
    said = guards.reported(clause)
    if said >= 0 and not reported_first(clause, said):
        return clause.start + len(SAYER.sub("", clause.plain[:said]))
    end = clause.end
    for following in range(at + 1, len(clauses)):
        leaning = clauses[following]
        joined = leaning.before.strip(", ")
        leans = _ATTACH.match(joined) or _ATTACH.match(leaning.text) or "(" in joined or joined == ")"
        guarded = guards.asks(leaning) or guards.hypothetical(leaning) or BLANK in leaning.plain
        if following in facts or not leans or guarded or len(leaning.words) > _MOST_WORDS:
            break
        end = leaning.end
    return end


def reported_first(clause: Clause, said: int) -> bool:
    """Whether the user's own part comes only after what somebody said."""
    ahead = tokens(clause.plain[:said])
    return (
        not {"i", "my", "we", "our"}.intersection(ahead)
        or bool({"i", "he", "she", "they"} & set(ahead[-2:]))
        or bool(OTHERS.intersection(ahead))
        or not judge(tuple(ahead), clause.plain[:said]).fact
    )


def cut_out(
    sentence: Sentence,
    clauses: Sequence[Clause],
    at: int,
    facts: Collection[int],
    kind: str,
    before: Sentence | None,
    asked: Sentence | None,
    people: People,
) -> tuple[str, str]:
    """The words of the statement that a clause makes, and what must be said before them for "she" and "it" to be clear.

    `before` is the sentence on whoever was spoken of last, `asked` the sentence just before, a question or not.
    """
    clause = clauses[at]
    first = clause.words[0]
    start, end = clause.start, end_of(clauses, at, facts)
    text = sentence.text[start:end]
    lead = ""
    if at and first in ("i", "me") and clause.before == "and" and _is_name(clauses[at - 1]):
        start, text = clauses[at - 1].start, sentence.text[clauses[at - 1].start : end]  # "Sal and I broke up"
    if kind == "of what":
        start = 0 if len(sentence.words) <= _MOST_IN_ALL else start
        text = sentence.text[start:end]
        if (
            asked is not None
            and (not at or (asked.asked and start == 0))
            and len(asked.words) <= 30
            and BLANK not in asked.plain
        ):
            lead = f"{clean(asked.text)}{'?' if asked.asked else '.'} "
    elif kind == "gain" and len(clause.words) <= 3 and at + 1 < len(clauses) and at + 1 not in facts:
        text = sentence.text[start : clauses[at + 1].end]  # "new place: a house on Mill Lane"
    elif at and at - 1 not in facts and clauses[at - 1].words[:2] == ("it", "is") and change(text).changed:
        text = sentence.text[clauses[at - 1].start : end]  # "it's Fridays, we switched"
    elif PRONOUN.match(LEADING.sub("", text)) and first not in ("i", "my", "we", "our"):
        if (at and (KIN | PETS).intersection(word for other in clauses[:at] for word in other.words)) or (
            at and before is None
        ):
            start = 0
            text = sentence.text[start:end]
        elif before is not None and len(before.words) <= 30 and BLANK not in before.plain:
            lead = f"{clean(spoken_of(before))}. "
        elif before is None and people.meant(clause.words):
            lead = f"{people.kin[0]}. "
    elif (
        at
        and clause.before.strip(", ").split(" ")[0] in ("because", "bc", "cuz", "since")
        and at - 1 not in facts
        and kind in ("habit", "me", "event")
    ):
        main = clauses[at - 1]
        if (
            len(main.words) <= 26
            and BLANK not in main.plain
            and not guards.asks(main)
            and not guards.hypothetical(main)
            and guards.reported(main) < 0
            and clause.start - main.end < 14
            and not {"please", "you"} & set(main.words)
        ):
            text = sentence.text[main.start : end]
    elif (
        at
        and first in ("where", "which", "whose")
        and len(clauses[at - 1].words) <= 25
        and BLANK not in clauses[at - 1].plain
        and not guards.asks(clauses[at - 1])
    ):
        text = sentence.text[clauses[at - 1].start : end]
    return text, lead


def _is_name(clause: Clause) -> bool:
    return len(clause.words) == 1 and clause.words[0] not in NO_FRAGMENT
