"""A message as sentences and clauses, with what is not the user's own talk blanked out. Knows no meaning.

Blanking keeps every position: `plain` has NUL where `text` holds a quotation, code, a log or a pasted letter, so a
rule matches on `plain` and takes its words from `text`. (NUL is free: `records.plain_text` lets none through.)
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atles.pipeline.extract.words import tokens
from atles.pipeline.injected import is_injected, strip
from atles.records import Message

BLANK = "\0"
_MOST = 20_000  # characters of one message; what is longer was pasted
_LONG_BLOCK = 3_000  # characters without a line break: nobody types that

_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_INLINE = re.compile(r"`[^`\n]{1,200}`")
_QUOTED = re.compile(
    r"""(?<![\w"])"(?=\S)[^"]{1,1500}?"(?!\w) | “[^”]{1,1500}” | «[^»]{1,1500}» | „[^“”"]{1,1500}[“”"]
    | (?<![\w'])'(?=[^\s'])(?:[^'\n]|(?<=\w)'(?=\w)){1,600}(?<=\S)'(?!\w) | ‘(?:[^’\n]|’(?=\w)){1,600}’(?!\w)""",
    re.VERBOSE,
)
# "check this paragraph: …", "he writes: …": what follows is not the user talking of themselves.
_INTRODUCES = re.compile(
    r"""\b(?:says?|said|writes?|wrote|reads?|goes|texted|texts|replied|answered|asked|emailed|posted|sings?|lyrics?|
    reviews?|drafts?|opening|paragraph|texts?|e-?mails?|letter|bio|message|msg|sentences?|story|poem|post|advert|ad|
    translate|translation|proofread|check|correct|fix|rewrite|reword|rephrase|improve|edit|polish|shorten|
    summari[sz]e|
    summary|explain|feedback|transcript|caption|blurb|abstract|essay|statement|profile|character|lines?|verse|
    comment|listing|notice|speech|toast|output|log|error|traceback|snippet|quote|text\ for|
    is\ this\ (?:ok|right|correct|good))\b[^.?!\n:;]{0,60}:(?=\s|\0)(?!\s*(?:when|whenever|first|1|always|never|
    please|if)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_LETTER = re.compile(r"^[ \t]*(?:dear|hi|hello|hey|to whom)\b[^\n.?!]{0,40},[ \t]*$", re.IGNORECASE | re.MULTILINE)
_HEADER = re.compile(r"^[ \t]*(?:from|to|subject|date|sent|cc|re|betreff|von|an):[ \t]\S", re.IGNORECASE | re.MULTILINE)
_SIGN_OFF = re.compile(
    r"^[ \t]*(?:(?:kind|best|warm)\ )?(?:regards|wishes|sincerely|yours\b.{0,12}|cheers|love|thanks)[,.]?[ \t]*\n",
    re.I | re.M,
)
_MACHINE = re.compile(
    r"""^\s*(?:\[?\d{4}-\d\d-\d\d[T\ ]\d | \[?\d\d:\d\d:\d\d | Traceback\ \(most | File\ " | at\ [\w.$]+\( | >>>\ |
    \$\ \w | (?:ERROR|WARN(?:ING)?|INFO|DEBUG|FATAL|TRACE)\b | \#include | //|/\*|<!--|</?\w+> | [\w./-]+@[\w-]+:[~/] |
    [+-]{3}\ [ab]/ | @@\ | \w+(?:Error|Exception):)""",
    re.VERBOSE,
)
_CODE_SIGNS = re.compile(r"[{}();=<>\[\]|\\_$/]")
_EMOTE = re.compile(r"(?<![\w*])\*(?!\*)[^*\n]{3,200}\*(?![\w*])")

_PICTURE = "[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\ufe0f\u200d]"
_STOP = re.compile(rf"(?:[.!?…。！？؟]|{_PICTURE})+[\"')\]”’]*(?=[\s\0]|$)|\n+")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|vs|e\.g|i\.e|approx|no|nr|jr|sr|lt|sgt|capt|rev|[A-Z])\.$", re.IGNORECASE
)

_SUBJECT = (
    r"(?:i|i['’]?m|i['’]?ve|i['’]ll|i['’]d|we|we['’](?:re|ve|ll|d)|he|she|it|he['’]?s|she['’]?s|"
    r"it['’]s|its|they|"
    r"they['’]?re|you|u|you['’]re|your|there|there['’]?s|that['’]?s|this|what(?!ever)|what['’]?s|how|why|"
    r"where(?!as)|when|"
    r"which\ one|can|could|do|does|did|is|are|please|pls|remind|tell|if|imagine|suppose|nobody|everyone|let['’]?s)\b"
)
# "and my sister lives in Bergen" begins a clause, "and my two dogs" doesn't.
_OURS = (
    r"(?:my|our)\s+(?:(?!and\b|or\b)[\w'’-]+\s+){1,4}(?:is|are|was|were|has|have|had|lives?|works?|likes?|"
    r"loves?|hates?|says|said|"
    r"plays?|goes|keeps|wants|needs|hurts?|just|will|does|do|doesn|can|got|moved|turned|started|died|speaks|studies|"
    r"thinks|told|never|always|still|also|calls?|runs|drives|became|left|quit|passed|came|went|starts|"
    r"ends|gets|makes|insisted|wanted|agreed|decided|suggested|refused)\b"
    r"|(?:my|our)\s+\w+['’]?s\s+(?:an?|the|in|on|at|called|named|from|not)\b"
)
_TO = r"(?:(?:i|we|he|she|they|there)\b|(?:i|we|it|he|she|they|there)['’]?(?:m|ve|ll|d|re|s)\b|it\s+(?:is|was|has)\b)"
_JOIN = (
    r"(?:and|n|&|but|so|because|bc|cuz|coz|though|although|tho|while|whereas|plus|only|then|or|"
    r"anyway|btw|also|ok|okay|now|lol)"
)
_BREAK = re.compile(
    rf"""\s*;\s* | :\s+ | \s+[–—]+\s* | \s+-+\s+ | \s*\(\s* | \)\s*
    | ,?\s+{_JOIN}(?:\s+(?:that|also|now|then|today|yes|anyway|btw|because|as|if|ok))?\s+(?={_SUBJECT})
    | ,?\s+(?:since|as|for|except)\s+(?={_TO}|{_OURS})
    | ,?\s+{_JOIN}(?:\s+(?:that|also|now|then|today|because|as|if))?\s+(?={_OURS}) | ,\s*(?={_OURS})
    | ,\s*(?={_SUBJECT}) | ,\s*(?=(?:got|bought|started|moved|quit|sold|switched|joined|swapped|traded)\s)
    | ,?\s+{_JOIN}\s+(?=(?:the|no\ more)\ [\w-]+(?:\s[\w-]+)?\ (?:is|are|was|has|moved|now)\b) | ,?\s+(?=no\ more\s)
    | ,\s*(?=(?:the\ )?(?!wh|that\b|and\b|but\b|or\b)[\w'-]+\ (?:is|are|was|has|moved)\b) | \0+""",
    re.IGNORECASE | re.VERBOSE,
)
# Before these words in a run-on text no new clause begins: "the car i bought", "where i live".
_OPEN_WORDS = frozenset(
    """that which where what how when if than as because whom who the a an and but so or since while although though
    why whether until till before after once every all thing place way time first last only whenever wherever
    unless like says said think know hope guess wish do does did can could should would will am is are was were have
    had may might shall must ought i we you to of with for in on at from by my our""".split()
)
_RUN_ON = re.compile(r"\s(?=(?:i|i['’]?m|i['’]?ve|we|my)\s+\S)", re.IGNORECASE)


# Terse people leave the question mark out: "what do I drink".
_ASKS = re.compile(
    r"\W*(?:(?:and|so|ok|now)\s+)?(?:(?:who|what|where|when|which|how)\b(?:\s\w+){0,3}?\s)?"
    r"(?:do|did|am|are|was|were|have|had)\s(?:i|we)\b(?!\s(?:not|never)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of a sentence with a verb of its own. `start` and `end` are positions in the sentence."""

    text: str
    plain: str
    start: int
    end: int
    words: tuple[str, ...]  # of `plain`, lower case, contractions undone
    before: str  # what joined it to the clause before it: ", because"


@dataclass(frozen=True, slots=True)
class Sentence:
    """`position` is its message's; `text` is trimmed, and `plain` as long."""

    position: int
    text: str
    plain: str
    words: tuple[str, ...]
    tail: str  # how it ends, with the emoji after it

    @property
    def asked(self) -> bool:
        return "?" in self.tail or _ASKS.match(self.plain) is not None

    def clauses(self) -> list[Clause]:
        found: list[Clause] = []
        start, before = 0, ""
        for match in _BREAK.finditer(self.plain):
            if match.start() > start or not found:
                self._cut(found, start, match.start(), before)
            start, before = match.end(), match.group().strip().lower()
        self._cut(found, start, len(self.plain), before)
        return found

    def _cut(self, found: list[Clause], start: int, end: int, before: str) -> None:
        piece = self.plain[start:end]
        if len(piece) > 60:  # dictated, without a comma
            for match in _RUN_ON.finditer(piece):
                left = tokens(piece[: match.start()])
                if len(left) >= 4 and not _OPEN_WORDS & {left[-1], left[-2]} and len(tokens(piece[match.end() :])) >= 3:
                    self._add(found, start, start + match.start(), before)
                    self._cut(found, start + match.end(), end, "")
                    return
        self._add(found, start, end, before)

    def _add(self, found: list[Clause], start: int, end: int, before: str) -> None:
        plain = self.plain[start:end]
        words = tuple(tokens(plain))
        if words:
            found.append(Clause(self.text[start:end], plain, start, end, words, before))


def spoken(messages: Sequence[Message], role: str = "user") -> Iterator[tuple[int, str]]:
    """Position and text of what was really said: nothing that ATLES put there."""
    for message in messages:
        if message.role == role and not is_injected(message):
            text = strip(message.text)[:_MOST]
            if text.strip():
                yield message.position, text


def blanked(text: str) -> str:
    """The text with NUL for whatever is not the speaker talking; as long as the text."""
    if "`" in text or "~~~" in text:
        text = _FENCE.sub(_blank, text)
        text = _INLINE.sub(lambda m: m.group() if len(m.group().split()) < 4 else _blank(m), text)
    text = _QUOTED.sub(_blank_quote, text)
    if "*" in text:
        text = _EMOTE.sub(lambda m: m.group() if len(m.group().split()) < 3 else _blank(m), text)
    if (match := _INTRODUCES.search(text)) and len(text) - match.end() > 20:
        text = text[: match.end()] + BLANK * (len(text) - match.end())
    if "\n" in text:
        text = _blank_lines(text)
    elif len(text) > _LONG_BLOCK or _like_code(text):
        text = BLANK * len(text)
    return text


def _blank(match: re.Match[str]) -> str:
    return BLANK * len(match.group())


def _blank_quote(match: re.Match[str]) -> str:
    """Names and titles in quotation marks stay; what somebody says goes."""
    quoted = match.group()
    words = tokens(quoted)
    if len(words) <= 3 and not {"i", "we", "my", "you"} & set(words):
        return quoted
    return BLANK * len(quoted)


def _blank_lines(text: str) -> str:
    letter = _LETTER.search(text)
    if letter and (letter.start() > 0 or _SIGN_OFF.search(text)):
        text = text[: letter.start()] + BLANK * (len(text) - letter.start())
    headers = list(_HEADER.finditer(text))
    if len(headers) >= 2:
        text = text[: headers[0].start()] + BLANK * (len(text) - headers[0].start())
    lines = text.split("\n")
    return "\n".join(
        BLANK * len(line)
        if line.lstrip().startswith((">", "|")) or len(line) > _LONG_BLOCK or _MACHINE.match(line) or _like_code(line)
        else line
        for line in lines
    )


def _like_code(line: str) -> bool:
    signs = len(_CODE_SIGNS.findall(line)) if len(line) > 8 else 0
    return signs >= 3 and signs > len(line) * 0.06


def sentences(position: int, text: str, plain: str | None = None) -> list[Sentence]:
    """The sentences of one message. People seldom end them; a line, an emoji and two dots do as well."""
    plain = blanked(text) if plain is None else plain
    found: list[Sentence] = []
    start = 0
    for match in _STOP.finditer(plain):
        if match.group() == "." and _ABBREVIATED.search(plain[max(start, match.end() - 8) : match.end()]):
            continue
        if (sentence := _sentence(position, text, plain, start, match.start(), match.end())) is not None:
            found.append(sentence)
        start = match.end()
    if (sentence := _sentence(position, text, plain, start, len(plain), len(plain))) is not None:
        found.append(sentence)
    return found


def _sentence(position: int, text: str, plain: str, start: int, end: int, stop: int) -> Sentence | None:
    while start < end and (plain[start].isspace() or plain[start] in "-*•–,"):
        start += 1
    while end > start and (plain[end - 1].isspace() or plain[end - 1] in ",-"):
        end -= 1
    if start == end:
        return None
    piece = plain[start:end]
    return Sentence(position, text[start:end], piece, tuple(tokens(piece)), plain[end:stop])
