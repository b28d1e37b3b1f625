"""Examples with memory in the prompt, as it will stand there later: a small model has to learn to read it.

Of some taught facts, the question is put after what `recall` finds for it; and some questions on what was never said,
with the answer that it was not told. Made when a training begins, of what is remembered then.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from atles.pipeline.memory import MemoryProcessor, with_memory
from atles.pipeline.teach import not_told
from atles.records import Example, Recalled, content_id

NOT_TOLD = "You have not told me that."
T = TypeVar("T")
_RECALLED, _TOKENS = 4, 160  # less than is put before a question later: it has to be trained on


def prompted(memory: MemoryProcessor, train: Sequence[Example], most: int) -> list[Example]:
    """At most `most` examples, one in five of them on what was never said; the same for the same memory."""
    facts: dict[str, Example] = {}
    for example in sorted(train, key=lambda it: it.id):
        if example.kind == "restated" and example.alone:
            facts.setdefault(example.output, example)
    found: list[Example] = []
    for example in _spread(facts.values(), most - most // 5):
        user = memory.store.sessions.get(example.session_id).session.user
        hits = memory.recall(example.instruction, _RECALLED, _TOKENS, user)
        if any(hit.message_id == example.message_id for hit in hits):
            found.append(_answered(example, example.instruction, example.output, hits))
    if found:
        one = found[0]
        user = memory.store.sessions.get(one.session_id).session.user
        number = memory.store.sessions.user(user)
        known = memory.store.memories.of_user(number, ended=True) if number is not None else ()
        for question in _spread(not_told(known), most // 5):
            hits = memory.recall(question, _RECALLED, _TOKENS, user)
            if hits:
                found.append(_answered(one, question, NOT_TOLD, hits))
    return found


def _answered(source: Example, question: str, answer: str, hits: Sequence[Recalled]) -> Example:
    messages = (*with_memory(question, hits), {"role": "assistant", "content": answer})
    return Example(source.session_id, source.message_id, "restated", question, answer, messages)


def _spread(items: Iterable[T], most: int) -> list[T]:
    """At most so many, in an order that has nothing to do with theirs."""
    return sorted(items, key=lambda it: content_id(getattr(it, "id", it)))[:most]
