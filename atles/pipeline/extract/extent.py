"""How far a statement goes: what leans on it stays with it, what somebody else said does not."""

import re
from collections.abc import Collection, Sequence

from atles.pipeline.extract import guards
from atles.pipeline.extract.judge import judge
from atles.pipeline.extract.reading import BLANK, Clause
from atles.pipeline.extract.wording import SAYER
from atles.pipeline.extract.words import OTHERS, tokens

_MOST_WORDS = 16  # of a clause that is taken along
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
