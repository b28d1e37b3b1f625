"""Model servers behind one small interface."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

Chat = Sequence[Mapping[str, str]]  # messages in the OpenAI form: role and content


class ChatModel(Protocol):
    """A base model with or without an adapter that answers, greedily."""

    def answer(self, chats: Sequence[Chat]) -> Sequence[str]:
        """The answers to independent chats, in order. Raises AtlesError."""
        ...

    def stream(self, chat: Chat, on_text: Callable[[str], None]) -> str:
        """One answer, piece by piece and as a whole. Raises AtlesError."""
        ...

    def close(self) -> None:
        """Free what the model holds."""
        ...
