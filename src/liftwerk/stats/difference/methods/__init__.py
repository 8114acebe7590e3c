"""How sure a difference is: from its standard errors to interval and p-value, one method a file."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.difference.methods.anytime import Anytime
from liftwerk.stats.difference.methods.fixed import Fixed

Floats: TypeAlias = NDArray[np.float64]
MethodName: TypeAlias = Literal["anytime", "fixed"]


class Method(Protocol):
    """What every method gives; either is the inverse of the other."""

    def reach(self, level: float) -> tuple[Floats, Floats]:
        """Say how many standard errors an interval reaches down and up."""

    def p_value(self, statistic: Floats | float) -> Floats:
        """Say how surprising a difference of so many standard errors is where there is none."""


METHODS: dict[MethodName, type[Anytime] | type[Fixed]] = {"anytime": Anytime, "fixed": Fixed}
"""One method a file, under its name in definitions; the first is the default."""
