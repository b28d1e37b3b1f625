"""Personal details that have a form: addresses, phone numbers, ids with a checksum, introduced names. Only level `pii`.

Found: e-mail; IPv4 and IPv6 that are not of this machine; phone numbers written with +, a trunk 0 or North American
groups; street addresses with a street word; US social security and British insurance numbers and the Italian codice
fiscale by form, Spanish DNI/NIE, French NIR and Brazilian CPF by checksum; a name right after "my name is", "Dr." and
their like. Not found: a name anywhere else, addresses without a street word, numbers that are spelled out.
"""

import re
from collections.abc import Iterator
from socket import AF_INET6, inet_pton

from atles.pipeline.scrub.span import Span

_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_IPV4 = re.compile(
    r"(?<![\w.])(?<!version )(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)",
    re.A | re.I,
)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", re.ASCII)
_OF_THIS_MACHINE = ("127.", "0.", "255.")
_PHONE = re.compile(
    r"""(?<![\w.,/+:-])(?:
      \+\d(?:[ .\u00a0/-]?\(?\d\)?){6,14}
    | (?:1[ .-])?\(\d{3}\)[ .-]?\d{3}[ .-]\d{4}
    | (?:1[ .-])?[2-9]\d\d([ .-])[2-9]\d\d\1\d{4}
    | 00\d(?:[ ./-]?\d){8,13}
    | 0[1-9]\d{0,4}(?:[ /-]\d{2,9}){1,5}
    | 01[5-7]\d{8,9}
    | 07\d{9}
    )(?![\w-]|[.,]\d)""",
    re.VERBOSE | re.ASCII,
)
_PHONE_LABEL = re.compile(
    r"\b(?:phone|tel|telephone|mobile|cell|whatsapp|handy|telefon|call me (?:at|on)|text me (?:at|on)|my number)\b"
    r"(?: number| no\.?)?(?: is|:|\.)?\s{1,2}(\d(?:[ .-]?\d){6,14})(?!\w)",
    re.IGNORECASE,
)
_UP = r"[A-ZÀ-ÖØ-Þ]"
_STREET = re.compile(
    rf"""(?<![\w.])(?:
      \d{{1,5}}[A-Za-z]?\ (?:[NSEW]{{1,2}}\.?\ )?(?:(?:{_UP}[\w'’.-]{{1,20}}|\d{{1,3}}(?:st|nd|rd|th))\ ){{1,4}}
        (?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Terrace|Way|Close
        |Crescent|Square|Sq|Highway|Hwy)\b\.?
        (?:,?\ (?:Apt|Apartment|Suite|Unit|Flat|\#)\.?\ ?\w{{1,6}})?
        (?:,\ {_UP}[\w .'’-]{{1,30}},\ [A-Z]{{2}}\ \d{{5}}(?:-\d{{4}})?
        |,\ {_UP}[\w'’-]{{1,20}}\ [A-Z]{{1,2}}\d\w?\ \d[A-Z]{{2}})?
    | (?:{_UP}[\w-]{{1,30}}(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer)
        |{_UP}\w{{1,20}}(?:er|e|es)\ (?:Straße|Strasse|Str\.|Platz|Allee|Weg))
        \ \d{{1,4}}\ ?[a-z]?\b(?:,?\ (?:D-)?\d{{5}}\ {_UP}[\w-]{{1,30}})?
    | \d{{1,4}}(?:\ (?:bis|ter))?,?\ (?:rue|avenue|boulevard|place|chemin|impasse|allée|quai)[ ]
        (?:de\ la\ |de\ l['’]|des\ |du\ |de\ |d['’])?{_UP}[\w'’-]{{1,30}}
        (?:\ {_UP}[\w'’-]{{1,30}}){{0,3}}(?:,?\ \d{{5}}\ {_UP}[\w-]{{1,30}})?
    | (?:Calle|Avenida|Avda\.|Plaza|Paseo|Carrer|C/)\ (?:de\ (?:la\ |los\ |las\ )?
        |del\ )?{_UP}[\w'’-]{{1,30}}(?:\ {_UP}[\w'’-]{{1,30}}){{0,3}},?\ (?:n[ºo°]\.?\ ?)?\d{{1,4}}
        (?:,?\ \d{{5}}\ {_UP}[\w-]{{1,30}})?
    )""",
    re.VERBOSE,
)
_NAME = re.compile(
    rf"""(?:\b(?i:my\ (?:full\ |real\ |first\ |last\ )?name\ is|my\ name['’]s|ich\ hei(?:ß|ss)e|mein\ name\ ist
        |je\ m['’]appelle|mon\ nom\ est|me\ llamo
        |mi\ nombre\ es|mi\ chiamo|ik\ heet|mijn\ naam\ is|meu\ nome\ é|call\ me)
      |\b(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herr|Frau|Monsieur|Madame|Mme|Señora?|Signora?)\.?)
      \ ({_UP}[\w'’-]{{1,25}}(?:\ {_UP}[\w'’-]{{1,25}}|\ (?:van|von|de|der|la|del|di|da)(?=\ )){{0,4}})""",
    re.VERBOSE,
)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])", re.ASCII)
_NINO = re.compile(r"(?<!\w)[A-CEGHJ-PQR-TW-Z][A-CEGHJ-NPQR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)", re.ASCII)
_DNI = re.compile(r"(?<!\w)([XYZ]?)(\d{7,8})-?([A-HJ-NP-TV-Z])(?!\w)", re.ASCII)
_NIR = re.compile(r"(?<![\w.])[12](?: ?\d){14}(?!\w)", re.ASCII)
_FISCALE = re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)", re.ASCII)
_CPF = re.compile(r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d\d(?!\w)", re.ASCII)


def find(text: str) -> Iterator[Span]:
    if "@" in text:
        yield from _all(_EMAIL, text, "EMAIL")
    yield from _all(_NAME, text, "NAME")
    yield from _all(_STREET, text, "ADDRESS")
    for match in _IPV4.finditer(text):
        if not match[0].startswith(_OF_THIS_MACHINE):
            yield Span(*match.span(), "IP_ADDRESS")
    if "::" in text or text.count(":") >= 7:
        for match in _IPV6.finditer(text):
            if len(match[0]) > 4 and _is_ipv6(match[0]):
                yield Span(*match.span(), "IP_ADDRESS")
    yield from _all(_PHONE_LABEL, text, "PHONE")
    for match in _PHONE.finditer(text):
        if 7 <= sum(character.isdigit() for character in match[0]) <= 15:
            yield Span(*match.span(), "PHONE")
    yield from _ids(text)


def _all(form: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    for match in form.finditer(text):
        yield Span(*match.span(match.lastindex or 0), kind)


def _is_ipv6(text: str) -> bool:
    try:
        inet_pton(AF_INET6, text)
    except OSError:
        return False
    return True


def _ids(text: str) -> Iterator[Span]:
    for form in (_SSN, _NINO, _FISCALE):
        yield from _all(form, text, "ID_NUMBER")
    for match in _DNI.finditer(text):  # Spain, Real Decreto 1553/2005: mod 23
        number = int(str("XYZ".index(match[1])) + match[2] if match[1] else match[2])
        if len(match[1] + match[2]) == 8 and "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == match[3]:
            yield Span(*match.span(), "ID_NUMBER")
    for match in _NIR.finditer(text):  # France, INSEE: 97 - mod 97
        digits = match[0].replace(" ", "")
        if 97 - int(digits[:13]) % 97 == int(digits[13:]):
            yield Span(*match.span(), "ID_NUMBER")
    for match in _CPF.finditer(text):  # Brazil, Receita Federal: two digits mod 11
        digits = [int(character) for character in match[0] if character.isdigit()]
        first = sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) * 10 % 11 % 10
        second = sum(digit * weight for digit, weight in zip(digits, range(11, 1, -1), strict=False)) * 10 % 11 % 10
        if digits[9:] == [first, second] and len(set(digits)) > 1:
            yield Span(*match.span(), "ID_NUMBER")
