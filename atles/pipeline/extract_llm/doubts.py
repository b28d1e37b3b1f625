"""Why words that were really said are still no memory: signs that a model must not talk its way around.

English signs only, and plain ones: what a rule can see. A finer guard can be handed to the extractor beside this.
"""

import re

from atles.pipeline.extract_llm.tokens import words

_I = frozenset("i me my mine myself we us our ours".split())
_ENGLISH = frozenset(
    """the a an is are was of and to in on at for with that this it he she his her they has have had not but do does
    from as by will be you i my we our""".split()
)
# Of those, the ones that are words of other languages, too.
_ELSEWHERE = frozenset("in an on as at to do be a i he was will that my not but by we had for has".split())
_SECRET = re.compile(
    r"\b(?:pass ?words?|pass ?code|pass ?phrase|cvv|cvc|pin|api[ -]?key|secret key|access token|private key|"
    r"seed phrase|iban|social security|ssn|card number)\b[^.?!\n]{0,40}?(?:\bis\b|\bare\b|[:=]|\d)"
    r"|\b(?:\d[ -]?){13,19}\b|\b\d{3}-\d{2}-\d{4}\b|\bsk-[\w-]{8,}|\bgh[pousr]_\w{16,}|\bAKIA[0-9A-Z]{12,}|-----BEGIN "
    r"|\b(?=\w*\d)(?=\w*[a-z])\w{24,}\b",
    re.IGNORECASE,
)
_JOKE = re.compile(
    r"\b(?:jk|j/k|just kidding|kidding|(?:just )?joking|only a joke|just a joke|said no one ever|in my dreams|"
    r"sarcasm|messing with you|pulling your leg|made that up)\b|(?:^|\s)/s(?:\s|$)|"
    r"[\U0001f602\U0001f923\U0001f61c\U0001f92a]",
    re.IGNORECASE,
)
_HYPOTHETICAL = re.compile(
    r"\b(?:imagine|suppose|supposing|pretend|hypothetically|what if|let'?s say|let us say|assume|assuming|i wish|"
    r"if i (?:were|was|had|lived|could|ever|won|got|became|moved)|if my|if we (?:were|had|lived)|in another life|"
    r"i (?:might|may|would|could)\b(?! (?:like|love|rather|prefer)))",
    re.IGNORECASE,
)
_REPORTED = re.compile(
    r"\b(?!i\b|we\b)[\w']+ (?:(?:has|have|had|always|just|also|once|still) )?(?:says?|said|claims?|claimed|thinks?|"
    r"thought|believes?|believed|told|tells|writes?|wrote|insists?|insisted|swears?|swore|texted|texts|replied|goes)\b"
    r"(?! (?:you|hello|hi|goodbye|yes|no)\b)",
    re.IGNORECASE,
)
_PLAY = re.compile(
    r"\brole[ -]?play|\bpretend (?:to be|you|that you|we|i)|\b(?:let'?s|let us) (?:play|pretend)\b|\bact as\b|"
    r"\byou(?: are|'re) (?:now )?(?:a|an|the) [\w ]{0,40}(?:and|,) (?:i am|i'm|im)\b|"
    r"\bwrite (?:me )?(?:a|an|the) [\w ]{0,30}(?:story|poem|monologue|dialogue|scene|letter|bio|song)\b|"
    r"\bstay in character\b|\bin the voice of\b",
    re.IGNORECASE,
)
_PLAY_ENDS = re.compile(
    r"\b(?:stop|end|enough|no more|out) (?:\w+ ){0,3}(?:role|play|game|pretend|character|story)", re.IGNORECASE
)
_QUOTED = re.compile(
    r"\"[^\"\n]{2,}\"|“[^”]{2,}”|„[^“”]{2,}[“”]|«[^»]{2,}»|```.*?(?:```|\Z)|^>[^\n]*", re.DOTALL | re.MULTILINE
)
_FORGET = re.compile(
    r"\b(?:forget|unlearn|(?:delete|remove|erase|wipe|scrap) (?:what|that|this|everything|all|my|it|the)|"
    r"(?:don'?t|do not|never|stop) (?:remember|keep|keeping|store|storing|save|saving|remembering))",
    re.IGNORECASE,
)
_NOT_FORGET = re.compile(
    r"\b(?:i|i'll|i'd|he|she|they|we|always|don'?t|do not|never|to not) (?:\w+ )?forget", re.IGNORECASE
)
_YES = re.compile(
    r"^\W*(?:yes|yeah|yep|yup|right|exactly|correct|true|indeed|that(?:'|’)?s (?:right|correct|true|it)|"
    r"you(?:'|’)?re right|absolutely|precisely)\b(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_BUT = re.compile(
    r"\b(?:but|no|not|except|actually|although|though|wait|or|sarcas\w*|kidding|joke)\b|n['’]t\b|\?", re.IGNORECASE
)
_CHANGED = re.compile(
    r"\b(?:now|new|newly|moved|moving|changed|switched|instead|no longer|any ?more|actually|used to|became|become|"
    r"recently|just (?:got|started|bought|joined)|started|not .{0,30} but|from .{1,40} to|these days|since|"
    r"renamed|promoted|swapped|replaced|correction|wrong|meant)\b",
    re.IGNORECASE,
)
_ENDED = re.compile(
    r"\b(?:no longer|any ?more|any longer|stopped|quit|gave up|given up|ended|cancell?ed|is over|was over|sold|died|"
    r"passed away|left|broke up|split up|divorced|finished|closed|used to|resigned|"
    r"retired|dropped|lost|done with|got rid)\b",
    re.IGNORECASE,
)
_TAG = re.compile(r",\s*(?:\w+n't (?:it|you|i|we|he|she|they)|(?:right|no|ok))\s*\?*\s*$", re.IGNORECASE)
NEGATIONS = frozenset(
    """not no never none nobody nothing neither nor without hardly barely stopped quit longer anymore nowhere unless
    almost nearly avoid refuse""".split()
)


