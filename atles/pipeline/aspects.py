"""Sides of a life that have one value at a time, and the words by which a statement is about them. Knows English.

"I just swim now" says that "I lift at the gym" is over, although they share no word: both say what sport somebody
does. Used only where the words also say that something is new; people who swim may lift, too.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

# Each kind of thing with the names that people use for it, "_" for a space; a statement's value is which it names.
# Looked up word by word: as patterns these lists would cost megabytes.
_NAMES: Mapping[str, str] = {
    "sport": """swim swimming swam gym lift lifting run running jog jogging fencing judo karate
        boxing climbing climb bouldering yoga pilates football soccer basketball volleyball handball tennis squash
        badminton hockey rugby cricket rowing sailing skating skiing dance dancing ballet gymnastics archery golf
        cycling riding crossfit spinning zumba taekwondo aikido wrestling athletics padel ping-pong""",
    "instrument": """guitar bass drums piano violin viola cello flute clarinet oboe trumpet trombone tuba
        sax saxophone harp accordion banjo ukulele mandolin fiddle harmonica""",
    "commute": """train bus tram metro subway tube bike bicycle cargo_bike scooter e-scooter walk on_foot ferry
        carpool car drive cycle""",
    "vehicle": """van truck lorry estate hatchback suv pickup motorbike motorcycle moped sedan minivan camper diesel
        petrol electric hybrid ev battery toyota honda ford chevy chevrolet vauxhall opel volkswagen vw audi bmw
        mercedes
        skoda seat renault peugeot citroen dacia fiat kia hyundai mazda nissan subaru suzuki volvo tesla jeep lexus
        mitsubishi saab mini polo golf_gti fiesta corsa astra clio fabia octavia yaris corolla civic prius micra passat
        tacoma ranger hilux tiguan touareg qashqai leaf berlingo kangoo transit sprinter kenworth peterbilt freightliner
        scania""",
    "phone": """iphone pixel android samsung galaxy fairphone nokia oneplus huawei xiaomi motorola flip_phone
        dumbphone""",
    "editor": """vim nvim neovim emacs helix vs_code vscode nano sublime intellij pycharm webstorm zed eclipse
        notepad++ cursor""",
    "database": """mysql mariadb postgres postgresql sqlite mongodb mongo oracle sql_server mssql redis dynamodb
        cassandra""",
    "system": "windows linux ubuntu debian fedora arch macos mac android ios iphone chromebook mint",
    "browser": "chrome firefox safari edge brave opera vivaldi",
    "programming language": "python java javascript typescript rust golang kotlin ruby php scala haskell perl swift",
    "drink": "coffee tea decaf espresso matcha mate",
    "diet": """vegan vegetarian veggie pescatarian plant-based keto carnivore eat_meat eating_meat eat_fish eating_fish
        eat_chicken""",
    "standing": """single divorced widowed a_girlfriend a_boyfriend new_girlfriend new_boyfriend got_married are_married
        got_engaged are_engaged""",
    "flock": "hen hens chicken chickens pullet pullets bantam bantams layers",
    "smoking": "smoke smoking vape vaping",
    "role in a game": """healer tank dps support sniper mage rogue paladin jungler midlaner carry goalkeeper goalie
    striker winger
        defender midfielder""",
    "part in a band": "sing singing vocals vocalist singer drums bass guitar keys",
}
# What a medicine is for shows in how its name ends (the stems of the World Health Organization's INN list).
_MEDICINES: Mapping[str, tuple[str, ...]] = {
    "statin": ("statin",),
    "blood pressure": ("pril", "sartan", "olol", "dipine", "thiazide"),
    "antidepressant": ("oxetine", "traline", "alopram", "faxine", "triptyline", "tazapine"),
    "stomach": ("prazole", "otidine"),
    "blood sugar": ("formin", "gliptin", "gliflozin", "glutide", "glimepiride", "gliclazide"),
    "blood thinner": ("xaban", "gatran", "warfarin"),
    "hay fever": ("atadine", "tirizine", "fenadine"),
    "sleep": ("azepam", "zolpidem", "zopiclone"),
}
# Where a name or place follows, and is the value.
_NAME = r"(?:the\s+|a\s+|an\s+|my\s+|our\s+)?(?P<value>[\w'-]+(?:\s(?-i:[A-Z])[\w'-]*)*)"
_LOVE = r"(?:bf|gf|boyfriend|girlfriend|partner)"
_PLACED: Mapping[str, re.Pattern[str]] = {
    kind: re.compile(form, re.IGNORECASE | re.VERBOSE)
    for kind, form in {
        "home": rf"""(?:\b(?:live|lives|living|rent|rented|renting|studio|stay|staying|moved|moving|relocated|settled|
    house|flat|
            apartment|place|bungalow|condo|cottage|caravan|halls|dorm|lodging|closed|(?:just|only)\ me)\b
            [^.!?]{{0,40}}?\b(?:in|on|at|to|near|above|over|into)|\baddress\ is|\b(?:finds?|reach(?:es)?)\ (?:us|me)\ at
            |\b(?:i|we)(?:'ve|\ have|ve)\ been\ in(?=\s(?-i:[A-Z])))\s+{_NAME}
            |\b(?:in|at|on)\ (?P<value2>(?-i:[A-Z])[\w'-]+\ (?:Street|Road|Lane|Avenue|Row|Close|Terrace|
    Crescent))\b""",
        "employer": rf"""(?:\b(?:work|working|job|employed|hired|signed|started|joined|joining|contract|shifts?|team|
    our|
            office|company|boss|drive|teach)\b[^.!?]{{0,40}}?\b(?:at|for|with|by|in)
            |\b(?:i\ am|i'm|im)\ (?:now\ )?(?:with(?!\ (?:you|my|him|her|them))|an?\ (?:\w+\ ){{1,3}}at)
            |\bi\ (?:stack|clean|serve|cook|bake|deliver|sell|pack|wait|manage|temp|nurse)(?:\ \w+)?\ at
            |\bnew\ (?:job|gig|placement)\b[^?]{{0,40}}?\bat|\b(?:days?|weeks?|months?|shifts?)\ (?:\w+\ )?at|
    \bi\ (?:now\ )?\w+\ for(?=\s(?-i:[A-Z]))|\b(?:i\ am|i'm|
    im)\ at(?=[^.!?]*\b(?:now|from)\b))
            \s+(?:a\ company\ called\ )?{_NAME}
            |\b(?:quit|resigned\ from|notice\ at)\s+(?!in\b|by\b|on\b|at\b|it\b|the\ (?:job|\w+ing)\b|\w+ing\b|my\b|
    that\b|smok)(?P<value2>[\w'-]+(?:\s(?-i:[A-Z])[\w'-]*)*)""",
        "supplier": r"""\b(?:buy|get|order|come|comes|supplied|delivered|supplier)\b[^.!?]{0,30}?\bfrom\s+
            (?P<value>[A-Z][\w'-]+)""",
        "heating": r"""\b(?P<value>oil|gas|wood|pellet|coal|electric|heat|district)[\ -](?:fired\ )?(?:tank|boiler|
    heating|
            heater|stove|burner|pump)\b|\bheat(?:s|ed)?\ (?:\w+\ ){0,2}?with\ (?P<value2>\w+)""",
        "partner": rf"""\b(?:{_LOVE}|dating|seeing|together\ with)\ (?:is\ |called\ |named\ |
            (?:this|an?)\ (?:guy|girl|man|woman)\ (?:called\ )?|someone\ called\ )*(?P<value>(?!(?:and|who|is|on|
    since|my|
            a|an|the|at|for|has|was|each|other|now|this|that|in|if|it|you|people|someone|says|said)\b)[\w-]{{3,}}(?<!ing))\b
            |\b(?P<value2>(?!(?:is|was|meet|and|but|with|for|to|from|so)\b)\w+)\W+(?:my|the)\ (?:new\ )?{_LOVE}\b""",
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
        "phone": r"phones?|mobile",
        "heating": r"heat\w*|warm",
        "diet": r"diet|eat|vegan|vegetarian",
        "partner": r"partner|boyfriend|girlfriend|dating|seeing",
        "part in a band": r"(?:in|with) the band|my part|on stage",
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


@lru_cache(maxsize=256)  # one claim is compared with many memories, and they with the next
def aspects(text: str) -> dict[str, frozenset[str]]:
    """The sides of a life that a statement is about, each with the values it names, in lower case."""
    text = _LIKENESS.sub(" ", text)
    words = [word.strip(_MARKS).removesuffix("'s") for word in text.lower().split()]
    found: dict[str, set[str]] = {}
    for at, word in enumerate(words):
        pair = f"{word}_{words[at + 1]}" if at + 1 < len(words) else ""
        for kind in (*_KINDS.get(word, ()), *_KINDS.get(pair, ())):
            found.setdefault(kind, set()).add(word if word in _KINDS else pair)
        if len(word) > 6 and word.endswith(_ENDINGS):
            for use, endings in _MEDICINES.items():
                if word.endswith(endings):
                    found.setdefault(f"medicine: {use}", set()).add(word)
    for kind, form in _PLACED.items():
        for match in form.finditer(text):
            value = next(part for part in match.groups() if part).lower()
            if value.split()[0] not in _NO_VALUE:
                found.setdefault(kind, set()).add(value)
    return {kind: frozenset(values) for kind, values in found.items()}


# "wheezing like a trumpet", "in his van": no trumpet and no van of the user's.
_LIKENESS = re.compile(r"\b(?:like|than) an? [\w-]+|(?<!me )(?<!us )\b(?:his|her|their) [\w-]+", re.IGNORECASE)
# Where a place or a name would stand, these are neither.
_NO_VALUE = frozenset(
    """monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays
    saturdays sundays
    january february march april may june july august september october november december myself life time end morning
    evening night bed work school town front day week month year spring summer autumn winter me you him her them us it
    that this there least last first all one two three four five six seven eight nine ten half noon midnight hand way
    case
    fact order general charge love trouble hospital tea lunch dinner breakfast""".split()
)
_MARKS = '.,;:!?()[]"“”…'
_ENDINGS = tuple(ending for endings in _MEDICINES.values() for ending in endings)
_KINDS: dict[str, tuple[str, ...]] = {}
for _kind, _names in _NAMES.items():
    for _name in _names.split():
        _KINDS[_name] = (*_KINDS.get(_name, ()), _kind)
