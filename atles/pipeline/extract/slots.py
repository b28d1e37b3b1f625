"""What a statement is a value of: "home", "sister.name", "choir.when". Only plain forms; "" where it isn't plain."""

import re

from atles.pipeline.extract.words import DAYS, KIN, MONTHS, OTHERS, PETS, singular, tokens

_BETWEEN = (
    r"(?:\s+(?:now|just|recently|really|actually|currently|still|mostly|also|only|usually|always|already|"
    r"both|finally))*"
)
_I = rf"\b(?:i|we)(?:\s+have|\s+will)?{_BETWEEN}"
_END = (
    r"(?=\s+(?:and|but|with|because|since|so|which|who|where|now|not|for|until|till|from|near|as|these|at the "
    r"moment|again|too|instead|though|any|this|last|in (?:19|20)\d\d)\b|$)"
)
_V = rf"(?P<value>\S+(?:\s\S+){{0,5}}?){_END}"
_RELATIVE = "|".join(sorted((KIN | PETS | OTHERS) - {"foster"}, key=len, reverse=True))
_WHO = rf"(?:my|our)\s+(?:(?!{_RELATIVE})\S+\s+){{0,2}}?(?P<who>{_RELATIVE})"
_DAY = "|".join(sorted(DAYS | MONTHS, key=len, reverse=True))
_WHEN = re.compile(rf"\b(?:{_DAY})\b|\b\d{{1,2}}(?:st|nd|rd|th|am|pm)\b|\b(?:morning|evening|noon|night|midnight)s?\b")

_FORMS: list[tuple[str, re.Pattern[str]]] = [
    (
        "name",
        re.compile(
            rf"\bmy (?:first |full |real )?name is {_V}|\bi am called {_V.replace('value', 'value2')}|\b(?:people|"
            rf"everyone|friends|everybody) calls? me {_V.replace('value', 'value3')}"
        ),
    ),
    (
        "age",
        re.compile(
            r"^(?:.*\b)?i (?:am|turned|just turned|have) (?P<value>\d{1,3}|(?:twenty|thirty|forty|fifty|sixty|"
            r"seventy|eighty|ninety)(?:-\w+)?)(?: years?(?: old)?| yo)?(?:$| now\b| and\b| in\b)"
        ),
    ),
    ("birthday", re.compile(rf"\bmy birthday is (?:on )?(?:the )?{_V}")),
    (
        "home",
        re.compile(
            rf"{_I} (?:am |are )?(?:live|lives|living|moved|moving|am moving|relocated) (?:back )?(?:in|to|into|at|"
            rf"near|on|over to) (?:the |a |an )?{_V}|^(?:just |recently )?(?:moved|moving) (?:in)?to (?:the |a |an "
            rf")?{_V.replace('value', 'value2')}|\b(?:i am|we are) (?:now )?in (?:the |a |an )?(?P<value3>(?:\S+ "
            rf")?(?:bungalow|flat|halls|house|apartment|dorms?)(?: \S+){{0,4}}?){_END}"
        ),
    ),
    (
        "work",
        re.compile(
            rf"{_I} (?:am |are )?(?:work|works|working|started|employed) (?:at|for|with|by) (?:the |a |an )?{_V}|"
            rf"^(?:i )?(?:got|have|started) a (?:new )?job (?:at|with|in) (?:the |a "
            rf")?{_V.replace('value', 'value2')}"
        ),
    ),
    (
        "job",
        re.compile(
            rf"{_I} (?:am |are )?(?:work|works|working|started) as (?:the |a |an )?{_V}|\bmy job is "
            rf"{_V.replace('value', 'value2')}|\bi am an? (?P<value3>(?:\S+ ){{0,2}}?(?:\S+(?:er|or|ist|ian|man|"
            rf"woman|ant|eer)|nurse|chef|cook|vet|clerk|midwife|coach|pilot|student|judge|priest|smith|scientist|"
            rf"guide|apprentice))\b"
        ),
    ),
    (
        "diet",
        re.compile(
            r"\bi (?:am|have been|went|have gone|became|turned) (?:a )?(?P<value>vegan|vegetarian|pescatarian|"
            r"teetotal)"
        ),
    ),
    (
        "relationship",
        re.compile(
            r"\b(?:i am|we are|i got|we got|we have been|i have been) (?P<value>married|single|divorced|engaged|"
            r"widowed|separated)\b"
        ),
    ),
    ("hand", re.compile(r"\bi (?:am|write with my) (?P<value>left|right)[ -]?hand(?:ed)?")),
    (
        "commute",
        re.compile(
            rf"{_I} (?:(?:go|get|come|commute|travel) )?(?:in )?(?:by |take the |took the |"
            rf"on )?(?:\d\S* )?(?P<value>cycle|walk|drive|bike|bus|"
            r"train|tram|metro|tube|subway|ferry|foot|car)(?: \S+){0,3}? (?:to|into) (?:the )?(?:work|office|uni|"
            r"university|school|college|"
            r"campus|clinic|lab)\b"
        ),
    ),
    ("car", re.compile(rf"{_I} drive (?:a|an|the) {_V}")),
]
_KIN_NAME = re.compile(rf"{_WHO}(?:'s)? (?:name is|is called|is named|called|named) (?P<value>\S+)")
_IS_KIN = re.compile(rf"^(?P<value>[\w'-]+) is {_WHO}$")
_HAVE_CALLED = re.compile(rf"\b(?P<who>{_RELATIVE}) (?:called|named) (?P<value>\S+)")
_KIN_HOME = re.compile(rf"{_WHO}(?: \S+)? (?:lives|live|living|moved) (?:in|to|at|near|on) (?:the |a )?{_V}")
_KIN_WORK = re.compile(rf"{_WHO}(?: \S+)? (?:works as|is) (?:a|an) {_V}")
_KIN_AGE = re.compile(
    rf"{_WHO}(?: \S+)? (?:is|turned|just turned|turns) (?P<value>\d{{1,3}}|one|two|three|four|five|six|"
    rf"seven|eight|nine|ten|eleven|twelve)\b(?! (?:kids|children|months))"
)
_ALLERGIC = re.compile(
    r"\ballergic to (?:any |all |all kinds of |every kind of )?(?P<value>\S+(?: (?:nuts|oil|fur|hair|"
    r"stings|pollen|milk|products))?)"
)
_NO_FOOD = re.compile(r"\b(?P<value>lactose|gluten|fructose|histamine)[ -]?intolerant\b")
_SCHEDULE = re.compile(
    rf"\b(?:the |my |our )?(?P<thing>[\w'-]+(?: [\w'-]+){{0,2}}?) (?:practice |rehearsal |lesson |class "
    rf")?(?:is|are|has|was|have|got|will be|meets?|starts?|runs?|moved|happens|changed|switched)"
    rf"(?: now| been| got| moved| changed| switched| always| only| usually)*(?: on| to| at| every| "
    rf"each)?(?: the)? (?P<value>(?:\S+ )?(?:{_DAY}|\d{{1,2}}(?:[:.]\d\d)?(?: ?[ap]m)?)\b(?: (?:evening|"
    rf"morning|night|afternoon)s?)?(?: at \S+)?)"
)  # fmt: skip
_MY_IS = re.compile(
    rf"^(?:my|our) (?P<thing>(?:favou?rite )?[\w'-]+(?: [\w'-]+)?) (?:is|are) (?:now )?(?:a |an |the )?{_V}"
)


