"""Adapters, and the one pointer that says which of them serves."""

import json
from collections.abc import Sequence
from typing import Any

from atles.clock import timestamp
from atles.errors import PointerMoved, UnknownAdapter
from atles.records import Adapter, AdapterState, Verdict, canonical_json
from atles.store.database import Database, Row

BASE = ""  # in the pointer: no adapter, the base model serves


class Adapters:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, adapter: Adapter) -> None:
        """Record a candidate. Adding it again changes nothing."""
        self._db.run(
            "adapters.add",
            name=adapter.name,
            base=adapter.base,
            dataset_id=adapter.dataset_id,
            path=adapter.path,
            state=adapter.state,
            reason=adapter.reason,
            created_at=adapter.created_at,
            train=canonical_json(adapter.train),
        )

    def judge(self, name: str, verdict: Verdict) -> None:
        """Write the gate's verdict to a candidate."""
        state = AdapterState.PROMOTED if verdict.promote else AdapterState.REJECTED
        self._db.run(
            "adapters.judge",
            name=name,
            state=state,
            reason=verdict.reason,
            verdict=canonical_json(verdict.as_json()),
        )

    def retire(self, name: str, reason: str) -> None:
        """It may never serve again."""
        self._db.run("adapters.retire", name=name, reason=reason)

    def get(self, name: str) -> Adapter:
        row = self._db.row("adapters.get", name=name)
        if row is None:
            raise UnknownAdapter(f"there is no adapter {name!r}; `atles adapters` lists them")
        return _adapter(row)

    def list(self) -> Sequence[Adapter]:
        """All adapters, oldest first."""
        return [_adapter(row) for row in self._db.rows("adapters.list")]

    def trained_on(self, session_id: str) -> Adapter | None:
        """The latest judged adapter that saw an example of the session."""
        row = self._db.row("adapters.trained_on", session_id=session_id)
        return _adapter(row) if row else None

    def that_saw(self, session_id: str) -> Sequence[str]:
        """The names of all adapters that saw an example of the session, oldest first."""
        return [row["name"] for row in self._db.rows("adapters.that_saw", session_id=session_id)]

    def active(self) -> tuple[int, str]:
        """The pointer: its version and the name of the adapter that serves (BASE: none)."""
        row = self._db.row("adapters.active")
        return (row["seq"], row["adapter"]) if row else (0, BASE)

    def point(self, adapter: str, action: str, reason: str, expected: int) -> None:
        """Move the pointer if its version is still `expected` (compare-and-set). Raises PointerMoved if it is not."""
        if not self._db.run(
            "adapters.point", adapter=adapter, action=action, reason=reason, at=timestamp(), expected=expected
        ):
            raise PointerMoved(
                "another process changed the active adapter meanwhile; look at `atles adapters`, try again"
            )

    def releases(self) -> Sequence[dict[str, Any]]:
        """Every move of the pointer, newest first."""
        return [dict(row) for row in self._db.rows("adapters.releases")]


def _adapter(row: Row) -> Adapter:
    return Adapter(
        row["name"],
        row["base"],
        row["dataset_id"],
        row["path"],
        AdapterState(row["state"]),
        row["reason"],
        row["created_at"],
        json.loads(row["train"]),
        json.loads(row["verdict"]) if row["verdict"] else None,
    )
