"""Time and identity. Knows nothing else of ATLES; imported by the tracker, so it stays small."""

import os
import threading
import time
from datetime import UTC, datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_lock = threading.Lock()
_last = 0


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 with microseconds and offset: `2026-11-23T20:50:06.000000+00:00`."""
    return (moment or now()).isoformat(timespec="microseconds")


def compact(iso: str) -> str:
    """`20261123_205006` from an ISO 8601 text: for file names."""
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y%m%d_%H%M%S")


def new_id() -> str:
    """A lowercase ULID (github.com/ulid/spec): 48 bits of milliseconds, 80 random bits.

    Two calls in one process never return the same id, and a later call sorts after an earlier one.
    """
    global _last
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    with _lock:
        value = max(value, _last + 1)
        _last = value
    digits = []
    for _ in range(26):
        value, digit = divmod(value, 32)
        digits.append(_CROCKFORD[digit])
    return "".join(reversed(digits))
