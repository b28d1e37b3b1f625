"""A session, message by message: what each reader finds in it, and what they must not see. Pure functions."""

from collections import Counter
from dataclasses import dataclass, field, replace

from atles.pipeline.extract import guards
from atles.pipeline.extract.answers import answer, asked_of_the_user
from atles.pipeline.extract.contrast import contrasts
from atles.pipeline.extract.corrections import correction
from atles.pipeline.extract.facts import Reader
from atles.pipeline.extract.forget import forgets
from atles.pipeline.extract.preferences import preferences
from atles.pipeline.extract.procedures import procedure
from atles.pipeline.extract.questions import questions
from atles.pipeline.extract.reading import BLANK, Sentence, blanked, sentences, spoken
from atles.pipeline.extract.roles import roles
from atles.pipeline.extract.summary import summary
from atles.pipeline.extract.topics import topics
from atles.records import Claim, Extraction, MemoryType, Session


@dataclass(slots=True)
class _Said:
    """One message of the user's: its text, what of it is their own, and what the assistant had said before it."""

    position: int
    text: str
    plain: str
    before: str = ""
    before_at: int = -1
    asked: str = ""  # the last sentence of the user before the assistant's message


@dataclass(slots=True)
class _Found:
    reader: Reader = field(default_factory=Reader)
    refused: Counter[str] = field(default_factory=Counter)
    kept: list[Sentence] = field(default_factory=list)  # sentences that no guard refused


def read(session: Session, limit: int) -> Extraction:
    """Everything that a session yields; `limit` is how many key phrases."""
    found = _Found()
    messages = _own_words(session, found)
    requests = forgets([(said.position, said.plain) for said in messages])
    silent = {request.message for request in requests}
    claims: list[Claim] = []
    last: list[Claim] = []
    asked = ""
    for said in messages:
        parts = sentences(said.position, said.text, said.plain)
        if parts and last and guards.takes_back(parts[0]):
            claims = [claim for claim in claims if claim not in last]
            found.refused["joke"] += 1
        if said.position in silent or not said.plain.strip(BLANK):
            last, asked = [], ""
            continue
        said.asked = asked
        last = _message(said, parts, found)
        claims += last
        asked = parts[-1].text if parts else ""
    claims += _wishes(session, [said for said in messages if said.position not in silent], claims)
    claims = _once(_without_wishes(claims))
    claims += questions(session.messages, [s for s in found.kept if s.asked], [s for s in found.kept if not s.asked])
    claims += summary(found.kept, claims)
    claims += topics(
        session.messages, limit, {said.position: "" if said.position in silent else said.plain for said in messages}
    )
    found.refused.update(found.reader.refused)
    return Extraction(tuple(claims), tuple(requests), {why: count for why, count in found.refused.items() if count})


def _own_words(session: Session, found: _Found) -> list[_Said]:
    """The user's messages, without quotations and play."""
    play = guards.Play()
    answers = {message.position: message.text for message in session.messages if message.role == "assistant"}
    messages: list[_Said] = []
    for position, text in spoken(session.messages):
        plain = blanked(text)
        found.refused["quotation"] += BLANK in plain
        plain, cut = play.cut(plain)
        found.refused["role play"] += cut
        said = _Said(position, text, plain.ljust(len(text), BLANK))
        since = messages[-1].position if messages else -1
        said.before_at = next((at for at in range(position - 1, since, -1) if at in answers), -1)
        said.before = answers.get(said.before_at, "")
        messages.append(said)
    return messages


