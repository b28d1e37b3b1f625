"""How two statements compare: whether they are of one person and one thing, and give it different values. Pure text."""

import re

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# Words that say nothing of what a statement is about; that two statements share them means nothing.
_EMPTY = frozenset(
    """a about actually after again all also always am an and another any anymore are as at back be been being but by
    can could current currently day days did do does doing done each else ever every few first for from get gets getting
    go goes going gone got had has have having he her here hers him his how i if in instead into is it its just keep
    last
    like little longer lot make many maybe me mine month months more most much my myself near never new next no not
    now of
    off often old on once one only or other our ours out over own please quite rather really right same she since so
    some
    something soon still such take than thank thanks that the their them then there these they thing things this those
    time times to today together tomorrow too took two up us use used usually very was we week weeks well went were
    what when where which while who whole whose why will with without would year years yes yesterday yet you your
    s t m re ve d ll don didn doesn isn wasn won because although though unless until till whether however anyway also
    say says said tell tells told know knows knew think thinks thought want wants wanted need needs mean means like
    liked
    love loved good great nice bad best better big small lovely sure really let lets look looks see seen come comes came
    keeps kept put call called calls people everyone everybody someone somebody nobody guy guys lol haha ok okay yeah
    probably maybe almost always ago away around between both down during enough even far half here's there's that's
    it's
    i'm i've i'll i'd you're we're we've they're he's she's don't doesn't didn't can't won't isn't wasn't aren't im ive
    id ill dont doesnt cant its thats hes shes were n bc w u ur r b4 rn btw tho cos cuz gonna wanna gotta""".split()
)
_CHANGE = frozenset(
    """move moved moving switch switched switching change changed changing start started starting quit leave left
    leaving
    sold sell selling stop stopped stopping give gave given become became turn turned replace replaced end ended
    cancel cancelled canceled finish finished break broke broken lose lost drop dropped longer instead trade traded swap
    swapped finally dead died""".split()
)
_DAYS = (
    "mon(?:day)? tue(?:s(?:day)?)? wed(?:nesday)? thu(?:r(?:s(?:day)?)?)? fri(?:day)? sat(?:urday)? sun(?:day)?".split()
)
_DAY = re.compile(r"\b(" + "|".join(_DAYS) + r")s?\b", re.IGNORECASE)
_MONTH = re.compile(
    r"\b(january|february|march|april|june|july|august|september|october|november|december)\b", re.IGNORECASE
)
_DATE = re.compile(
    r"\b\d{1,2}(?=(?:st|nd|rd|th)\b|\s(?:of\s)?(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\b)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(\d{1,2}(?:[:.]\d\d)?\s?(?:am|pm)|\d{1,2}[:.]\d\d|(?:half|quarter) (?:past|to) \w+)\b", re.IGNORECASE
)
_PRICE = re.compile(
    r"\b\d+[.,]\d\d\b|[€$£]\s?\d+|\b\d+(?=\s?(?:€|euros?|eur\b|dollars?|bucks|quid|pounds?|a day|an hour))"
)
_RELATIVE = re.compile(
    r"\b(?:wife|husband|partner|girlfriend|boyfriend|mother|mum|mom|father|dad|sister|brother|son|daughter|kids?|children|"
    r"twins?|grand(?:ma|pa|mother|father|son|daughter)|uncle|aunt|cousin|niece|nephew|flatmate|roommate|friend|boss|"
    r"neighbou?r|colleague)\b"
)
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()
_COUNT = re.compile(rf"\b(\d+|{'|'.join(_NUMBERS)})\s+([a-z]{{3,}})(?:\s+([a-z]{{3,}}))?")
_NUMBERED = re.compile(
    r"\b(ward|room|line|class|grade|unit|group|building|floor|flat|chapter|level|shift|year)\s+(\d+)", re.IGNORECASE
)
_TIME = re.compile(
    rf"(?:{'|'.join(_DAYS)})s?|january|february|march|april|may|june|july|august|september|october|november|december|"
    rf"{'|'.join(_NUMBERS)}|am|pm|the|on|at|in|morning|evening|afternoon|noon|\d+(?:st|nd|rd|th)?"
)
_SOMEBODY = re.compile(
    r"^(?:the|an?|his|her|their|some) (?:new |old |other )?(?:guy|man|woman|lady|bloke|girl at|boy at|people|others|"
    r"colleagues?|"
    r"neighbou?rs?|boss|manager|students?|customers?|kids next)\b",
    re.IGNORECASE,
)
# "the Newton building": of places of one kind, one has its office, its ward or its lessons in one.
_PLACE = re.compile(
    r"\b([A-Z][\w'-]+) (building|campus|ward|unit|branch|office|depot|site|school|wing|hall|hospital|clinic|studio|"
    r"gym|route|line)\b"
)
_MEASURE = re.compile(r"\b(\d+(?:[.,]\d+)?)\s?(mg|ml|kg|kilos?|km|hz|cm|gb|euros?|pounds|dollars|miles)\b")
_OF_ME = re.compile(r"\b(?:me|us|that makes)\b", re.IGNORECASE)
_ONESELF = re.compile(r"\b(?:i|i'm|im|we|i've|ive|we're)\b", re.IGNORECASE)
_THING_IS = re.compile(
    r"\b(?:my|our|the)\s(?:[\w-]+\s){0,2}?(?P<thing>[\w-]+)(?:\sis|\sare|'s|\shas turned into|\shas become|"
    r"\sturned into|"
    r"\snow covers|\scovers)\s(?:now |called |an? |the |one )*(?P<how>in |at |on |about |due |with |for |from |not |"
    r"so |too |very )?"
    r"(?:an? |the )?(?P<value>[\w:.-]+)",
    re.IGNORECASE,
)
# Of these, much can be said that is true at once.
_RELATED = re.compile(
    r"(?:wife|husband|partner|mother|mum|mom|father|dad|sister|brother|son|daughter|kids?|dog|cat|house|flat|car|van|life|"
    r"family|uncle|aunt|cousin|friend|problem|reason|point|rest|answer|thing|only)"
)
_ORDINALS = dict(
    zip("first second third fourth fifth sixth seventh eighth ninth tenth".split(), map(str, range(1, 11)), strict=True)
)
_NTH = re.compile(
    rf"\b({'|'.join(_ORDINALS)}|\d+(?=st|nd|rd|th))(?:st|nd|rd|th)? (floor|year|grade|class|form|semester|term|ward)\b"
)
_EVERY = re.compile(
    rf"\bevery ({'|'.join(_ORDINALS)}|other|\d+(?=st|nd|rd|th)) ?(?:st|nd|rd|th)? (week|month|day|weekend|year)"
)
_RATE = re.compile(
    rf"\b(\d+|{'|'.join(_NUMBERS)}) (days|times|hours|nights|runs|shifts) (?:a|per|each) (week|month|day)"
)
# "Aroha lives in Dunedin": a state that somebody has one of.
_STATE = re.compile(r"\b([A-Z]\w+) (lives|works|studies|teaches) (?:in|at|as|for|on|to|with) (?:the |an? )?(\w+)")
# "and now they are seven": the thing itself was said before, or goes by another name.
_BARE = re.compile(
    rf"\b(?:are|is|makes|to) (?:now |just |only )*(\d+|{'|'.join(_NUMBERS)})\b(?! (?:o'clock|percent|am|pm)\b|[:.]\d)"
)
_WE_ARE = re.compile(rf"\bwe(?:'re| are) (?:now |only |just )*(\d+|{'|'.join(_NUMBERS)})\b")
# "I fly with KLM", "we buy from Harker": one does a thing with one of its kind.
_FRAME = re.compile(
    r"\b(?:[Ii]|[Ww]e) (?:always |now |usually |only )?([a-z]+) (with|for|from|through|at) (?:the )?([A-Z][\w'-]+)"
)
_FLOCK = frozenset("hen chicken pullet bantam layer".split())


