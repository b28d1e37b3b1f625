"""Who is who: "my sister Odette", "Drita, my wife". Knows the people of one session by name."""

import re
from dataclasses import replace

from atles.pipeline.extract import guards
from atles.pipeline.extract.reading import BLANK, Sentence
from atles.pipeline.extract.slots import named_in, slot_of
from atles.pipeline.extract.wording import clean
from atles.pipeline.extract.words import ADVERBS, DAYS, KIN, MONTHS, OTHERS, PETS, RELATIONS, tokens
from atles.records import Claim, MemoryType


def _longest_first(words: frozenset[str]) -> str:
    """The words as alternatives of a pattern."""
    return "|".join(sorted(words, key=len, reverse=True))


_FAMILY = _longest_first(KIN | PETS)
_PEOPLE = _longest_first(RELATIONS)
_NAMED_PEOPLE = _longest_first(RELATIONS - {"family", "foster", "parents", "kids", "children"})
_RELATIVE_NAME = re.compile(
    r"\b(?P<text>(?P<name>[A-Z][\w'-]+),?\s+who\s+is\s+(?:an?\s|my\s|our\s|\d|only\s|now\s|twelve|ten|"
    r"nine|eight|seven|six|five|four|three|two)[^,;.!?]{2,80}?(?=\s(?:and\s\w+s\b|but|which|who|wants|"
    r"therefore|has|is)\b|[,;.!?]|$))"
)
# "Drita, my wife"; "Lucan, that's the six-year-old"
_APPOSED = re.compile(
    rf"(?:^|(?<=[\s(]))(?P<name>[A-Z][\w'-]+)(?P<does>(?:\s[^.!?;,]{{2,50}})?),\s*(?:(?:that's|that’s|"
    rf"who's|that is|who is|she's|he's)\s+)?(?:my|"
    rf"our)\s+(?:[a-z'-]+\s){{0,2}}?(?P<who>{_PEOPLE})\b(?!\s+(?:is|was|has|are|will|says|lives|works|and|"
    rf"'s|[A-Z]))(?!['’])"
    r"|(?:^|(?<=[\s(]))(?P<name2>[A-Z][\w'-]+),\s*(?:that's|that’s|that is)\s+(?:my|our|"
    r"the)\s+(?P<what>[\w-]+(?:\s(?!wants|says|asks|is|has)[\w-]+){0,4})"
)
# "theo (my bf)": in brackets it is said of the word before, however that is spelled.
_BRACKETED = re.compile(
    rf"\b(?P<name>[\w'-]+) \((?:that's |who's |he's |she's )?(?:my|our) (?:[a-z'-]+ )??(?P<who>{_PEOPLE})\)",
    re.IGNORECASE,
)
_HER = frozenset(
    "wife mother mum mom mam mama girlfriend gf sister daughter grandmother grandma granny gran nan aunt "
    "auntie niece fiancee stepmother mare granddaughter goddaughter".split()
)
_HIM = frozenset(
    "husband father dad papa boyfriend bf brother son grandfather grandpa grandad granddad uncle nephew "
    "fiance stepfather grandson godson".split()
)
_KIN_PHRASE = re.compile(
    rf"\b(?i:my|our|one's|one’s)\s+(?:[a-z'-]+\s+){{0,2}}?(?P<who>(?i:{_FAMILY}))\b(?:,?\s+[A-Z][\w'-]+)?"
)
NO_FRAGMENT = frozenset(
    "ok okay thanks thank lol haha so anyway yes yeah no nope great perfect nothing good cool nice "
    "please pls hi hey hello bye done sent wow omg ha ty what how why when where who is are do does did "
    "can could would will right sorry well wait now night morning goodnight love perf ugh hmm oh true "
    "whatever sold fine same lovely splendid capital".split()
)
_MY_NAME = re.compile(
    rf"\b(?P<text>(?:my|our)\s+(?:[a-z'-]+\s+){{0,2}}?(?P<who>{_NAMED_PEOPLE}),?\s+(?P<name>[\w'-]+))",
    re.IGNORECASE,
)
NOT_A_NAME = frozenset(
    """and or but is was are were has had have who which that in on at to for with from of says said say thinks
    thought told
    tells wants wanted asks asked keeps lives works plays loves hates likes just also always never really still will
    would can
    could should did does do because so if when as my his her their the a an i it he she they you we got gets goes
    went
    came comes gave gives made makes took takes calls called named needs about by after before than then now too off
    out
    up down back over again today yesterday tomorrow tonight last this next one two three not no only even both all
    some
    any lol u n w bc tho ate eats died dies paint cook sing work drive study teach play read write swim run help die
    live love hate sleeps barks screams drives sits runs sent texted laughed cried wrote moved
    knows knew sees saw looks looked owner owners food vet house room bed people stuff side member members name names
    how what where why there here while since until seems looks feels bought sold took birthday
    wedding car job school drove every being
    turned turns turning started starts studies started's into onto like around home during without finally already
    usually sometimes often maybe probably once instead might may must""".split()
)


