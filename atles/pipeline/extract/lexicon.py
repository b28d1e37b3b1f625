"""Words and times that the rules on clauses go by: what passes, what lasts, what is said of oneself."""

import re

DEICTIC = frozenset(
    "it her him this that them those these here there so one ones something anything everything nothing".split()
)


YOU = frozenset("you your yours yourself".split())


TODAY = re.compile(
    r"\b(?:right now|just now|today|tonight|tonite|tomorrow|tmrw|tmr|yesterday|yday|this (?:morning|"
    r"afternoon|evening|week|wk|second|"
    r"minute|time|one|thing|page|text|email|draft|version)|at the moment|atm|rn|for now|again tonight|"
    r"earlier|a (?:minute|second|"
    r"moment|sec|few minutes|while) ago|last night|so far|in a (?:minute|sec|second|moment|bit))\b",
    re.IGNORECASE,
)


# States of mind and of the hour.
PASSING = frozenset(
    """tired exhausted sorry sure glad happy fine ready back here done confused bored hungry thirsty off out sad ok okay
    good well great late early busy stuck lost curious interested afraid_ not sick_ better worse upset angry annoyed
    nervous excited worried stressed impressed amazed surprised shocked grateful thankful obliged delighted pleased
    certain unsure aware right wrong mistaken free cold hot warm drunk sober awake asleep starving dying dead blanking
    spiraling losing looking trying thinking wondering asking talking saying joking kidding reading writing typing
    using_ sitting standing waiting hoping feeling getting having seeing_ guessing assuming leaning sending copying
    pasting debugging crying laughing just about all_ in_love able supposed allowed_ bound likely unable welcome home
    alone_ over through up down so too like no nothing none speaking telling making doing finding calling checking
    testing running heading coming leaving cooking eating drinking watching listening struggling considering
    preparing working_ rambling ranting procrastinating whatever inclined tempted convinced sceptical skeptical fond_of
    skint broke knackered shattered beat frozen soaked full hangry hungover jealous proud relieved embarrassed ashamed
    humbled speechless serious honest fair clear sleepy anxious overwhelmed feverish unwell poorly lazy silly""".split()
)


STATES = frozenset(
    """allergic vegan vegetarian pescatarian diabetic celiac coeliac asthmatic deaf blind colourblind colorblind
    pregnant
    married single divorced widowed engaged retired unemployed self-employed freelance intolerant dyslexic autistic
    adhd left-handed right-handed lefthanded righthanded bilingual fluent based born named called raised trained
    employed enrolled separated disabled anaemic anemic epileptic lactose gluten colour-blind color-blind
    short-sighted
    near-sighted nearsighted jewish muslim christian catholic hindu buddhist atheist quaker sikh afraid scared
    terrified frightened into addicted teetotal hypermobile originally straight gay bi queer trans nonbinary
    vaccinated certified qualified licensed responsible""".split()
)


PROGRESSIVE = frozenset(
    """moving studying learning training living planning saving building restoring raising taking retiring starting
    dating
    marrying expecting flying travelling traveling renting volunteering coaching teaching growing commuting applying
    switching changing quitting joining renovating seeing going getting working doing writing running staying sharing
    selling buying visiting reading_ knitting sewing redecorating remodelling recovering tapering rehearsing
    apprenticing interning freelancing finishing adopting fostering trying_for""".split()
)


HAVE_NOT = frozenset(
    """question questions idea ideas feeling problem issue clue doubt doubts time chance look request favour favor
    point
    trouble headache migraine cold flu fever cough hangover weeks days hours minutes week day pound pounds kilo kilos
    gram grams half bag
    jar tin bottle glass leftovers csv file files script code pdf photo picture screenshot meeting appointment call
    minute second moment choice luck error bug hunch suspicion thought fun
    go bite shower nap cup coffee tea lunch dinner breakfast draft letter text email paragraph sentence list recipe
    interview presentation exam_ deadline_ need no hard good bad great nice nothing something anything everything
    everything reservations it that this them those these reason right mind task ticket""".split()
)