def _message(said: _Said, parts: list[Sentence], found: _Found) -> list[Claim]:
    """Rules, corrections, answers and facts of one message."""
    claims: list[Claim] = []
    rule = procedure(said.position, said.text, said.plain)
    if rule is not None and not guards.SECRET.search(rule[0].text):
        claims.append(rule[0])
        start, end = rule[1]
        parts = sentences(said.position, said.text, said.plain[:start] + BLANK * (end - start) + said.plain[end:])
    open_ = [part for part in parts if not guards.SECRET.search(part.text)]
    found.refused["secret"] += len(parts) - len(open_)
    found.kept += [
        part
        for part in open_
        if BLANK not in part.plain and not guards.joke(part) and not guards.opens_hypothesis(part.plain)
    ]
    put_right = correction(open_, said.before, said.asked) if said.before else None
    if put_right is not None:
        claims.append(put_right)
    elif said.before and open_ and (question := asked_of_the_user(said.before)):
        reply = answer(question, said.before_at, open_[0])
        if reply is not None and {"i", "we", "my", "our"}.isdisjoint(open_[0].words[:6]):
            claims.append(reply)
    told = [claim.text.casefold() for claim in claims]
    facts = _with_roles(_with_contrasts(found.reader.read(open_), contrasts(open_)), roles(open_))
    facts = [fact for fact in facts if not any(fact.text.casefold() in text for text in told)]
    return claims + [fact for fact in facts if put_right is None or not _repeats(fact, put_right)]


def _with_contrasts(facts: list[Claim], contrasts: list[Claim]) -> list[Claim]:
    """The facts; of what says what is so no more, only what is so, knowing what that is."""
    for contrast in contrasts:
        said = contrast.text.casefold().partition(": ")[2] or contrast.text.casefold()
        same = [fact for fact in facts if said in fact.text.casefold() or fact.text.casefold() in said]
        slot = next((fact.slot for fact in same if fact.slot), "")
        value = next((fact.value for fact in same if fact.slot), "")
        facts = [fact for fact in facts if fact not in same] + [replace(contrast, slot=slot, value=value)]
    return facts


def _with_roles(facts: list[Claim], roles: list[Claim]) -> list[Claim]:
    """The facts, each with what it says somebody or something is; and the roles that none of them says."""
    for role in roles:
        at = next((at for at, fact in enumerate(facts) if _says_role(fact, role)), None)
        if at is None:
            facts.append(role)
        elif not facts[at].slot or facts[at].slot == role.slot:
            facts[at] = replace(facts[at], slot=role.slot, value=role.value, changed=facts[at].changed or role.changed)
    return facts


def _says_role(fact: Claim, role: Claim) -> bool:
    text = fact.text.casefold()
    return not fact.ended and role.value in text and role.slot.partition(".")[0] in text


def _wishes(session: Session, messages: list[_Said], claims: list[Claim]) -> list[Claim]:
    """The preferences, but for those that are part of a rule or hold a secret."""
    rules = [claim for claim in claims if claim.type is MemoryType.PROCEDURE]
    return [
        wish
        for wish in preferences(session.messages, [(said.position, said.text, said.plain) for said in messages])
        if not any(wish.messages == rule.messages and wish.text[:30] in rule.text for rule in rules)
        and not guards.SECRET.search(wish.text)
    ]


def _without_wishes(claims: list[Claim]) -> list[Claim]:
    """No fact that only repeats what the same message asks for."""
    wishes = [(c.messages[0], c.text.casefold()) for c in claims if c.type is MemoryType.PREFERENCE]
    return [
        claim
        for claim in claims
        if claim.type is not MemoryType.FACT
        or not any(
            at == claim.messages[0] and (claim.text.casefold() in text or text in claim.text.casefold())
            for at, text in wishes
        )
    ]


def _repeats(fact: Claim, put_right: Claim) -> bool:
    """Whether a fact says what the correction says, or what it says is wrong."""
    text, right = fact.text.casefold(), put_right.text.casefold()
    if text in right or right in text:
        return True
    return bool(put_right.replaces) and put_right.replaces.casefold() in text


def _once(claims: list[Claim]) -> list[Claim]:
    """Each claim once."""
    found: dict[tuple[MemoryType, str], Claim] = {}
    for claim in claims:
        found.setdefault((claim.type, claim.text.casefold()), claim)
    return list(found.values())
