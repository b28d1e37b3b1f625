"""API keys of the gateway. Knows their hashes; a key itself is shown once, when it is made."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from atles.clock import timestamp
from atles.errors import AtlesError, Duplicate
from atles.store.database import Database, Row

PREFIX = "atles_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who may come in: as which user, and whether adapters and other users' things are theirs to change."""

    id: str
    name: str
    user: str
    admin: bool
    created_at: str


class Keys:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, name: str, user: str, admin: bool = False) -> tuple[ApiKey, str]:
        """A new key: what is stored, and the key. Raises AtlesError if the name is taken."""
        id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key = ApiKey(id, name, user, admin, timestamp())
        text = f"{PREFIX}{id}_{secret}"
        try:
            self._db.run("keys.add", id=id, name=name, hash=_hash(text), user=user, admin=int(admin), at=key.created_at)
        except Duplicate as error:
            raise AtlesError(f"there is a key named {name!r} already; remove it first, or choose another") from error
        return key, text

    def find(self, text: str) -> ApiKey | None:
        """The key that this is, or None."""
        id = text.removeprefix(PREFIX).partition("_")[0]
        row = self._db.row("keys.get", id=id)
        # 256 random bits need no slow hash; the comparison takes as long for a wrong key as for the right one.
        return _key(row) if row and hmac.compare_digest(row["hash"], _hash(text)) else None

    def list(self) -> Sequence[ApiKey]:
        return [_key(row) for row in self._db.rows("keys.list")]

    def any(self) -> bool:
        """Whether there is a key at all."""
        row = self._db.row("keys.any")
        return bool(row and row["any"])

    def remove(self, name: str) -> int:
        """Remove the key of this name or id; how many there were."""
        return self._db.run("keys.remove", id=name)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row) -> ApiKey:
    return ApiKey(row["id"], row["name"], row["user"], bool(row["admin"]), row["created_at"])
