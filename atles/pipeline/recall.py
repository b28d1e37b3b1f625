"""Which messages bear on a question, and why. Knows words, turns and weights; neither SQL nor models.

The rarest words of the question find messages, and through them their neighbours; what is known of each of these (how
much of the question it and its neighbours say, who said it, …) is added up with weights learned from questions whose
answers are known (`bench/recall/weights.py`, into `weights.json`). A word counts by how rare it is among the user's
messages: the idf of BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009); its forms are Porter's.
"""

import heapq
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from operator import itemgetter, mul
from typing import NamedTuple

from atles.pipeline.forms import forms
from atles.pipeline.kinds import MARK, kinds_asked, members
from atles.store.turns import Turn, Turns, said, words

MOST_CANDIDATES = 80  # at 200, recall@10 is 0.4 points better, and a question takes twice as long
_MOST_WORDS = 24  # of a question that are looked up: the rarest
_SAMPLE = 20_000  # a user's newest messages: in these, it is counted how common a word is
_MOST_HITS = 120_000  # messages of all words together that are walked; words too common for that are left out
_ALWAYS = 2  # words that are looked up however common they are
_MOST_STARTED = 20_000  # messages that a word may bring in; commoner words only add to those
_K1, _B, _BEFORE, _AFTER = 1.2, 0.75, 0.4, 0.25  # BM25's usual ones; what a word beside a message counts
_AROUND = 4  # messages before and after: the passage that a message belongs to
_BESIDE = [(step, math.exp(-abs(step) / 3) / 2) for step in range(-6, 7) if step]
_KIND = 0.8  # what it counts that a message names one of the kind of thing that is asked for
_READ = 4_000  # characters of a message that are looked at
_EXCERPT = 600  # characters of a message that are handed on

STOP_WORDS = frozenset(
    """a about again all also am an and any are as at be been being but by can could did do does for from get go got had
    has have he her hers here him his how i if in into is it its just know let like me more my no not now of off on one
    or our out please remember remind say she should so some such tell than that the their them then there these they
    this those to too up us was we were what when where which who whom whose why will with would yes you your d ll m re
    s t ve doesn didn don isn wasn weren""".split()
)
_MONTHS = "january february march april may june july august september october november december".split()
MONTHS = {month: number for number, month in enumerate(_MONTHS, 1)}
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if len(month) > 3 else month for month in MONTHS)
_DATE = re.compile(
    rf"\b(?:(?P<day>\d\d?)(?:st|nd|rd|th)?(?: of)? )?(?P<month>{_MONTH})\b\.?"
    r"(?: (?P<day2>\d\d?)(?:st|nd|rd|th)?\b(?! ?[\d:]))?(?:,? (?P<year>(?:19|20)\d\d)\b)?",
    re.I,
)
_ISO_DATE = re.compile(r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)\b")
_SELF = frozenset("i my we our me im ive".split())
_NO_ALNUM = str.maketrans(dict.fromkeys(map(chr, (n for n in range(128) if not chr(n).isalnum())), " "))
_DAYS = [f"{day}day" for day in "mon tues wednes thurs fri satur sun".split()]
_TIMES = frozenset(
    form
    for word in "yesterday today tonight tomorrow ago last next week weekend month year since recently morning".split()
    + _DAYS
    + list(MONTHS)
    for form in (word, f"{word}s")
)
_NUMBERS = frozenset("one two three four five six seven eight nine ten twice couple dozen hundred both".split())
_NAME = re.compile(r"[\w,;:] [A-Z][a-z]")
_WHEN = re.compile(r"\b(when|how long|since|(what|which) (day|date|month|year|time|week|evening))\b", re.I)
_HOW_MANY = re.compile(r"\bhow (many|much|old|often|far|big|tall|long)\b|\bnumber\b", re.I)
_WHO = re.compile(r"\b(who|whose|whom|name|named|called)\b", re.I)


@dataclass(frozen=True, slots=True)
class Query:
    """A question as it is looked up. `words` are its content words (all, if it has no other) and the dates it names;
    `pairs` are content words that stand side by side."""

    text: str
    words: tuple[str, ...]
    said: frozenset[str] = frozenset()
    pairs: tuple[str, ...] = ()
    when: bool = False
    how_many: bool = False
    who: bool = False


