"""What is remembered. One object per kind of thing, all on one database, so that a transaction can span them."""

from pathlib import Path

from atles.errors import AtlesError, Unusable
from atles.layout import Home
from atles.settings import Settings
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
    """Everything that ATLES remembers, in a database; a path is a SQLite file. Raises StoreError where it cannot be
    opened."""

    def __init__(self, database: Database | Path) -> None:
        if isinstance(database, Path):
            from atles.store.sqlite import SQLite

            database = SQLite(database)
        self.database = database
        self.transaction = database.transaction
        self.sessions = Sessions(database)
        self.turns = Turns(database)
        self.vectors = Vectors(database)
        self.spending = Spending(database)
        self.memories = Memories(database)
        self.examples = Examples(database)
        self.adapters = Adapters(database)
        self.logs = Logs(database)
        self.keys = Keys(database)
        self.feedback = FeedbackGiven(database)

    def close(self) -> None:
        self.database.close()


def existing_store(home: Home, settings: Settings) -> Store:
    """The same, of a home that exists: looking at one never makes one. Raises AtlesError."""
    if not (settings.store.url or home.database.exists() or home.migrated.exists()):
        raise AtlesError(
            f"there is no ATLES home at {home.root}; choose another with --home, or make this one with `atles start`"
        )
    return open_store(home, settings)


def open_store(home: Home, settings: Settings) -> Store:
    """The store that the settings name: PostgreSQL, or the home's SQLite file. Raises StoreError, also for one that a
    home is being moved to, or was moved away from."""
    if not settings.store.url:
        if home.migrated.exists() and not home.database.exists():
            raise Unusable(
                f"{home.database} was moved to PostgreSQL",
                "let store.url, or ATLES_STORE_URL, say where that is; docs/operations.md says how to go back",
            )
        return Store(home.database)
    from atles.store.postgresql import PostgreSQL  # its driver takes megabytes
    from atles.store.transfer import check  # it needs Store

    return check(Store(PostgreSQL(settings.store.url, settings.store.schema)))
