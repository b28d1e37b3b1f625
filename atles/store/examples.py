"""What is learned from: examples, and the datasets that trainings took of them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from atles.clock import timestamp
from atles.records import Dataset, Example, Split, canonical_json
from atles.store.database import Database, Row


class Examples:
    def __init__(self, database: Database) -> None:
        self._db = database

    def replace(self, session_id: str, examples: Iterable[Example]) -> int:
        """Make these the session's examples; how many are new.

        One that is no longer among them is withdrawn, not deleted: an adapter may have seen it.
        """
        with self._db.transaction():
            at = timestamp()
            known = {row["id"] for row in self._db.rows("examples.ids", session_id=session_id)}
            if known:
                self._db.run("examples.withdraw_all", session_id=session_id, at=at)
            put = {example.id: example for example in examples}
            self.put(put.values())
            return len(put.keys() - known)

    def put(self, examples: Iterable[Example]) -> None:
        """Put examples in force."""
        at = timestamp()
        self._db.run_many(
            "examples.put",
            [
                {
                    "id": example.id,
                    "session_id": example.session_id,
                    "message_id": example.message_id,
                    "kind": example.kind,
                    "instruction": example.instruction,
                    "output": example.output,
                    "messages": canonical_json(example.messages),
                    "rejected": example.rejected,
                    "at": at,
                }
                for example in examples
            ],
        )

    def blank(self, session_id: str) -> None:
        """Take the words of the session's examples away; their ids stay, so that it is known which adapters saw
        them."""
        self._db.run("examples.blank", session_id=session_id, at=timestamp())

    def of_split(self, split: Split) -> Sequence[Example]:
        """All examples in force whose sessions are for that, oldest first."""
        return [_example(row) for row in self._db.rows("examples.of_split", split=split)]

    def of_session(self, session_id: str) -> Sequence[Example]:
        """The session's examples in force."""
        return [_example(row) for row in self._db.rows("examples.of_session", session_id=session_id)]

    def count_new(self) -> int:
        """Examples for training that no training has read."""
        row = self._db.row("examples.count_new")
        return row["n"] if row else 0

    def count_heldout(self) -> int:
        """Examples that are kept to judge by."""
        row = self._db.row("examples.count_heldout")
        return row["n"] if row else 0

    def unjudged(self, session_id: str) -> int:
        """The session's examples for training that no judged adapter has seen."""
        row = self._db.row("examples.unjudged", session_id=session_id)
        return row["n"] if row else 0

    def add_dataset(self, dataset: Dataset, example_ids: Iterable[str]) -> None:
        """Record a dataset, once."""
        with self._db.transaction():
            manifest = {
                "train_examples": dataset.train_examples,
                "heldout_examples": dataset.heldout_examples,
                "train_sessions": dataset.train_sessions,
                "heldout_sessions": dataset.heldout_sessions,
                "reworded_examples": dataset.reworded_examples,
            }
            self._db.run(
                "examples.put_dataset",
                id=dataset.id,
                path=dataset.path,
                manifest=canonical_json(manifest),
                at=timestamp(),
            )
            self._db.run_many(
                "examples.put_dataset_example",
                [{"dataset_id": dataset.id, "example_id": example_id} for example_id in example_ids],
            )

    def dataset(self, dataset_id: str) -> Dataset:
        row = self._db.row("examples.dataset", id=dataset_id)
        if row is None:
            raise KeyError(dataset_id)  # a foreign key of adapters: its absence is a bug, not an input
        manifest: dict[str, Any] = json.loads(row["manifest"])
        return Dataset(
            row["id"],
            row["path"],
            manifest["train_examples"],
            manifest["heldout_examples"],
            tuple(manifest["train_sessions"]),
            tuple(manifest["heldout_sessions"]),
            manifest.get("reworded_examples", 0),
        )

    def lineage(self, dataset_id: str) -> Sequence[dict[str, Any]]:
        """The dataset's training examples: id, session and message of each."""
        return [dict(row) for row in self._db.rows("examples.lineage", dataset_id=dataset_id)]


def _example(row: Row) -> Example:
    return Example(
        row["session_id"],
        row["message_id"],
        row["kind"],
        row["instruction"],
        row["output"],
        tuple(json.loads(row["messages"])),
        row["rejected"],
    )
