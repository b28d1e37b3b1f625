"""Sides of a life that have one value at a time, and the words by which a statement is about them. Knows English.

"I just swim now" says that "I lift at the gym" is over, although they share no word: both say what sport somebody
does. Used only where the words also say that something is new; people who swim may lift, too.
"""

import re
from collections.abc import Mapping

# Each kind of thing with the names that people use for it; a statement's value is which of them it names.
_LEXICON: Mapping[str, str] = {
    "sport": r"""swim|swimming|swam|pool|gym|lift|lifting|weights|run|running|jog|jogging|fencing|fence|judo|karate|
        boxing|climbing|climb|bouldering|yoga|pilates|football|soccer|basketball|volleyball|handball|tennis|squash|
        badminton|hockey|rugby|cricket|rowing|row|sailing|skating|skiing|dance|dancing|ballet|gymnastics|archery|golf|
        cycling|riding|crossfit|spinning|zumba|taekwondo|aikido|wrestling|athletics|padel|ping-pong""",
    "instrument": r"""guitar|bass|drums|piano|keyboard|violin|viola|cello|flute|clarinet|oboe|trumpet|trombone|tuba|
        horn|sax|saxophone|harp|accordion|banjo|ukulele|mandolin|organ|recorder|fiddle|harmonica""",
    "commute": r"""train|bus|tram|metro|subway|tube|bike|bicycle|cargo\ bike|scooter|e-scooter|walk|on\ foot|ferry|
        carpool|car|drive""",
    "vehicle": r"""van|truck|lorry|estate|hatchback|suv|pickup|motorbike|motorcycle|moped|sedan|minivan|camper|diesel|
        petrol|electric|hybrid|ev|battery""",
    "editor": r"""vim|nvim|neovim|emacs|helix|vs\ ?code|vscode|nano|sublime|intellij|pycharm|webstorm|zed|eclipse|
        notepad\+\+|cursor""",
    "database": r"""mysql|mariadb|postgres|postgresql|sqlite|mongodb|mongo|oracle|sql\ server|mssql|redis|dynamodb|
        cassandra""",
    "system": r"windows|linux|ubuntu|debian|fedora|arch|macos|mac|android|ios|iphone|chromebook",
    "browser": r"chrome|firefox|safari|edge|brave|opera|vivaldi",
    "programming language": r"python|java|javascript|typescript|rust|golang|kotlin|ruby|php|scala|haskell|perl|swift",
    "drink": r"coffee|tea|decaf|espresso|matcha|mate",
    "smoking": r"smoke|smoking|vape|vaping",
    "role in a game": r"""healer|tank|dps|support|sniper|mage|rogue|paladin|jungler|midlaner|carry|goalkeeper|striker|
        defender|midfielder""",
}
_WORDS = {kind: re.compile(rf"\b(?:{names})\b", re.IGNORECASE | re.VERBOSE) for kind, names in _LEXICON.items()}
# Where a name or place follows, and is the value.
_PLACED: Mapping[str, re.Pattern[str]] = {
    kind: re.compile(form, re.IGNORECASE | re.VERBOSE)
    for kind, form in {
        "home": r"""\b(?:live|lives|living|rent|renting|stay|staying|moved|moving|relocated|settled|bought|house|flat|
            apartment|place|bungalow|condo|cottage|halls|dorm|lodging|closed)\b
            [^.!?]{0,40}?\b(?:in|on|at|to|near|above|over|into)\s+
            (?:the\s+|a\s+|an\s+|my\s+|our\s+)?(?P<value>[\w'-]+(?:\s[A-Z][\w'-]*)*)""",
        "employer": r"""\b(?:work|working|job|employed|hired|signed|started|joined|joining|contract|shifts?|team|our|
            office|company|boss)\b[^.!?]{0,40}?\b(?:at|for|with|by|in)\s+
            (?:the\s+|a\s+)?(?P<value>[\w'-]+(?:\s[A-Z][\w'-]*)*)""",
        "supplier": r"""\b(?:buy|get|order|come|comes|supplied|delivered|supplier)\b[^.!?]{0,30}?\bfrom\s+
            (?P<value>[A-Z][\w'-]+)""",
    }.items()
}


# How people ask for a side of a life.
_ASKED: Mapping[str, re.Pattern[str]] = {
    kind: re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for kind, words in {
        "home": r"(?:do|did|does) (?:i|we) (?:\w+ )?(?:live|stay)|my (?:home|address|street|place|house|flat)|"
        r"home address|"
        r"(?:which|what) (?:town|city|village|street|place) .*(?:live|home|in)|where .*(?:home|based)|parcel",
        "employer": r"(?:do|did) i (?:\w+ )?(?:work|earn)|"
        r"my (?:job|employer|company|boss|workplace|occupation|profession)|"
        r"who (?:employs|pays) me|for a living|working at|job (?:do|have)",
        "sport": r"sports?|exercise|fit|work ?outs?|train(?:ing)?",
        "instrument": r"instruments?|(?:do|does) \w+ play|make music",
        "commute": r"commut\w+|(?:get|go|travel|come) to (?:work|the office|school|uni\w*|college|daycare)|way to",
        "vehicle": r"cars?|vehicles?|van|truck|drive|run on|fuel",
        "editor": r"editors?|ide",
        "database": r"databases?|db",
        "system": r"operating system|os|phone|laptop",
        "browser": r"browsers?",
        "programming language": r"programming language|code in|(?:what|which) language",
        "drink": r"drinks?|beverage",
        "smoking": r"smok\w+",
        "role in a game": r"role|main|play as|position",
        "supplier": r"supplier|buy .* from|sells? (?:me|us)|supplies|deliver\w*",
    }.items()
}


def asked(question: str) -> frozenset[str]:
    """The sides of a life that a question asks for."""
    return frozenset(kind for kind, form in _ASKED.items() if form.search(question))


def aspects(text: str) -> dict[str, frozenset[str]]:
    """The sides of a life that a statement is about, each with the values it names, in lower case."""
    found: dict[str, frozenset[str]] = {}
    for kind, form in _WORDS.items():
        if values := frozenset(match.lower() for match in form.findall(text)):
            found[kind] = values
    for kind, form in _PLACED.items():
        if values := frozenset(match["value"].lower() for match in form.finditer(text)):
            found[kind] = values
    return found
