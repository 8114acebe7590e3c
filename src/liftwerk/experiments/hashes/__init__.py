"""The hashes by which arms are given; one file each in ``kinds``, and this list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liftwerk.experiments.draw import Draw
from liftwerk.experiments.hashes.kinds import growthbook, sha256

Place = Callable[[str], int]
"""A unit -> the number of its arm, or `OUT`."""

OUT = -1
"""Has not entered."""


class Hash(Protocol):
    """What a hash has to know: one unit fast, and many at once."""

    def one(self, draw: Draw) -> Place:
        """Return a function of one unit."""
        ...

    def many(self, draw: Draw, units: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int8]:
        """Place many units at once, as `one` does each."""
        ...


HASHES: dict[str, Hash] = {
    "sha256": sha256.Sha256(),
    "growthbook": growthbook.GrowthBook(version=2),
    "growthbook_v1": growthbook.GrowthBook(version=1),
}
"""``hash`` of an experiment -> what knows it; one line a hash."""
