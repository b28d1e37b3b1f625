"""Requests to forget: that there is one, and what it is about."""

import re
from collections.abc import Sequence

from atles.records import ForgetRequest

_THING = (
    r"(?:what|everything|anything|all|the\ (?:thing|things|part|bit|stuff|item|matter|business|story|episode|news|note|"
    r"information|info|details?|conversation|chat)|that|whatever|stuff|things)"
)
_TOLD = (
    r"(?:(?:that\ |which\ |of\ what\ )?(?:i|we)(?:'ve|\ have|\ had|ve)?\ (?:just\ |ever\ |once\ )?"
    r"(?:told|said|mentioned|wrote|shared|typed|gave|confessed|admitted)(?:\ (?:to\ )?(?:you|"
    r"u))?(?:\ (?:before|earlier|last\ time|yesterday))?)"
)
_ABOUT = r"(?:about|on|regarding|concerning|re|of|around)"
_FORGET = re.compile(
    rf"""(?:
      (?P<verb>(?<!don't\ )(?<!dont\ )(?<!not\ )(?<!never\ )(?<!to\ not\ )\b(?:forget|erase|delete|remove|scrap|
    wipe|unlearn|unremember|drop|discard|scratch|strike)
         (?:\ (?:from|out\ of)\ (?:your\ )?(?:memory|records?|notes?))?)\b
      (?:\ (?:right\ now|please|pls|completely|entirely))*\ ?
      (?:
        (?:{_THING}\ )?{_TOLD}(?:\ {_ABOUT})?\ ?(?P<told>[^.!?;\n]*)
      | (?:{_THING}\ )(?:you\ (?:know|remember|have|stored|saved|learned|noted)\ )?{_ABOUT}\ (?P<about>[^.!?;\n]+)
      | (?:that|the\ fact\ that)\ (?P<fact>(?:i|i'm|im|my|we|our|she|he|they)\b[^.!?;\n]+)
      | (?P<that>(?:all\ (?:of\ )?)?(?:that|this|it\ all|what\ i\ (?:just\ )?said|my\ last\ message|
    the\ last\ (?:thing|message|bit)|those\ things)\b(?P<rest>[^.!?;\n]*))
      | {_ABOUT}\ (?P<of>[^.!?;\n]+)
      | (?P<noun>(?:my|our)\ [^.!?;\n]+)
      )
    | \b(?:do\ not|don'?t|never|please\ don'?t)\ (?:you\ )?(?:ever\ )?(?:remember|keep|store|save|record|
    memori[sz]e|note|retain|hold\ on\ to|write\ down)\b\ ?
      (?:any\ of\ )?(?P<kept>[^.!?;\n]*)
    | \b(?P<off>(?:this|that|what\ i\ (?:just\ )?(?:said|told\ you))(?:'s|\ is|\ stays|
    s)?\ (?:strictly\ )?(?:off\ the\ record|not\ for\ (?:your\ )?memory))
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LEAVE_OUT = re.compile(
    r"^(?:that|this|it|all|any|these|those|anything|everything|them|what i (?:just )?(?:said|told "
    r"you))?\b[\s,]*(?:please|pls|ok|okay|in your memory|anywhere|either|"
    r"about me|thing|now|again|anymore|any more)*$",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r"(?:,?\s+(?:please|pls|plz|thanks|thank you|ok|okay|again|anymore|any more|if you (?:can|would|"
    r"could)|will you|would you|for good|completely|"
    r"entirely|altogether))+$|,?\s+(?:because|since|as|bc|cuz|,?\s*it'?s|it is|i don'?t|i do not|she "
    r"would|he would|,\s*i)\b.*$|,\s.*$",
    re.IGNORECASE,
)
_OUT_OF = re.compile(
    r"\b(?:forget|erase|delete|remove|wipe|scrap|take|strike|keep|leave|drop|clear) "
    r"(?P<about>[^.!?;\n]{2,80}?) (?:off|from|out of|in none of) (?:your |the |any )?(?:memory|memories|"
    r"records?|notes?)\b",
    re.IGNORECASE,
)
_NOT_KEEP = re.compile(
    r"""(?:\b(?:please|pls|could\ you|can\ you|would\ you|ask\ you\ to|
    want\ you\ to)\ (?:please\ )?(?:not\ (?:to\ )?|do\ not\ |don't\ )(?:remember|keep|store|save|retain|record)
    |\b(?:rather|prefer(?:\ it)?\ if|happier\ if|better\ if)\ (?:you|u)\ (?:didn't|did\ not|don't|
    do\ not)\ (?:remember|keep|store|save|retain|record)
    |\bpretend\ (?:that\ )?i\ (?:never|didn't)\ (?:tell|told|say|said|mention|mentioned)
    |\b(?:please|pls|can\ you|could\ you|kind\ as\ to|to|you\ to)?\ ?(?:forget|unlearn|erase|
    delete)(?=\ (?:the\ (?:thing|things|bit|part|story|stuff|business)|what\ i)\b))
    \ (?:you\ )?(?:(?:what|anything|everything|the\ (?:thing|things|bit|part|story|stuff|
    business))\ (?:(?:that\ )?i\ (?:told\ you|told\ u|said|mentioned)\ )?)?(?:anything\ )?(?:about|on|of|with|
    regarding)\ (?P<about>[^.!?;\n]{2,80})""",
    re.IGNORECASE | re.VERBOSE,
)
# "the thing about my ex that I told you, please drop it"
_BACKWARDS = re.compile(
    r"""\b(?:(?:the|that)\ (?:thing|things|stuff|story|business|part|bit)|what|everything|all\ that)\ (?:i\ (?:told|
    said)\ (?:you\ |u\ )?)?about\ (?P<topic>[^.!?;\n,]{2,60}?)
    (?:,?\ (?:that\ |which\ )?(?:i|we)\ (?:told|said|mentioned|shared)[^,;.!?\n]{0,40})?,?\ (?:so\ |
    and\ )?(?:(?:please|pls|plz|can\ you|could\ you|you\ can|just)\ (?:please\ )?(?:drop|delete|erase|scrap|remove)|
    (?:please\ |pls\ |just\ )?(?:forget|drop\ it|delete\ it|scrap\ it|erase\ it)|please\ (?:drop|forget|delete|
    erase|scrap|remove|don't\ (?:keep|remember|store)))\b""",
    re.IGNORECASE | re.VERBOSE,
)
# "In May I told you about my brother's debts. Please forget it": what is meant stands in another sentence.
_I_TOLD = re.compile(
    r"\bi(?:'ve|\ have|\ had|ve)?\ (?:\w+\ )?(?:told|said|mentioned|confessed|confided|admitted|shared|wrote)\b",
    re.IGNORECASE | re.VERBOSE,
)
_PLEASE_FORGET_IT = re.compile(r"\b(?:please|pls|do|you|you to) forget (?:about )?(?:it|that|them)\b", re.IGNORECASE)
# "forget about that casino business I told you"
_THEN_TOLD = re.compile(
    r"\b(?:forget|delete|erase|drop|remove|wipe|scrap)(?: about)? "
    r"(?P<about>(?:the|that|those|my|our) [^.!?;\n]{2,80}?),? "
    r"(?:which |that )?i(?:'ve| have| had)? (?:told|mentioned|said|wrote|shared|confessed)\b",
    re.IGNORECASE,
)
_ABOUT_IT = re.compile(rf"^.*\b{_ABOUT}\s+(?=\S+)", re.IGNORECASE)
_AFFAIR = re.compile(
    r"\b(?:forget|delete|erase|wipe|remove|drop) (?:about )?(?:that|this|the) (?:whole |entire )?"
    r"(?:affair|story|business|matter|episode|chapter|topic|subject)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+")
_POINTS_BACK = re.compile(
    r"(?:about |it|that|this|them|all|of|those|these|a thing|something|again|anywhere|please|the|whole|entire|affair|"
    r"story|business|matter|episode|chapter|topic|subject|[\s,])*",
    re.IGNORECASE,
)
# "remove what I said from the letter" is about a text at hand; "forget it, let's go on" is a never mind.
_OF_A_TEXT = re.compile(
    r"\b(?:from|in|out of) (?:the|this|that|my) (?:letter|text|email|draft|list|code|file|message|note|"
    r"table|paragraph|essay|cart|basket|page)\b",
    re.I,
)
_ITEMS = re.compile(
    r"^(?:my |our )?(?:keys?|umbrella|appointment|lunch|homework|birthday|wallet|phone)\b", re.IGNORECASE
)
_NOT_ME = re.compile(
    r"\b(?:i|he|she|they|we|you|people|always|often|will|'ll|might|could|would|did|to|cannot|can't|never)\s+$",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:can|could|would|will|want|like|need|ask|rather|please|pls|should like|kind|glad|beg)\b[^.!?\n]{0,20}$",
    re.IGNORECASE,
)


def forgets(texts: Sequence[tuple[int, str]]) -> list[ForgetRequest]:
    """The user's requests, in order. `texts` are (position, text) of the user's messages, quotations blanked out."""
    found: list[ForgetRequest] = []
    for position, text in texts:
        request = _request(text)
        if request is None and (_PLEASE_FORGET_IT.search(text) or _AFFAIR.search(text)):
            request = _told_elsewhere(text) or None
        if request is not None:
            about = _told_elsewhere(text) if _POINTS_BACK.fullmatch(request) else request
            found.append(ForgetRequest(position, about))
    return found


def _told_elsewhere(text: str) -> str:
    """What the message says was told before, or what it speaks of right before it asks to forget "that whole affair";
    "" if neither."""
    text = text.replace("’", "'")
    if told := next((it for it in _SENTENCE.findall(text) if _I_TOLD.search(it)), None):
        return _ABOUT_IT.sub("", told).strip()
    affair = _AFFAIR.search(text)
    before = _SENTENCE.findall(text[: affair.start()]) if affair else []
    return next((it.strip() for it in reversed(before) if len(it.split()) > 2), "")


def _request(text: str) -> str | None:
    text = text.replace("’", "'")
    if match := _OUT_OF.search(text):
        about = re.sub(
            r"^(?:what|everything|anything|all|the (?:thing|things|part|bit|story|stuff))\s+(?:(?:that )?i "
            r"(?:told you|told u|said|mentioned|wrote)\s+)?(?:about|on|of|with|regarding)\s+",
            "",
            match["about"],
            flags=re.I,
        )
        return (
            ""
            if re.fullmatch(r"(?:that|this|it|all(?: of (?:that|this|it))?|everything|them|those)", about, re.I)
            else about.strip(" ,")
        )
    if (match := _NOT_KEEP.search(text)) and (about := _TRAIL.sub("", match["about"].strip(" ,"))):
        return about
    if (match := _THEN_TOLD.search(text)) and not _OF_A_TEXT.search(match.group()):
        return match["about"].strip(" ,")
    if match := _BACKWARDS.search(text):
        return _TRAIL.sub("", match["topic"].strip(" ,"))
    for match in _FORGET.finditer(text):
        before = text[max(0, match.start() - 40) : match.start()]
        if match["verb"] and _NOT_ME.search(before) and not _ASKS.search(before):
            continue
        if re.search(r"\b(?:don't|do not|dont|never|didn't) (?:want|wish|need)\b[^.!?]*$", before, re.I):
            continue
        if (
            match["of"]
            and not re.match(r"(?:my|our|me|us|what|the fact|[A-Z])", match["of"])
            and not re.search(r"\b(?:saved?|stored?|memory|remember|private|records?|kept)\b", text, re.I)
        ):
            continue  # "forget about the sauce"
        if _OF_A_TEXT.search(match.group()):
            continue
        if (
            match["verb"]
            and match["verb"].lower() not in ("forget", "unlearn", "unremember")
            and not (match["told"] is not None or match["about"] or match["fact"])
        ):
            continue  # "delete this paragraph", "drop my sister a line"
        if match["noun"] is not None and (
            _ITEMS.match(match["noun"])
            or not re.search(r"\b(?:please|pls|you to|can you|could you|u)\b", before + match["noun"], re.I)
        ):
            continue
        if match["that"] is not None and match["rest"] and not _LEAVE_OUT.match(match["rest"].strip()):
            rest = re.match(
                rf"\s*(?:thing|part|bit|stuff|story|business|whole thing)?\s*{_ABOUT}\s+(.+)", match["rest"], re.I
            )
            if rest:
                return _TRAIL.sub("", rest[1].strip())
            if not re.match(r"\s*(?:,|because|since|as|it|i\b|please|part|bit|one|thing|last)", match["rest"], re.I):
                continue
            return ""
        if match["kept"] is not None:
            kept = match["kept"].strip(" ,")
            if re.search(
                r"\b(?:don'?t|do not) (?:remember|note|record|save|store|keep)\b", before + match.group(), re.I
            ) and re.search(r"\b(?:i|we|they|you|u|she|he|people)\s+$", before, re.I):
                continue  # "I don't remember"
            if kept and _LEAVE_OUT.match(kept):
                return ""
            told = re.match(
                rf"(?:{_THING}\ )?{_TOLD}(?:\ {_ABOUT})?\ ?(.*)".replace("\\ ", r"\s"), kept, re.I
            ) or re.match(rf"(?:this|that|anything|{_THING})\s{_ABOUT}\s(.+)".replace("\\ ", r"\s"), kept, re.I)
            if told:
                return _TRAIL.sub("", told[1].strip(" ,"))
            if re.match(r"(?:that|the fact that)\s+(?:i|my|we)\b", kept, re.I):
                return _TRAIL.sub("", re.sub(r"^(?:the fact )?that\s+", "", kept, flags=re.I))
            continue
        about = match["told"] or match["about"] or match["fact"] or match["of"] or match["noun"] or ""
        return _TRAIL.sub("", about.strip(" ,"))
    return None
