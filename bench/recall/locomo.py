"""Recall as the public scorer asks for it: a conversation is a user of one store, and is asked through
`MemoryProcessor.recall`.

    python ../shared/bench/locomo_recall.py ../shared/data/locomo10.json bench.recall.locomo:Retriever

For a conversation of LoCoMo the weights are those that were learned without it (`locomo_weights.json`); for any other
conversation they are the ones that ship.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from atles.pipeline.memory import MemoryProcessor
from atles.serving.embedder import Embedder
from bench.recall.data import conversation_sessions

_WEIGHTS = Path(__file__).with_name("locomo_weights.json")


class Retriever:
    """One conversation; all of them share a temporary store, each as a user of its own."""

    minilm = False
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _memory: MemoryProcessor

    def index(self, conversation: dict[str, Any]) -> None:
        kind = type(self)
        if kind.__dict__.get("_folder") is None:
            kind._folder = tempfile.TemporaryDirectory()
            embedder = Embedder(Path(kind._folder.name) / "embed") if self.minilm else None
            kind._memory = MemoryProcessor(Path(kind._folder.name) / "atles.db", embedder=embedder)
        self._user = str(conversation["id"])
        sessions, places = conversation_sessions(conversation, self._user)
        self._memory.index(sessions)
        while self._memory.embed_pending(512):
            pass
        ids = {place: dialog for dialog, place in places.items()}
        self._dialogs = {
            message.id: ids[session["session_id"], message.position]
            for session in sessions
            for message in self._memory.store.sessions.get(session["session_id"]).session.messages
        }
        known = json.loads(_WEIGHTS.read_text("utf-8"))["cosine" if self.minilm else "words"]
        self._weights = known.get(self._user)

    def search(self, question: str, k: int) -> list[str]:
        self._memory.weights = self._weights
        return [self._dialogs[hit.message_id] for hit in self._memory.recall(question, k, user=self._user)]


class RetrieverMiniLM(Retriever):
    """The same, ordered by meaning, too (`pip install 'atles[embed]'`)."""

    minilm = True
