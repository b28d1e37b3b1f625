"""What a check found, and what mends it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from atles.errors import AtlesError

OK, WARN, FAIL, REPAIRED = "ok", "warn", "fail", "repaired"
REPAIR = "`atles doctor --repair`"
RESTORE = "`atles restore BACKUP --home NEW` makes a home of a backup; docs/operations.md says what to do without one"
_SOME = 3  # names that stand for all


@dataclass(frozen=True, slots=True)
class Finding:
    """`detail` is what was found, `fix` what to do about it. `repair` does that, and says what it did."""

    check: str
    state: str
    detail: str
    fix: str = ""
    repair: Callable[[], str] | None = field(default=None, repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        return {"check": self.check, "state": self.state, "detail": self.detail, "fix": self.fix}

    def repaired(self) -> "Finding":
        """The finding after its repair, if there is one: `fix` is then what was done, or why it could not be."""
        if self.repair is None or self.state == OK:
            return self
        try:
            return replace(self, state=REPAIRED, fix=self.repair(), repair=None)
        except Exception as error:  # noqa: BLE001  # the other repairs are to be made
            return replace(self, state=FAIL, fix=f"it could not be repaired: {said(error)}", repair=None)


def checked(name: str, check: Callable[[], Finding]) -> Finding:
    """What a check finds; whatever goes wrong in it is a finding, too, and the other checks are made."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001  # a damaged home raises anything
        return Finding(name, FAIL, f"it cannot be checked: {said(error)}")


def said(error: Exception) -> str:
    """An error in words; of one that nobody foresaw, also its kind."""
    return str(error) if isinstance(error, AtlesError | OSError) else f"{type(error).__name__}: {error}"


def some(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(names[:_SOME]) + (f" and {len(names) - _SOME} more" if len(names) > _SOME else "")
