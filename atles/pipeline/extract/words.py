"""The words that the rules go by, and how text is brought into one spelling. Knows English, never a session."""

import re
from functools import cache

KIN = frozenset(
    """wife husband spouse partner fiance fiancee girlfriend boyfriend gf bf mother father mum mom mam mama dad papa
    mommy daddy parents parent sister brother sis bro siblings sibling son daughter sons daughters kid kids child
    children baby babies toddler twins twin stepson stepdaughter stepmother stepfather stepdad stepmom
    grandmother grandfather grandma grandpa granny gran nan nana grandad granddad grandson granddaughter grandchild
    grandchildren grandkids grandparents aunt auntie uncle cousin cousins niece nieces nephew nephews godson
    goddaughter godmother godfather family inlaws in-laws mother-in-law father-in-law sister-in-law brother-in-law
    son-in-law daughter-in-law roommate roommates flatmate flatmates housemate housemates eldest youngest oldest
    foster""".split()
)
PETS = frozenset(
    """dog dogs cat cats horse horses pony ponies rabbit rabbits hamster hamsters guinea parrot parrots budgie budgies
    tortoise goat goats hen hens chicken chickens duck ducks puppy puppies kitten kittens pup greyhound lurcher
    labrador lab poodle terrier collie spaniel beagle retriever husky corgi dachshund pug bulldog shepherd tabby
    siamese goldfish fish gecko snake lizard turtle ferret rat rats mouse donkey donkeys sheep cow cows pig pigs llama
    alpaca mare gelding pet pets bees canary cockatiel""".split()
)
# People who are not the user's own household or family: what is said of them is not about the user.
OTHERS = frozenset(
    """friend friends neighbour neighbours neighbor neighbors colleague colleagues coworker coworkers co-worker
    boss manager supervisor landlord landlady tenant client clients customer customers patient patients teacher
    professor student students pupil pupils classmate classmates mate mates buddy ex ex-wife ex-husband ex-girlfriend
    ex-boyfriend acquaintance employee employees employer intern assistant lawyer accountant plumber electrician
    mechanic hairdresser barber babysitter nanny cleaner postman shipmate teammate bandmate trainer mentor coach tutor
    agent editor publisher sponsor supplier dealer minister priest secretary
    doctor gp dentist physio therapist vet nurse guest guests opponent bestie pal pals""".split()
)
RELATIONS = KIN | PETS | OTHERS

DAYS = frozenset(
    f"{day}{s}"
    for day in """monday tuesday wednesday thursday friday saturday sunday mon tue tues wed weds thu thur thurs fri sat
    sun weekday weekend weeknight""".split()
    for s in ("", "s")
)
MONTHS = frozenset(
    """january february march april may june july august september october november december jan feb mar apr jun jul
    aug sept sep oct nov dec""".split()
)
NUMBERS = frozenset(
    """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred""".split()
)

ADVERBS = frozenset(
    """really always never also just still now usually actually mostly only currently already both often sometimes
    generally normally basically totally absolutely definitely genuinely honestly literally finally even rarely
    seldom hardly barely regularly occasionally typically mainly all kinda sorta recently lately rather quite very so
    too simply personally probably apparently unfortunately sadly luckily thankfully officially long once twice soon
    then again ever since therefore however properly pretty deathly severely highly mildly slightly quietly secretly
    proudly gladly happily""".split()
)
HABIT = frozenset(
    """always never usually normally generally every each often regularly rarely seldom weekly daily nightly monthly
    yearly since till until mornings evenings nights weekends weekdays twice anymore favourite favorite nowadays
    typically mostly""".split()
) | frozenset(day for day in DAYS if day.endswith("s"))