def slot_of(text: str) -> tuple[str, str]:
    """The slot and the value of a statement in the user's words; ("", "") if it isn't plain."""
    said = " ".join(tokens(text))
    for form in (_KIN_NAME, _HAVE_CALLED, _IS_KIN):
        if match := form.search(said):
            return f"{singular(match['who'])}.name", match["value"]
    for form, part in ((_KIN_HOME, "home"), (_KIN_AGE, "age"), (_KIN_WORK, "job")):
        if match := form.search(said):
            return f"{singular(match['who'])}.{part}", _value(match["value"])
    if match := _ALLERGIC.search(said):
        return f"allergy.{singular(match['value'])}", "yes"
    if match := _NO_FOOD.search(said):
        return f"allergy.{match['value']}", "yes"
    for slot, form in _FORMS:
        if match := form.search(said):
            value = next((text for text in match.groupdict().values() if text), "")
            if value:
                return slot, _value(value)
    for piece in text.split(","):
        match = _SCHEDULE.search(" ".join(tokens(piece)))
        if match and _WHEN.search(match["value"]) and (thing := _thing(match["thing"])):
            return f"{thing}.when", _value(match["value"].removeprefix("on ").removeprefix("the "))
    if match := _MY_IS.search(said):
        thing = match["thing"]
        head = singular(thing.split()[-1])
        if not set(thing.split()) & (KIN | PETS | OTHERS) and match["value"].split()[0] not in (
            "not",
            "due",
            "in",
            "at",
            "for",
            "with",
            "so",
            "very",
            "too",
            "going",
            "really",
        ):
            return (singular(thing) if thing.startswith("favo") else head), _value(match["value"])
    return "", ""


def named_in(text: str) -> list[tuple[str, str]]:
    """Who of the user's people and animals is named: [("sister", "Odette")]. From capitals, so only where they are
    used."""
    return [(singular(match[1].split()[-1]), match[2]) for match in _NAMED.finditer(text)]


_NAMED = re.compile(
    rf"\b(?i:my|our)\s+(?:[a-z'-]+\s+){{0,2}}?((?i:{_RELATIVE})),?\s+(?!I\b|I'|[A-Z]{{2,}}\b)((?:(?:Mr|Mrs|"
    rf"Ms|Dr)\.?\s+)?[A-Z][\w'-]+)"
)


def _thing(words: str) -> str:
    parts = [
        word
        for word in words.split()
        if word
        not in (
            "since",
            "as",
            "while",
            "the",
            "my",
            "our",
            "is",
            "and",
            "that",
            "it",
            "so",
            "which",
            "but",
            "because",
            "also",
        )
    ]
    if not parts or parts[-1] in ("i", "we", "he", "she", "they", "which", "this", "you", "today", "there", "what"):
        return ""
    return singular(
        parts[0]
        if len(parts) > 1 and parts[-1] in ("practice", "night", "rehearsal", "class", "lesson", "day", "time")
        else " ".join(parts[-2:])
    )


def _value(value: str) -> str:
    words = value.split()
    if words and words[0] in ("a", "an", "the"):
        words = words[1:]
    return " ".join(singular(word) if word in DAYS else word for word in words)
