"""What users say of answers, and what it means for recall. What is learned instead is for `pipeline.dataset`."""

from atles.pipeline.dataset import rejected_answers
from atles.pipeline.scrub import scrub_text
from atles.records import Feedback
from atles.store import Store
from atles.store.sessions import StoredSession


def note(store: Store, session_id: str, position: int, feedback: Feedback, level: str) -> StoredSession | None:
    """Note what was said of an answer, scrubbed; the session, where it is stored with that answer."""
    with store.transaction():
        store.feedback.put(session_id, position, Feedback(feedback.rating, scrub_text(feedback.text, level)[0]))
        stored = store.sessions.get(session_id) if store.sessions.holds(session_id) else None
        if stored is None or position >= len(stored.session.messages):
            return None  # its steps find it when it is
        store.sessions.lock(stored.user)
        turn_down(store, stored)
        return stored


def turn_down(store: Store, stored: StoredSession) -> None:
    """Let the session's answers that were corrected, made again or rated as bad be recalled no more, nor what was
    remembered in their words; and those that a later rating made good, again."""
    with store.transaction():
        rejected = set(rejected_answers(stored.session.messages, store.feedback.of_session(stored.session.session_id)))
        store.feedback.accept(stored.session.session_id)
        if not rejected:
            return
        store.memories.reject(rejected)
        rows = [row["rowid"] for row in store.sessions.message_rows(stored.number) if row["id"] in rejected]
        told = {it.id: it for found in store.memories.of_messages(rows).values() for it in found}
        for memory in told.values():
            if memory.said_by == "assistant" and not (memory.edited or memory.pinned):
                store.memories.delete(memory.id)
