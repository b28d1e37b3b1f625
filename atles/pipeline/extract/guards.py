"""Why a sentence is not something to remember of the user: jokes, role play, what somebody else said, secrets.

Precision comes first: what is refused here is counted, and nothing is guessed.
"""

import re

from atles.pipeline.extract.reading import Clause, Sentence

SECRET = re.compile(
    r"\[[A-Z][A-Z_ -]{2,30}\d{0,4}\]|<[A-Z_]{4,}>"
    r"|\b(?:pass ?word|pass ?code|pw|pin|cvv|cvc|iban|api key|token|card number|login|credentials)\b[^.?!]{0,40}\d"
    r"|\b(?:\d[ -]?){12,19}\b|\b\d{3}-\d{2}-\d{4}\b"
    r"|\b(?:pass ?word|pass ?code|passphrase|pw|api key|secret key)\b(?! manager)(?:\s+\w+){0,3}?\s*(?:is|:|=)\s",
    re.IGNORECASE,
)

_LAUGHTER = re.compile("[\U0001f602\U0001f923]")
_IRONY_MARK = re.compile("[\U0001f609\U0001f61c\U0001f92a\U0001f643\U0001f61d\U0001f61b\U0001f60f\U0001f92d]")
_TAKEN_BACK = re.compile(
    r"""^\W*(?:(?:lol|haha+|nah|no|ok|okay|hehe|sorry|well|obviously|of\ course|and|i(?:'|’)?m|i\ am|i\ was|we\ are|
    we're|totally|
    im|was)[\s,.!]+){0,4}(?:just\ |only\ )?
    (?:jk|j/k|/s|kidding|joking|joke|i\ wish|not\ really|just\ a\ joke|a\ joke|messing\ with\ (?:you|u)|
    pulling\ your\ leg|
    teasing|being\ sarcastic|sarcasm|psych|made\ that\ up|not\ true|
    (?:that|it|this)(?:(?:'|’)?s|\ is|\ was)\ (?:only\ |just\ )?(?:a\ |my\ |our\ )?(?:old\ )?(?:joke|jest))\b""",
    re.IGNORECASE | re.VERBOSE,
)
_JOKE = re.compile(
    r"""\b(?:jk|j/k|just\ kidding|kidding|i\ wish|not\ really\ lol|in\ my\ dreams|said\ no\ one\ ever|when\ pigs\ fly|
    yeah\ right|as\ if|sarcasm|(?:yes|yeah|yep|sure|right|obviously|of\ course)[\ ,]+(?:sir[\ ,]+)?and\ (?:i\b|i'?m|
    my|we)|
    (?:i\ am|i'?m|im|i\ was|we\ are|we're|my\ (?:real|other|secret|second)\ \w+\ is|call\ me|as)\ (?:\w+\ ){0,3}?
      (?:queen|king|pope|emperor|empress|batman|superman|spiderman|wizard|unicorn|dragon|alien|vampire|werewolf|robot|
      millionaire|billionaire|santa|sherlock|einstein|napoleon|cleopatra|gandalf|potato|spaceship|astronaut\ too|
      supermodel|secret\ agent|ninja|cyborg|zombie|ghost|mermaid|god|jesus|shakespeare|mozart|beyonc\w+|tsar|sultan|
      prime\ minister|president\ of\ the|duchess|duke|baron|pirate)|
    (?:married|engaged|dating|allergic|addicted)\ (?:to|with)?\ ?(?:my\ (?:work|job|bed|couch|sofa|phone|laptop|xbox|
      desk|coffee)|mondays?|work|mornings|exercise|homework|housework|the\ whole|effort|people|bullshit|meetings|
      hard\ work|cleaning|dating\ the\ whole)|
    fluent\ in\ (?:sarcasm|typos|dog|cat)|literally\ (?:dying|dead)|a\ hundred\ years\ old|older\ than\ dirt|
    since\ the\ dinosaurs|last\ of\ my\ name|next\ (?:pope|president))\b""",
    re.IGNORECASE | re.VERBOSE,
)