# "I think", "I see": what people do while they chat. A simple present of any other verb is a habit.
CHATTY = frozenset(
    """think thought guess mean meant know knew hope hoped wonder wondered see saw say said says tell told ask asked
    suppose feel felt look looked agree understand understood thank promise bet swear wish forget forgot remember
    believe doubt assume figure hear heard get gotta appreciate apologise apologize imagine expect reckon notice
    noticed realise realize realised realized recall mind care try tried trying check checked read pick choose chose
    accept admit confess insist beg warn recommend suggest mention mentioned add added repeat paste pasted attach
    attached send sent type typed write wrote copy copied click clicked press pressed follow followed quote quoted
    ran run need want wanna let leave left stand sit come came go went gonna seem sound sounded find found put see
    stay should shall must ought might may would could dare pray refer refuse decline surrender give gave show showed
    help call called do did does done make made take took got keep kept use used hate love like prefer enjoy dare dare
    hav ain't be being being prefer start started stop stopped finish finished end ended turn turned plan planned buy
    bought sell sold lose lost win won pay paid eat ate drink drank sleep slept wake woke cook cooked watch watched
    play played spend spent bring brought break broke hurt cut fell fall hold held feed fed catch caught wait waited
    adore""".split()
)
# Of those, the ones that say something lasting when they stand in the simple present with an object.
LASTING = frozenset(
    """keep use eat drink sleep wake cook watch play run go take make do read write call pay feed sell buy start finish
    sit stand come give help spend bring lift leave love like hate prefer enjoy adore get""".split()
)
TASTES = frozenset("love like hate prefer enjoy adore dislike detest loathe despise fancy".split())

# Past events that change a life, or stay true.
EVENTS = frozenset(
    """moved bought sold quit resigned retired started joined adopted married divorced separated graduated enrolled
    inherited switched changed founded opened closed cancelled canceled dropped broke lost passed failed won signed
    booked hired promoted fired named grew studied worked lived served trained emigrated immigrated born raised
    finished completed qualified stopped left became gave got had met proposed built published wrote earned swapped
    traded replaced upgraded renewed planted rescued registered learned learnt taught turned began converted settled
    decided celebrated donated spent fractured sprained tore rented renamed applied handed exchanged relocated
    downsized enlisted doubled""".split()
)
PAST_IRREGULAR = frozenset(
    """was were did had got went came saw made took gave found told said knew thought felt left kept put let ran sat
    stood fell ate drank slept woke spoke wrote read broke chose drove rode flew grew threw drew sang swam began won
    dreamt burnt spilt rang wore swore froze hid stuck struck dug hung shook stole bled dealt swept wept spelt
    lost bought brought caught taught sold sent spent built paid met led held heard meant hurt cut hit set
    shut""".split()
)

# Nouns of the conversation itself, and of the work at hand: "my question", "my draft".
CHAT_NOUNS = frozenset(
    """question questions mistake bad point guess idea ideas turn mind god goodness opinion answer answers request
    message messages text texts draft drafts essay letter email emails mail code function script query error bug
    prompt sentence paragraph title wording version list apologies apology thanks word words understanding thoughts
    thought reply response fault luck pleasure compliments gosh hero favourite_ head_ wish regards concern problem
    issue plan_ assignment homework translation summary poem story intro introduction chapter caption bio resume cv
    screen cursor browser tab page typo spelling grammar attempt try way part life_ case_ condolences respects
    impression hopes sleeve eye feeling feelings heart_ soul hands_ own""".split()
)

