"""How a claim's words are cut out of a sentence: what is dropped before and after, and what nobody means."""

import re

from atles.pipeline.extract.reading import BLANK

LEADING = re.compile(
    r"^\W*(?:(?:and|but|so|because|as|"
    r"since(?!\s+(?:the|last|this|my|a|\d|jan|feb|mar|apr|may|june?|july?|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun|spring|"
    r"summer|autumn|winter|easter|christmas|new year)\w*\b)|or|ok|okay|well|oh|also|btw|by the way|anyway|yes|yeah|"
    r"yep|ya|"
    r"(?:no|nope|nah)(?=\s*[,.!;:—–])|"
    r"lol|haha|though|while|then|plus|hi|hey|hello|thanks|(?:good|great|right|perfect|nice|"
    r"cool)(?=\s*[,.!])|"
    r"for|whereas|although|bc|cuz|n|confession|turns out|fyi|tbh|omg|which is|only|now the|ok "
    r"so)\b(?![-'’])[\s,:;.!—–-]*)+",
    re.IGNORECASE,
)
_TRAILING = re.compile(
    r"[\s,;:(–—-]+$|\s+(?:lol|haha|btw|tho|lmao|so|and|but|because|n|xd|ngl|tbh|though|by the way)\s*$", re.IGNORECASE
)
PRONOUN = re.compile(
    r"^(?:she|he|they|it|his|her|their|its)\b|^(?:she|he|it|they)['’]?(?:s|re|ve)\b|^(?:shes|hes|theyre|its)\b",
    re.IGNORECASE,
)
SAYER = re.compile(
    r"(?:[,\s]+(?:because|as|since|and|but|so|that))?\s+(?:(?:my|the|our|his|her)\s+)?[\w'-]+\s*$", re.IGNORECASE
)
COMPLEMENT = re.compile(
    r"^(?!.*\b(?:my|our)\b.*\bthat\b)(?:[\w'’,-]+\s+){0,14}?(?:is|was|say|said|gather|know|mention|"
    r"mentioned|tell|told|mean|means|add|"
    r"admit|see|remember|note|understand|afraid|forget|confess|mind|sure)\s+that\s+(?=(?:i|we|my|our)\b)",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    text = " ".join(text.replace(BLANK, " ").split())
    text = LEADING.sub("", text)
    while (shorter := _TRAILING.sub("", text)) != text:
        text = shorter
    return text.strip(" \"”“'(")