def secret(text: str) -> bool:
    return bool(_SECRET.search(text))


def unreal(said: str, next_said: str) -> str:
    """Why the sentence is not to be taken at its word: "joke", "hypothetical"; "" if nothing shows. `next_said` is what
    the user went on with."""
    if _JOKE.search(said) or _JOKE.search(next_said[:60]):
        return "joke"
    return "hypothetical" if _HYPOTHETICAL.search(said.replace("’", "'")) else ""


def quoted(text: str, start: int, end: int, said: str) -> bool:
    """Whether the words of the text between `start` and `end` are somebody else's: between quotation marks, or the
    sentence reports them."""
    inside = any(match.start() <= start and end <= match.end() for match in _QUOTED.finditer(text))
    return inside or bool(_REPORTED.search(said.replace("’", "'")))


def plays(texts: list[str]) -> bool:
    """Whether the user's messages so far have begun a game or a story that they did not end."""
    playing = False
    for text in texts:
        text = text.replace("’", "'")
        playing = not _PLAY_ENDS.search(text) and (playing or bool(_PLAY.search(text)))
    return playing


def negated(said: str) -> bool:
    """Whether the sentence denies something; "No, …" at its start and "…, isn't it?" at its end don't."""
    rest = words(_TAG.sub("", said.replace("’", "'")))
    return bool(NEGATIONS.intersection(rest[1:] if rest[:1] == ["no"] else rest))


def unquoted(said: str) -> str:
    """The sentence without what stands between quotation marks."""
    return _QUOTED.sub(" ", said)


def own(texts: list[str]) -> frozenset[str]:
    """The words for what is the user's: what they put "my" or "our" before, in any message."""
    found: set[str] = set()
    for text in texts:
        said = words(text)
        for at, word in enumerate(said):
            if word in ("my", "our"):
                found.update(name for name in said[at + 1 : at + 3] if len(name) > 2 and name not in _ENGLISH)
    return frozenset(found - {"friend", "friends", "boss", "neighbour", "neighbor", "colleague"})


def english(said: list[str]) -> bool:
    """Whether a session's words are English, for the most part."""
    known = sum(2 - (word in _ELSEWHERE) for word in said if word in _ENGLISH)
    return known * 4 >= len(said)


def of_the_user(said: list[str], owned: frozenset[str]) -> bool:
    """Whether an English sentence is about the user or theirs."""
    return bool(_I.intersection(said) or owned.intersection(said))


def affirms(reply: str) -> bool:
    """Whether the user's next message confirms what the assistant said, and does nothing else."""
    match = _YES.match(reply)
    return bool(match and len(match["rest"].split()) <= 8 and not _BUT.search(match["rest"]))


def asks_to_forget(said: str) -> bool:
    said = said.replace("’", "'")
    return bool(_FORGET.search(said) and not _NOT_FORGET.search(said))


def says_new(said: str) -> bool:
    return bool(_CHANGED.search(said))


def says_over(said: str) -> bool:
    return bool(_ENDED.search(said))