CONTRACTED = {
    "i'm": "i am", "im": "i am", "i`m": "i am", "i've": "i have", "ive": "i have", "i'll": "i will", "i'd": "i would",
    "we're": "we are", "we've": "we have", "weve": "we have", "we'll": "we will", "we'd": "we would",
    "you're": "you are", "youre": "you are", "ur": "your", "u": "you", "ya": "you", "she's": "she is",
    "shes": "she is", "he's": "he is", "hes": "he is", "it's": "it is", "its": "its", "they're": "they are",
    "theyre": "they are", "they've": "they have", "that's": "that is", "thats": "that is", "there's": "there is",
    "theres": "there is", "what's": "what is", "whats": "what is", "who's": "who is", "whos": "who is",
    "where's": "where is", "how's": "how is", "when's": "when is", "here's": "here is", "heres": "here is",
    "let's": "let us", "lets": "let us", "don't": "do not", "dont": "do not", "doesn't": "does not",
    "doesnt": "does not", "didn't": "did not", "didnt": "did not", "can't": "can not", "cant": "can not",
    "cannot": "can not", "won't": "will not", "wont": "will not", "isn't": "is not", "isnt": "is not",
    "aren't": "are not", "arent": "are not", "wasn't": "was not", "wasnt": "was not", "weren't": "were not",
    "haven't": "have not", "havent": "have not", "hasn't": "has not", "hasnt": "has not", "hadn't": "had not",
    "wouldn't": "would not", "wouldnt": "would not", "couldn't": "could not", "shouldn't": "should not",
    "shouldnt": "should not", "n": "and", "&": "and", "w": "with", "w/": "with", "bc": "because", "cuz": "because",
    "coz": "because", "cause": "because", "'cause": "because", "b4": "before", "tho": "though", "ppl": "people",
    "pls": "please", "plz": "please", "rn": "now", "smth": "something", "gonna": "going to", "wanna": "want to",
    "gotta": "have to", "hafta": "have to", "ain't": "is not", "aint": "is not", "y'all": "you",
    "theyve": "they have", "wouldve": "would have", "couldve": "could have", "shouldve": "should have",
    "wk": "week", "wks": "weeks", "yr": "year", "yrs": "years", "hr": "hour", "hrs": "hours", "bday": "birthday",
    "tmrw": "tomorrow", "tmr": "tomorrow", "tmw": "tomorrow", "tonite": "tonight", "abt": "about", "thru": "through",
    "til": "till", "'til": "till", "nye": "new year", "nvm": "never mind", "prob": "probably", "probs": "probably",
}  # fmt: skip
BARE_KIN = frozenset(
    """mum mom mam dad gran grandma grandpa granny nan nana grandad granddad mama papa daddy mummy wife husband son
    daughter sister brother girlfriend boyfriend gf bf hubby missus""".split()
)
_TOKEN = re.compile(r"\d+(?:[:.,]\d+)+|[^\W_]+(?:['’`\-][^\W_]+)*|[&@#%$€£]")


_AFTER_IS = frozenset(
    "called named a an now on at in not from vegan vegetarian allergic bad good dead gone blind deaf".split()
)
# Written without an apostrophe, these are other words as well; what follows tells which is meant.
_AFTER_ITS = (
    frozenset("a an the just only now been not my our mine in on at from called named closer more about".split()) | DAYS
)
_AFTER_ILL = frozenset(
    "be do get take go try have need add ask tell see make never just always still also give let bring buy "
    "start".split()
)


def tokens(text: str) -> list[str]:
    """The words, lower case, contractions undone: "I'm" and "im" are ["i", "am"]."""
    found: list[str] = []
    for word in _TOKEN.findall(text):
        word = word.lower().replace("’", "'").replace("`", "'")
        spelled = CONTRACTED.get(word)
        if spelled is None:
            found.append(word)
        else:
            found.extend(spelled.split(" "))
    for at in range(len(found) - 2, -1, -1):
        if found[at].endswith("'s") and found[at + 1] in _AFTER_IS:
            found[at : at + 1] = [found[at][:-2], "is"]  # "my sister's called Bea"
        elif found[at] in ("its", "ill", "were"):
            found[at : at + 1] = _spelled_out(found, at)
    return found


def _spelled_out(words: list[str], at: int) -> list[str]:
    """ "its fridays now", "ill be late", "were moving": typed in haste, without the apostrophe."""
    word, following = words[at], words[at + 1]
    if word == "its":
        short = following in _AFTER_ITS or following[0].isdigit() or words[at + 2 : at + 3] in (["now"], ["these"])
        return ["it", "is"] if short else [word]
    if word == "ill":
        return ["i", "will"] if following in _AFTER_ILL else [word]
    opens = at == 0 or words[at - 1] in ("and", "so", "but", "because", "ok")
    return ["we", "are"] if opens and following.endswith("ing") else [word]


@cache
def one_of(words: str) -> frozenset[str]:
    """A short list of words as a set, made once."""
    return frozenset(words.split())


def singular(word: str) -> str:
    """One spelling for one and many: "Tuesdays" -> "tuesday"."""
    word = word.lower()
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


_EMPTY = frozenset(
    """the a an is am are was were be it that this i my you your of in on at to for and or but not no with as by so
    do does did
    has have had she he they we me any about only just there what which who""".split()
)


def content(text: str) -> list[str]:
    """The words that carry meaning."""
    return [word for word in tokens(text) if word not in _EMPTY]
