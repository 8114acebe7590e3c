"""``null_share``: at most so many values are missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import Struct

from liftwerk.features.checks.definition import Severity
from liftwerk.features.checks.kinds.check import Judged, unknown
from liftwerk.stats.counts import is_share_above
from liftwerk.stats.estimate import Unknown


class NullShare(Struct, frozen=True):
    """At most so many are missing.

    Attributes
    ----------
    column : str
    limit : float
        The share.
    """

    column: str
    limit: float

    name: ClassVar[str] = "null_share"
    severity: ClassVar[Severity] = "warn"
    each: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        """What should be."""
        return f"at most {100 * self.limit:g}% missing"

    def statistics(self, table: Any) -> Mapping[str, Any]:
        """Count rows and values."""
        return {"rows": table.count(), f"{self.column} known": table[self.column].count()}

    def judge(self, found: Mapping[str, Any]) -> Judged:
        """Fail where more are missing, and not by chance."""
        rows = found["rows"]
        missing = rows - found[f"{self.column} known"]
        is_above = is_share_above(missing, rows, self.limit)
        if isinstance(is_above, Unknown):
            return unknown(is_above)
        words = f"{missing:,} of {rows:,} are missing"
        if is_above:
            return Judged("failed", words, missing / rows)
        return Judged("passed", words)

    def accepting(self, observed: Any) -> NullShare:
        """Let as many be missing as were."""
        return NullShare(self.column, max(self.limit, observed))
