"""The design of a switchback that is best against the worst outcomes there could be."""

from __future__ import annotations

import numpy as np

from liftwerk.stats.switchback.periods import Bools, Integers


def randomisation_points(periods: int, order: int) -> Integers:
    """Say at which periods the arm is drawn anew, by half and half.

    Bojinov, Simchi-Levi and Zhao 2023, *Design and analysis of switchback experiments*, Management
    Science 69(7), theorem 2: for a carry-over of m periods, blocks of m but for the first and the
    last, which are 2m. That minimises the largest variance of the Horvitz-Thompson estimator over
    all bounded outcomes.

    Parameters
    ----------
    periods : int
        A multiple of the order, at least four times it.
    order : int
        Periods that an effect lasts after the arm was taken away, at least 1.

    Returns
    -------
    (J,) int array
        First periods of the blocks, from 0.

    Raises
    ------
    ValueError
        If the periods are no such multiple.

    Examples
    --------
    >>> randomisation_points(12, 2).tolist()
    [0, 4, 6, 8]
    """
    if order < 1 or periods % order or periods < 4 * order:
        raise ValueError(f"{periods} periods are no multiple of {order} from {4 * max(order, 1)}")
    middle = np.arange(2 * order, periods - order, order)
    return np.concatenate([[0], middle]).astype(np.int64)


def turns(lots: Bools, periods: int, order: int) -> Bools:
    """Lay lots out over the periods.

    Parameters
    ----------
    lots : (..., J) bool array
        Whether the arm is on, for each randomisation point.
    periods, order : int

    Returns
    -------
    (..., periods) bool array

    Examples
    --------
    >>> turns(np.array([True, False, True, False]), 12, 2).astype(int).tolist()
    [1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0]
    """
    points = randomisation_points(periods, order)
    lengths = np.diff(np.concatenate([points, [periods]]))
    return np.repeat(lots, lengths, axis=-1)