_OPENS_HYPOTHESIS = re.compile(
    r"""^\W*(?:(?:ok|okay|so|now|well|and|but|hey|or|hmm|right|alright|just|let's\ say|quick\ question|random\ (?:q|
    question)|
    purely)[\s,:]+){0,3}(?:imagine|suppose|supposing|assume|assuming|pretend|hypothetically|theoretically|
    in\ theory|what\ if|what\ would|let(?:'|’)?s\ (?:say|assume|suppose|imagine|pretend)|say(?:,|\ (?:i|we|you|u|my|
    someone|
    somebody|a|an|the|that)\b)|for\ example|e\.?g\b|picture\ (?:this|me)|for\ the\ sake\ of|thought\ experiment|
    (?:as\ )?an?\ (?:example|thought\ experiment|hypothetical|riddle|puzzle)|
    if\ (?:i|we|my|our)\ (?:was|were|had|could|won|lived|owned|ever|became|got|did|would|inherited|moved)|
    had\ i|were\ i|wish)\b
    | \bif\ (?:i|we)\ (?:ever\ )?(?:win|won|had|were|could|inherit(?:ed)?|got\ rich)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_UNREAL = frozenset("would could might may maybe perhaps should suppose imagine wish pretend hypothetically".split())

_PLAY_BEGINS = re.compile(
    r"""\b(?:role-?\ ?play(?:ing)?|let(?:'|’)?s\ (?:play|pretend|practi[sc]e|do\ a\ (?:scene|mock|role|
    text\ adventure))|
    play\ (?:a\ game|the\ (?:role|part)|dungeon)|pretend\ (?:you|u|to\ be|that\ (?:you|we|i)|i|we)|
    act\ (?:as|like)\ (?:a|an|the|my|if)|(?:you|u)(?:'|’)?(?:re|\ are|\ be|\ play)\ (?:now\ )?(?:a|an|the|
    my)\ (?!right|best|star|legend|gem|
    lifesaver|genius|machine|bot|computer|good|great|treasure|angel|hero|champ|saint|model|help|real|wonder)\w+|
    i(?:'|’)?(?:ll|\ will|m|\ am)?\ (?:be|play|am)\ the\ \w+[\w\ ]{0,20}\b(?:and|n|,)\ (?:you|u)\b|
    (?:be|play)\ (?:a|an|the)\ \w+\ (?:for\ me|interviewing)|
    (?:write|tell|make\ up|invent|continue|give|compose|spin)\ (?:me\ |us\ )?(?:up\ )?(?:an?|the|another|this|
    my)?\ ?(?:\w+\ ){0,4}?
      (?:story|tale|poem|song|monologue|sketch|scene|limerick|fairy\ ?tale|fan\ ?fic(?:tion)?|screenplay|play|novel|
      ballad|haiku|rap|fable|dialogue|skit)|
    (?:in|from)\ the\ (?:character|voice|role|point\ of\ view|perspective)\ of|text\ adventure|dungeon\ master|
    (?:^|[.!?,]\ )(?:ok\ |so\ )?(?:you|u)(?:'|’)?(?:re|\ are)\ (?!right|wrong|welcome|correct|great|funny|good|kind|
    too|so|very|not|sure|the\ best)[\w-]+(?:\ \w+){0,2},\ (?:and\ )?i(?:'m|’m|\ am|m|'ll\ be)\ the\ |
    (?:my|your|the)\ character\ (?:is|has|lives)|once\ upon\ a\ time|interview\ me\ as|mock\ interview|
    in\ character|(?:false|fake|invented|made-?\ ?up|different)\ (?:identit(?:y|ies)|person|persona|names?|characters?)|
    (?:interview|conversation|dialogue|phone\ call|pitch)\ practi[sc]e|practi[sc]e\ (?:an?\ |the\ |
    my\ )?(?:\w+\ )?(?:interview|dialogue|
    conversation|negotiation|phone\ call|sales\ pitch)|
    i(?:'|’)?(?:ll|\ will)\ be\ (?:the|an?)\ [\w-]+(?:\ [\w-]+)?[.!,;]\s*(?:and\ |are\ you\ )?(?:ready|you|u|ok|okay|
    go|begin|start)|
    (?:you|u)\ (?:be|play|do)\ (?:the|an?)\ [\w-]+(?:\ [\w-]+)?[.!,;]?\s*(?:and\ )?(?:i(?:'|’)?(?:ll|m|\ will|\ am)\b|
    ready|ok|go)|
    (?:ok(?:ay)?|so|right|ready)[\ ,]+(?:so\ )?i(?:'|’)?(?:m|\ am)\ (?-i:[A-Z])\w+,\ (?:\d\d|
    an?\ )[^?]{3,160}?[.!,]\ (?:go|begin|start|shoot|
    action|your\ turn))\b""",
    re.IGNORECASE | re.VERBOSE,
)
_STORY = re.compile(
    r"\b(?:story|tale|poem|song|monologue|sketch|limerick|fic\w*|novel|ballad|haiku|rap|fable|skit|"
    r"character|voice|perspective|point of view)\b",
    re.I,
)
_GOES_ON = re.compile(
    r"^\W*(?:make|add|now|then|continue|change|let|have|give|also|next|and|but|more|in the|go on|keep|"
    r"another|again|put|what happens)\b",
    re.I,
)
_PLAY_ENDS = re.compile(
    r"""^\W*(?:ha(?:ha)+h*|lo+l|lmao|hehe+|phew)\b|\b(?:out\ of\ character|stop(?:\ (?:the|this|it|now|here|playing|
    lol))?\b(?!\ (?:at|by|using|for))|
    end\ (?:of\ )?(?:the\ )?(?:exercise|training|practi[sc]e|role-?\ ?play|scene|game|
    role|play|story)|game\ over|the\ end\b|that\ was\ (?:fun|great|good|useful|helpful)|back\ to\ (?:reality|normal|
    real|work|earth)|
    for\ real|seriously\ now|enough(?:\ (?:of\ (?:that|this|the\ \w+|\w+)|playing)|(?=[\s,.!]*(?:$|[,.!;])))|
    (?:different|new|
    other|another|unrelated)\ (?:question|topic|thing)|
    real\ (?:question|talk|life|me)|anyway|actually,?\ (?:do|can|could|what|how|when|where|why|i\ have|one)|
    on\ another\ note|done\ (?:playing|with)|exit|quit\ the\ game|
    not\ in\ character|break\ character|
    curtain|that\ will\ do|that'll\ do|we\ can\ stop|let\ us\ stop|back\ to\ (?:the|our|business|my)|that(?:'|
    ’)?s\ it\b|let(?:'|’)?s\ leave\ it|thanks?(?:\ you)?|thx|ty|cheers|that(?:'|’)?s\ (?:enough|perfect|lovely))\b""",
    re.IGNORECASE | re.VERBOSE,
)

REPORTS = frozenset(
    """says said saying reckons claims claimed insists insisted swears thinks joked jokes texted wrote writes
    shouted yelled replied announced keeps_saying whispered""".split()
)
_QUESTION_WORDS = frozenset(
    "what how why where who which when whose whats wheres hows can could would do does did is are should shall "
    "will may".split()
)


# "i go yeah sure i toured with the stones": how people tell what they answered, mostly in fun.
_TOLD_TALK = re.compile(
    r"\b(?:i|i'm|im|he|she) (?:go|goes|went|was like|am like|be like|like),? "
    r"(?:yeah|yes|yep|no|nah|oh|sure|hey|dude|well|ok|okay)\b",
    re.IGNORECASE,
)


def joke(sentence: Sentence) -> bool:
    return bool(
        _TOLD_TALK.search(sentence.plain)
        or _IRONY_MARK.search(sentence.tail)
        or _IRONY_MARK.search(sentence.text)
        or _JOKE.search(sentence.plain)
    )


def laughed_at(sentence: Sentence) -> bool:
    """Whether the user laughs at it: what they then say they are or did is not meant."""
    return bool(_LAUGHTER.search(sentence.tail) or _LAUGHTER.search(sentence.text))


def takes_back(sentence: Sentence) -> bool:
    """Whether it says that what came before it was a joke."""
    first, _, _ = sentence.plain.partition(";")
    return bool(_TAKEN_BACK.match(first)) and len(first.split()) <= 8


def opens_hypothesis(text: str) -> bool:
    return bool(_OPENS_HYPOTHESIS.search(text))


def hypothetical(clause: Clause) -> bool:
    words = clause.words
    unreal = _UNREAL.intersection(words)
    if not unreal:
        return False
    if unreal == {"may"}:  # the month
        at = words.index("may")
        after = words[at + 1] if at + 1 < len(words) else ""
        return not (
            after[:1].isdigit()
            or (at and words[at - 1][:1].isdigit())
            or (at and words[at - 1] in ("in", "on", "since", "of", "till", "until", "is", "not"))
        )
    return not (
        unreal == {"would"}
        and re.search(r"\bwould (?:rather|prefer|like to|love to)\b|\bi'd\b.*\bbeen\b", clause.plain, re.I)
    )


def asks(clause: Clause) -> bool:
    """Whether the clause is put as a question."""
    words = clause.words
    skip = 0
    while skip < len(words) - 1 and words[skip] in (
        "and",
        "so",
        "but",
        "ok",
        "okay",
        "or",
        "now",
        "also",
        "then",
        "hey",
        "oh",
    ):
        skip += 1
    return words[skip] in _QUESTION_WORDS and not (
        words[skip] in ("when", "where", "which", "who") and "i" in words[1:3]
    )


def reported(clause: Clause) -> int:
    """Where in the clause the words of somebody else begin ("Bram says i can climb"); -1 if nowhere."""
    if REPORTS.intersection(clause.words):
        match = re.search(
            r"\b(?:says|said|saying|reckons|claims|claimed|insists|insisted|swears|thinks|joked|jokes|texted|"
    r"wrote|writes|"
            r"shouted|yelled|replied|announced|whispered)\b", clause.plain, re.I,
        )  # fmt: skip
        return match.start() if match else -1
    return -1


_LONGEST_PLAY = 3  # messages of the user's; who said they'd play may never say they stopped


class Play:
    """Where a game or a story begins in a session, and where it ends. Fed one message of the user's after the other."""

    def __init__(self) -> None:
        self._playing = self._story = False
        self._messages = 0

    def cut(self, text: str) -> tuple[str, bool]:
        """The plain text before the play begins or after it ends, and whether any was cut."""
        cut = self._playing
        self._messages += 1
        if self._playing:
            end = _PLAY_ENDS.search(text)
            if self._messages > _LONGEST_PLAY:
                self._playing = self._story = cut = False
                return self.cut(text)
            if end is None and not (
                self._story and not _STORY.search(text) and not _GOES_ON.match(text) and len(text) > 60
            ):
                return "", True
            self._playing = self._story = False
            if end is not None:
                text = "\0" * end.start() + text[end.start() :]
        begin = _PLAY_BEGINS.search(text)
        if begin is not None:
            self._messages = 0
            self._playing, self._story, cut = True, bool(_STORY.search(begin.group())), True
            last = max(text.rfind(stop, 0, begin.start()) for stop in (". ", "! ", "? ", "\n", "; "))
            text = text[: last + 1]
        return text, cut
