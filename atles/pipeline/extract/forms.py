"""Statements on the user's world without "I" or "my" in front: "choir is on Tuesdays", "they pushed it to May"."""

import re

from atles.pipeline.extract.lexicon import HAVE_NOT, PASSING, TODAY, YOU
from atles.pipeline.extract.verdict import NOTHING, Verdict, no
from atles.pipeline.extract.words import CHAT_NOUNS, CHATTY, DAYS, HABIT, KIN, MONTHS, OTHERS, PETS

SCHEDULE = re.compile(
    r"""^(?:(?:the|our|my|this|next|his|her)\s+)?(?P<what>(?!i\b|it\b|that\b|this\b|what\b|wait\b|which\b|there\b|
    he\b|she\b|they\b|we\b|you\b|u\b|when\b|how\b|
    today\b|tomorrow\b|yesterday\b)[\w'-]+(?:\s(?!(?:is|was|are|has|i|you|we|to|that|got)\b)[\w'-]+){0,4})
    \s+(?=(?:is|are|was|has|have|gets?|got|will|were|moved|changed|switched|shifted|rescheduled|postponed|starts?|
    begins?|meets?|runs?|falls?|happens|opens?|closes?|due|on|at|every|each|(?:mon|tues|wednes|thurs|fri|satur|
    sun)days|weekends|weekdays|in\s(?:january|february|march|april|may|june|july|august|september|october|november|
    december)|
    (?:january|february|march|april|may|june|july|august|september|october|november|december)\s\d|\d{1,2}(?:st|nd|
    rd|th)|\d{1,2}[:.]\d\d|\d{1,2}\s?(?:am|pm))\b)
    (?:is|are|'s|was|has|have|gets?|got|will\ be|were)?\s*(?:now|usually|always|always\ been|been|only|just|also)?\s*
    (?:moved|changed|switched|shifted|rescheduled|postponed|planned|scheduled|set|fixed|booked|slipped|delayed|bumped|pushed|
    starts?|begins?|meets?|runs?|falls?|happens|opens?|closes?|due|on|at|every|each|to)?
    \s*(?:now\s|back\s|forward\s)?(?:from\s.{2,30}\s)?(?:on|at|to|until|till|every|each|the|in|
    for)?\s*(?:the\s)?(?:first\s|last\s|second\s|alternate\s|other\s)?
    (?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|(?:january|february|march|april|may|june|july|august|
    september|october|november|
    december)\b|\d{1,2}(?:st|nd|rd|th)\b|\d{1,2}(?:st|nd|rd|th)?\s(?:of\s)?(?:january|february|march|april|may|june|
    july|august|september|october|november|december)|
    \d{1,2}(?:[:.]\d\d)?\s?(?:am|pm)\b|\d{1,2}[:.]\d\d\b|(?<=at\s)\d{1,2}$|half\spast|weekends|weekdays)""",
    re.IGNORECASE | re.VERBOSE,
)


PUSHED = re.compile(
    r"\b(?:pushed|moved|shifted|postponed|rescheduled|brought forward|extended|delayed|changed|bumped|"
    r"put back)\s+(?:the |"
    r"my |our |it |this )?(?:\S+ ){0,3}?(?:to|till|until)\s+"
    r"(?:the )?(?:first |second |third |last )?(?:\d|next|mon|tues|wednes|thurs|fri|satur|sun|jan|feb|mar|apr|may|"
    r"june?|july?|aug|sep|oct|"
    r"nov|dec|spring|summer|autumn|winter)",
    re.IGNORECASE,
)


SELF_MADE = re.compile(
    r"\b(?:the|a|an)\s(?:[\w-]+\s){1,3}(?:that\s|which\s)?i\s(?:\w+ed|built|made|wrote|drew|grew|wove|knit)\smyself\b",
    re.IGNORECASE,
)


WHO_IS = re.compile(
    rf"\b(?i:my|our|the) (?:\w+ )?(?i:{'|'.join(sorted(OTHERS))}|contractor|project|company|"
    rf"school|team|club|ship|uni|university|employer|hospital|bank|gym|hotel|truck|car|dog|cat|boat|bike) "
    rf"(?:is|are) (?:now )?(?:the )?(?:[A-Z][\w'-]+|\d)"
)


DONE_TO_ME = re.compile(
    r"\bha[sd] (?:me|us) on\b|\b(?:doubled|halved|upped|lowered|raised|increased|reduced|cut) my\b|"
    r"\b(?:they|doc|(?:the|my|our) \w+)(?:'ve|’ve| have| has)?\s+(?:now |just |finally )?(?:put|promoted|"
    r"moved|transferred|hired|fired|made|diagnosed|offered|gave|assigned|accepted)\s+(?:me|us)\b",
    re.IGNORECASE,
)


HOUSEHOLD = re.compile(
    r"\bthere (?:are|is) \w+ of us\b|\bit is (?:just|only) (?:me|us|the two of us)\b|^home is (?:a|an|in|"
    r"on|near|the)\b|^born and (?:raised|bred)\b|\bwe call (?:him|her|it|the|our|my) \w|^the [\w-]+(?: "
    r"[\w-]+)? is (?:called|named) \w|\bit is (?:my|our) [\w ]{3,25} (?:on|in|next) |^(?:vegan|vegetarian|"
    r"diabetic|coeliac|celiac|lefty|left-hander|beginner|pensioner|nurse|teacher|student) here\b"
    r"|^being (?:an? |the )?(?:\w+ ){0,2}?(?:blind|deaf|diabetic|vegan|vegetarian|nurse|teacher|driver|"
    r"student|widow|widower|father|mother|parent|left-handed|allergic|dyslexic|retired|only child)\b"
    r"|\bwith (?:two|three|four|five|six|\d) (?:small |young |little |grown |teenage )?(?:kids|children|"
    r"boys|girls|daughters|sons|dogs|cats|toddlers)\b"
)