SPAN = re.compile(
    r"\b(?:for|since|until|till|in|from)\s+(?:about |almost |nearly |over |the (?:better part of|last|"
    r"past) |more than |like |a )*"
    r"(?:\d+|a|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty\S*|thirty|forty|"
    r"fifty|several|many|some)"
    r"[\s-](?:years?|yrs?|months?|decades?|weeks?|wks?|mo)\b|\bsince\s+(?:i|we|last|20\d\d|19\d\d|january|"
    r"february|march|april|may|june|"
    r"july|august|september|october|november|december|spring|summer|autumn|fall|winter|childhood|school|college|birth|"
    r"christmas|like|he|she|my|the|\d)|\b(?:19|20)\d\d\b|\b(?:years?|yrs?|months?|decades?) ago\b|\bwhen "
    r"i was\b|\bas a (?:kid|child|"
    r"teen\w*|boy|girl|young|student|baby)\b|\blast (?:year|month|spring|summer|autumn|fall|winter|"
    r"january|february|march|april|may|"
    r"june|july|august|september|october|november|december)\b|\b(?:spent|served|did|worked|"
    r"lived)\b.{0,40}\byears\b|\ball my life\b|\bmy whole life\b|\bback in\b",
    re.IGNORECASE,
)


DATE = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:jan|feb|febr|mar|apr|jun|jul|aug|sept?|oct|"
    r"nov|dec)(?:uary|ch|il|e|y|ust|"
    r"ember|tember|ober)?\b\.?|\bmay (?:the )?\d|\bin may\b|\b\d{1,2}(?:st|nd|rd|th)\b|\bnext (?:week|month|year|"
    r"spring|summer|autumn|fall|winter)\b|"
    r"\b(?:spring|summer|autumn|winter|christmas|new year|easter|weekends?|weekdays)\b|\b(?:every|each) "
    r"\w+|\b\d{1,2}(?:[:.]\d\d)?\s?(?:am|pm|h)\b|"
    r"\b\d{1,2}:\d\d\b",
    re.IGNORECASE,
)


HEALTH = frozenset(
    "allergy allergies condition disease illness disorder syndrome phobia intolerance deficiency asthma "
    "diabetes weakness arthritis epilepsy adhd dyslexia pacemaker eczema tinnitus migraines".split()
)


BODY = frozenset(
    "ear ears eye eyes knee knees back hip hips shoulder shoulders heart hand hands leg legs foot feet "
    "arm arms lungs wrist neck thumb".split()
)


GROUPS = frozenset(
    """choir band team club union halls dorm dorms army navy orchestra board committee council dialysis insulin diet
    medication
    meds pill pills ward shift shifts antidepressants statins year grade semester bungalow flat apartment house hostel
    charge remission recovery leave crew squad retirement wheelchair benefits relationship nights days sertraline
    metformin thinners tablets painkillers steroids antibiotics inhaler hrt parole probation placement apprenticeship
    programme program rotation""".split()
)


DOINGS = frozenset(
    "using running taking eating drinking driving cycling doing playing sleeping wearing swimming "
    "walking working training teaching cooking buying paying studying renting sharing sailing singing "
    "rowing".split()
)


OFF_TO = frozenset(
    "to the on work for again today tomorrow sick home topic now out till until this my and so at in track a".split()
)


# "took up pottery", "cut down to two": a turn in somebody's life, not an errand.
TURNS = frozenset(
    tuple(turn.split())
    for turn in """took up, took over, took on, took in, gave up, went back, went with, went vegan, went part-time, went
    freelance,
    ended up, cut down, cut out, cut back, came off, got rid, signed with, signed up, dropped down, settled on,
    settled in,
    broke up, split up, set up, moved in, moved out, turned down, fell out, dropped out, picked up, went over,
    swapped to""".split(",")
)


VISITS = frozenset(
    "appointment visit bill session meeting report office practice class exam lesson licence license "
    "discount job course work".split()
)


OWNED = frozenset(
    "car truck van bike boat house flat apartment office studio garden shop garage motorbike lorry rig "
    "allotment farm caravan".split()
)


INVERTED = frozenset(
    "do did does can could should would may might must ought am was have will shall next when once until "
    "before after if while whenever unless".split()
)


OPENERS = frozenset(
    """and but so or because as since ok okay well oh yes yeah yep ya no nope hi hey hello lol haha anyway btw though
    although
    while whereas also plus then that for also right good great thanks thank cool nice perfect perf omg ugh hmm um uh
    which however fine true fyi once turns out only update news good morning evening except
    confession random bro dude""".split()
)


GOALS = frozenset(
    "be become end learn move open start retire study visit buy build run work live travel adopt lose "
    "quit go get write make".split()
)