def folded(text: str) -> str:
    """One spelling for the same words."""
    return " ".join(_WORD.findall(text.casefold()))


def words(text: str) -> list[str]:
    """ "144Hz" is 144 and Hz."""
    return _WORD.findall(re.sub(r"(?<=\d)(?=[a-z])", " ", text.lower()))


def content(text: str) -> frozenset[str]:
    """What a statement is about: its words without the empty ones, cut so that "Thursdays" meets "Thursday"."""
    return frozenset(stem(word) for word in words(text) if word not in _EMPTY and _said(word))


def same_frame(new: str, old: str) -> bool:
    """Whether both say of another name that the user does the same with it: "I fly with KLM these days"."""
    here, there = _FRAME.search(new), _FRAME.search(old)
    return bool(here and there and stem(here[1]) == stem(there[1]) and here[2] == there[2] and here[3] != there[3])


def places(text: str) -> dict[str, str]:
    return {kind: name for name, kind in _PLACE.findall(text)}


def is_named(name: str, text: str) -> bool:
    """Whether a text gives this as a relative's name: "my girlfriend Sal is a potter"."""
    said = rf"{_RELATIVE.pattern},? (?:is |was )?(?:called |named )?{re.escape(name.lower())}\b"
    return bool(re.search(said, text.lower()))


def is_time(text: str) -> bool:
    """Whether a text is no more than a day, an hour or a number, which statements that have nothing in common share."""
    return all(word.isdigit() or _TIME.fullmatch(word) for word in _WORD.findall(text.lower()))


def of_the_same(new: str, old: str) -> bool:
    """Whether two statements are of the same person: "my brother sings now" says nothing of what the user does."""
    return _whose(new) == _whose(old)


