"""The forms of a request to the assistant: how people ask for a way of being answered, for good or this once."""

import re

# "always has been", "never heard of it": how things are, not a request.
_HABIT = (
    r"(?:mind|ha[sd]|have|is|was|are|were|been|be|did|do|does|knew|know|heard|seen|saw|thought|the|a|an|in|on|at|"
    r"\w+ed|\w+ing|that|this|so|too|been|got|gets?|said|works?|happens?|again|liked|since|in)\b"
)
LEAD = (
    r"^\W*(?:(?:oh|ok|okay|and|also|but|so|by\ the\ way|btw|hey|hi|well|just|one\ (?:more\ |other\ |"
    r"last\ )?thing|yes|no(?=\s*[,.!;:])|thanks|thank\ you|sorry|perfect|"
    r"great|good|nice|listen|look|pls\ note|note|fyi|only\ that|next\ time|from\ here\ on|in\ general|generally|"
    r"as\ a\ rule|right|lol|quick\ note|ok\ (?:thats|that's)\ good|oh\ and|"
    r"that\ said|while\ i\ (?:think\ of|remember)\ it|actually|again|ah|hmm|then)\b[\ ,:;-]*)*"
)
REQUEST = re.compile(
    LEAD
    + r"""(?:
      (?:please[ ,]+|pls[ ,]+|plz[ ,]+|(?:can|could|would|will)\ (?:you|u)\ (?:please\ )?)?(?:always|
    never)\ (?!%(habit)s)\w
    | (?:please[ ,]+|and[ ,]+)?(?:from\ now\ on|in\ (?:the\ )?future|going\ forward|from\ (?:here|
    today)\ on)\b(?!\W+(?:i|we|my|it|he|she|they)\b)
    | (?:please[ ,]+|pls[ ,]+|plz[ ,]+)(?:don'?t|do\ not|stop|avoid|keep|use|answer|call|write|reply|skip|
    be)\b(?!\ (?:quick|careful|patient|gentle|kind|nice|(?:that|this|it)\ in\ mind|me\ (?:an?|the|this)|an?\ \w+|
    the|this|it\ (?:as|for|to)|my|up|down|
    back|him|her|them)\b(?!.*\b(?:always|every|emojis?|list|table|tone|clock)))
    | (?:don'?t|do\ not|stop)\b.*\b(?:please|pls|plz|again|any\ ?more|ever)\b
    | (?:(?:can|could)\ (?:you|u)\ )?(?:please\ )?keep\ (?:it|them|your|ur|the\ answers?|answers?|
    replies)\b(?!\ (?:in\ mind|in\ the|at\ the|on\ the|there|cool|cold|warm|for|from|up|going|away|secret|safe))
    | i\ go\ by\ (?!the\b|night|train|bus|car|bike|foot|my\b|a\b|what|plane|how|it\b)[\w'-]+\W*(?:$|[,.!]|
    by\ the\ way|not\b) | (?:everyone|everybody|people|friends|my\ friends|all)\ calls?\ me\b
    | call\ me\b(?!\ (?:when|if|crazy|old|a|an|back|later|when|if|at|on|tomorrow|tonight|silly|mad|stupid|lazy|
    paranoid|
    cynical|when))
    | (?:you|u)\ (?:can|may|should)\ call\ me\b
    | i(?:'d|\ would)?\ (?:much\ |really\ |always\ |strongly\ )?(?:prefer|rather\ (?:you|u|have|get))\b(?!\ (?:the|
    that|this|it|my|to\ (?!(?:be|get|have|see|read|hear)\b))\b)
    | i\ (?:like|love|want|need)\ (?:it\ when\ (?:you|u)|when\ (?:you|u)|(?:you|u)\ to|your\ answers|my\ answers|
    answers)\b(?!\ (?:write\ (?:me\ )?an?|check|look|read|draft|translate|guess|explain\ (?:this|the)|help|
    tell\ me\ (?:what|how|if|about)|make\ (?:it|this|a)|find|know|be\ the|forget|play|pretend|act))
    | i\ (?:hate|dislike|don'?t\ (?:like|want|need)|can'?t\ stand)\ (?:it\ when\ (?:you|u)|when\ (?:you|u)|(?:you|
    u)\ to|your|answers)\b
    | (?:no|skip(?:\ the)?|less|fewer|drop\ the|enough\ with\ the|spare\ me(?:\ the)?)\ (?:more\ )?(?:emojis?|
    exclamation\ (?:marks?|points?)|jargon|bullet\ points?|bullets|small\ talk|apolog\w+|
      intros?|introductions?|preambles?|disclaimers?|fluff|filler|flattery|pep\ talks?|lectures?|hedging|markdown|
    tables|headings|buzz\ ?words)\b
    | i\ (?:think|work|cook|measure|bake|calculate|count)\ (?:only\ )?in\ (?:metric|imperial|celsius|fahrenheit|
    kilo\w*|miles|grams|euros|pounds|ounces|cups|dollars|centimet\w+|inches|feet|km|kg|litres|si\ units)\b
    | (?:metric|imperial|celsius|fahrenheit|british|american|uk|us|24[\ -]?hour\ clock|
    24h)\b[^.?!]{0,30}\b(?:please|pls|only|always|spelling|for\ me)\b
    | (?:bullet\ points|bullets|lists|tables|short\ answers|numbered\ (?:lists|steps)|examples|step\ by\ step|
    plain\ (?:words|english|text))\s[^.?!]{0,30}\b(?:work|works|are|is|suit|suits|help|
    helps)\b[^.?!]{0,20}\b(?:best|better|easier|easiest|me)\b
    | (?:prefer|stick\ (?:to|with)|use|speak|write|answer|reply|respond|talk)\ (?:to\ me\ )?(?:in\ |with\ |using\ |
    only\ )*(?:british|american|uk|us|metric|imperial|celsius|fahrenheit|plain|simple|short|spanish|french|german|
    italian|dutch|english|portuguese|swedish|
      polish|lowercase|bullet|bullets|numbered|kilo\w+|nautical|24|the\ 24)\b[^.?!]*
    | (?:give|tell|show|put|state|start\ with|lead\ with|begin\ with|open\ with)\ (?:me\ )?(?:the|any|every|
    your)\ \w+(?:\ \w+)?\ (?:first|at\ the\ (?:top|start|beginning|end)|last|before\ anything|up\ front|upfront)\b
    | (?:stop|quit|no\ need\ to|you\ (?:don'?t|do\ not)\ (?:have|need)\ to|u\ dont\ (?:have|need)\ to)\ (?:being\ |
    always\ )?(?:apologi[sz]\w*|say\w*\ sorry|using|ending|starting|repeating|thank\w*|prais\w+|add\w*|call\w*\ me|
    flatter\w*|ask\w*\ me|explain\w*|lectur\w+|sugarcoat\w*|hedg\w+|so\ formal|so\ polite)\b
    | (?:please[ ,]+|pls[ ,]+|plz[ ,]+|(?:can|could|would|will)\ (?:you|u)\ (?:please\ |
    in\ future\ )?)(?:[^.?!]{0,60}\b(?:from\ now\ on|in\ (?:the\ )?future|going\ forward|always|every\ time|
    each\ time|whenever|at\ all\ times|by\ default)\b)
    | (?:when(?:ever)?|every\ time|each\ time|if)\ (?:you|u)\ (?:\w+\ ){1,10}?(?:for\ me\b|to\ me\b|me\b|
    up\b)?[^.?!]{0,40},?\ (?:please|pls|always|never|don'?t|do\ not|use|give|put|start|end|close|sign|tell|keep|
    make|add|leave)\b
    | (?:when(?:ever)?|every\ time)\ (?:there\ (?:are|is)|i\ ask|we\ (?:talk|speak|
    discuss))\b[^.?!]{0,60}\b(?:please|pls|always|never|give|use|tell|put|start|answer|keep|show|say)\b
    | for\ (?:anything|everything|all|any|every)\b[^.?!:,]{0,50}[:,]\s+\S
    | (?:can|could|would|will)\ (?:you|u)\ (?:please\ )?(?:put|add|give|include|start|end|close|begin|use|keep|
    leave|skip|drop|stop|avoid|make|sign|write)\b[^.?!]{0,60}\b(?:answers|replies|responses|explanations|summaries|
    conversations|chats)\b
    | (?:be|stay|keep\ it)\ (?:more\ |as\ )?(?:brief|concise|blunt|direct|honest|short|simple|formal|informal|
    casual|specific)\ (?:with\ me|please|pls|always|when|in\ your|and)\b
    | (?:for\ (?:all\ |any\ |every\ )?(?:recipes?|prices?|distances?|dates?|times?|temperatures?|measurements?|
    answers?|code|examples?|letters?|emails?|weights?)),?\ (?:\w+\ ){0,3}?(?:use|give|always|please|pls|write|put|
    show|i\ (?:want|need|prefer))\b
    | (?:write|answer|reply|respond|explain|format|phrase)\b[^.?!]{0,50}\b(?:from\ now\ on|in\ future|always|
    every\ time|by\ default|going\ forward)\b
    | (?:i\ (?:really\ )?)?(?:prefer|like|love|want|need)\ (?:my\ |your\ |to\ (?:get|have|read|
    see)\ )?(?:\w+\ ){0,3}?(?:short|brief|long|detailed|concise|blunt|direct|plain)\ (?:answers?|replies|
    explanations?|responses?|text|sentences|words)\b
    )""".replace("%(habit)s", _HABIT),
    re.IGNORECASE | re.VERBOSE,
)
# In the middle of a sentence these begin a request of their own.
STANDING = re.compile(
    r"""\b(?:(?:please|pls|plz)\ [^,.?!;]{0,60}\b(?:from\ now\ on|in\ (?:the\ )?future|always|every\ time|whenever)\b
    |(?:would|could|can)\ (?:you|u)\ (?:please\ )?(?:in\ future|always|from\ now\ on)\b
    |(?:whenever|when|every\ time|each\ time)\ (?:you|u|there)\ [^.?!;]{2,80},\ (?:please|pls|always|never)\b|
    whenever\ there\ are\b|i\ want\ (?:you|u)\ to\ (?:always\ )?(?:end|start|begin|close|open|use|call|answer|reply|
    keep|give|put|write|sign|stop|add|be|speak|explain\ everything)\b
    |(?:from\ now\ on|going\ forward|from\ here\ on|in\ future)[\ ,]+(?:please\ |just\ |can\ you\ |could\ you\ |
    you\ )?(?!i\b|we\b|my\b|it\b|he\b|she\b|they\b|the\b|our\b)\w+\ [^.?!;]{3,160}
    |\b(?:give|tell|put|use|write|answer|keep|call|show|start|end|make|say|leave|skip|read|ask|add|round|explain|
    speak|talk)\ (?!to\b)[^.?!;]{3,90}\b(?:from\ now\ on|every\ time\ (?:you|u|i\ ask)|whenever\ (?:you|u|i\ ask)|
    going\ forward)\b
    |(?:just|so|and|please|but|then)\ (?:always|never)\ (?:give|tell|put|use|write|answer|keep|call|show|start|end|
    make|say|leave|skip|read|ask|add|round|explain|speak|talk|suggest|recommend|mention)\b[^.?!;]{3,120}
    |(?:remember\ |and\ |but\ )?no\ (?:more\ )?(?:emojis?|exclamation\ (?:marks?|points?)|jargon|bullet\ points?|
    bullets)\b
    |i\ (?:want|need|expect|prefer)\ (?!to\b|an?\b|some|it\b|you\ to\ know)[^.?!,]{2,50}\b(?:on|in|with|at|for|
    after|before)\ (?:every|each|all|any)\ \w+
    |sign\ (?:it|them|everything|my\ \w+)\ (?:as\ |with\ )?\w+\b(?=.*\b(?:call|always|from\ now|only|nobody|
    everyone)\b)
    |(?:you|u)\ can\ call\ me\b|call\ me\ [a-z]+)""",
    re.IGNORECASE | re.VERBOSE,
)
LASTS = re.compile(
    r"\b(?:from now on|in (?:the )?future|always|every (?:time|\w+)|each time|whenever|never|going "
    r"forward|by default|any ?more|again|ever)\b",
    re.I,
)
ONE_OFF = re.compile(
    r"\b(?:this (?:one|time|text|email|letter|answer|recipe|paragraph|sentence|message|code|file|function|"
    r"draft|list)|that (?:one|text|paragraph|line|sentence)|the (?:above|last|previous|second|third|first "
    r"one)|"
    r"(?:it|this|that|them) (?:to|into|in) (?:spanish|french|german|english|italian|past tense)|(?:for|to|"
    r"with) (?:my|the|a|his|her) (?:\w+ )?(?:boss|manager|teacher|friend|mother|sister|son|daughter|"
    r"letter|party|class|team)|tonight|today|tomorrow)\b",
    re.IGNORECASE,
)
ASKS = re.compile(LEAD + r"(?:can|could|would|will) (?:you|u)", re.IGNORECASE)
