"""Which messages of a conversation stand: where its client went back, and where its user rated an answer.

A message whose `metadata.parent` names a position follows that message, not the one before it: its client had an
answer made again, or changed a question. What stands is the branch that ends with the last message. An answer that was
made again is put before the one that took its place, as it would be in a log, unless it was a call of tools; the rest
of what was left is dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from atles.records import Feedback, Message, Rating, Session


def standing(messages: Sequence[Message], feedback: Mapping[int, Feedback] | None = None) -> list[Message]:
    """What is to be read of a session's messages, in order. `feedback` is by position."""
    stood = _with_made_again(messages)
    return _rated(stood, feedback) if feedback else stood


def branch(messages: Sequence[Message]) -> list[int]:
    """Where the messages are that lead to the last one, in order."""
    parents, path, at = _parents(messages), [], len(messages) - 1
    while at >= 0:
        path.append(at)
        at = parents[at]
    return path[::-1]


def without_left(session: Session) -> Session:
    """The session without the words of what was left; positions stay. The same object where nothing was."""
    messages, on_path = session.messages, set(branch(session.messages))
    if len(on_path) == len(messages):
        return session
    kept = (
        message if at in on_path or message.role == "system" else replace(message, raw={**message.raw, "content": ""})
        for at, message in enumerate(messages)
    )
    return replace(session, messages=tuple(kept))


def _with_made_again(messages: Sequence[Message]) -> list[Message]:
    path = branch(messages)
    if len(path) == len(messages):
        return list(messages)
    answers: dict[int, list[int]] = {}
    for at, parent in enumerate(_parents(messages)):
        if messages[at].role == "assistant":
            answers.setdefault(parent, []).append(at)
    on_path = set(path)
    stood = [message for at, message in enumerate(messages) if message.role == "system" and at not in on_path]
    for above, at in zip([-1, *path], path, strict=False):
        if messages[at].role == "assistant":
            stood += [messages[it] for it in answers[above] if it != at and not messages[it].tool_calls]
        stood.append(messages[at])
    return stood


def _parents(messages: Sequence[Message]) -> list[int]:
    return [_parent(message, at) for at, message in enumerate(messages)]


def _parent(message: Message, at: int) -> int:
    metadata = message.raw.get("metadata")
    parent = metadata.get("parent") if isinstance(metadata, Mapping) else None
    # It comes before its child, whatever somebody wrote there.
    return max(-1, min(parent, at - 1)) if type(parent) is int else at - 1


def _rated(messages: Sequence[Message], feedback: Mapping[int, Feedback]) -> list[Message]:
    """A better answer takes the place of the one that it was given for; a bad one goes, and its question with it.

    What is said of an answer that was made again does not count: it does not stand anyway.
    """
    stood: list[Message] = []
    for at, message in enumerate(messages):
        said = feedback.get(message.position) if message.role == "assistant" else None
        again = at + 1 < len(messages) and message.role == messages[at + 1].role
        if said is None or again:
            stood.append(message)
        elif said.rating is Rating.EDIT:
            stood += [message, replace(message, raw={**message.raw, "content": said.text})]
        elif said.rating is Rating.DOWN:
            _drop_exchange(stood)
        else:
            stood.append(message)
    return stood


def _drop_exchange(stood: list[Message]) -> None:
    """Take away the last question, with what its answer rested on."""
    for roles in (("assistant", "tool"), ("user",)):
        while stood and stood[-1].role in roles:
            stood.pop()
