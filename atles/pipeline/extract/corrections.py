"""What the assistant had wrong, and what is right. The wrong value is never part of a claim's text."""

import itertools
import re
from collections.abc import Sequence

from atles.pipeline.dataset import _CORRECTION as OPENS  # pyright: ignore[reportPrivateUsage]
from atles.pipeline.extract import guards
from atles.pipeline.extract.changes import change
from atles.pipeline.extract.reading import BLANK, Clause, Sentence
from atles.pipeline.extract.slots import slot_of
from atles.pipeline.extract.words import MONTHS, content, tokens
from atles.records import Claim, MemoryType

_WRONG = re.compile(
    r"""^\W*(?:(?:oh|hey|hmm|ah|wait|sorry|er|um|actually|well|ok|but|lol|omg|ha|haha)\b[\s,.!]*)*(?:
      (?:that|this|it)\ (?:is|was)\ (?:very\ )?(?:nearly|almost|not\ quite|close\ but)\b | almost\b[\s,]+but |
     close\b[\s,]+but
    | you(?:'ve|\ have|\ had)?\ (?:mixed|confused|misread|misunderstood|misheard|got\ (?:me|the|my|that|
    it)\b.*\b(?:wrong|backwards)|forgot|mean\b)
    | (?:i|we)\ (?:never\ said|said\ nothing|didn'?t\ say|did\ not\ say|literally\ (?:just\ )?said|already\ (?:told|
    said)|just\ (?:told|said))
    | correction\b | close[,.!]\ | (?:sorry[,\ ]+)?i\ (?:need|have|must)\ to\ correct\b | (?:that|this|there)(?:'s|
    \ is|s|\ was)\ (?:a|some|one)\ (?:mistake|error|mix-?up)\b | small\ correction\b | i\ (?:must|have\ to|
    need\ to)\ (?:object|protest|disagree)\b | (?:[\w\ ]{1,25}\b)?no\ way\b | not\ (?!only|just|really|
    sure|yet|bad|much|today|tonight|now|that|at\ all|a\ problem|to\ worry|quite)\w+
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_SAID_SO = re.compile(
    r"\b(?:i (?:literally (?:just )?|just |already |clearly )(?:said|told (?:you|u)|wrote)|i (?:told "
    r"(?:you|u)|meant)\b|^i said (?!yes|no\b|that\b|to\b|sir|hi\b|of course|i\b)|mixed (?:up|that)|"
    r"that'?s (?:wrong|not right|not what)|not right|you(?:'re| are) (?:wrong|mistaken)|u got)\b",
    re.I,
)
_DENIES = re.compile(
    r"\b(?:is not|isn'?t|was not|wasn'?t|am not|i'm not|im not|are not|aren'?t|were not|weren'?t|was "
    r"never|were never|am no|is no|not|never|nothing about|don'?t|do not|doesn'?t|no longer|no|"
    r"\Awhy)\b\s*(?P<what>[^,;:.!?()]*)",
    re.IGNORECASE,
)
_STRIP = re.compile(
    r"""^\W*(?:(?:no+|nope|nah|hang\ on|hold\ on|(?:the\ )?wrong\ way\ round|close|almost|bro|dude|mate|excuse\ me|
    i\ (?:need|have|must)\ to\ correct\ you(?:\ there)?|i\ (?:must|have\ to|need\ to)\ (?:object|protest|
    disagree)\b[^.!?,;:]*|(?:that|this|there)(?:'s|\ is|\ was)\ (?:a|some|
    one)\ (?:mistake|error|mix-?up)|wrong|incorrect|(?:that|this|it)\ is\ (?:very\ )?(?:nearly|almost)\ (?:right|
    correct|it)|sorry|oh|ah|wait|hmm|hey|actually|well|but|and|as|so|ok|not\ quite|correction|that(?:'s|\ is|
    s)\ (?:wrong|not\ (?:right|correct|true|it))|
    i\ (?:literally\ |just\ |already\ |clearly\ )?(?:said|meant|told\ (?:you|u))|remember|it(?:'s|
    \ is)\ the\ other\ way\ round|lol|omg)\b[\s,.!:;—–-]*)+""",
    re.IGNORECASE | re.VERBOSE,
)
_TAIL = re.compile(
    r"\s*(?:\b(?:omg|lol|actually|dear|thank you very much|thanks|as i told you|as i said|i literally "
    r"said|i (?:just |already )?(?:said|told (?:you|u))(?: (?:that|so|already|before))?|remember|as i "
    r"said|haha|sorry|please|always has been)\b[\s.!]*)+$",
    re.I,
)
_STATES = re.compile(
    r"^\W*(?:i|i'm|im|i've|ive|my|we|our|it|it's|its|she|she's|shes|he|he's|hes|they|they're|the|his|her|"
    r"there|what|in|on|at|for|from|a|an|both|only|is|are|one|two|three|four|five|six|seven|eight|nine|ten|"
    r"twelve|[\w-]*(?:teen|ty)|[\w'-]+ (?:is|are|has|was))\b|\d|^\W*(?-i:[A-Z][a-z]+)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"^(?:it|its|it's|she|she's|shes|he|he's|hes|they|they're|that|this|on|in|at|for|from|both|one|\d)\b", re.I
)
_NO_FACT = re.compile(
    r"\b(?:you|u|your|please|pls|thanks?|sorry|try|again|instead of saying|heart attack|fix|change it|"
    r"shorter|longer|rewrite)\b",
    re.I,
)
_TASK = re.compile(
    r"\b(?:draft|letter|paragraph|sentence|version|line|title|tone|answer|code|function|file|recipe|list|"
    r"email|wording|test|import|output)\b",
    re.I,
)
_NO_THING = re.compile(
    r"\W*no\s+(?!no\b|it|i\b|i'm|im\b|my|the|she|he|they|that|we|not|you|u\b|actually|\d|on\b|in\b|at\b|"
    r"sorry|wait|jan|feb|mar|apr|may\b|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]",
    re.I,
)
_FRAME = re.compile(
    r"^\W*((?:i|we|he|she|it|they|my \w+|our \w+|[\w'-]+)(?:'?m|'s| am| is| are| was| were|'re))\s+(?:not|never)\b",
    re.I,
)
_DENYING = frozenset("not no never why nothing mixed wrong said told meant mistaken longer".split())


def _number_put_right(sentence: Sentence, wrong: set[str]) -> bool:
    """ "13! thirteen june.": a number alone, with stress, where the answer had another."""
    return (
        "!" in sentence.tail
        and 1 <= len(sentence.words) <= 3
        and all(w.isdigit() or w in MONTHS for w in sentence.words)
        and not wrong.issuperset(sentence.words)
        and any(w.isdigit() for w in wrong)
    )


def _said_otherwise(sentence: Sentence, wrong: str, wrong_words: set[str]) -> bool:
    """The assistant's frame with another value in it: "You play mid lane" and "i play support"; "It's a Peterbilt."."""
    text = _STRIP.sub("", sentence.text.replace("’", "'"))
    words = tokens(text)
    if sentence.asked or not 2 <= len(words) <= 12 or wrong.rstrip().endswith("?"):
        return False
    fresh = [word for word in content(text) if word not in wrong_words]
    if not fresh:
        return False
    value = re.match(
        r"\W*(?:it's|it is|its|he's|she's|they're|(?:her|his|its) name(?:'s| is))\s+(?:an?\s|the\s|on\s|in\s|"
        r"at\s)?(?P<value>[A-Z][\w'-]+|\d\S*)",
        text,
    )
    if (
        value
        and value["value"].lower() not in wrong_words
        and (sentence.text.lower().endswith("actually") or len(words) <= 7)
    ):
        return True
    other = tokens(wrong)
    pairs = set(itertools.pairwise(other))
    if (
        words[0] in ("i", "we")
        and len(words) > 2
        and words[1]
        not in (
            "am",
            "have",
            "will",
            "can",
            "think",
            "know",
            "do",
            "did",
            "would",
            "like",
            "love",
            "want",
            "need",
            "was",
        )
    ):
        return ("you", words[1]) in pairs
    if sentence.text.lower().rstrip(" .!").endswith("actually"):
        return bool(_STATES.search(text))
    return (
        len(words) > 3
        and words[0] in ("my", "our")
        and ("your", words[1]) in pairs
        and words[2] in ("is", "are", "was", "died")
    )


def _stems(text: str) -> set[str]:
    return {word[:5] for word in content(text) if len(word) > 3}


def _named(what: str, wrong: set[str]) -> bool:
    return bool(wrong & set(content(what)))


def _in_place(wrong: str, old: str, new: str) -> str:
    """The assistant's sentence with what is right in it, where the user gave nothing but the value."""
    for piece in re.split(r"(?<=[.!?])\s+|\n+", wrong):
        match = re.search(rf"(?<![\w]){re.escape(old)}(?![\w])", piece, re.I)
        if match and len(piece.split()) <= 25 and not piece.endswith("?"):
            rest = piece[match.end() :]
            last = new.split()[-1]
            rest = re.sub(rf"^\s+{re.escape(last)}\b", "", rest)
            return piece[: match.start()] + new + rest
    return ""


def correction(said: Sequence[Sentence], wrong: str, asked: str) -> Claim | None:
    """The claim of a message that corrects `wrong`, the assistant's message before it; None if it corrects nothing.

    `said` are the message's sentences that count, `asked` the last sentence of the user before the wrong answer.
    """
    if not said:
        return None
    opening = said[0].text.replace("’", "'")
    wrong_words = {
        part for word in tokens(wrong) for part in (word, *word.split("-")) if len(part) > 1 or part.isdigit()
    }
    opens = bool(OPENS.match(opening) or _WRONG.match(opening)) and not _NO_THING.match(opening)
    if (
        wrong.rstrip().endswith("?")
        and len(re.findall(r"[.!?](?=\s|$)", wrong)) < 2
        and re.match(r"\W*(?:no|nope|nah)\b", opening, re.I)
    ):
        opens = False  # it answers a question
    asked_back = wrong.rstrip().endswith("?") and re.match(r"\W*(?:no|nope|nah)\b", opening, re.I)
    if opens and asked_back and not _PRONOUN.match(_STRIP.sub("", opening)):
        stated = re.sub(r"[^.!?\n]*\?", "", wrong)  # what it said before it asked
        opens = bool(_stems(stated) & _stems(opening))
    opens = opens or _number_put_right(said[0], wrong_words) or _said_otherwise(said[0], wrong, wrong_words)
    if (
        len(said) > 1
        and said[0].asked
        and len(said[0].words) <= 3
        and wrong_words.issuperset(content(said[0].text))
        and content(said[0].text)
    ):
        opens, said = True, said[1:]  # "two? i have one dog"
    if not opens:
        opens = any(
            (match := _DENIES.search(s.text.replace("’", "'")))
            and len(match["what"].split()) <= 4
            and _named(match["what"], wrong_words)
            for s in said[:3]
            if not s.asked and s is not said[0] and len(said[0].words) <= 8
        )
    if not opens and not _DENYING.intersection(word for sentence in said[:4] for word in sentence.words):
        return None
    denied: list[str] = []
    good: list[tuple[Clause, str]] = []
    told = opens
    frame: re.Match[str] | None = None
    for sentence in said[:4]:
        if sentence.asked or (
            re.search(r"\bnew (?:thing|question)\b|^(?:ok|anyway|now|thanks|so)\b", sentence.text, re.I)
            and (good or denied)
        ):
            break
        told = told or bool(_SAID_SO.search(sentence.text.replace("’", "'")))
        if guards.joke(sentence) or guards.opens_hypothesis(sentence.plain):
            break
        for clause in sentence.clauses():
            text = clause.text.replace("’", "'")
            changed = change(_TAIL.sub("", _STRIP.sub("", text)).strip(" ,;:—–-"), least=1)
            kept = changed.text
            if changed.replaces:
                denied.append(changed.replaces)
            else:
                match = _DENIES.search(_STRIP.sub("", text))
                hit = wrong_words & set(content(match["what"])) if match else set()
                if match and hit:
                    denied.append(match["what"].strip())
                    frame = _FRAME.match(_STRIP.sub("", text))
                    continue
                if match and told and not good:
                    continue
            bare = 1 <= len(tokens(kept)) <= 5 and not _STATES.search(kept) and not _NO_FACT.search(kept)
            if frame and not good and bare:
                kept = f"{frame[1]} {kept}"
            if (
                guards.hypothetical(clause)
                or guards.REPORTS.intersection(tokens(kept))
                or clause.before.strip(", ") in ("though", "although", "tho")
            ):
                continue
            instead = bool(wrong_words & set(content(changed.replaces)))
            if (
                not (tokens(kept) and (instead or _STATES.search(kept)))
                or BLANK in clause.plain
                or _NO_FACT.search(kept)
            ):
                continue
            if instead:
                good.clear()  # what stands before it is another matter
            good.append((clause, kept))
        if good and not (sentence is not said[-1] and re.match(r"\W*not\b", said[said.index(sentence) + 1].text, re.I)):
            break
    real = [what for what in denied if wrong_words & set(content(what))]
    if not good or not (opens or told or real) or not (real or told):
        return None
    if _TASK.search(" ".join([*real, *(text for _, text in good[:1])])) and not re.search(
        r"\b(?:i am|i'm|im|i was|my)\b", good[0][1], re.I
    ):
        return None
    text = _joined(good)
    if not content(text):
        return None
    positions = (said[0].position,)
    slot, value = slot_of(text)
    if (_PRONOUN.match(text) or len(tokens(text)) < 4) and asked:
        leads = set(content(asked)) & set(content(text)) or re.match(
            r"\W*(?:and |so |ok(?:ay)? )?(?:what|which|when|where|who|how|do|does|is|are|did)", asked, re.I
        )
        text = f"{asked}: {text}" if len(asked.split()) <= 25 and leads else text
        if not slot:
            slot, value = slot_of(text)
    if len(tokens(text)) <= 3 and real:
        text = _in_place(wrong, real[0], text) or text
    replaces = real[0] if real else ""
    return Claim(
        MemoryType.CORRECTION, text, positions, confidence=0.95, slot=slot, value=value, replaces=replaces, changed=True
    )


def _joined(good: list[tuple[Clause, str]]) -> str:
    """The right clauses as they stood, as far as one follows on another."""
    parts = [good[0][1]]
    for (before, _), (clause, text) in itertools.pairwise(good):
        if clause.start - before.end > 12 or len(" ".join(parts).split()) + len(text.split()) > 16:
            break
        parts.append(f"{clause.before.strip(' ,;')} {text}".strip())
    return ", ".join(part for part in parts if part)
