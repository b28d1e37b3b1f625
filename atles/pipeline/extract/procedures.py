"""Private rules of several steps: "when I say X: first …, then …". One claim with the whole rule."""

import re

from atles.records import Claim, MemoryType

_TRIGGER = re.compile(
    r"""\b(?:when(?:ever)?|if(?=\ i\ (?:say|type|write|tell|send|call|text)\b)|(?:before|after|for|on|at)\ (?:every|
    each)|every\ time|each\ time|once|as\ soon\ as|any\ time|anytime)\s+(?:\S+\s+){0,8}?(?:i|we)\s+(?:ever\ |just\ |
    always\ )?
    (?:say|write|type|tell|ask|send|give|mention|call|need|want|paste|show|start|finish|log|text|do|use|put|open|
    close|begin|come|go)\b
    | \b(?:whenever|every\ (?:single\ )?time|(?:before|after)\ (?:every|each)(?:\ [\w-]+){1,4}?)\s+(?:i|
    we)\s+(?!think|see|feel|hear|was|were|am|
    are)\w+""",
    re.IGNORECASE | re.VERBOSE,
)
_SAID_AND = re.compile(r"\bi (?:say|write|type|send) [^.!?\n]{2,40}?,? (?:and )?(?:then )?(?:you|u)\b", re.IGNORECASE)
_NAMED_RULE = re.compile(
    r"""\b(?:my|our|the|a|an|house|this\ is\ my|here(?:'|’)?s\ (?:my|how))\s+(?:own\s|new\s|usual\s|little\s|
    morning\s|evening\s|standard\s|\w+\s){0,3}?(?:routine|rule|ritual|procedure|process|workflow|
    protocol|drill|checklist|method|system|order|sequence|recipe|steps|way\ of\ \w+ing|format|
    template)\b[^.!?\n]{0,60}?(?:is|are|goes|:|=)
    | \b(?:here(?:'|’)?s|this\ is)\ how\ (?:i|we)\b | \b(?:the\ way|how)\ (?:i|we)\ (?:always\ |usually\ )?(?:do|
    make|handle|run|start|close|open)\b[^.!?\n]{0,40}(?::|\ is)
    | \b(?:i|we)\ (?:always|usually)\ (?:do|go)\ [^.!?\n]{0,30}(?:in\ this\ order|like\ this|this\ way)
    | \b[\w"'“”\ -]{3,40}\ (?:means|stands\ for|is\ when|=)\s*:?\s*(?=[a-z1])""",
    re.IGNORECASE | re.VERBOSE,
)
_STEPS = re.compile(
    r"\b(?:first(?:ly)?|then|next|after (?:that|which|this)|afterwards|finally|lastly|last(?: of all)?|"
    r"secondly|thirdly|(?:second|third|fourth)(?=,? (?:you|i|ask|tell|give|the|check|put|do|show|"
    r"remind)\b)|followed by|in (?:that|this) order|"
    r"step \w+|after \w+ (?:seconds|minutes|mins|hours|days|weeks)|before anything|start with|end with|finish with|"
    r"begin with|only then|to finish|at the end|"
    r"in the end)\b|(?:^|[\s(:,;])\(?[1-9][.):]?\s+(?=\w)|->|→|=>|(?<=\s)>(?=\s)|\+ |(?m:^\s*[-*•]\s)",
    re.IGNORECASE,
)
_LINE_STEP = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+\S", re.MULTILINE)
_REFUSED = re.compile(
    r"\b(?:how (?:do|does|can|should|would) (?:i|you|we|one)|what (?:is|are) the steps|should i|would you|"
    r"recipe for)\b",
    re.I,
)
_MOST = 900  # characters of a rule


def procedure(position: int, text: str, plain: str) -> tuple[Claim, tuple[int, int]] | None:
    """The rule that a message states, and which characters of it the rule takes up."""
    begin = end = -1
    for form in (_TRIGGER, _NAMED_RULE, _SAID_AND):
        for match in form.finditer(plain):
            start = _sentence_start(plain, match.start())
            stop = _rule_end(plain, match.end())
            rule = plain[start:stop]
            steps = len({step.start() for step in _STEPS.finditer(plain, match.end() - 1, stop)})
            listed = len(_LINE_STEP.findall(rule))
            parts = rule.count(",") + rule.count(";") + len(re.findall(r"\b(?:and|then)\b", rule, re.I))
            enough = (
                listed >= 2
                or steps >= 2
                or (steps == 1 and parts >= 2)
                or ((form is not _NAMED_RULE or "means" in rule) and (":" in rule or form is _SAID_AND) and parts >= 2)
            )
            if enough and not _REFUSED.search(rule[:120]) and not plain[stop - 1 : stop + 1].strip().endswith("?"):
                begin, end = start, stop
                break
        if begin >= 0:
            break
    if begin < 0:
        return None
    said = text[begin:end].strip(" \n,;")[:_MOST]
    if len(said.split()) < 8:
        return None
    return Claim(MemoryType.PROCEDURE, said, (position,), slot=_slot(said)), (begin, end)


def _sentence_start(plain: str, at: int) -> int:
    return max(
        (
            plain.rfind(stop, 0, at) + len(stop)
            for stop in (". ", "! ", "? ", "\n", "; ")
            if plain.rfind(stop, 0, at) >= 0
        ),
        default=0,
    )


def _rule_end(plain: str, at: int) -> int:
    """A rule goes on as long as its sentences begin like steps."""
    end = len(plain)
    for match in re.finditer(r"[.!?]+(?=\s)|\n\s*\n", plain[at:]):
        rest = plain[at + match.end() :]
        if plain[max(0, at + match.start() - 1)].isdigit() and match.group() == ".":
            continue
        if re.match(
            r"\s*(?:then|next|after|finally|last|first|second|third|fourth|step|in that order|and then|only then|"
    r"\d+[.)]|[-*•]|nothing else|no \w+|never|always|also|and )",
            rest, re.I,
        ):  # fmt: skip
            continue
        return at + match.end()
    return end


_CUE = re.compile(
    r"[\"“'‘]([^\"”'’]{2,40})[\"”'’]|\b(?:say|write|type|call)\s+((?:\w+\s?){1,4}?)(?=[:,]|\s+(?:and|i|it|"
    r"you|u|first|plus|\+)\b)",
    re.I,
)


def _slot(said: str) -> str:
    match = _CUE.search(said)
    cue = (match[1] or match[2] or "").strip().lower() if match else ""
    return f"when.{cue}" if cue else ""
