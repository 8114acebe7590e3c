"""``minimum`` and ``maximum``: no value lies beyond.

A missing value breaks no bound; a NaN breaks every one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import Struct

from liftwerk.features.checks.definition import Severity
from liftwerk.features.checks.kinds.check import Judged, unknown
from liftwerk.stats.estimate import Unknown


class Bound(Struct, frozen=True):
    """One end of what values may be.

    Attributes
    ----------
    column : str
    limit : float
        Included.
    """

    column: str
    limit: float

    name: ClassVar[str]
    severity: ClassVar[Severity] = "stop"
    each: ClassVar[bool] = True

    def statistics(self, table: Any) -> Mapping[str, Any]:
        """Count values, those beyond, and find the worst."""
        value = table[self.column]
        beyond = self._beyond(value) | value.isnan()
        key = f"{self.column} {self.name} {self.limit!r}"
        return {
            f"{self.column} known": value.count(),
            f"{key} rows": beyond.sum(),
            f"{key} worst": self._worst(value, beyond),
        }

    def judge(self, found: Mapping[str, Any]) -> Judged:
        """Fail with the first value that is beyond."""
        key = f"{self.column} {self.name} {self.limit!r}"
        known, rows, worst = (
            found[f"{self.column} known"],
            found[f"{key} rows"],
            found[f"{key} worst"],
        )
        if not known:
            return unknown(Unknown("no value is known", "a value"))
        if not rows:
            return Judged("passed", f"all of {known:,}")
        words = f"{rows:,} of {known:,} are not, the worst {worst:g}"
        if math.isnan(worst):
            return Judged("failed", words)  # no bound would let it pass
        return Judged("failed", words, worst)

    def _beyond(self, value: Any) -> Any:
        raise NotImplementedError

    def _worst(self, value: Any, beyond: Any) -> Any:
        raise NotImplementedError


class Minimum(Bound, frozen=True):
    """No value is below."""

    name: ClassVar[str] = "minimum"

    @property
    def expected(self) -> str:
        """What should be."""
        return f"at least {self.limit:g}"

    def accepting(self, observed: Any) -> Minimum:
        """Let the bound reach as far as what was seen."""
        return Minimum(self.column, min(self.limit, observed))

    def _beyond(self, value: Any) -> Any:
        return value < self.limit

    def _worst(self, value: Any, beyond: Any) -> Any:
        return value.min(where=beyond)


class Maximum(Bound, frozen=True):
    """No value is above."""

    name: ClassVar[str] = "maximum"

    @property
    def expected(self) -> str:
        """What should be."""
        return f"at most {self.limit:g}"

    def accepting(self, observed: Any) -> Maximum:
        """Let the bound reach as far as what was seen."""
        return Maximum(self.column, max(self.limit, observed))

    def _beyond(self, value: Any) -> Any:
        return value > self.limit

    def _worst(self, value: Any, beyond: Any) -> Any:
        return value.max(where=beyond)
