"""What is remembered. One object per kind of thing, all on one database, so that a transaction can span them."""

from pathlib import Path

from atles.store.adapters import Adapters
from atles.store.database import Database
from atles.store.examples import Examples
from atles.store.feedback import FeedbackGiven
from atles.store.keys import Keys
from atles.store.logs import Logs
from atles.store.memories import Memories
from atles.store.sessions import Sessions
from atles.store.spending import Spending
from atles.store.turns import Turns
from atles.store.vectors import Vectors


class Store:
    """Everything that ATLES remembers about one home. Raises StoreError where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.transaction = self.database.transaction
        self.sessions = Sessions(self.database)
        self.turns = Turns(self.database)
        self.vectors = Vectors(self.database)
        self.spending = Spending(self.database)
        self.memories = Memories(self.database)
        self.examples = Examples(self.database)
        self.adapters = Adapters(self.database)
        self.logs = Logs(self.database)
        self.keys = Keys(self.database)
        self.feedback = FeedbackGiven(self.database)

    def close(self) -> None:
        self.database.close()
