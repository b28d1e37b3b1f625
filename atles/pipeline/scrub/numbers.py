"""Card numbers and IBANs: ISO/IEC 7812 (issuer prefixes, Luhn) and ISO 13616 (lengths, mod 97).

A number that fails its checksum was typed by a hand that slipped, and gives as much away: it is taken too where it is
written in a card's or an IBAN's groups, or a word beside it says what it is.

Our own few lines: python-stdnum has both, and costs the daemon 3 MB and 20 ms (it imports pydoc and ssl).
"""

import re
from collections.abc import Iterator

from atles.pipeline.scrub.span import Span

# Prefix range, then the lengths in use.
_ISSUERS = [
    ("4", "4", (13, 16, 19)), ("51", "55", (16,)), ("2221", "2720", (16,)), ("34", "34", (15,)), ("37", "37", (15,)),
    ("6011", "6011", (16, 19)), ("644", "659", (16, 19)), ("300", "305", (14,)), ("36", "36", (14,)), ("38", "39",
    (14, 16)),
    ("3528", "3589", (16, 19)), ("62", "62", (16, 17, 18, 19)), ("50", "50", (16,)), ("56", "58", (16,)), ("6304",
    "6304", (16,)),
    ("6759", "6763", (16,)), ("2200", "2204", (16, 19)), ("60", "60", (16,)), ("81", "82", (16,)), ("9792", "9792",
    (16,)),
]  # fmt: skip
_DIGITS = re.compile(r"(?<![0-9A-Za-z_.+/])(?<![0-9A-Za-z]-)[0-9](?:[ \u00a0\u2011-]?[0-9]){12,}(?![0-9A-Za-z_])")
_GROUP = re.compile(r"[0-9]+")
_GROUPINGS = ((4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 1), (6, 13))
_CARD_WORD = re.compile(r"card|visa|kredit|carte|tarjeta|karte|debit|maestro|credit|amex", re.IGNORECASE)
_EXPIRES = re.compile(r"\W{0,3}(?:exp|valid|cvv|cvc|(?:0[1-9]|1[0-2])/\d\d)", re.IGNORECASE)
_BESIDE = 80  # characters before a number in which a word says what it is

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ \u00a0-]?[A-Za-z0-9])")
_IBAN_TYPED = re.compile(
    r"[A-Z]{2}[0-9]{2}(?:(?P<groups>(?:[ \u00a0-][A-Z0-9]{4}){3,7}(?:[ \u00a0-][A-Z0-9]{1,3})?)|[A-Z0-9]{11,30})"
    r"(?![A-Za-z0-9])"
)
_IBAN_WORD = re.compile(r"iban|account|acct|konto|compte|cuenta|conto|bank|transfer|überweis", re.IGNORECASE)
_IBAN_LENGTHS = {
    code[:2]: int(code[2:])
    for code in """AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30
    KW30 KZ20
    LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29
    PT25 QA29
    RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30""".split()
}


def find(text: str) -> Iterator[Span]:
    yield from _cards(text)
    yield from _ibans(text)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = sum(int(digit) for digit in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def is_card(digits: str) -> bool:
    return _of_an_issuer(digits) and luhn(digits)


def _of_an_issuer(digits: str) -> bool:
    return any(low <= digits[: len(low)] <= high and len(digits) in sizes for low, high, sizes in _ISSUERS)


def is_iban(compact: str) -> bool:
    """ISO 13616-1: the country's length, and mod 97 = 1 (ISO/IEC 7064)."""
    compact = compact.upper()
    if _IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _cards(text: str) -> Iterator[Span]:
    for match in _DIGITS.finditer(text):
        start, end = match.span()
        groups = [group.span() for group in _GROUP.finditer(text, start, end)]
        sizes = tuple(stop - begin for begin, stop in groups)
        named = _CARD_WORD.search(text, max(0, start - _BESIDE), start) or _EXPIRES.match(text, end)
        digits = "".join(_GROUP.findall(match[0]))
        # EAN-13 bar codes have the length of Visa's oldest cards.
        sure = named or (len(digits) > 13 and (luhn(digits) or sizes in _GROUPINGS))
        if sure and end - start <= 40 and _of_an_issuer(digits):
            yield Span(start, end, "CARD_NUMBER")
            continue
        # A card between other numbers: "4111 1111 1111 1111 12/27".
        skip = 0
        for first in range(len(groups)):
            if first < skip:
                continue
            for grouping in (*_GROUPINGS, (sizes[first],)):
                last = first + len(grouping)
                if sizes[first:last] == grouping and 14 <= sum(grouping) <= 19:
                    digits = "".join(text[begin:stop] for begin, stop in groups[first:last])
                    if is_card(digits) or (grouping == _GROUPINGS[1] and _of_an_issuer(digits)):
                        yield Span(groups[first][0], groups[last - 1][1], "CARD_NUMBER")
                        skip = last
                        break


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None:
            continue
        place, compact = match.end(), match[0]
        while len(compact) < length and place < len(text):
            character = text[place]
            if character.isascii() and character.isalnum():
                compact += character
            elif character not in " \u00a0-" or text[place - 1] in " \u00a0-":
                break
            place += 1
        follows = text[place : place + 1]
        if len(compact) == length and not (follows.isascii() and follows.isalnum()) and is_iban(compact):
            yield Span(match.start(), place, "IBAN")
        elif (typed := _IBAN_TYPED.match(text, match.start())) and (
            typed["groups"] or _IBAN_WORD.search(text, max(0, typed.start() - _BESIDE), typed.start())
        ):
            yield Span(*typed.span(), "IBAN")
