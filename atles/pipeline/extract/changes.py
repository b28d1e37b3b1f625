"""What a clause says of change: that something is new, over, or in place of something else. Pure text."""

import re
from dataclasses import dataclass

from atles.pipeline.extract.endings import ending

_OLD = r"(?P<old>[^,.;:!?]{1,60}?)"
_NO = (
    r"(?:the\s+|an?\s+|on\s+|in\s+|at\s+)?(?!only|just|really|much|so\b|too|very|sure|allowed|even|yet|"
    r"that|all|to\b|at\b|any|my|forget|because|yet|now|always|every|until|\w+ing\b|\w+ly\b)"
)
_FEW = r"(?P<old>[\w'-]+(?:\s+[\w'-]+){0,2}?)"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_STOPS = r"(?=\s*(?:[,.;:!?]|$|\b(?:because|since|now that|as|bc|so|and|but|for|which|who|when|until|from)\b))"
_RULES = [
    # "moved from Tuesday to Thursday" -> "moved to Thursday"
    (
        re.compile(
            rf"\s+from\s+(?!now|today|then|this|next|monday to friday\b){_OLD}"
            r"(?=\s+(?:to|into|onto|over to)\s+\S)",
            re.I,
        ),
        "",
    ),
    # "it's Thursday, not Tuesday"; "nine (not eight)"
    (
        re.compile(
            rf"\s*(?:,\s*|\(|[–—-]\s*|,?\s+(?:and|but)\s+)(?:not|no longer)\s+"
            rf"{_NO}{_FEW}(?:\s*any\s?more)?\)?\s*$",
            re.I,
        ),
        "",
    ),
    (re.compile(rf"\s*,?\s*(?:rather than|instead of|as opposed to|in place of)\s+{_OLD}\s*$", re.I), ""),
    (re.compile(r"(?<=\d)\s+not\s+(?P<old>\d\S*)", re.I), ""),
    (re.compile(r"(?<=day)\s+not\s+(?P<old>\w+day)\b|(?<=days)\s+not\s+(?P<old2>\w+days)\b", re.I), ""),
    (
        re.compile(
            rf"(?<=\w)\s+not\s+(?P<old>{_MONTH})\b(?<!not may)|"
            r"(?<=\w)\s+not\s+(?P<old3>may)(?=\W*$)",
            re.I,
        ),
        "",
    ),
    (re.compile(rf"\s*,\s*not\s+{_NO}{_FEW}(?=\s*[,;:])", re.I), ""),
    (re.compile(rf"\s+(?:instead of|rather than|in place of)\s+{_OLD}{_STOPS}", re.I), ""),
    # "not on Tuesday but on Thursday"; "no longer A but B"
    (
        re.compile(
            rf"\b(?:not|no longer)\s+{_NO}(?P<old>[\w'-]+(?:\s+[\w'-]+){{0,3}}?)\s*,?\s+but\s+(?:now\s+)?(?!i\b|we|"
            rf"it|he|she|they|my|the\s|there|you|yes|no\b)(?=\S)",
            re.I,
        ),
        "",
    ),
]
_SWAPPED = re.compile(
    (
        rf"(?<=swapped)\s+{_OLD}(?=\s+for\s)|(?<=switched)\s+(?P<old2>(?!from|to|over|"
        rf"back)[^,.;:!?]{{1,40}}?)(?=\s+(?:for|to)\s)|(?<=traded)\s+(?P<old3>[^,.;:!?]{{1,40}}?)(?=\s+for\s)|"
        rf"(?<=exchanged)\s+(?P<old4>[^,.;:!?]{{1,40}}?)(?=\s+for\s)|"
        rf"(?<=replaced)\s+(?P<old5>[^,.;:!?]{{1,40}}?)(?=\s+(?:with|by)\s)"
    ),
    re.I,
)
_RULES.append((_SWAPPED, ""))
_NOT_A_RANGE = re.compile(
    (
        r"\b(?:moved|moving|switched|switching|changed|changing|shifted|went|gone|going|swapped|transferred|"
        r"rescheduled|pushed|put|renamed|promoted|upgraded|converted|relocated|cut|reduced|increased)\b"
    ),
    re.I,
)

_CHANGED = re.compile(
    r"""\b(?:now(?!\ and\ then)|nowadays|these\ days|moved|(?:we|i)(?:'ve|\ have)?\ switched|switched|changed|
    swapped|instead|from\ now\ on|
    from\ (?:today|monday|next)\b|starting\ (?:today|monday|next|this|from|in)|since\ (?:last|monday|yesterday|this|
    (?:a|one|two|three|\d+)\ (?:weeks?|days?|months?))|
    a\ new|got\ (?:me\ )?a|back\ (?:up|down)?\ ?to|(?:up|down)\ to\ (?:\d|one|two|three|four|five|six|seven|eight|
    nine|ten)|my\ new|our\ new|the\ new|new\ (?:job|car|flat|house|place|address|phone|number|boss|doctor|placement|
    school|bike|dog|cat|
    apartment|laptop|teacher|room|time|day|schedule)|no\ longer|any\ ?more|used\ to|lately|recently|as\ of|
    (?:just|recently)\ (?:got|bought|moved|started|became|turned)|replaced|rescheduled|postponed|brought\ forward|
    became|turned|traded|
    we(?:'re|\ are)\ now|actually\ we|got\ moved|took\ over|promoted|have\ become|has\ become|gone\ (?:vegan|
    vegetarian|part-time|freelance)|
    started\ (?:at|as|a|work|eating|using|taking|going))\b""",
    re.IGNORECASE | re.VERBOSE,
)


_REASON = re.compile(
    r"\b(?:since|because|bc|cause|now that|as|after|when)\s+(?:i|we|they|he|she|the|my|our)\b", re.IGNORECASE
)
_LEAST = 8  # characters of a statement before its reason


@dataclass(frozen=True, slots=True)
class Change:
    """`text` reads as the new state; `replaces` is what it is in place of."""

    text: str
    replaces: str = ""
    changed: bool = False
    ended: bool = False


def change(text: str, least: int = 2) -> Change:
    """Read a clause for change; what is left of it has `least` words."""
    said = text.replace("’", "'")
    replaces = ""
    for number, (rule, by) in enumerate(_RULES):
        match = rule.search(said)
        if match is None or (number == 0 and not _NOT_A_RANGE.search(said[: match.start() + 1])):
            continue
        rest = said[: match.start()] + by + said[match.end() :]
        old = next((part for part in match.groups() if part), "").strip(" ()")
        if len(rest.split()) < least or not old:
            continue
        replaces = old
        said = " ".join(rest.split()).strip(" ,;-–—(")
        break
    used = re.search(rf"\bused to\s+{_OLD},?\s+(?:and|but)\s+(?=.*\bnow\b)", said, re.I)
    if used and not replaces:
        replaces = used["old"]
        said = said[used.end() :]
    changed = (bool(replaces) and not re.search(r"\b(?:rather than|instead of)\b", text, re.I)) or bool(
        _CHANGED.search(said)
    )
    over = None if replaces else ending(said)
    # "I cycle since I sold the car" is no end of its own; it says what it is in place of.
    reason = over is not None and _REASON.search(said)
    if reason and reason.start() >= _LEAST and ending(said[: reason.start()]) is None:
        return Change(text, over or "", True, False)
    ended = over is not None
    replaces = replaces or over or ""
    return Change(said if replaces and not ended else text, replaces, changed or ended, ended)