class Candidate(NamedTuple):
    """A turn, and which words of the question (bits, by their place) it holds, the two turns before it, the one after
    it, and those up to four away."""

    turn: Turn
    own: int
    before: int = 0
    after: int = 0
    around: int = 0


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place. `text` are its words, of a long message those around what was asked. `why` is in words
    for people, what counted most first."""

    turn: Turn
    score: float
    text: str
    why: tuple[str, ...]


def understand(text: str) -> Query:
    """The question's words. Any characters are a question; none of them is syntax."""
    everything = words(text)
    content = [word for word in everything if word not in STOP_WORDS] or everything
    dates = _dates(text)
    kinds = kinds_asked(everything)
    pairs = (f"{a} {b}" for a, b in itertools.pairwise(everything) if not {a, b} & STOP_WORDS and a != b)
    return Query(
        text,
        tuple(dict.fromkeys([*content, *dates, *kinds])),
        frozenset(dates),
        tuple(dict.fromkeys(pairs)),
        _WHEN.search(text) is not None,
        _HOW_MANY.search(text) is not None,
        _WHO.search(text) is not None,
    )


def _dates(text: str) -> list[str]:
    found = [said(int(y), int(m), int(d)) for y, m, d in _ISO_DATE.findall(text)]
    for match in _DATE.finditer(text):
        month = next(n for name, n in MONTHS.items() if name.startswith(match["month"].lower()[:3]))
        day, year = match["day"] or match["day2"], match["year"]
        # "may" and "march" are words, too.
        if day or year or match["month"][0].isupper():
            found.append(said(int(year) if year else None, month, int(day) if day else None))
    return found


def idf(holding: int, of: int) -> float:
    """How much a word says that `holding` of `of` messages hold."""
    return math.log(1 + (of - holding + 0.5) / (holding + 0.5))


def look_up(turns: Turns, query: Query, user: int, at: str | None = None) -> tuple[list[Candidate], dict[str, float]]:
    """The turns that share most with the question, themselves or through a neighbour; and what each word is worth.

    The work is bounded however many messages there are. As in Moffat and Zobel's "continue" strategy (1996), the rarest
    words bring messages in and the commoner ones only add to those.
    """
    first, last = turns.span(user)
    total = last - first + 1
    if total < 1 or not query.words:
        return [], {}
    held, common = _held(turns, query.words, first, last)
    worth = {
        word: idf(common[word], total) * (_KIND if word.startswith(MARK) else 1.0)
        for word in query.words
        if word in common
    }
    bits = {word: 1 << place for place, word in enumerate(query.words)}
    masks: dict[int, int] = {}
    for word in sorted(held, key=common.__getitem__):
        bit = bits[word]
        if len(masks) < _MOST_STARTED:
            for row in held[word]:
                masks[row] = masks.get(row, 0) | bit
        else:
            for row in masks.keys() & held[word]:
                masks[row] |= bit
    weigh = weigher(query, worth)
    seen = masks.get
    found: list[Candidate] = []
    tried: set[int] = set()
    limit = MOST_CANDIDATES
    while True:
        # A turn that holds little itself may answer what the turn before it asks.
        scores: dict[int, float] = {}
        for row in _best(masks, weigh, limit):
            for near in (row, row + 1, row + 2, row - 1):
                if near not in scores and near not in tried:
                    before = weigh(seen(near - 1, 0) | seen(near - 2, 0))
                    scores[near] = weigh(seen(near, 0)) + 0.4 * before + 0.25 * weigh(seen(near + 1, 0))
        order = sorted(scores, key=scores.__getitem__, reverse=True)[:limit]
        tried.update(order)
        found += _with_neighbours(turns.get([first + row for row in order], at), seen, first)
        if len(found) >= MOST_CANDIDATES // 2 or limit >= len(masks):
            return found[:MOST_CANDIDATES], worth
        limit *= 4  # many were rejected, or said too late


