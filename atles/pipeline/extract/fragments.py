"""Statements without a verb: "new place: a house on Mill Lane", "shoe size 43", "week two at Harker's". Pure."""

import re

from atles.pipeline.extract.lexicon import HAVE_NOT, TODAY, YOU
from atles.pipeline.extract.verdict import NOTHING, Verdict
from atles.pipeline.extract.words import CHAT_NOUNS, NUMBERS, one_of

_NUMBER = rf"(?:\d+|{'|'.join(sorted(NUMBERS))})"
_NEW = re.compile(
    r"^(?:my |our |the |got (?:a |the |my )?)?(?:brand )?new (?P<what>[a-z][\w-]*)(?: [a-z][\w-]*)?(?: (?:started|"
    r"is|at|called|on|came|with)\b|$)"
)
# What a form asks for, with its value: "stage name Vera Vox", "uk 6", "blood type o".
_LABELLED = re.compile(
    r"^(?!name|an? )(?:my |also |and )*(?:[a-z-]+ )?(?:name|nickname|handle|size|height|weight|birthday|number|"
    r"blood type|star sign|pronouns|"
    r"job title|middle name|surname|postcode|hometown|mother tongue) (?!of\b|and\b|or\b|on\b|for\b|one\b|"
    r"first\b)(?P<value>[\w'-]+(?: [\w'-]+){0,3})$"
)
_SIZE = re.compile(r"^(?:(?:uk|eu|us|size) )+\d+(?:[.,]5)?\b(?: (?:if|in|feet|shoes?|boots?|wide|narrow)\b.*)?$")
# "day three at the bookshop", "first two weeks at Norra done"
_DAY_AT = re.compile(
    rf"^(?:and |so |my |finished |done )*(?=.*\b(?:first|second|third|{_NUMBER})\b)(?:(?:first|second|third|"
    rf"last) )?(?:{_NUMBER} )?(?:days?|weeks?|months?|shifts?|terms?)(?: {_NUMBER})? "
    r"(?:at|with) (?:the |my )?(?:new )?(?P<what>[a-z][\w'-]*)"
)
_ONLY_ME = re.compile(
    r"^(?:(?:it is|so|now) )*(?:just|only) me (?:(?:and|with|in|at)\b.+)?\b(?:in|at) (?!the\b|home\b|here\b|bed\b)\w+"
)
# "not vegan any more", "no more night shifts", "havent smoked since may"
_NO_MORE = re.compile(
    r"^(?:btw |and |so )*(?:not (?:an? |on |in )?[\w-]+(?: [\w-]+)? any ?more|no more [\w-]+(?: [\w-]+)?$)"
)
_HAVE_NOT_SINCE = re.compile(
    r"^(?:have not|not|no) (?:\w+ed|had|eaten|drunk|been|touched|driven|smoked|\w+) (?:.+ )?(?:since|in|"
    r"for) (?!now\b|the moment\b)\w+"
)
_NO_NEW = one_of(
    "question questions topic thing idea task problem message chat one line paragraph version plan day week year "
    "try file "
    "subject request email tab page draft word game season story character"
)


def fragment(words: tuple[str, ...], plain: str) -> Verdict:
    """Whether words without a subject and a verb of their own state something of the user's."""
    if not 2 <= len(words) <= 24 or YOU.intersection(words):
        return NOTHING
    said = " ".join(words)
    if _NO_MORE.match(said) or (_HAVE_NOT_SINCE.match(said) and words[0] == "have"):
        return Verdict(True, kind="dropped", sure=0.65)
    if TODAY.search(plain):
        return NOTHING
    if match := _NEW.match(said):
        known = _NO_NEW | CHAT_NOUNS | HAVE_NOT
        few = len(words) < 3 and match["what"] not in _LIFE
        return NOTHING if match["what"] in known or few else Verdict(True, kind="gain", sure=0.65)
    if (match := _LABELLED.match(said)) and (plain[1:] != plain.lower()[1:] or any(part.isdigit() for part in words)):
        asked = (CHAT_NOUNS | {"please", "pls", "font"}).intersection(words)
        return NOTHING if asked else Verdict(True, kind="label", sure=0.65)
    if match := _DAY_AT.match(said):
        return NOTHING if match["what"] in HAVE_NOT | _PLACES else Verdict(True, kind="gain", sure=0.6)
    if _SIZE.match(said) or _ONLY_ME.match(said):
        return Verdict(True, kind="label", sure=0.65)
    return NOTHING


_LIFE = one_of(
    "place home job school car phone boss teacher placement address flat house company bike team band supervisor doctor"
)
_PLACES = one_of(
    "a an row total all hospital bed advance beach sea sun rome france spain mountains lake time general jail"
)
