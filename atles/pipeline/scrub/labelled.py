"""Secrets that only a label gives away: "my wifi password is …", `DB_PASS=…`, "pin 4821", "SSN: …".

A label, perhaps words between ("for the router"), a connector (a sign, "is", or nothing) and a value. The weaker the
connector, the more the value must look like a secret: "the password is wrong" holds none. Bounded everywhere: linear.
"""

import re
from collections.abc import Iterator

from atles.pipeline.scrub.span import Span
from atles.pipeline.scrub.words import (
    LABEL,
    NO_SECRET_SUFFIX,
    OTHER_CODES,
    OTHER_KEYS,
    PARTICIPLE,
    STEMS,
    STOP,
    UNIT,
)

_SUFFIX = r"(?P<suffix>[\w-]{0,24}(?:\s(?:number|no|nr|num|id|card|\#)\b\.?|\s\#)?)"
_BETWEEN = (
    r"(?P<between>\s{0,2}\([^()\n]{1,40}\)"
    r"|\s(?:for|to|of|on|at|in|from|für|zum|zur|vom|von|am|im|del|della|de|du|pour|per|para|voor|van|til|you|i|we|that|which)"
    r"(?:[^\S\n][^\s:=!?]{0,30}[^\s.:=!?]){1,7}?)?"
)
_TAIL = re.compile(
    _SUFFIX
    + _BETWEEN
    + r"""(?:
      (?P<sign>[^\S\n]{0,3}\\?["'`*]{0,2}[^\S\n]{0,3}(?:::=|:=|=>|->|=|[:：>→])\s{0,4}(?:\*\*\s)?)
    | (?P<cjk>\s?(?:是|为|為|は|는|은)\s?)
    | (?P<copula>(?:\s|'s\b|’s\b)\s?(?:(?:is|are|was|ist|sind|war|lautet|lauten|heißt|est|es|era|era|è|é|jest|to
        |will\ be|has\ been)\s
        |(?<=['’]s)\s?|(?<=['’]s\ ))(?:(?:now|set\ to|still|just|simply|currently|changed\ to|called|jetzt|nun
        |aktuell|maintenant|ahora)\s|:\s?){0,2})
    | (?P<bare>(?(between)(?!)|\s{1,3}(?:[–—-]\s)?\#?\s?)))
    (?P<value>\\?"[^"\n]{1,128}"|'[^'\n]{1,128}'(?!\w)|`[^`\n]{1,128}`|“[^”\n]{1,128}”|„[^“”\n]{1,128}[“”]
        |«[^»\n]{1,128}»|\S{1,512})""",
    re.VERBOSE | re.IGNORECASE,
)
_QUOTES = "\"'`“”„«»\\"
_AFTER = ".,;:?)]}>\"'`*”“»。，、；：！？）」』\\"
_TEMPLATE = re.compile(
    r"^(?:\$|\{|<|%\w|@\w+@|\*+$|[•·_.-]+$|[xX]{3,}$|\[(?!\W*\w*\d)|[\w.]+\(|[A-Za-z_]\w*(?:\.[A-Za-z_]+)+(?:[\[(].*)?$|os\.|process\.env|"
    r"https?://|s3://)"
)
_PATH = re.compile(
    r"^(?:~|\.{1,2}/|/[a-z]{1,12}/)|\.(?:py|js|ts|json|ya?ml|toml|pem|key|txt|md|go|rs|sh|cfg|conf|env|lock|csv)$", re.I
)
_CODE = re.compile(
    r"(?:[A-Z]{1,2}-)?\d(?:[ -]?\d){2,11}(?![\d.:/]|\w*-\w)"
    r"|(?=[A-Za-z-]{0,11}\d)[A-Za-z0-9]{3,12}(?:-[A-Za-z0-9]{2,12}){0,4}",
    re.ASCII,
)
_MORE_CODES = re.compile(
    r"(?:\s{0,3}[,;\n]\s{0,3}|\s)((?=[A-Za-z-]{0,11}\d)[A-Za-z0-9]{4,10}-[A-Za-z0-9]{4,10}|\d{6,8})(?![\w-])", re.ASCII
)
_ID = re.compile(
    r"(?:[A-Z]{1,3}[ -]?)?[A-Z0-9./-]{0,12}\d[A-Z0-9./-]{0,12}"
    r"(?:[ ][A-Z0-9./-]{0,6}\d[A-Z0-9./-]{0,6}){0,6}(?:[ ][A-Z]\b)?",
    re.A,
)
_ACCOUNT = re.compile(r"\d(?:[ -]?\d){5,19}", re.ASCII)
_WORD = r"(?:\d{1,2}[.):]?\s?)?[a-z]{3,8}"
_SEED = re.compile(
    rf"(?:[^\n:]{{0,40}}?[:=]|\s(?:is|are|ist|was|lautet|est|es)(?:\s?:)?|)"
    rf"[\s\"'`*]{{0,6}}({_WORD}(?:[\s,]{{1,3}}{_WORD}){{11,23}})(?![a-z])"
)
_NOT_IN_SEEDS = frozenset("the and for was are has had not but his her our".split())  # no BIP 39 word
_PHRASE = re.compile(r"[A-Za-z]{2,12}(?:[ -][A-Za-z]{2,12}){2,11}(?![\w'’])")  # "correct horse battery staple"
_NOT_IN_PHRASES = _NOT_IN_SEEDS | frozenset(
    "to of is be in on at it you your my with from must should use too very".split()
)
_LOGIN = re.compile(
    r"(?:\s(?:is|are|for\s[^\n:/]{1,40}?|with|as|details|info|data))?\s{0,2}:?\s{1,3}"
    r"(?P<user>[^\s/:|]{2,64})(?:\s{0,2}[/|:]\s{0,2}|\s(?:and|und|et|y)\s)(?P<value>[^\s/]{3,128})"
)
# Nobody writes so but as a password: small and capital letters, digits and a sign; where something says what it opens.
_ODD = re.compile(
    r"(?<!\S)[\"'(]?(?P<value>(?=\S{0,63}[a-z])(?=\S{0,63}[A-Z])(?=\S{0,63}\d)(?=\S{0,63}[#$%&*!^+=~?@])"
    r"[\w#$%&*!^+=~?@.-]{8,64}?)[\"').,;:!?]*(?=\s|$)"
)
_OPENS = re.compile(r"wi-?fi|wlan|router|network|\bcode\b|pass|log-?in|account|\bpin\b|\bkey\b", re.IGNORECASE)
_REVERSED = re.compile(
    r"(?<!\S)[\"'`“]?(?P<value>[^\s]{4,128}?)[\"'`”]?\s(?:is|was|ist|est|es|=)\s"
    r"(?:my|the|our|your|mein|das|unser|dein|le|mon|la|mi)\s"
    r"(?:[\w-]{1,20}\s){0,4}"
    r"(?P<what>password|passwort|passcode|passphrase|pin|code|pw|pass|otp|mot\ de\ passe|contraseña)\b",
    re.IGNORECASE,
)  # fmt: skip