ME = re.compile(
    r"\b(?:makes?|gives?|brings?|triggers?|wrecks?|kills?|upsets?|bothers?|scares?|terrif\w+|keeps?|"
    r"disagrees? with|runs? in|calls?|"
    r"destroys?|hurts?|sets?|puts?|sends?|gets?|annoys?|cost|costs|bit|broke|left|raised|taught|diagnosed|"
    r"prescribed|hired|promoted|fired)\s+"
    r"(?:me|us|my)\b",
    re.IGNORECASE,
)


IS_ONE = re.compile(r"^the (?:new |old |little |big )?\w+ (?:is|are) (?:an? |called |named |my |our )")


_DROPPED = re.compile(
    r"""^(?:just\ |recently\ |also\ |only\ |still\ |already\ |finally\ )*(?:
      (?:allergic|intolerant|married|born|raised|retired|based|fluent|afraid)\ (?:to|in|of|since|for|with|at|on|by)\b
    | been\ .*\byears\b | (?:been|worked|lived|studied|trained|served|taught)\ .*\b(?:for|since)\b.*
    | (?:moved|switched|upgraded|emigrated|relocated)\ (?:to|from|in|into|over)\b
    | (?:got|got\ me|bought|adopted|have|had|own|ordered|built)\ (?:a|an|two|three|four|\d+|my|our|
    another)\ (?:new\ |little\ |old\ |tiny\ |second\ |second-hand\ |used\ |rescue\ )*(?P<thing>\w+)
    | (?:started|quit|lost|left|joined|sold|traded|swapped|exchanged|replaced|starting|quitting|joining)\ (?:a|an|
    my|our|at|as|with|in|work|smoking|the|on|last|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b | got\ into\ (?!the\b|
    a\b|trouble)\w+
    | got\ (?:moved|promoted|transferred|accepted)\ \w+
    | (?:quit|sold)\ [\w-]+$
    | (?:live|living|work|working)\ (?:in|at|with|on|for|as|near|from)\b
    | (?:seeing|meeting|visiting|flying|moving|travelling|traveling)\ .*\b(?:on|in|to|next)\b
    | used\ to\b | gave\ up\b | been\ vegan\b | been\ vegetarian\b | no\ longer\b | never\ (?:eat|drink|had|learned|
    drove|smoked)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def dropped(words: tuple[str, ...], plain: str) -> Verdict:
    """Clauses that leave out "I": "moved to Leeds in may", "allergic to nuts btw"."""
    if len(words) < 3 or YOU.intersection(words):
        return NOTHING
    match = _DROPPED.match(" ".join(words))
    if not match:
        return NOTHING
    thing = match["thing"]
    if thing and thing in HAVE_NOT | CHAT_NOUNS:
        return NOTHING
    if TODAY.search(plain) and not match.group().startswith(("moved", "quit", "started", "just")):
        return no("ephemeral")
    return Verdict(True, kind="dropped", sure=0.7)


_STATED = frozenset(
    """is are has have lives live works work plays runs uses starts ends meets goes comes takes costs owns belongs
    lasts
    serves leaves opens closes studies teaches drives speaks weighs sits stands hangs sleeps eats needs gets keeps
    pays sells builds covers
    died moved became turned changed joined left retired passed got was were will""".split()
)


_NO_SUBJECT = frozenset(
    """it this that these those there here he she they you what which who how why when where if a an one someone
    somebody everyone
    everybody people nothing something anything everything please no not yes ok and or but so let only its all any
    some most many
    both either neither thanks good great nice try make give tell show keep put use take go see look check add send
    write read find""".split()
)


_BECAME = re.compile(
    r"\b(?:ha[sd]|have) (?:now |since )?(?:turned into|become|changed to|moved to|gone over to)\b", re.I
)
_NAME_WITHIN = re.compile(r"(?<=[\w,'’] )[A-Z][a-z]+[\w'-]*|\b\d")


def stated(words: tuple[str, ...], plain: str) -> Verdict:
    """A plain statement on a thing the user speaks of as known, with a name or a number in it: "The depot is in
    Voss"."""
    if (
        not 4 <= len(words) <= 24
        or words[0] in _NO_SUBJECT
        or YOU.intersection(words)
        or CHATTY.intersection(words[:1])
    ):
        return NOTHING
    verb = next((at for at, word in enumerate(words[:6]) if at and word in _STATED), -1)
    if verb < 1 or verb + 1 >= len(words) or CHAT_NOUNS.intersection(words[:verb]) or _UNSURE.intersection(words):
        return NOTHING
    named = (
        _NAME_WITHIN.search(plain)
        or (DAYS | MONTHS).intersection(words)
        or {"my", "our", "us"}.intersection(words[verb:])
        or _BECAME.search(plain)
    )
    if not named or words[verb + 1] in PASSING or words[verb + 1].endswith("ing"):
        return NOTHING
    if OTHERS.intersection(words[:verb]):
        return no("somebody else")
    if TODAY.search(plain):
        return no("ephemeral")
    if (
        not plain.lstrip()[:1].isupper()
        and words[0] not in ("the", "our", "my")
        and not (KIN | PETS).intersection(words[:verb])
        and not HABIT.intersection(words)
        and "now" not in words
    ):
        return NOTHING
    return Verdict(True, kind="stated", sure=0.55)


_UNSURE = frozenset(
    "maybe perhaps probably might may could would should seems seem apparently guess think if or".split()
)
