"""``categories``: no text but those that are declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import Struct

from liftwerk.features.checks.definition import Severity
from liftwerk.features.checks.kinds.check import Judged, unknown
from liftwerk.stats.estimate import Unknown


class Categories(Struct, frozen=True):
    """Only these.

    Attributes
    ----------
    column : str
    allowed : tuple of str
    """

    column: str
    allowed: tuple[str, ...]

    name: ClassVar[str] = "categories"
    severity: ClassVar[Severity] = "warn"
    each: ClassVar[bool] = True

    @property
    def expected(self) -> str:
        """What should be."""
        return f"one of {', '.join(self.allowed)}"

    def statistics(self, table: Any) -> Mapping[str, Any]:
        """Count what is unexpected, and name the first and the last of it."""
        value = table[self.column]
        other = value.notin(self.allowed)
        return {
            f"{self.column} known": value.count(),
            f"{self.column} other": other.sum(),
            f"{self.column} others": value.nunique(where=other),
            f"{self.column} first": value.min(where=other),
            f"{self.column} last": value.max(where=other),
        }

    def judge(self, found: Mapping[str, Any]) -> Judged:
        """Fail with the first value that is none of them."""
        known, rows, many = (found[f"{self.column} {key}"] for key in ("known", "other", "others"))
        if not known:
            return unknown(Unknown("no value is known", "a value"))
        if not rows:
            return Judged("passed", f"all of {known:,}")
        named = dict.fromkeys(found[f"{self.column} {key}"] for key in ("first", "last"))
        words = ", ".join(map(repr, named))
        if many > len(named):
            words += f" and {many - len(named):,} more"
        return Judged("failed", f"{rows:,} of {known:,} are not: {words}", list(named))

    def accepting(self, observed: Any) -> Categories:
        """Allow what was named."""
        return Categories(self.column, tuple(dict.fromkeys((*self.allowed, *observed))))
