"""What came to the user, and how much there is of it: "Mum gave us her Polo", "they have me on nights", "we're down
to four". Pure."""

import re

from atles.pipeline.extract.lexicon import HAVE_NOT, TODAY, YOU
from atles.pipeline.extract.verdict import NOTHING, Verdict
from atles.pipeline.extract.words import CHAT_NOUNS, NUMBERS, one_of

_NUMBER = rf"(?:\d+|{'|'.join(sorted(NUMBERS))})"
_RECEIVED = re.compile(
    r"\b(?:gave|given|got|bought|brought|left|lent|sold|passed|found|handed) (?:me|us) (?:on |down )?(?:an?|this|these|"
    rf"his|her|their|the|another|{_NUMBER}|some) (?P<what>.+)"
)
_CAME = re.compile(
    r"\b(?:came|passed|went|fell|belongs|come) to (?:me|us)\b(?! (?:that|with|and ask|asking|for|about|crying))"
)
# "my doctor changed me to venlafaxine", "they have me on nights", "the new rota has us home on Fridays"
_PUT_ON = re.compile(
    r"^(?!i\b|you\b|it\b)(?:[\w']+ ){1,4}?(?:changed|switched|swapped|moved|started|transferred|upgraded|downgraded|"
    r"has|have|had|got|"
    r"finds?|reaches|lets?) (?:me|us) (?:over |back |up |down |home )?(?:to|on|onto|off|in|into|at|go|"
    r"home)\b (?P<what>.+)"
)
# What stands in one's yard is one's own, when it is the kind of thing that stays.
_AT_HOME = re.compile(
    rf"\bthere (?:is|are) (?:now |also |only |just )?(?:an?|this|another|some|{_NUMBER}) (?P<what>.+?)\b(?:in|on|"
    rf"behind|at|outside|under) "
    r"(?:the|our|my) (?:back |front )?(?:yard|drive|driveway|garage|garden|house|shed|cellar|basement|barn|stable|"
    r"coop|hutch|cage|"
    r"tank|aquarium|carport|attic|loft|pen|paddock|hall|porch|balcony|greenhouse)\b"
)
# "they replaced the old pills with new ones", "the landlord has raised the rent to 960": done to what is the user's.
_CHANGED_FOR = re.compile(
    r"\b(?:they|he|she|the \w+|my \w+|we|i|doc)(?: have| has)? (?:now |just )?(?:(?:replaced|swapped|changed|"
    r"switched) (?:the|my|our) "
    r"(?P<what>[\w' -]{2,30}?) (?:with|for|to|by)|(?:raised|increased|lowered|cut|reduced|upped|dropped|put up|"
    r"put) (?:the|my|our) "
    r"(?P<what2>[\w' -]{2,20}?) (?:up |down )?to \d)"
)
_WHO_NOW = re.compile(
    r"^(?:my|our) (?:new )?(?:landlord|landlady|boss|manager|supervisor|doctor|gp|dentist|therapist|teacher|tutor|"
    r"coach|trainer|mentor|"
    r"agent|editor|publisher|supplier|lawyer|accountant) is (?:now )?(?:(?:an?|the) )?.*(?:\bnow|\bthese days|"
    r"\bcalled \w+)"
)
_PASSES = one_of(
    "smell noise sound spider leak mess problem light draught draft wasp fly mosquito queue party rat mice mould "
    "mold damp storm fire meeting fight knock risk chance lot crack hole weird strange funny bit"
)
# "back up to seven hives", "that makes four grandchildren", "we are six now"
_COUNT = re.compile(
    rf"(?:\b(?:i|we) (?:am|are) |^)(?:now )?(?:back )?(?:up|down|back) to (?:just |only )?{_NUMBER}\b"
    rf"|\b(?:that|which|this) (?:now )?makes (?:it )?{_NUMBER}\b (?!of sense)\w+"
    rf"|\b(?:we|they|there) (?:are|is) (?:only |just )?{_NUMBER} (?:now|in all|altogether|left)\b|\bnow (?:we|"
    rf"they) are {_NUMBER}\b"
    rf"|\b(?:just|only) (?:the )?(?:{_NUMBER}|[a-z]+) left(?: now)?$"
)


# "we've been together since May" leaves out with whom.
_TOGETHER = re.compile(
    r"^we (?:have been|are) (?:a thing|together|dating|a couple|an item|seeing each other|engaged)\b"
)


def gain(words: tuple[str, ...], plain: str) -> Verdict:
    """Whether a clause tells of something that the user has got, or how many there are by now."""
    if YOU.intersection(words):
        return NOTHING
    said = " ".join(words)
    if TODAY.search(plain):
        return NOTHING
    if _TOGETHER.search(said):
        return Verdict(True, kind="of what", sure=0.7)
    if (count := _COUNT.search(said)) or _CAME.search(said):
        named = count is not None and count.end() < len(said) and words[-1] not in ("now", "left")
        return Verdict(True, kind="gain" if named else "of what", sure=0.7)
    if _WHO_NOW.search(said):
        return Verdict(True, kind="gain", sure=0.75)
    for form in (_RECEIVED, _PUT_ON, _AT_HOME, _CHANGED_FOR):
        if match := form.search(said):
            what = next(part for part in match.groups() if part).split()[:3]
            if not (HAVE_NOT | CHAT_NOUNS | _PASSES).intersection(what):
                return Verdict(True, kind="home" if form is _AT_HOME else "gain", sure=0.65)
    return NOTHING
