"""What a clause says is over: "sold the van", "Crete is off", "no more night shifts", "we're done". Pure text."""

import re

_OBJECT = r"(?P<what>[^,.;:!?()]{2,60}?)"
_STOPS = r"""(?=\s*(?:[,.;:!?()]|$|\b(?:because|cause|cuz|since|last|so|and|but|in\ \w+ary|in\ (?:march|april|may|
    june|july|august|
    september|october|november|december)|lol|btw|by\ the\ way|i|we|now|yesterday|today|any\ ?more|when|after|for|on|
    in\ for|until|till|(?:mon|tues|wednes|
    thurs|fri|satur|sun)day|this|at|before|with|who|which)\b))"""
# Somebody left it, and it follows: "I sold the Panda".
_LEFT = re.compile(
    rf"""(?:\b(?:i|we|just|have|had|has|'ve|ive|finally|they|and|then|recently|so|already|she|he|i'm|im|am|we're|are|
    also|\A)\s+|\A)(?:(?:sold|quit|resigned(?:\ (?:from|as))?|gave\ up(?!\ the\ ghost)|given\ up|gave\ away|given\ away|
    left(?=\ (?:my|the|our|(?-i:[A-Z])))|stopped(?:\ (?:taking|using|eating|drinking|playing|going\ to|
    doing|
    seeing))?(?=\ \w)(?!\ (?:by|at|to|here|working|me|speaking)\b)|dropped\ out(?:\ of)?|cancelled|canceled|
    got\ rid\ of|
    lost(?=\ (?:(?:my|our)\ (?:job|dog|cat|mother|father|mum|mom|dad|wife|husband|sister|brother|gran\w*|uncle|aunt)\b|
    (?!my\b|the\b|our\b|it\b|track|count|touch|\d|\w+\ (?:kg|kilos?|pounds|games?)\b)\w+\ (?:in|last|this|on)\b))|
    closed(?=\ (?:my|
    our|the)\b)|retired\ from|dropped(?=\ (?:(?-i:[A-Z])|\w+ing\b|(?:the|my)\ (?:course|class|idea|project|plan|
    subject)\b))|
    scrapped|ditched|dumped|binned|finished\ with|moved\ out(?:\ of)?|ended|traded\ in|
    came\ off|parted\ with|done\ with|through\ with|handed\ in\ my\ notice\ at|handed(?:\ over)?(?=\ (?:the|
    my)\b[^.,;]{{2,30}}\ (?:to|over)\b)|
    (?:got\ |was\ |been\ )?(?:the\ boot|laid\ off|fired|let\ go)\ (?:at|by|from)|traded(?=[^.,;]{{2,30}}\ (?:in|
    for)\b)|out\ of(?=\ the\b)|off(?=\ (?:the|my)\b))\s+{_OBJECT}
    {_STOPS}|(?:dropped\ out|broke\ up(?!\ with)|split\ up(?!\ (?:with|from))|separated|moved\ out|resigned|
    did\ ?n[o']t\ renew|didnt\ renew)\b)
    | \b(?:no\ longer|used\ to|do(?:n't|\ not)\ renew|broke\ up\ with|split\ (?:up\ )?(?:from|
    with))\s+(?P<what2>[^,.;:!?()]{{2,60}}?){_STOPS}
    | (?:^|[,;]\ |\b(?:and|so|place|btw|means)\ )no\ more\ (?P<what3>(?!than\b|and\b|of\b|info|questions?\b|ideas?\b|
    emojis?\b)[\w'-]+(?:\s\w+)??)
      (?=\s*(?:[,.;!?)]|$|\b(?:and|for|so|now|btw|i|no|because)\b))
    | (?:^|\b(?:i'm|im|am|are|is)\ )not\ (?:an?\ |on\ |in\ )?(?P<what4>(?!sure\b)[\w'-]+(?:\ [\w'-]+)?)\ any\ ?more\b
    | \bhave(?:n't|nt|\ not)\ (?:had\ |touched\ |been\ |played\ |
    eaten\ )?(?:an?\ )?(?P<what5>\w+)(?:\ \w+){{0,2}}\ since\b
    | \bdo(?:n't|nt|\ not)\ (?P<what6>[\w'\ ]{{3,30}}?)\ any\ ?more\b
    | \bnot\ .*\bany\ ?more\b""",
    re.IGNORECASE | re.VERBOSE,
)
# It went, and stands before: "the Volvo has been scrapped", "Crete fell through", "me and Theo are over".
_GONE = re.compile(
    r"""(?:^|[,;]\ |\b(?:and|but|so|because|since)\ )(?:the\ |my\ |our\ |old\ |poor\ )*
    (?P<what>(?!i\b|it\b|that\b|this\b|there\b|what\b|he\b|she\b|they\b|you\b|which\b|who\b|
    and\b)[\w'-]+(?:\ [\w'-]+){0,2}?)
    (?:'s|\ is|\ are|\ was|\ were|\ has|\ have|\ got)?(?:\ now|\ just|\ finally|\ already|\ all|\ been)*\s
    (?:(?<=been\ )(?:collected|returned|stopped|closed)|sold|scrapped|towed|written\ off|stolen|given\ away|rehomed|
    had\ to\ be\ put\ (?:down|to\ sleep)|(?<=was\ )put\ (?:down|to\ sleep)|cancell?ed|called\ off|died|passed\ away|
    ran\ out|went\ on\ leave|moved\ away|retired|fell\ through|
    fallen\ through|gave\ up\ the\ ghost|bit\ the\ dust|
    packed\ (?:up|in)|(?:went|gone)\ (?:bust|to\ the\ (?:scrap\w*|dump|tip))|(?<=is\ )(?:off|gone|over|history|
    no\ more|finished|
    closed|dead)|(?<=are\ )(?:off|gone|over|finished|done|through)|(?<=has\ )(?:gone|retired|left)|(?<=was\ )(?:over|
    gone|finished|
    closed))(?=\s*(?:[,.;!?()]|$|\b(?:in|on|now|last|since|so|and|but|because|this|yesterday|at|to|after|btw|with|for)\b))
    | (?:^|\b(?:and|so|but)\ )(?:me\ and\ |i\ and\ )?(?P<what2>(?!we\b|they\b)[\w'-]+)(?:\ and\ (?:i|me))?\ (?:have\ |
    had\ )?(?:broke|broken|split)\ up
    | (?:^|\b(?:and|so|but)\ )(?P<what3>(?!he\b|she\b|they\b|who\b|it\b)[\w'-]+)\ (?:dumped|left|ditched)\ me\b
    | \bwe(?:'re|\ are|re)\ (?:done|over|finished|through)(?=\s*(?:[,.;!?()]|$|\bsince\b|\bnow\b|\bfor\ good\b))""",
    re.IGNORECASE | re.VERBOSE,
)


def ending(text: str) -> str | None:
    """What the text says is over, in its words; "" if it leaves open what; None if nothing is."""
    match = _LEFT.search(text)
    if match is None or not any(match.groups()):
        match = _GONE.search(text) or match
    if match is None:
        return None
    return next((part.strip() for part in match.groups() if part), "")
