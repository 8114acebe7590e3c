"""Who gets which arm: one unit in a few microseconds, or millions a second."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from liftwerk.experiments.draw import Draw
from liftwerk.experiments.hashes import HASHES, OUT
from liftwerk.experiments.hashes.kinds.sha256 import stand_below, stands_below

Giver = Callable[[str, str], str | None]
"""A unit's text, and the identifier as it was written -> its arm; None: it does not enter."""


def giver(draw: Draw) -> Giver:
    """Return the function that gives the arms of a draw.

    Parameters
    ----------
    draw : Draw

    Returns
    -------
    callable
        Of a unit's text, and of its identifier as it was written, which GrowthBook's hash takes.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from liftwerk.experiments.definition import Arm, ExperimentDefinition
    >>> from liftwerk.experiments.draw import draw_of
    >>> arms = {"control": Arm(), "warm": Arm()}
    >>> tea = ExperimentDefinition("ab", "Tea", arms, ("margin",), "measurement")
    >>> give = giver(draw_of("tea", tea, Fraction(1, 2)))
    >>> [give(unit, unit) for unit in ("ada", "bob", "cy", "dan")]
    ['control', None, None, 'warm']
    """
    place = HASHES[draw.hash].one(draw)
    arms: tuple[str | None, ...] = (*draw.arms, None)  # the last is what OUT points at
    if draw.hash == "sha256":

        def give(unit: str, written: str) -> str | None:
            return arms[place(unit)]

    else:

        def give(unit: str, written: str) -> str | None:
            return arms[place(written)]

    if draw.kept is None:
        return give
    is_kept = stands_below(draw.kept.salt, draw.kept.share)

    def give_others(unit: str, written: str) -> str | None:
        if is_kept(unit):
            return None
        return give(unit, written)

    return give_others


def give_many(
    draw: Draw,
    units: pa.Array | pa.ChunkedArray,
    written: pa.Array | pa.ChunkedArray | None = None,
) -> pa.Array:
    """Give arms to many units at once, as `giver` does to each.

    Parameters
    ----------
    draw : Draw
    units : pyarrow.Array or pyarrow.ChunkedArray
        Their texts, or leaf keys in binary.
    written : pyarrow.Array or pyarrow.ChunkedArray, optional
        Their identifiers as they were written; what GrowthBook's hash takes.

    Returns
    -------
    pyarrow.Array of string
        The arms; null for who does not enter.

    Raises
    ------
    ValueError
        If GrowthBook's hash is to be taken of nothing.
    """
    hashed = units
    if draw.hash != "sha256":
        if written is None:
            raise ValueError(f"{draw.hash} takes the identifiers as they were written")
        hashed = written
    places = HASHES[draw.hash].many(draw, hashed)
    if draw.kept is not None:
        places[stand_below(draw.kept.salt, draw.kept.share, units)] = OUT
    return pa.array(draw.arms).take(pa.array(places, mask=places == OUT))
