"""How many tokens a model server was asked for today. Knows days and numbers."""

from datetime import UTC, datetime, timedelta

from atles.clock import now
from atles.store.database import Database


class Spending:
    def __init__(self, database: Database) -> None:
        self._db = database

    def spent(self) -> int:
        """Tokens of today (UTC)."""
        row = self._db.row("spending.of", day=_today())
        return row["tokens"] if row else 0

    def spend(self, tokens: int) -> None:
        """Count more; below zero where less was used than was put aside."""
        self._db.run("spending.add", day=_today(), tokens=tokens)

    def resets_in(self) -> float:
        """Seconds until another day begins."""
        tomorrow = datetime.combine(now().date() + timedelta(days=1), datetime.min.time(), UTC)
        return (tomorrow - now()).total_seconds()


def _today() -> str:
    return now().date().isoformat()
