"""English words whose forms are spelled too differently for a stemmer: "buy" is answered by "bought"."""

from functools import cache

# One word a line, all its forms that Porter's stemmer keeps apart.
_FORMS = """
become became
begin began begun start
bite bit bitten
blow blew blown
break broke broken
bring brought
build built
buy bought purchase
catch caught
child children kid
choose chose chosen
draw drew drawn
dream dreamt
drink drank drunk
drive drove driven
eat ate eaten
fall fell fallen
feed fed
feel felt
fight fought
find found
fly flew flown
foot feet
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
give gave given
grow grew grown
hear heard
hide hid hidden
hold held
keep kept
knife knives
know knew known
lead led
learn learnt
leave left
lend lent
life lives
lose lost
make made
man men
meet met
mouse mice
pay paid
person people
ride rode ridden
ring rang rung
run ran
say said
see saw seen
sell sold
send sent
shoot shot
sing sang sung
sit sat
sleep slept
speak spoke spoken
spend spent
stand stood
steal stole stolen
swim swam swum
take took taken
teach taught
tear tore torn
think thought
throw threw thrown
tooth teeth
understand understood
wake woke woken
wear wore worn
wife wives
win won
woman women
write wrote written
mom mum mother mama
dad father papa
grandma grandmother granny
grandpa grandfather
movie film
photo picture pic
vacation holiday trip travel
gift present
bike bicycle
tv television
color colour
favorite favourite
neighbor neighbour
exam test
finish complete
relax unwind destress
exercise workout
puppy dog
kitten cat
wedding marry married
friend buddy pal
scared afraid
sick ill
"""


@cache
def _forms() -> dict[str, tuple[str, ...]]:
    return {form: tuple(line.split()) for line in _FORMS.strip().splitlines() for form in line.split()}


def forms(word: str) -> tuple[str, ...]:
    """The word, and what else it may be spelled as; endings that a stemmer takes off are taken off here, too."""
    known = _forms()
    for end, instead in (("", ""), ("s", ""), ("ing", ""), ("ing", "e"), ("ies", "y"), ("es", "")):
        if word.endswith(end) and (found := known.get(word[: len(word) - len(end)] + instead)):
            return (word, *(form for form in found if form != word))
    return (word,)