def find(text: str) -> Iterator[Span]:
    low = text.lower()
    if not any(stem in low for stem in STEMS):
        return
    if len(low) != len(text):  # "İ" becomes two characters
        low = "".join(character.lower() if len(character.lower()) == 1 else character for character in text)
    place = 0
    while label := LABEL.search(low, place):
        span = _value(text, low, label)
        if span is None:
            place = label.end()
        else:
            yield span
            place = max(span.end, label.end())
    for match in _ODD.finditer(text):
        if _OPENS.search(text, max(0, match.start() - 80), match.start()) and "@" not in match["value"][1:-4]:
            yield Span(*match.span("value"), "PASSWORD")
    if any(verb in low for verb in (" is ", " was ", " ist ", " est ", " es ", " = ")):
        for match in _REVERSED.finditer(text):
            value, what = match["value"], match["what"].lower()
            if what in ("pin", "code", "otp"):
                if _CODE.fullmatch(value) and len(value) <= 10 and not OTHER_CODES.search(match[0].lower()):
                    yield Span(*match.span("value"), "CODE")
            elif _mixed(value, 5) and not _TEMPLATE.match(value):
                yield Span(*match.span("value"), "PASSWORD")


def _value(text: str, low: str, label: re.Match[str]) -> Span | None:
    kind, end = label.lastgroup, label.end()
    if kind == "seed":
        return _seed(text, low, end)
    if kind == "login" or (kind == "key" and label[0] == "credentials"):
        span = _login(text, low, end)
        if span or kind == "login":
            return span
    tail = _TAIL.match(text, end)
    if tail is None:
        return None
    if kind in ("code", "id", "account"):
        return _number(text, label, tail, kind)
    suffix = tail["suffix"]
    if NO_SECRET_SUFFIX.search(suffix):
        return None
    value, start = tail["value"], tail.start("value")
    quoted = value[0] in _QUOTES and len(value) > 2
    if kind == "key" and value.count("=") + value.count(":") > 8:  # settings in a row: each label has its turn
        return None
    stripped = value.strip(_QUOTES) if quoted else value.rstrip(_AFTER)
    start += len(value) - len(value.lstrip(_QUOTES)) if quoted else 0
    if not quoted and tail["sign"] and "=" in tail["sign"]:
        stripped = re.split(r"[;&](?=[\w .-]{1,30}=)", stripped, maxsplit=1)[0].rstrip(_AFTER)
    if tail["cjk"] and stripped[:1].isascii():  # "パスワードはsakura2024です": no space after it
        stripped = re.match(r"[!-~]*", stripped)[0]  # type: ignore[index]
    stop = start + len(stripped)
    if not stripped or (_TEMPLATE.match(stripped) and not (quoted and " " not in stripped and "(" in stripped)):
        return None
    if kind == "key":
        secret = _is_key(text, label, tail, stripped, quoted)
        name = "API_KEY" if "key" in label[0] else "TOKEN"
    else:
        secret = _is_password(
            text, kind == "weak" and not low.endswith(("my ", "our "), 0, label.start()), tail, stripped, quoted, stop
        )
        name = "PASSWORD"
        if "phrase" in label[0] and not quoted and (tail["sign"] or tail["copula"]):
            words = _PHRASE.match(text, start)
            if words and not _NOT_IN_PHRASES & set(words[0].lower().split()):
                return Span(start, words.end(), name)
    return Span(start, stop, name) if secret else None


