"""What is never learned, however much it sounds like a fact; and that it is counted."""

import pytest

from tests.pipeline.extract.reading import facts, read, statements


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("joke", "lol yes and I'm the queen of Sheba"),
        ("joke", "I live on the moon, just kidding"),
        ("joke", "I am married to my job 😂"),
        ("joke", "I own a castle 😉"),
        ("joke", "I have a pet dragon in the garage. jk"),
        ("hypothetical", "if I had a boat I would sail to Malta"),
        ("hypothetical", "Imagine I have two dogs. They eat 300 g each. How much do I need?"),
        ("hypothetical", "Suppose, for the sake of argument, that I had won a lottery and bought a yacht: what then?"),
        ("hypothetical", "say i lose my wallet in Rome, who do i call"),
        ("hypothetical", "what if I moved to Mars"),
        ("hypothetical", "I have 3 apples and give away 2, how many are left?"),
        ("quotation", 'she told the waiter "I am deathly allergic to penicillin so no blue cheese"'),
        ("quotation", "he writes: I have sold my house and taken up skydiving"),
        ("quotation", "check this paragraph: I was born in Hull and I have six brothers"),
        ("quotation", "> I have a horse and live in Texas\nwhat does he mean"),
        ("quotation", "is this ok?\n\nDear Sir,\nI live in Paris and I have ten years of experience.\nRegards,\nAnn"),
        ("quotation", "```\nuser = 'I live in Rome'\n```\nwhy does it fail"),
        ("quotation", '2026-01-02T10:11:12Z INFO my home is "Testville"\nwhat is that\n'),
        ("role play", "let's play a game, I am a pirate with two parrots"),
        (
            "role play",
            "interview practice? ok so im Dana, 31, plumber with three kids, and i want to work in a bank. go",
        ),
        ("role play", "I want to practise Spanish with false identities. My name is Don Pedro and I own a vineyard."),
        ("role play", "I will be the patient. Ready? I have had three operations and I live alone."),
        ("role play", "You be the clerk, I'm the customer. I have two cats and I live in Rome."),
        ("role play", "write a story in which I live on a volcano"),
        ("role play", "you are a doctor. I have a broken leg"),
        ("somebody else", "my neighbour has a parrot called Coco"),
        ("somebody else", "my friend is allergic to nuts"),
        ("somebody else", "my boss drives a Porsche"),
        ("somebody else", "the guest said I am a chef since twenty years"),
        ("secret", "my code is [PASSWORD] and I live in Rome"),
        ("ephemeral", "I'm so tired today"),
        ("ephemeral", "I'm looking at the page now"),
        ("ephemeral", "I have a question about pasta"),
    ],
)
def test_it_is_refused_and_counted(reason: str, text: str) -> None:
    assert statements(text) == []
    assert reason in read(text).refused


@pytest.mark.parametrize(
    "text",
    [
        "I think this is too long", "I need a title for this", "can you write me a poem about my cat", "I love it!",
        "I like the second version better", "As Descartes says, I think therefore I am", "I forgot my keys",
        "My draft is too long", "thanks, I appreciate it", "I don't understand the second step", "I just made soup",
        "a friend of mine has three cats", "Let x be my salary", 'How do I say "I am vegetarian" in Japanese?',
        "Write a cover letter saying that I have ten years of experience in sales.", "I wish I had a pool",
        "My sister's friend works at NASA", "do I have a cat?", "We were at the zoo yesterday", "I see what you mean",
        "the doctor said no alcohol", "*I draw my sword and open the door*",
    ],
)  # fmt: skip
def test_it_is_no_fact(text: str) -> None:
    assert statements(text) == []


def test_a_joke_can_be_taken_back_in_the_next_message() -> None:
    assert statements("u: I'm a lumberjack", "a: Really?", "u: no, just kidding") == []


def test_a_game_ends_and_life_goes_on() -> None:
    lines = (
        "u: I live in Leeds. let's do a role play, i'm the captain and you are the parrot", "a: Arr.",
        "u: I have a wooden leg and two ships", "a: Arr!", "u: ok stop. my brother lives in York by the way",
    )  # fmt: skip
    assert facts(*lines) == ["I live in Leeds", "my brother lives in York"]


def test_the_users_own_stays_where_somebody_else_is_quoted() -> None:
    assert facts('I live in Hove. She said "I have nine cats and a ferret named Bo"') == ["I live in Hove"]
    assert facts("my house is called 'Sea View'") != []


def test_what_atles_put_there_is_not_read() -> None:
    known = "What you know from earlier chats with this user:\n- 2026-01-01 user: I live in Oslo\n"
    assert statements(f"{known}\nwhat is a fjord?") == []
    assert statements("<atles-memory>\nI have a dog\n</atles-memory>what is a fjord?") == []
    assert facts("<atles-memory>\nI have a dog\n</atles-memory>I have a cat") == ["I have a cat"]
