"""What ten made-up users say in any number of sessions: the same in session n whenever it is asked for.

Each session is a piece of small talk with something of the user's life in between: where they live or work at the time
(said again and again, and now and then otherwise), what happened to them (never the same twice), how they want to be
answered, what the assistant had wrong, a password, and seldom the wish to forget something said before.

The small talk is Topical-Chat's where that file is (measuring only; nothing of it is kept), with words exchanged, so
that all sessions differ; else that of examples/sessions.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from atles.records import plain_text
from bench import sessions

DAY_SECONDS = 86_400.0
_EXCHANGED = 0.1  # of the small talk's words
_TALK = 4  # messages of it in a session
_AGO = 40  # sessions of the user: when that was said which is to be forgotten
_TOLD = 3  # things of the user's life in a session, at most
_BEGIN = datetime.fromisoformat("2026-09-01T00:00:00+00:00")

USERS = ("adele", "bruno", "carmen", "dmitri", "esme", "farid", "greta", "hugo", "ines", "jonas")

_TOWNS = """Aberfoyle Brandon Cromer Dunster Eskdale Falmouth Garstang Hexham Ilfracombe Jedburgh Keswick Ludlow Malton
Nairn Oakham Padstow Romsey Settle Tenby Ulverston Ventnor Whitby Yarm""".split()
_FIRMS = """Alderbrook Bexley Carrick Dovetail Elmstead Fairholm Gantry Hollis Inkwell Juniper Kestrel Larkfield
Merriman Northcote Orchard Pemberton Quillon Ravensworth Silverdale Thornbury""".split()
_NAMES = """Agnes Benedict Cleo Dorian Edith Fergus Gwen Harriet Ivor Jasmine Kieran Lorna Mabel Ned Olive Percy Rhoda
Silas Tabitha Una Vernon Winifred""".split()
_KIN = "sister brother cousin neighbour aunt uncle daughter nephew colleague landlord".split()
_THINGS = """accordion barometer canoe dulcimer easel fiddle greenhouse hammock kayak lantern loom microscope mandolin
piano quilt rowing-boat sewing-machine telescope typewriter tandem unicycle violin windmill xylophone""".split()
_KINDS = "blue old borrowed broken carved cheap enormous grey new green painted second-hand tiny white wooden".split()
_PLACES = "library harbour market station museum bakery allotment choir clinic swimming-pool workshop theatre".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_FOOD = "aubergines celery hazelnuts mussels peanuts prawns sesame strawberries walnuts wheat".split()
_SPORTS = "archery badminton curling fencing judo orienteering rowing squash table-tennis water-polo".split()
_WAYS = (
    "short sentences", "bullet points", "plain words", "metric units", "one paragraph", "British spelling",
    "numbered steps", "a table where there are numbers",
)  # fmt: skip

# What holds for a while: how it is said, what it may be, and for how many of the user's sessions it holds.
_STANDING: tuple[tuple[Sequence[str], Sequence[str], int], ...] = (
    (("I live in {}.", "I've moved, I live in {} now."), _TOWNS, 150),
    (("I work at {}.", "I'm at {} now, the office is lovely."), _FIRMS, 250),
    (("I'm allergic to {}.",), _FOOD, 400),
    (("My day off is {}.", "My day off is {} now."), _DAYS, 60),
    (("My favourite sport is {}.",), _SPORTS, 200),
    (("My choir meets on {} evenings.", "We sing on {} evenings now."), _DAYS, 80),
    (("My dog is called {}.", "Our dog {} was ill again."), _NAMES, 500),
    (("My sister lives in {}.", "My sister has moved to {}."), _TOWNS, 180),
)

Maker = Callable[[int], dict[str, Any]]


def maker(file: Path, total: int) -> tuple[Maker, str]:
    """Makes the session of a number out of `total` in a day; and in words where the small talk comes from."""
    made, source = sessions.make(file, total)
    chats = [[plain_text(it["content"]) for it in session["messages"]][:_TALK] for session in made]
    pool = list(itertools.chain.from_iterable(text.split() for chat in chats[:2000] for text in chat))

    def make(number: int) -> dict[str, Any]:
        drawn = random.Random(f"session {number}")
        talk = [
            " ".join(drawn.choice(pool) if drawn.random() < _EXCHANGED else word for word in text.split())
            for text in chats[number % len(chats)]
        ]
        user = number % len(USERS)
        told = [_told(user, number, which, drawn) for which in range(drawn.randint(1, _TOLD))]
        texts = [*talk[:2], *itertools.chain.from_iterable(told), *talk[2:]]
        begin = _BEGIN + timedelta(seconds=DAY_SECONDS * number / total)
        return {
            "session_id": f"soak_{number:06d}",
            "start_time": begin.isoformat(),
            "end_time": (begin + timedelta(seconds=len(texts))).isoformat(),
            "messages": [
                {
                    "role": "assistant" if place % 2 else "user",
                    "content": text,
                    "timestamp": (begin + timedelta(seconds=place)).isoformat(),
                }
                for place, text in enumerate(texts)
            ],
            "metadata": {"user": USERS[user]},
        }

    return make, f"small talk from {source}"


def _told(user: int, number: int, which: int, drawn: random.Random) -> tuple[str, str]:
    """Something of the user's life, the first to third of a session, and an answer."""
    at = number // len(USERS)  # which of the user's sessions this is
    what = drawn.random()
    if what < 0.004:
        _, thing = _happened(user, max(0, at - _AGO) * _TOLD)
        return f"Please forget what I told you about the {thing}.", "It is forgotten."
    if what < 0.014:
        secret = "".join(drawn.choices("abcdefghjkmnpqrstuvwxyz23456789", k=12))
        return f"My password for the {drawn.choice(_PLACES)} is {secret}, by the way.", "You should not tell me that."
    if what < 0.06:
        way = drawn.choice(_WAYS)
        return f"Please answer in {way} from now on.", f"Certainly: {way}."
    if what < 0.10:
        name, wrong = drawn.sample(_NAMES, 2)
        kin = drawn.choice(_KIN)
        return f"No, my {kin}'s name is {name}, not {wrong}.", f"Sorry, your {kin}'s name is {name}."
    if what < 0.16:
        return f"Where does my {drawn.choice(_KIN)} work again?", "You have not told me yet."
    if what < 0.60:
        forms, values, holds = drawn.choice(_STANDING)
        value = random.Random(f"{user} {forms[0]} {at // holds}").choice(values)
        return drawn.choice(forms).format(value), f"{value}, noted."
    said, thing = _happened(user, at * _TOLD + which)
    return said, f"A {thing}, how nice."


def _happened(user: int, count: int) -> tuple[str, str]:
    """Something that happened to the user, and what it was about."""
    drawn = random.Random(f"{user} happened {count}")
    kin, name, day = drawn.choice(_KIN), drawn.choice(_NAMES), drawn.choice(_DAYS)
    thing = f"{drawn.choice(_KINDS)} {drawn.choice(_THINGS)}"
    place = f"{drawn.choice(_PLACES)} in {drawn.choice(_TOWNS)}"
    forms = (
        f"My {kin} {name} bought a {thing} at the {place} for {drawn.randint(5, 900)} pounds.",
        f"I sold my {thing} to {name} from the {place}.",
        f"My {kin} {name} is building a {thing} and needs it by {day}.",
        f"On {day} I found a {thing} behind the {place}, and {name} wants it.",
        f"I keep the {thing} for {name} in room {drawn.randint(1, 400)} of the {place}.",
    )
    return drawn.choice(forms), thing