def _is_password(text: str, weak: bool, tail: re.Match[str], value: str, quoted: bool, stop: int) -> bool:
    bare = value.rstrip("!").lower()
    if bare in STOP or (any(part in STOP for part in bare.split("-")) and bare.replace("-", "").isalpha()):
        return False
    if tail["bare"]:
        flag = tail["suffix"] == "" and quoted and " " not in value
        return not weak and (_mixed(value, 6) or (flag and len(value) > 3 and _mixed(value, 4)))
    if value.isdigit():
        return len(value) >= 4 - bool(tail["sign"]) and not UNIT.match(text, stop) and not (weak and len(value) < 4)
    if tail["sign"] or tail["cjk"]:
        if not weak or quoted:
            return not _PATH.search(value) or _mixed(value, 8)
        return "test" not in bare and "/" not in value and (_mixed(value, 4) or _ends(text, stop))
    if quoted:
        return True
    if _mixed(value, 4):
        return True
    if weak or PARTICIPLE.search(bare) or tail["copula"].strip().lower() == "to":
        return False
    if not bare.replace("-", "").replace("'", "").isalpha() or "'" in bare or "’" in bare:
        return False
    return _ends(text, stop) or (value[0].isupper() and not value.isupper())


def _is_key(text: str, label: re.Match[str], tail: re.Match[str], value: str, quoted: bool) -> bool:
    plain = label[0] in ("key", "keys")
    if (
        OTHER_KEYS.search(text, max(0, label.start() - 14), label.start())
        or _PATH.search(value)
        or value.lower() in STOP
    ):
        return False
    if tail["sign"]:
        if _strong(value, 16 if plain else 8):
            return True
        if value.isdigit() or " " in value or "/" in value[:1]:
            return False
        name = text[max(0, label.start() - 1) : tail.end("suffix")]
        variable = name.upper() == name and "=" in tail["sign"] and value.isprintable()
        if "secret" in label[0] or variable:
            return len(value) >= 6 and (variable or quoted or "=" in tail["sign"] or _mixed(value, 6))
        return quoted and not plain and len(value) >= 12 and not value.islower() and value.isalnum()
    if label[0] == "secret" and not tail["bare"] and _mixed(value, 8) and not value.isalnum():
        return any(map(str.isdigit, value)) and "-" not in value
    return _strong(value, 12 if tail["copula"] or tail["cjk"] else 16)


