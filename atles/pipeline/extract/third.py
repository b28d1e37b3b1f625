"""Statements on "she", "he" and "it": the forms that say something lasting of whoever was spoken of."""

import re

from atles.pipeline.extract.reading import Clause

# What a sentence on "she" or "it" must do to say something lasting.
THIRD = re.compile(
    r"""^(?:his|her|its|their)\ name\ is\b|^(?:and\ |but\ )?(?:she|he|it|they|(?:his|her|their|
    its)\ \S+)\ (?:(?:also|still|now|always|never|only|usually|just|really|currently|even)\ )*(?:
      (?:is|are|was)\ (?:now\ )?(?:an?\ \w+|the\ \w+\ of|(?:in|at|on|for)?\ ?(?:\w+\ ){1,5}(?:now|instead|
    these\ days)\b|\d+|called|named|born|allergic|vegan|vegetarian|married|blind|deaf|diabetic|retired|from\ \w+|
    in\ (?:his|her|their|year|[a-z]+\ grade)|afraid\ of|scared\ of|(?:one|two|three|four|five|six|seven|eight|
        nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|twenty|thirty|forty|fifty|sixty|
    seventy|eighty|ninety)\b|pregnant|on\ (?:mon|tues|wednes|thurs|fri|satur|sun)|studying|living|working\ (?:as|at|
    for))
    | (?:lives?|works?|plays?|studies|teaches|drives?|speaks?|loves?|hates?|has|have|likes?|sings?|runs\ (?:a|an|
    the)|owns?|keeps?|sleeps?|eats?|sheds?|turned|turns|died|moved|came\ (?:from|with)|comes\ from|grew|retired|
        belongs|dates|uses?|weighs|cost|needs\ (?:a|an|his|her|daily)|takes|wears|goes\ to|starts|hunts|barks|bites|
    bought|built|used\ to|does\ not\ (?:eat|like|drive|speak)|can\ not\ (?:eat|walk|see|hear|drive|swim))\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# What somebody has, keeps or wears is theirs, whoever they are to the user; what they suffer from concerns the user.
OWNS = re.compile(
    r"""^(?:and\ |but\ )?(?:she|he|they)\ (?:(?:also|still|now|always|just|really|even)\ )*
    (?:owns?|keeps?|wears|drives?|bought
      |(?:has|have)(?:\ got)?\ (?:a|an|two|three|four|five|six|his|her|their|\d+)
       (?!\ (?:\w+\ )?(?:allerg|intoleran|condition|disease|diabet|asthma|cancer|stroke|baby|birthday|exam|son|
         daughter|kid|child))
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
NAME_IS = re.compile(
    r"^(?P<name>[\w'-]+)(?:,|'s)?\s+(?:is|was|has|lives|works|plays|loves|hates|turned|turns|goes|sleeps|"
    r"eats|studies|died|moved|likes|just\ turned|who\ is)\b"
)


def last_resort(clause: Clause) -> bool:
    """ "if you must know": opens no condition."""
    return clause.words[1:2] in (("you",), ("anyone",), ("it",)) and clause.words[2:3] in (
        ("must",),
        ("need",),
        ("asks",),
        ("helps",),
        ("matters",),
    )
