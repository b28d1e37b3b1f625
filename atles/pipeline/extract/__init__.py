"""What a session says, found without a model: facts, preferences, corrections, rules, open questions, key phrases.

Pure functions on messages. Precision comes before recall: a false memory is worse than none.
"""

from typing import Protocol

from atles.records import Extraction, Session

__all__ = ["Extractor", "RuleExtractor"]


class Extractor(Protocol):
    """Whatever reads a session into claims."""

    def extract(self, session: Session) -> Extraction: ...


class RuleExtractor:
    """Reads English by rules, in milliseconds. `topics` is how many key phrases it keeps."""

    def __init__(self, topics: int = 8) -> None:
        self._topics = topics

    def extract(self, session: Session) -> Extraction:
        # Half a second of patterns to compile: who only asks for the status does not wait for it.
        from atles.pipeline.extract.session import read

        return read(session, self._topics)
