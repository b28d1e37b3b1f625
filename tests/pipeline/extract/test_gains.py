"""What came to the user, how much there is of it by now, and what is said without a verb."""

import pytest

from tests.pipeline.extract.reading import facts


@pytest.mark.parametrize(
    "text",
    """Mum gave us her old Polo when she stopped driving
the girls from work got me a hamster
my brother sold me his boat
My doctor changed me to venlafaxine
the new rota has us home on Fridays
They replaced the omeprazole with pantoprazole
The landlord has raised the rent to 960 euros.
there's a little electric Kia in the drive
There are four goats in the paddock.
we're down to seven hives
two joined so im up to 14 kids
My daughter had a boy on Monday, that makes four grandchildren.
our landlord is a company called Nestbau now
my favourite tea is Darjeeling these days
I see Dr Okafor now
im with Brightline now
from monday I'm at the library in town
I get the tram to work
new placement started. childrens ward, third floor
New place: a flat on Mill Lane.
new job, barista at the station
Day three at the bookshop.
first two weeks at Norra done
stage name Vera Vox
uk 6 if that matters
its just me and the cat in Footscray now
havent smoked since new year
not vegan anymore lol
I've come round to coffee, two cups a day
ill be in Rome in may
were moving to Leeds in june
its fridays now, we switched for the hall
In May we want to go to Corsica
My GP is Dr Leary
Opening night has slipped to 17 May.
got moved up to the seniors
upgraded to a bigger boat
im doing marine biology at Cork
the exam got bumped to the 19th
The thesis has turned into one on mills.""".split("\n"),
)
def test_it_is_a_fact(text: str) -> None:
    assert facts(text)


@pytest.mark.parametrize(
    "text",
    """this gave me a headache
that gave us an idea
you gave me a good tip
she gave me a lift this morning
there is a strange smell in the kitchen
there is a spider in the garage
there's a wasp in the house
I'm up to no good
that makes two of us
new question
new topic: photosynthesis
ok new chapter
name two rivers in France
size 12 font please
a number first
give it another name
three days at the beach
it brought me here
the report came to nothing
I'm at the station now, platform 4
can you tell me more about her old Polo
no more ideas
im doing the dishes at home
I'm doing well at the moment
is it just me or is it cold""".split("\n"),
)
def test_it_is_none(text: str) -> None:
    assert facts(text) == []


def test_what_has_no_name_is_kept_with_the_words_before_it() -> None:
    (text,) = facts("do you know why a Fiesta would not start? gran cant drive any more so it came to me in may")
    assert "Fiesta" in text and "came to me" in text


def test_with_whom_is_kept() -> None:
    (text,) = facts("I need a present for Bea. we've been together since the summer")
    assert "Bea" in text


def test_a_partner_in_brackets_is_known_in_lower_case() -> None:
    assert "theo (my bf)" in facts("going to the lake with theo (my bf) on sunday")
