"""Questions that a plain statement answers, by what stands where in it: "you keep five hens" -> "How many hens do I
keep?". English statements are regular enough for that: subject, verb, object, place or time. Pure text.
"""

import re
from collections.abc import Iterator

Pair = tuple[str, str]  # question, answer

_ADVERB = r"(?:(?:usually|always|mostly|often|only|now|still|also|really|both|all|just|\w+ly) )*"
_NO_VERB = frozenset(
    """are were was have had has did do does can will would could should might may must shall not never am is be been
    got guess mean think know feel want need hope wonder wish see say try get let thank agree love like hate suppose
    believe said told asked thought knew meant tried wanted needed remember forget understand and or but who that
    which one two both all too then there here my your our this""".split()
)
_NUMBER = (
    r"(?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|eighteen|"
    r"twenty|thirty|forty|fifty|a dozen|a hundred)"
)
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|week(?:day|end)s?"
_MONTH = r"january|february|march|april|may|june|july|august|september|october|november|december"
_HOUR = r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,2}(?:[:.]\d\d)?(?: ?[ap]m)?"
_WHEN = re.compile(
    r"\b(?P<prep>on|in|at|to|every|before|after|until|from|since)\b(?:(?! (?:on|in|at|to|every)\b)[^,])*?"
    rf"\b(?:{_DAY}|{_MONTH}|morning|noon|midday|lunch|afternoon|evenings?|night|midnight|"
    rf"spring|summer|autumn|winter|week|month|year|(?:{_HOUR})(?! \w))\b",
    re.IGNORECASE,
)
_PLACES = frozenset("in at near to into on behind under".split())
_ASKED = frozenset("for with to from about on against".split())
_PARTICLE = re.compile(
    r"(?:up|down|out|off|away|back|over|around|like|so|very|too|more|less|that|if|when|it|them|me|and|or|the same|well|"
    r"again|alone|together|there|here|home|\w+ly)\b",
    re.IGNORECASE,
)
_PREP = r"(?:in|on|at|for|with|to|from|by|about|under|near|into|as|through|against|of|between|behind)"
_STATEMENTS = [
    re.compile(rf"^(?P<subject>{subject}) {_ADVERB}(?P<verb>[a-z]+) (?P<rest>\S.*)$", re.IGNORECASE)
    for subject in ("you", r"(?:your|the) [\w'-]+", r"(?:your|the) [\w'-]+ (?!is\b|are\b|was\b|were\b)[\w'-]+")
]
_PAST = {
    past: plain
    for past, _, plain in (
        pair.partition(":")
        for pair in """went:go got:get came:come saw:see made:make took:take gave:give found:find left:leave kept:keep
    ran:run sat:sit fell:fall ate:eat drank:drink slept:sleep woke:wake wrote:write broke:break chose:choose
    drove:drive rode:ride flew:fly grew:grow threw:throw drew:draw sang:sing swam:swim began:begin won:win lost:lose
    bought:buy brought:bring caught:catch taught:teach sold:sell sent:send spent:spend built:build paid:pay met:meet
    led:lead held:hold moved:move""".split()
    )
}  # fmt: skip
_NEEDS_E = re.compile(r"(?:[^aeiou]|^|\b[^aeiou]*[aeiou])(?:at|v|c|g|u|z|s|ir|ok|ak|in|id|ul|os|us|as|is)$")


def ask(statement: str) -> Iterator[Pair]:
    """The questions that one clause in second person answers: "You keep five hens" or "your shop opens at nine"."""
    answer = statement[:1].upper() + statement[1:].rstrip(".! ") + "."
    for form in _STATEMENTS:
        match = form.match(statement.rstrip(".! "))
        lead = match and _lead(match["subject"].lower(), match["verb"].lower())
        if match and lead:
            for question in _questions(lead, match["rest"]):
                yield re.sub(r"\byour\b", "my", question, flags=re.IGNORECASE), answer
            return


def _questions(lead: str, rest: str) -> Iterator[str]:
    when = _WHEN.search(rest)
    what = rest[: when.start()].strip(" ,") if when else rest
    thing, place = _cut(what)
    if place and not thing:
        if place.split()[0] in _PLACES:
            yield f"Where {lead}?"
        elif place.split()[0] in _ASKED:
            yield f"What {lead} {place.split()[0]}?"
    elif thing and not _PARTICLE.match(thing):
        if number := re.match(rf"{_NUMBER} ((?!mg|kg|km|am|pm|o'clock)[\w-]{{3,}})\b", thing, re.IGNORECASE):
            yield f"How many {number[1]} {lead}?"
        yield f"What {lead}?"
        if place and place.split()[0] in _PLACES:
            yield f"Where {lead} {thing}?"
        elif place and place.split()[0] in _ASKED:
            yield f"What {lead} {thing} {place.split()[0]}?"
    if when:
        yield f"{'How often' if when['prep'].lower() == 'every' else 'When'} {lead}{f' {what}' if what else ''}?"


def _lead(subject: str, verb: str) -> str:
    """ "do I keep": what follows the question word; empty where the word is no verb that can be asked with."""
    who = "I" if subject == "you" else re.sub(r"^your\b", "my", subject)
    if verb in _NO_VERB or verb.endswith("ing"):
        return ""
    if verb in _PAST:
        return f"did {who} {_PAST[verb]}"
    if verb.endswith("ed") and len(verb) > 4:
        return f"did {who} {_plain(verb)}"
    third = verb.endswith("s") and not verb.endswith("ss")
    if subject == "you":
        return "" if third else f"do {who} {verb}"
    stem = re.sub(r"(?<=[sxh])es$|(?<=o)es$|s$", "", re.sub(r"ies$", "ys", verb))
    return f"does {who} {stem}" if third else ""


def _plain(past: str) -> str:
    """moved -> move, stopped -> stop, signed -> sign."""
    stem = past[:-2]
    if stem.endswith("i"):
        return stem[:-1] + "y"
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz":
        return stem[:-1]
    return stem + "e" if _NEEDS_E.search(stem) and not stem.endswith(("ss", "ain", "oin", "ean", "eas")) else stem


def _cut(what: str) -> tuple[str, str]:
    """An object, and what is said of where or with what."""
    match = re.match(rf"((?:(?!{_PREP}\b)\S+ )*)({_PREP} \S.*)$", what)
    return (match[1].strip(), match[2]) if match else (what, "")