def _with_neighbours(turns: Iterable[Turn], seen: Callable[[int, int], int], first: int) -> Iterable[Candidate]:
    """Of the turns, those that hold a word of the question or stand beside one that does."""
    for turn in turns:
        row, place = turn.rowid - first, turn.position
        own = seen(row, 0)
        before = (seen(row - 1, 0) if place else 0) | (seen(row - 2, 0) if place > 1 else 0)
        after = seen(row + 1, 0) if place + 1 < turn.of else 0
        if own | before | after:
            around = own
            for near in range(row - min(place, _AROUND), row + min(turn.of - place - 1, _AROUND) + 1):
                around |= seen(near, 0)
            yield Candidate(turn, own, before, after, around)


def _names(word: str) -> tuple[str, ...]:
    """The words that a word of the question stands for."""
    return members(word) if word.startswith(MARK) else forms(word)


def _held(turns: Turns, asked: Sequence[str], first: int, last: int) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Which messages hold each word that is worth walking, and in how many it is, by estimate in a large store."""
    total = last - first + 1
    if total <= _SAMPLE and len(asked) <= _MOST_WORDS:
        held = {word: turns.with_any(_names(word), first, last) for word in asked}
        return held, {word: len(rows) for word, rows in held.items()}
    scale = max(1.0, total / _SAMPLE)
    common: dict[str, int] = {}
    for word in asked[: 4 * _MOST_WORDS]:
        common[word] = round(scale * turns.how_many(_names(word), max(first, last - _SAMPLE + 1), last))
    held, walked = {}, 0
    for word in sorted(common, key=common.__getitem__)[:_MOST_WORDS]:
        walked += common[word]
        if walked > _MOST_HITS and len(held) >= _ALWAYS:
            break
        held[word] = turns.with_any(_names(word), first, last)
        common[word] = len(held[word])
    return held, common


def _best(masks: Mapping[int, int], weigh: Callable[[int], float], limit: int) -> list[int]:
    """About `limit` rows of the heaviest masks. There are few different masks, so no row is weighed by itself."""
    sizes = Counter(masks.values())
    left, good, last = limit, set(), -1
    for mask in sorted(sizes, key=weigh, reverse=True):
        if sizes[mask] > left:
            last = mask  # not needed whole: the newest of it
            break
        good.add(mask)
        left -= sizes[mask]
    rows, some = [], []
    for row, mask in masks.items():
        if mask in good:
            rows.append(row)
        elif mask == last:
            some.append(row)
    return rows + heapq.nlargest(left, some)


def weigher(query: Query, worth: Mapping[str, float]) -> Callable[[int], float]:
    """The share of the question, by worth, that a set of its words makes."""
    return _Weights([worth.get(word, 0.0) for word in query.words]).__getitem__


class _Weights(dict[int, float]):
    """Each mask is weighed once, and from then on costs no more than a look into a dict."""

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__()
        self._values, self._whole = values, sum(values) or 1.0

    def __missing__(self, mask: int) -> float:
        self[mask] = share = sum(value for at, value in enumerate(self._values) if mask >> at & 1) / self._whole
        return share


FEATURES: tuple[str, ...] = (
    "own", "before", "after", "together", "of the best", "pair", "length", "dense", "its speaker", "other speaker",
    "has a time", "has a number", "has a name", "is a question", "date", "lean", "just before", "two before",
    "best of its session", "second of its session", "five of its session", "session", "bm25", "around",
    "beside", "a time", "a name", "of oneself", "by the user", "by the assistant", "new", "cosine",
)  # fmt: skip
_BEFORE_IT, _AFTER_IT, _ON_ITS_DAY = map(FEATURES.index, ("before", "after", "date"))
_REASONS = [
    (FEATURES.index(feature), reason)
    for feature, reason in (
        ("cosine", "means something alike"),
        ("pair", "in the same order"),
        ("its speaker", "{} said it"),
        ("by the user", "the user said it"),
        ("by the assistant", "the assistant said it"),
        ("new", "said lately"),
        ("has a time", "says when"),
        ("has a number", "says a number"),
        ("has a name", "says a name"),
    )
]


def features(
    query: Query,
    candidates: Sequence[Candidate],
    worth: Mapping[str, float],
    now: datetime,
    cosines: Sequence[float] | None = None,
) -> list[tuple[float, ...]]:
    """What is known of each candidate, in the order of FEATURES, mostly between 0 and 1."""
    # A column at a time, and none that is all zeros: two hundred candidates are to take one millisecond.
    weigh = weigher(query, worth)
    turns = [it.turn for it in candidates]
    none = [0.0] * len(turns)
    owns = [weigh(it.own) for it in candidates]
    best = max(owns, default=0.0) or 1.0
    texts = [turn.text if len(turn.text) <= _READ else turn.text[:_READ] for turn in turns]
    lower = [text.lower() for text in texts]
    sizes = [text.count(" ") + 1 for text in texts]
    average = sum(sizes) / len(sizes) if sizes else 1.0
    told = [set(text.translate(_NO_ALNUM).split()) for text in lower]
    timed = [float(not _TIMES.isdisjoint(said) or (query.when and _has_year(said))) for said in told]
    naming = [float(_NAME.search(text) is not None) for text in texts]

    masks: dict[int, int] = {}
    sessions: dict[int, list[float]] = {}
    for it, own in zip(candidates, owns, strict=True):
        number = it.turn.session
        masks[number] = masks.get(number, 0) | it.own
        sessions.setdefault(number, []).append(own)
    together = {}
    for number, scores in sessions.items():
        scores.sort(reverse=True)
        second = scores[1] if len(scores) > 1 else 0.0
        together[number] = (scores[0], second, sum(scores[:5]) / 5, weigh(masks[number]))

    held = {it.turn.rowid: it.own for it in candidates}
    near = held.get
    just = [near(turn.rowid - 1, 0) if turn.position else 0 for turn in turns]
    names = {turn.name for turn in turns}
    speakers, speaker = {name for name in names if name and name.lower().partition(" ")[0] in query.words}, ""
    if len(speakers) == 1:
        (speaker,) = speakers
    dates = sum(1 << place for place, word in enumerate(query.words) if word in query.said)
    pairs, asks = query.pairs, len(query.pairs) or 1
    low, high = (min(cosines), max(cosines)) if cosines else (0.0, 0.0)
    spread = (high - low) or 1.0
    unnamed = "" in names

    columns = (
        owns,
        [weigh(it.before & ~it.own) for it in candidates],
        [weigh(it.after & ~(it.own | it.before)) for it in candidates],
        [weigh(it.own | it.before | it.after) for it in candidates],
        [own / best for own in owns],
        [len([1 for pair in pairs if pair in text]) / asks for text in lower] if pairs else none,
        [min(len(text), 180) / 180 for text in texts],
        [own / (0.5 + len(text) / 250) for own, text in zip(owns, texts, strict=True)],
        [float(turn.name == speaker) for turn in turns] if speaker else none,
        [float(turn.name != speaker) for turn in turns] if speaker else none,
        timed if query.when else none,
        [float(not _NUMBERS.isdisjoint(said) or _has_digit(said)) for said in told] if query.how_many else none,
        naming if query.who else none,
        [float(text.rstrip().endswith("?")) for text in texts],
        [float(it.own & dates > 0) for it in candidates] if dates else none,
        [own * (_K1 + 1) / (1 + _K1 * (1 - _B + _B * size / average)) for own, size in zip(owns, sizes, strict=True)],
        [weigh(mask & ~it.own) for mask, it in zip(just, candidates, strict=True)],
        [weigh(it.before & ~mask & ~it.own) for mask, it in zip(just, candidates, strict=True)],
        *zip(*[together[turn.session] for turn in turns], strict=True),
        _bm25(query, candidates, worth, just, sizes, average),
        [weigh(it.around) for it in candidates],
        _beside(candidates, owns),
        timed,
        naming,
        [float(not _SELF.isdisjoint(said)) for said in told],
        [float(turn.role == "user" and not turn.name) for turn in turns] if unnamed else none,
        [float(turn.role == "assistant" and not turn.name) for turn in turns] if unnamed else none,
        [_newness(turn, now) if not turn.name else 0.0 for turn in turns] if unnamed else none,
        [(cosine - low) / spread for cosine in cosines] if cosines else none,
    )
    return list(zip(*columns, strict=True))


def _bm25(
    query: Query,
    candidates: Sequence[Candidate],
    worth: Mapping[str, float],
    just: Sequence[int],
    sizes: Sequence[int],
    average: float,
) -> list[float]:
    """Each candidate's BM25F with its neighbours as fields (Robertson, Zaragoza and Taylor, 2004), as a share of the
    best."""
    bits = [(1 << place, value) for place, word in enumerate(query.words) if (value := worth.get(word, 0.0)) > 0]
    size_of = {it.turn.rowid: size for it, size in zip(candidates, sizes, strict=True)}.get
    own_of = {it.turn.rowid: it.own for it in candidates}.get
    scores = []
    for it, previous, size in zip(candidates, just, sizes, strict=True):
        own, before, after, rowid = it.own, it.before, it.after, it.turn.rowid
        earlier = before & ~previous
        if it.turn.position > 1:
            earlier |= own_of(rowid - 2, 0)
        around = size + size_of(rowid - 1, average) + size_of(rowid - 2, average) + size_of(rowid + 1, average)
        length = _K1 * (1 - _B + _B * around / (4 * average))
        score = 0.0
        for bit, value in bits:
            if held := (
                (own & bit > 0) + _BEFORE * ((previous & bit > 0) + (earlier & bit > 0)) + _AFTER * (after & bit > 0)
            ):
                score += value * held / (held + length)
        scores.append(score)
    best = max(scores, default=0.0) or 1.0
    return [score / best for score in scores]


def _beside(candidates: Sequence[Candidate], owns: Sequence[float]) -> list[float]:
    """How much of the question the turns around each candidate hold, the nearer the more it counts."""
    own_of: dict[int, dict[int, float]] = {}
    for it, own in zip(candidates, owns, strict=True):
        if own:
            own_of.setdefault(it.turn.session, {})[it.turn.position] = own
    sums = []
    for it in candidates:
        near, place, total = own_of.get(it.turn.session, {}), it.turn.position, 0.0
        if len(near) > 1 or place not in near:
            for step, share in _BESIDE:
                if place + step in near:
                    total += share * near[place + step]
        sums.append(min(total, 2.0))
    return sums


def _has_year(words: Iterable[str]) -> bool:
    return any(len(word) == 4 and word.isdecimal() for word in words)


def _has_digit(words: Iterable[str]) -> bool:
    return any("0" <= word[0] <= "9" for word in words)


def _newness(turn: Turn, now: datetime) -> float:
    """1 for what was just said, 1/2 a month ago, 1/4 a quarter ago."""
    try:
        said_at = datetime.fromisoformat(turn.timestamp)
    except ValueError:
        return 0.0
    days = (now - (said_at if said_at.tzinfo else said_at.replace(tzinfo=UTC))).total_seconds() / 86_400
    return 1 / (1 + max(0.0, days) / 30)


@cache
def learned(with_cosines: bool) -> Mapping[str, float]:
    """The weights that ship."""
    weights = json.loads(files("atles.pipeline").joinpath("weights.json").read_text("utf-8"))
    return weights["cosine" if with_cosines else "words"]


def rank(
    query: Query,
    candidates: Sequence[Candidate],
    worth: Mapping[str, float],
    now: datetime,
    cosines: Sequence[float] | None = None,
    weights: Mapping[str, float] | None = None,
    k: int | None = None,
    budget_tokens: int | None = None,
) -> list[Ranked]:
    """The `k` candidates that bear most on the question, best first, none of them in the words of a better one; as many
    as fit in a prompt of `budget_tokens`."""
    if weights is None:
        weights = learned(cosines is not None)
    row = [weights.get(name, 0.0) for name in FEATURES]
    known = features(query, candidates, worth, now, cosines)
    used = [at for at, weight in enumerate(row) if weight]
    pick, factors = itemgetter(*used, 0, 0), [row[at] for at in used]
    scores = [sum(map(mul, factors, pick(values))) for values in known]
    chosen: list[Ranked] = []
    left = math.inf if budget_tokens is None else budget_tokens
    folded: set[str] = set()
    for at in sorted(range(len(scores)), key=lambda at: (-scores[at], -candidates[at].turn.rowid)):
        if k is not None and len(chosen) >= k:
            break
        turn = candidates[at].turn
        said_so = " ".join(turn.text.casefold().split())
        if said_so in folded:
            continue
        folded.add(said_so)
        text = excerpt(turn.text, query)
        if (cost := tokens(text)) > left:
            continue
        left -= cost
        chosen.append(Ranked(turn, scores[at], text, _why(query, candidates[at], list(map(mul, row, known[at])))))
    return chosen


def tokens(text: str) -> int:
    """About how many tokens a model reads a text as: four bytes of UTF-8 each."""
    return math.ceil(len(text.encode("utf-8", "replace")) / 4)


def excerpt(text: str, query: Query, limit: int = _EXCERPT) -> str:
    """A long text's part that holds the most words of the question, cut between words; a short text as it is."""
    if len(text) <= limit:
        return text
    # Forms of a word begin alike; that is near enough to find the place.
    starts = {word: place for place, word in enumerate(query.words)}
    hits: list[tuple[int, int]] = []
    if starts:
        pattern = "|".join(re.escape(word[: max(4, len(word) - 3)]) for word in sorted(starts, key=len, reverse=True))
        found: dict[str, int] = {}
        hits = [
            (match.start(), found.setdefault(match[0].lower(), len(found)))
            for match in re.finditer(rf"(?<![^\W_])(?:{pattern})|(?:{pattern})(?=[^\x00-\x7f])", text, re.I)
        ]
    best, start, first = 0, 0, 0
    inside: Counter[int] = Counter()
    for position, kind in hits:
        inside[kind] += 1
        while hits[first][0] < position - limit * 3 // 4:
            inside[hits[first][1]] -= 1
            if not inside[hits[first][1]]:
                del inside[hits[first][1]]
            first += 1
        if len(inside) > best:
            best, start = len(inside), hits[first][0]
    begin = max(0, min(start - limit // 8, len(text) - limit))
    end = begin + limit
    if begin:
        begin += next((n for n, char in enumerate(text[begin : begin + 30]) if char.isspace()), 0)
    if end < len(text):
        end -= next((n for n, char in enumerate(reversed(text[end - 30 : end])) if char.isspace()), 0)
    return "… " * (begin > 0) + text[begin:end].strip() + " …" * (end < len(text))


def _why(query: Query, it: Candidate, counted: Sequence[float]) -> tuple[str, ...]:
    """What speaks for a candidate, what counted most first. `counted` are its features times their weights."""
    own, before, after = it.own, it.before & ~it.own, it.after & ~(it.own | it.before)
    reasons: list[tuple[float, str]] = []
    if plain := _quoted(query, own):
        reasons.append((math.inf, f"says {plain}"))
    if plain := _quoted(query, before):
        reasons.append((1 + counted[_BEFORE_IT], f"just before: {plain}"))
    if plain := _quoted(query, after):
        reasons.append((1 + counted[_AFTER_IT], f"just after: {plain}"))
    if any(own >> place & 1 for place, word in enumerate(query.words) if word in query.said):
        reasons.append((max(counted[_ON_ITS_DAY], 0.01), f"said on {_day(it.turn.timestamp)}"))
    for feature, reason in _REASONS:
        if counted[feature] > 0.05:
            reasons.append((counted[feature], reason.format(it.turn.name)))
    return tuple(reason for _, reason in sorted(reasons, key=lambda pair: -pair[0]))


def _quoted(query: Query, mask: int) -> str:
    if not mask:
        return ""
    found = [word for place, word in enumerate(query.words) if mask >> place & 1 and word not in query.said]
    return ", ".join(f"a {word.removeprefix(MARK)}" if word.startswith(MARK) else f"‘{word}’" for word in found)


def _day(stamp: str) -> str:
    try:
        day = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{day.day} {_MONTHS[day.month - 1].capitalize()} {day.year}"
