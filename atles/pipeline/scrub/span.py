"""A stretch of text that must not be kept, and the names of the placeholders. Everything in scrub uses these."""

from typing import NamedTuple

PLACEHOLDERS = frozenset(
    "API_KEY TOKEN JWT PRIVATE_KEY SEED_PHRASE PASSWORD CODE CARD_NUMBER IBAN ACCOUNT_NUMBER ID_NUMBER "
    "EMAIL PHONE ADDRESS IP_ADDRESS NAME".split()
)


class Span(NamedTuple):
    start: int
    end: int
    kind: str  # one of PLACEHOLDERS
