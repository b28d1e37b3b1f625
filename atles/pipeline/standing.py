"""Which messages of a conversation stand: where its client went back, and where its user rated an answer.

A message whose `metadata.parent` names a position follows that message, not the one before it: its client had an
answer made again, or changed a question. What stands is the branch that ends with the last message. An answer that was
made again is put before the one that took its place, as it would be in a log; the rest of what was left is dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from atles.records import Feedback, Message, Rating


def standing(messages: Sequence[Message], feedback: Mapping[int, Feedback] | None = None) -> list[Message]:
    """What is to be read of a session's messages, in order. `feedback` is by position."""
    stood = _branch(messages)
    return _rated(stood, feedback) if feedback else stood


def _branch(messages: Sequence[Message]) -> list[Message]:
    parents = [_parent(message) for message in messages]
    if all(parent == position - 1 for position, parent in enumerate(parents)):
        return list(messages)
    path, at = [], len(messages) - 1
    while at >= 0:
        path.append(at)
        at = min(parents[at], at - 1)  # a parent comes before its child, whatever somebody wrote there
    stood: list[Message] = [
        message for message in messages if message.role == "system" and message.position not in path
    ]
    for at in reversed(path):
        if messages[at].role == "assistant":
            stood += [
                other
                for other in messages
                if other.role == "assistant" and other.position != at and parents[other.position] == parents[at]
            ]
        stood.append(messages[at])
    return stood


def _parent(message: Message) -> int:
    metadata = message.raw.get("metadata")
    parent = metadata.get("parent") if isinstance(metadata, Mapping) else None
    return parent if type(parent) is int else message.position - 1


def _rated(messages: Sequence[Message], feedback: Mapping[int, Feedback]) -> list[Message]:
    """A better answer takes the place of the one that it was given for; a bad one goes, and its question with it."""
    stood: list[Message] = []
    for message in messages:
        said = feedback.get(message.position) if message.role == "assistant" else None
        if said is not None and said.rating is Rating.EDIT:
            stood += [message, replace(message, raw={**message.raw, "content": said.text})]
        elif said is not None and said.rating is Rating.DOWN:
            while stood and stood[-1].role == "user":
                stood.pop()
        else:
            stood.append(message)
    return stood
