"""Wishes in other words than a request: of manners, units and order, and whatever is asked for every time."""

import re

from atles.pipeline.extract.requests import LEAD

TALK = re.compile(
    LEAD
    + r"""(?:please\ |pls\ |plz\ |just\ |only\ |kindly\ |try\ to\ |try\ and\ |do\ |so\ )*(?:
      (?:address|treat|greet)\ me\b | (?:talk|speak|write|explain\ (?:things|it|stuff|everything))\ to\ me\ (?:like|
    as|in|with)\b
    | explain\ (?:things|stuff|everything|concepts|words)\b | spell\ my\ name\b | be\ (?:less|more|a\ bit|as|
    completely|brutally|really)\ \w+.*\b(?:with|to)\ me\b
    | (?:stop|quit)\ \w+ing\ (?:me|that\ i|your|every)\b | (?:stop|quit)\ (?:apologi[sz]ing|yapping|lecturing|
    hedging|flattering|rambling|preaching)\b | (?:let'?s|can\ we|could\ we|shall\ we|
    may\ we)\ (?:please\ )?(?:stick\ to|use|speak|keep\ to|stay\ (?:with|in)|drop\ the)\ (?:first\ names|english|
    german|
      french|spanish|dutch|italian|metric|the\ metric|short\ answers|plain|formal|titles|formalities)\b
    | (?:you\ (?:can|may|should|could)|feel\ free\ to)\ (?:always\ )?(?:skip|drop|omit|leave\ out|be\ (?:blunt|
    direct|honest)|swear|assume)\b
    | (?:can|could|would|will)\ (?:you|u)\ (?:please\ )?(?:not\ use|not\ say|avoid|use)\ (?:emojis?|jargon|
    simple\w*\ words|easy\ words|slang|long\ words|plain\b|short\w*\ \w+s|fewer\ \w+)
    | would\ (?:you|u)\ mind\ \w+ing\ (?:your|the)\ (?:answers|replies|explanations|responses)\b
    | (?:leave|cut)\ (?:the\ |your\ |all\ )?(?:greetings?|disclaimers?|intro\w*|pleasantries|warnings?|chit-?chat|
    flattery|fluff)(?:\ out)?\b
    | (?:give|put|write|use|show|quote|state|list|round|format|convert)\ (?:me\ )?(?:all\ |any\ |
    your\ )?(?:distances|times|dates|prices|temperatures|weights|numbers|amounts|measurements|units|sizes|names|
    sums|quantities|money|lengths|volumes|speeds)\ (?:in|to|as|with|by)\b
    | (?:no|not|never)\ (?:more\ than\ \w+\ (?:lines?|sentences?|words?|paragraphs?|points?|options?|items?)|
    (?:long\ |big\ |more\ |huge\ |unnecessary\ )*(?:paragraphs|explanations|lectures|walls\ of\ text|intros?|
    emojis?|emoticons|jargon|disclaimers|small\ talk|spoilers|swearing|abbreviations|fluff|filler|sugar\ ?coating|
    caps))\b
    | (?:one|a\ single|max|at\ most|maximum)\ (?:\w+\ )?(?:question|step|thing|suggestion|idea|option|point|answer|
    topic|lines|sentences|words|points)\ (?:at\ a\ time|per\ (?:message|answer|reply)|please|pls|max|only|
    is\ enough|,)
    | (?:lowercase|lower\ case|uppercase|english|german|french|spanish|metric|bullet\ points|plain\ text|
    short\ answers|short\ sentences|simple\ words|numbered\ lists?|first\ names)\ (?:only|please|pls|always|for\ me)\b
    | (?:only|just)\ (?:lowercase|short\ answers|english|metric|facts|the\ facts|bullet\ points|plain\ text)\b
    | (?:tables|lists|bullets?|bullet\ points|pictures|examples|short\ \w+s|numbers|diagrams|analogies|
    steps)\ (?:are|work|make|help)\b[^.?!]*\b(?:me|my)\b
    | i\ (?:read|learn|understand|follow|think|remember|take\ (?:it|things)\ in)\ (?:things\ |it\ |
    stuff\ )?(?:much\ |a\ lot\ |far\ )?(?:better|best|easier|more\ easily|faster)\b
    | (?:less|fewer|no\ more|enough)\ (?:yapping|talk|talking|words|text|fluff|questions|blah|chatter|explaining|
    explanation|formality|emojis?|exclamation\b)\b
    | (?:short|brief|long|longer|quick|straight|blunt|honest|detailed|one[ -]line|plain)\ (?:answers?|replies|
    explanations?|responses?|sentences|words|versions?)\ (?:please|pls|plz|only|always|first|for\ me|are\b|
    is\ (?:fine|enough|better))
    | (?:talk|speak|give\ it|tell\ it|say\ it|write)\ (?:to\ me\ )?(?:plain(?:ly)?|straight|short|simple|simply|
    properly|slowly)\b | (?:talk|speak|write)\ to\ me\ (?:in|like|as|more|less)\b
    | give\ it\ to\ me\ (?:straight|plain|short|raw)\b | i\ (?:go\ by|use|think\ in|count\ in|only\ (?:know|
    understand|do))\ (?:miles|metric|kilomet\w+|pounds|feet|fahrenheit|celsius|ounces|euros|dollars|kilos|grams|
    imperial|the\ 24|pictures|examples)\b
    | (?:all\ |any\ |the\ )?(?:temperatures?|distances?|weights?|dates?|times|amounts|prices|figures|numbers|
    measurements?|sizes|units|lengths|speeds|currency|costs|quantities|examples|sources|quotes|names|
    recipes)\ (?:should\ be\ |always\ |must\ be\ |only\ )?(?:in|as|from|with)\ [^.?!]{2,50}?(?:,?\ (?:please|pls|
    plz|only|always|for\ me|if\ you\ please|ok)\b|$)
    | (?:miles|metric|kilomet\w+|pounds|feet|fahrenheit|celsius|ounces|euros|dollars|kilos|grams|imperial|
    british\ spelling|american\ spelling|british\ english|american\ english|first\ names)(?:\ (?:and|or|
    not)\ \w+)?,?\ (?:please|pls|plz|for\ me|only|always)\b
    | (?:there(?:'s|\ is)\ )?no\ need\ (?:for\ (?:the\ |all\ the\ |any\ )?(?:pleasantries|emojis?|apolog\w+|
    intro\w*|explanations?|disclaimers?|small\ talk|formalit\w+|politeness|lectures?|pep\ talks?|greetings?)|
    to\ (?:apologi[sz]e|explain|be\ (?:so|polite|formal|nice)|thank|praise))\b
    | (?:keep|make)\ (?:em|'em|them|it|things|everything|your\ \w+)\ (?:short|brief|simple|under|below|to\ (?:one|
    two|three|a|\d+)\ (?:lines?|sentences?|words|paragraphs?|screens?)|plain|concise|formal|informal|
    casual)\b(?!.*\b(?:email|letter|text|version|draft|title)\b)
    | (?:please\ )?(?:don'?t|do\ not|stop|quit)\ (?:hedg\w+|yapping|saying|with\ the|write\ like|talk\ like|
    sound\ like|being|ask\ me|asking\ me|call\ me|calling\ me|lectur\w+|preach\w*|give\ me\ (?:any\ of|all|long|
    those|that)|sugar\w*|baby\ me|use\ the\ word|use\ (?:emojis?|jargon|slang|abbreviations|caps|big\ words|
    long\ words|bullet|lists|tables|markdown|stars))\b
    | (?:you|u)(?:'re|\ are|r)?\ (?:don'?t|dont|do\ not)\ (?:have|need)\ to\ (?:be|apologi[sz]e|explain|say|thank|
    repeat|ask|greet)\b | (?:you|u)(?:'re|\ are|r)\ too\ (?:polite|formal|wordy|long|nice|chatty|verbose)\b
    | (?:you\ (?:can|may)\ )?drop\ the\ (?:mr|mrs|ms|dr|sir|ma'am|formalit\w+|title|attitude)\b
    | i\ (?:can'?t|cannot)\ (?:be\ doing\ with|stand|bear|deal\ with|read)\ (?:those\ |all\ these\ |your\ |
    long\ )*(?:bullet\ points|bullets|lists|tables|emojis?|paragraphs|intros?|jargon|exclamation\ \w+|
    walls\ of\ text)\b
    | i\ (?:hate|dislike|don'?t\ (?:like|care\ for|want|need|read))\ (?:any\ |all\ |those\ |these\ |the\ |
    your\ )*(?:long\ )?(?:intros?|introductions?|bullet\ points|bullets|lists|tables|emojis?|exclamation\ \w+|
    jargon|links|disclaimers?|small\ talk|paragraphs|walls\ of\ text|headings|footnotes)\b
    | i(?:'d|\ would)\ (?:be\ (?:obliged|grateful|glad|happy)\ if\ you|ask\ you\ to|rather\ have\ \w+\ than|
    rather\ you)\ (?!could\ (?:help|tell|write|check|look))\w
    | (?:numbers?|answers?|conclusions?|results?|decisions?|price|cost|summary|tl;?dr|verdict|facts?|recommendation|
    risks?|short\ version|code)\ (?:always\ )?first\b(?:,|\ and|\ then|\ please|\ pls|$)
    | (?:please\ |just\ |always\ )*(?:give|tell|hit|show)\ me\ (?:with\ )?(?:the\ )?(?:answer|conclusion|result|
    short\ version|summary|verdict|yes\ or\ no|bottom\ line|recommendation|number|price|risks?)\ (?:first|up\ front|
    right\ away|before)\b
    | (?:can|could)\ (?:you|u)\ (?:please\ )?(?:do|give|put|write)\ (?:me\ )?(?:like\ )?(?:a\ |
    the\ )?(?:\w+\ )?(?:tl;?dr|
    summary|everything|all\ of\ it|it\ all)\b[^.?!]{0,30}\b(?:first|on\ top|at\ the\ (?:top|end|start)|in\ (?:small|
    short|numbered)\ steps)\b
    | (?:tell|correct|call|challenge|push\ back|interrupt)\ (?:me\ )?(?:out\ )?(?:when|if|whenever)\ i(?:'m|\ am|
    m)\b | if\ i(?:'m|\ am|m)\ wrong\b | i\ like\ (?:being|to\ be)\ (?:challenged|corrected|teased|called)\b
    | (?:use|say|write|give|cite|tell|put|add|mark|include|quote)\ [^.?!,]{2,40}\ (?:when|whenever|if|
    every\ time)\ (?:you|u)\ (?:\w+\ ){0,2}(?:quote|cite|transcribe|translate|mention|write|give|suggest|recommend|
    list|use|explain|talk|answer|tell)\b
    | i\ (?:need|want|like|prefer)\ (?:things|everything|stuff|it\ all|answers|instructions|explanations)\ (?:in|as|
    with|short|simple|numbered|spelled|explained|straight)\b
    | my\ preference\ is\b | i(?:'d|\ would)\ (?:really\ )?(?:appreciate|like|love)\ (?:it\ if\ (?:you|u)\ (?:kept|
    could\ (?:always|keep|stop|avoid|use|not)|always|used|didn'?t|did\ not|stopped|gave|avoided|put|wrote)|(?:you|
    u)\ to\ (?:always|never|stop|keep|use|avoid|call|address|answer))\b
    | it\ (?:would|'d)\ (?:be\ (?:great|nice|good|better|lovely|helpful)|help(?:\ me)?)\ if\ (?:you|
    u)\b[^.?!]*\b(?:always|every|each|whenever|never|from\ now|in\ future|answers|replies)\b
    | i\ (?:prefer|like|love)\ it\ (?:if|when)\ (?:you|u)\b
    | i\ (?:always\ |only\ )?(?:want|need|like|prefer|expect)\ (?!an?\b|some|[^.?!]*\b(?:report|letter|email|
    invoice|form|cake|party)\b)(?:the\ |my\ |your\ |all\ )?[\w\ -]{2,40}\ (?:first|
    up\ front|at\ the\ (?:top|end|bottom|start)|in\ (?:a\ table|bullets?|bullet\ points|metric|grams|euros|english|
    one\ line|plain\ \w+|kilomet\w+|celsius))\b
    | (?:can|could|would|will)\ (?:you|u)\ (?:please\ |pls\ |just\ )?(?:give|do|use|put|show)\ (?:me\ |it\ |them\ |
    everything\ )?
      (?:in\ |with\ )?(?!an?\b|the\b|some\b|this\b|my\b|it\b)[\w\ :-]{2,40}?\b(?:when(?:ever)?\ (?:its|it's|it\ is|
    i\ ask)\ (?!finished|done|ready|
      hot|cold|time|over)\w+|times\ for\ me|for\ me\ (?:always|from\ now\ on))\b
    | (?:in|for|with)\ (?:recipes|code|letters|emails|(?:medical|legal|technical|health)\ \w+|translations|lists|
    summaries|anything\ \w+|
      maths?|python|prices)\b(?:[^.?!]{0,70}?,)?\ (?:please\ |pls\ |always\ )*(?:give|use|put|write|begin|start|end|
    keep|skip|show|tell|list|stick|
      don'?t|do\ not|never)\ (?!up\b)
    | (?:in|for|with)\ (?:your|all|any|every|all\ your)\ (?:answers?|replies|reply|explanations?|messages|recipes?|
    code|examples?|letters?|emails?|texts)(?:\ (?:to|for)\ me)?,?\ (?:please|pls|always|never|use|leave|give|put|
    write|include|skip|don'?t|do\ not|avoid|i\ (?:want|need|prefer|like))\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
IMPERATIVE = re.compile(
    LEAD + r"(?:please |pls |plz |just |only |kindly |try to |do |(?:can|could|would|will|should) (?:you|u) "
    r"(?:please |just |also )?|(?:you|u) (?:should|must|can|have to|need to) |i (?:want|need|would like|"
    r"'d like) (?:you|u) to |i'd (?:like|love) (?:you|u) to |don'?t |do not )*"
    r"(?:put|give|add|use|tell|show|start|end|begin|close|open|finish|sign|answer|reply|respond|write|"
    r"explain|ask|include|skip|leave|keep|avoid|mention|say|name|list|quote|cite|warn|translate|spell|"
    r"format|round|convert|call|address|be|talk|speak|summari[sz]e|check|point|offer|suggest|"
    r"remember to|make|highlight|note|assume|stop|drop|state|provide|attach|double-check|prefer|stick|"
    r"refer|limit|mark|separate|number)\b",
    re.IGNORECASE,
)
EVERY_TIME = re.compile(
    r"\b(?:from (?:now|here|today) on|in (?:the )?future|going forward|always|every ?time|each time|"
    r"whenever|at all times|by default|in general|as a rule|(?:every|each|all|any) (?:\w+ "
    r"){0,2}(?:answers?|repl(?:y|ies)|responses?|explanations?|messages?|recipes?|"
    r"chats?|conversations?|code|examples?|emails?|letters?|claims?|texts?|suggestions?)\b|(?:every|each|"
    r"all|any(?:thing)?|everything|whatever) (?:\w+ ){0,2}(?:you|u) (?:make|give|write|suggest|tell|send|"
    r"say|show|draft|recommend|explain|cite|quote)|"
    r"when(?:ever)? (?:you|u) (?:\w+ )?(?:quote|give|write|list|show|mention|suggest|recommend|send|use|"
    r"draft|explain|cite|tell|answer|reply|talk|speak|translate|summari[sz]e|round|convert|ask|correct|"
    r"format|plan|describe|name|spell|address|call|transcribe|sign)|when(?:ever)? (?:i|it'?s|we) (?:ask|"
    r"talk|write|say|want|need|am|speak|"
    r"about|order|plan|buy|get)\b|(?:if|when) (?:someone|anyone|anybody|somebody) asks|(?:^|, ?)if (?:you|"
    r"u) (?:quote|give|write|list|show|mention|suggest|"
    r"recommend|send|use|draft|explain|cite|tell|answer)\b|if i ask\b|ever again|never)\b",
    re.IGNORECASE,
)
TASKS = re.compile(
    r"\b(?:remind me|how (?:do|can|should|to)|poem|story|what (?:to|should|do)|why|let me know|is there|"
    r"translate|(?:always|never|whenever|every time) (?:i|he|she|they|it|we) (?!ask|talk|write|say)|in "
    r"(?:the|my|this) (?:letter|text|email|story|essay|code|function|file))\b",
    re.I,
)
CONDITION = re.compile(
    r"^\W*(?:(?:and|but|so|also|ok|oh|btw)\s+)?(?:when(?:ever)?|if|every time|each time|for|in|"
    r"with)\b[^,:;?!]{3,70}[,:]?\s+(?=(?:please|pls|always|never|i (?:want|need|prefer)|tell|give|put|use|"
    r"show|include|ask|add|start|write|answer|keep|skip|mention|explain|say|don'?t|be|make|stick|quote|"
    r"leave|warn|spell|offer|check|name|list|begin|end|close|finish|open|just give|just tell)\b)",
    re.I,
)
