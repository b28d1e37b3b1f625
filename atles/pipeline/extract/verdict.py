"""What a rule says of a clause. Knows no rules."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fact`: it is one. Else `reason` names what it looked like, or is "" if it looked like nothing."""

    fact: bool
    reason: str = ""
    kind: str = ""  # by which rule
    sure: float = 0.9


NOTHING = Verdict(False)


def no(reason: str) -> Verdict:
    return Verdict(False, reason)