def _number(text: str, label: re.Match[str], tail: re.Match[str], kind: str) -> Span | None:
    start = tail.start("value") + (tail["value"][0] in _QUOTES)
    if kind == "code":
        found = _CODE.match(text, start)
        if found is None or OTHER_CODES.search(label[0]) or UNIT.match(text, found.end()):
            return None
        word, digits = label[0], sum(character.isdigit() for character in found[0])
        short = word.startswith(("cv", "secur")) or word.endswith("combination")
        general = word.startswith(("your ", "my ", "our ", "the ")) and not word.endswith(("pin", "door code"))
        if digits < (3 if short else 4) and not (digits >= 2 and not tail["bare"] and len(found[0]) >= 5):
            return None
        if digits != sum(map(str.isalnum, found[0])) and (
            tail["bare"] or word.startswith("pin") or (general and digits < 3)
        ):
            return None
        if general and (tail["bare"] or digits > 10):
            return None
        stop = found.end()
        while more := _MORE_CODES.match(text, stop):
            stop = more.end()
        return Span(start, stop, "CODE")
    found = (_ID if kind == "id" else _ACCOUNT).match(text, start)
    if found is None:
        return None
    value = found[0].rstrip("./- ")
    if sum(character.isdigit() for character in value) < 5 or re.fullmatch(
        r"(?:19|20)\d\d[-./]\d\d?[-./]\d\d?|\d\d?[-./]\d\d?[-./]\d{4}", value
    ):
        return None
    return Span(start, start + len(value), "ID_NUMBER" if kind == "id" else "ACCOUNT_NUMBER")


def _seed(text: str, low: str, end: int) -> Span | None:
    found = _SEED.match(low, end)
    if found is None:
        return None
    words = re.findall("[a-z]+", found[1])
    count = max((size for size in (12, 15, 18, 21, 24) if size <= len(words)), default=0)
    if _NOT_IN_SEEDS & set(words[:count]):
        return None
    return Span(*found.span(1), "SEED_PHRASE")


def _login(text: str, low: str, end: int) -> Span | None:
    found = _LOGIN.match(text, end)
    if found is None:
        return None
    value = found["value"].rstrip(_AFTER)
    stop = found.start("value") + len(value)
    if not value or value.lower() in STOP or found["user"].lower() in STOP or _TEMPLATE.match(value):
        return None
    return Span(found.start("value"), stop, "PASSWORD") if _mixed(value, 4) or _ends(text, stop) else None


def _mixed(value: str, least: int) -> bool:
    """Letters with digits, or with a sign that no plain word holds."""
    if len(value) < least or not any(map(str.isalpha, value)):
        return False
    inner = value.rstrip("!?.,;:")
    if any(map(str.isdigit, value)):
        return True
    return any(not character.isalnum() and character not in "-'’/().,:;\"" for character in inner) or (
        inner[1:] != inner[1:].lower() and not inner.isupper() and "-" not in inner
    )


def _strong(value: str, least: int) -> bool:
    """Looks drawn at random: letters and digits together in one part, or hexadecimal groups as of a UUID."""
    if len(value) < least or any(character in value for character in "()<>{}[] "):
        return False
    parts = re.split(r"[-_./:+=]", value)
    return any(
        len(part) >= min(least, 5) and any(map(str.isdigit, part)) and any(map(str.isalpha, part)) for part in parts
    )


def _ends(text: str, stop: int) -> bool:
    """A sentence ends here."""
    rest = text[stop : stop + 12].lstrip("!\"'`*”)")
    return (
        not rest.strip() or rest[0] in ".,;:?\n。，！？…—-" or rest.lstrip(" ").startswith(("\n", "(", "-", "–", "—"))
    )