def _whose(text: str) -> frozenset[str]:
    """Who a statement is about: the relatives that it opens with; empty where it is the user."""
    opening = " ".join(text.lower().split()[:5])
    if _ONESELF.search(opening) or _OF_ME.search(text):
        return frozenset()
    return frozenset(_RELATIVE.findall(opening.replace("'s", "").replace("’s", "")))


def of_somebody(text: str) -> bool:
    """Whether a statement is of people who are not the user's: "the new guy uses vscode now"."""
    return bool(_SOMEBODY.match(text)) and not _ONESELF.search(text)


def same_thing(new: str, old: str) -> bool:
    """Whether both say what the same thing of the user's is: "my boss is Helga", "my boss is Tomas these days"."""
    here, there = _THING_IS.search(new), _THING_IS.search(old)
    return bool(
        here
        and there
        and stem(here["thing"].lower()) == stem(there["thing"].lower())
        and here["how"] == there["how"]
        and is_time(here["value"]) == is_time(there["value"])
        and not _RELATED.fullmatch(here["thing"].lower())
    )


def clash(
    new: str, old: str, shared: frozenset[str], about: frozenset[str], known: frozenset[str], changed: bool
) -> bool:
    """Whether two statements on one thing give it another day, month, hour, price or number."""
    counts, before = _counts(new), _counts(old)
    here, there = _STATE.search(new), _STATE.search(old)
    if here and there and here.group(1, 2) == there.group(1, 2) and here[3] != there[3]:
        return True
    for thing, number in before.items():
        if any(other != number and _as_good_as(name, thing) for name, other in counts.items()):
            return True
        bare = (
            _BARE.search(new.lower()) if changed and (thing in about or (thing in _FLOCK and about & _FLOCK)) else None
        )
        if bare and _number(bare[1]) != number:
            return True
    # "we are four in the band", "now we're three"
    here, there = _WE_ARE.search(new.lower()), _WE_ARE.search(old.lower())
    if changed and here and there and _number(here[1]) != _number(there[1]):
        return True
    measured = {unit: number for number, unit in _MEASURE.findall(old.lower())}
    if (
        changed
        and any(measured.get(unit, number) != number for number, unit in _MEASURE.findall(new.lower()))
        and shared - _UNITS
    ):
        return True
    for kind in (_DAY, _MONTH, _DATE, _CLOCK, _PRICE):
        here, there = _found(kind, new), _found(kind, old)
        if here and there and not here & there:
            rest = shared - here - there - CHANGED
            few = min(len(about - here), len(known - there)) <= 3
            return len(rest) >= 2 or (bool(rest) and (few or (changed and bool(rest & _opening(new) & _opening(old)))))
    return False


def _opening(text: str) -> frozenset[str]:
    """What the first words of a statement are about, mostly its subject."""
    return content(" ".join(text.split()[:7]))


def same_person(one: str, other: str) -> bool:
    """Whether two statements can be about the same person: both of the user, or both of one and the same relative."""
    first, second = (frozenset(_RELATIVE.findall(text.lower())) for text in (one, other))
    return bool(first & second) or not first or not second or first == second


def _found(kind: re.Pattern[str], text: str) -> set[str]:
    return {match.lower()[:3] if kind is _DAY else match.lower().replace(" ", "") for match in kind.findall(text)}


def _counts(text: str) -> dict[str, str]:
    found = {thing.lower(): number for thing, number in _NUMBERED.findall(text)}
    found |= {thing: _ORDINALS.get(which, which) for which, thing in _NTH.findall(text.lower())}
    found |= {f"{thing} a {unit}": _number(number) for number, thing, unit in _RATE.findall(text.lower())}
    found |= {f"every {unit}": _ORDINALS.get(which, which) for which, unit in _EVERY.findall(text.lower())}
    for number, first, second in _COUNT.findall(text.lower()):
        # "two brown hens": the second word is the thing, unless it only leads on ("seven hives with").
        thing = second if second and second not in _EMPTY else first
        if thing not in _EMPTY and stem(thing) not in _UNITS:
            found[stem(thing)] = _number(number)
    return found


def _number(word: str) -> str:
    return str(_NUMBERS.index(word) + 1) if word in _NUMBERS else word


def _as_good_as(one: str, other: str) -> bool:
    """Whether one name is the other with more to it: "hive" and "beehive"."""
    return one == other or (min(len(one), len(other)) >= 3 and (one.endswith(other) or other.endswith(one)))


def _said(word: str) -> bool:
    return len(word) > 1 or word.isdigit()


def stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in _WORD.findall(text.lower()))


def stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


_UNITS = frozenset(
    stem(word) for word in "minutes hours days weeks months years am pm percent times euros pounds dollars".split()
)
CHANGED = frozenset(stem(word) for word in _CHANGE)
