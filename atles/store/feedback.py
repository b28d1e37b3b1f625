"""What users said of answers: good, bad, or what would have been right."""

import json
from collections.abc import Mapping, Sequence

from atles.clock import timestamp
from atles.records import Feedback, Rating
from atles.store.database import Database


class FeedbackGiven:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, session_id: str, position: int, feedback: Feedback) -> None:
        """Note it; what was said of the answer before is replaced. The session may still be on its way."""
        self._db.run(
            "feedback.put",
            session_id=session_id,
            position=position,
            rating=feedback.rating,
            text=feedback.text,
            at=timestamp(),
        )

    def remove(self, messages: Sequence[int]) -> None:
        """Take out what was said of these messages (rowids)."""
        self._db.run("feedback.remove", rowids=json.dumps(messages))

    def accept(self, session_id: str) -> None:
        """Let the answers that were rated count as good; who knows of a bad one says so afterwards."""
        self._db.run("feedback.accept", session_id=session_id)

    def answer(self, message_id: str) -> tuple[str, int] | None:
        """The session and position of a stored message, by its id."""
        row = self._db.row("feedback.answer", id=message_id)
        return (row["session_id"], row["position"]) if row else None

    def of_session(self, session_id: str) -> Mapping[int, Feedback]:
        """By the position of the answer."""
        rows = self._db.rows("feedback.of_session", session_id=session_id)
        return {row["position"]: Feedback(Rating(row["rating"]), row["text"]) for row in rows}
