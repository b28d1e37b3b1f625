"""What an answer can come from: memories put before its question, and examples that the adapter has seen."""

from typing import Any

from atles.pipeline.memory import MemoryProcessor
from atles.store.adapters import BASE


def why(memory: MemoryProcessor, question: str, user: str | None = None) -> dict[str, Any]:
    """The memories and the learned examples that bear on a question. Raises AtlesError where it is not clear whose.

    What an example taught counts only if the adapter that serves has seen it.
    """
    store, settings = memory.store, memory.settings.memory
    hits = memory.recall(question, settings.recall, settings.recall_tokens, user)
    _, active = store.adapters.active()
    learned = store.examples.lineage(store.adapters.get(active).dataset_id) if active != BASE else []
    said = {hit.message_id for hit in hits}
    sessions = {hit.session_id for hit in hits}
    known = {it["example_id"] for it in learned}
    taught = [
        {"id": it.id, "session_id": it.session_id, "message_id": it.message_id, "ask": it.instruction,
         "answer": it.output}
        for name in sorted(sessions - {""})
        for it in store.examples.of_session(name)
        if it.id in known and it.message_id in said
    ]  # fmt: skip
    return {
        "question": question,
        "model": active or "base",
        "memories": [
            {"memory_id": hit.memory_id, "session_id": hit.session_id, "message_id": hit.message_id, "kind": hit.kind,
             "text": hit.text, "why": list(hit.why)}
            for hit in hits
        ],
        "examples": taught,
    }  # fmt: skip
