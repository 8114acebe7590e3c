"""``distribution``: values are spread as they were in the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import Struct

from liftwerk.features.checks.definition import Severity
from liftwerk.features.checks.kinds.check import Judged, unknown
from liftwerk.features.checks.sketch import Sketch
from liftwerk.stats.drift import drift
from liftwerk.stats.estimate import Unknown


class Distribution(Struct, frozen=True):
    """At most so far from the reference.

    Attributes
    ----------
    column : str
    threshold : float
        Population stability index.
    reference : Sketch or None
        None where nobody kept one.
    """

    column: str
    threshold: float
    reference: Sketch | None

    name: ClassVar[str] = "distribution"
    severity: ClassVar[Severity] = "warn"
    each: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        """What should be."""
        return f"stability index at most {self.threshold:g}"

    def statistics(self, table: Any) -> Mapping[str, Any]:
        """Count the values in each cell of the reference."""
        if self.reference is None:
            return {}
        counts = self.reference.counting(table[self.column])
        return {f"{self.column} cell {place}": one for place, one in enumerate(counts)}

    def judge(self, found: Mapping[str, Any]) -> Judged:
        """Fail where it is further away, and not by chance."""
        if self.reference is None:
            why = "there is no reference to compare with"
            return unknown(Unknown(why, "liftwerk features baseline, or a model that is trained"))
        cells = range(len(self.reference.counts))
        counts = [found[f"{self.column} cell {place}"] or 0 for place in cells]
        answer = drift(self.reference.counts, counts, self.threshold)
        if isinstance(answer, Unknown):
            return unknown(answer)
        words = f"{answer.index:.3g} over {answer.n:,} values, p = {answer.p_value:.2g}"
        if answer.changed:
            return Judged("failed", words, answer.index)
        return Judged("passed", words)

    def accepting(self, observed: Any) -> Distribution:
        """Let it be as far away as it was."""
        return Distribution(self.column, max(self.threshold, observed), self.reference)