class People:
    """Of whom a session has spoken so far."""

    def __init__(self) -> None:
        self.known: set[str] = set()  # names of the user's people and animals, lower case
        self.kin: tuple[str, str] = ("", "")  # who of the family was spoken of last: "my sister Odette", "sister"

    def meant(self, words: tuple[str, ...]) -> bool:
        """Whether "she" or "he" can be the one of the family who was spoken of last."""
        who = self.kin[1]
        return (
            bool(who)
            and ((words[0] == "she" and who not in _HIM) or (words[0] == "he" and who not in _HER))
            and words[0] in ("she", "he")
        )

    def read(self, sentence: Sentence) -> list[Claim]:
        """ "my sister Odette": who is who, wherever in a sentence it is said."""
        if guards.joke(sentence) or guards.opens_hypothesis(sentence.plain) or guards.SECRET.search(sentence.text):
            return []
        found: list[Claim] = []
        for match in _KIN_PHRASE.finditer(sentence.plain):
            self.kin = (match.group(), match["who"].lower())
        if OTHERS.intersection(sentence.words) and not KIN.intersection(sentence.words):
            self.kin = ("", "")
        for match in _BRACKETED.finditer(sentence.plain):
            if match["name"].lower() not in NOT_A_NAME | NO_FRAGMENT:
                self.known.add(match["name"].lower())
                found.append(_name_claim(sentence, match.group(), match["who"], match["name"]))
        for match in _APPOSED.finditer(sentence.plain):
            name = match["name"] or match["name2"]
            if tokens(name)[0] in NOT_A_NAME | NO_FRAGMENT | ADVERBS | DAYS | MONTHS:
                continue
            who = match["who"] or tokens(match["what"])[-1]
            self.known.add(name.lower())
            self.kin = (clean(match.group()), who)
            claim = _name_claim(sentence, match.group(), who, name)
            found.append(claim if match["who"] else replace(claim, slot="", value=""))
        for who, name in named_in(
            sentence.text if BLANK not in sentence.plain else sentence.plain.replace(BLANK, "\n")
        ):
            self.known.add(name.lower())
            match = re.search(
                rf"\b(?:my|our)\s+(?:[a-z'-]+\s+){{0,2}}?[\w-]+,?\s+{re.escape(name)}(?:,?\s+who\s+[^.;!?,]{{3,90}}?(?=\s(?:and|but|which|who|says|said|wants|therefore|has)\b|[,;.!?]|$))?",
                sentence.text,
                re.I,
            )
            if match:
                found.append(_name_claim(sentence, match.group(), who, name))
        for match in _MY_NAME.finditer(sentence.plain):
            name = match["name"]
            if name.lower() in NOT_A_NAME or len(name) < 3 or name[0].isdigit() or name.lower() in self.known:
                continue
            if name[0].islower() and (
                (sentence.text != sentence.text.lower() and not _casual(sentence.text))
                or name.endswith(("ing", "ed", "ly", "'s"))
                or not _name_follows(sentence.plain[match.end() :])
            ):
                continue
            self.known.add(name.lower())
            found.append(
                _name_claim(sentence, sentence.text[match.start("text") : match.end("text")], match["who"], name)
            )
        match = _RELATIVE_NAME.search(sentence.plain)
        if (
            match
            and {"i", "my", "we", "our"}.intersection(sentence.words)
            and not any(clean(match["text"]) in claim.text for claim in found)
        ):
            self.known.add(match["name"].lower())
            found.append(Claim(MemoryType.FACT, clean(match["text"]), (sentence.position,), confidence=0.7))
        return found


def _name_claim(sentence: Sentence, text: str, who: str, name: str) -> Claim:
    slot, _ = slot_of(text)
    said = clean(text)
    return Claim(
        MemoryType.FACT, said + ")" * (said.count("(") > said.count(")")), (sentence.position,), confidence=0.85,
        slot=slot or f"{who.lower()}.name", value=name.lower(),
    )  # fmt: skip


def _name_follows(rest: str) -> bool:
    word = tokens(rest)[:1]
    return not rest.strip() or rest[:1] in ",.;!?)" or bool(word and word[0] in NOT_A_NAME)


def _casual(text: str) -> bool:
    return text[:1].islower() or " i " in f" {text} "
