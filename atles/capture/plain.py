"""Any Python value as plain JSON data. Knows values, never sessions.

A host logs whatever it has at hand. What JSON cannot hold is kept as text: nothing is dropped or raised.
"""

import reprlib
from typing import Any

# What a reader accepts and what a writer produces. Far above any real message, and far below the depth
# at which Python's own JSON encoder gives up, which depends on who calls it from where.
MAX_DEPTH = 100

_PRINTABLE_BITS = 14_000  # Python refuses to print or read an integer of more than 4300 digits
_as_text = reprlib.Repr()  # catches what a broken __repr__ raises
_as_text.maxother = 100_000


def plain(value: Any, odd: list[str], _above: tuple[int, ...] = ()) -> Any:
    """A copy made of dict, list, str, int, finite float, bool and None only.

    Appends to `odd` the name of each type that had to be kept as its repr.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int) and value.bit_length() <= _PRINTABLE_BITS:
        return value
    if isinstance(value, float) and value - value == 0:  # neither NaN nor infinite
        return value
    if len(_above) < MAX_DEPTH and id(value) not in _above:
        above = (*_above, id(value))
        # list() takes a snapshot in one go: the host's other threads may change the value meanwhile.
        if isinstance(value, dict):
            return {_key(key, odd): plain(item, odd, above) for key, item in list(value.items())}
        if isinstance(value, (list, tuple)):
            return [plain(item, odd, above) for item in list(value)]
        dumped = _dumped(value)
        if dumped is not None:
            return plain(dumped, odd, above)
    odd.append(type(value).__name__)
    return hex(value) if isinstance(value, int) else _as_text.repr_instance(value, 0)


def depth(value: Any) -> int:
    """How deeply lists and objects are nested: 0 for a number, 1 for a flat list. Not recursive."""
    deepest, left = 0, [(value, 1)]
    while left:
        container, level = left.pop()
        if not isinstance(container, (dict, list)):
            continue
        deepest = max(deepest, level)
        items = container.values() if isinstance(container, dict) else container
        left.extend((item, level + 1) for item in items if isinstance(item, (dict, list)))
    return deepest


def _key(key: Any, odd: list[str]) -> str:
    if isinstance(key, str):
        return key
    if not isinstance(key, int):
        odd.append(f"{type(key).__name__} (a key)")
    return _as_text.repr_instance(key, 0)


def _dumped(value: Any) -> dict[str, Any] | None:
    """What a pydantic model holds: chat clients answer with such objects, tool calls above all."""
    dump = getattr(type(value), "model_dump", None)
    if not callable(dump):
        return None
    try:
        dumped = dump(value, mode="json")
    except (TypeError, ValueError):  # pydantic's errors are ValueErrors
        return None
    return dumped if isinstance(dumped, dict) else None
