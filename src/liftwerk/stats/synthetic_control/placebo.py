"""What the method says where nothing was done: other markets, and earlier times."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.synthetic_control.conformal import IN_USE, left_out
from liftwerk.stats.synthetic_control.panel import Panel
from liftwerk.stats.synthetic_control.simplex import Simplex

Floats: TypeAlias = NDArray[np.float64]

WINDOWS = 6
SEEN = 1.25
"""Spread, beside what the test assumes, from which on it is believed to be there: in worlds without
drift the mean over donors and windows is rarely larger (`soak/geo.py`)."""


def unrest(panel: Panel) -> float:
    """Measure how far the end of a window strays from the rest where nothing was done.

    The conformal test takes it that, without an effect, the periods of the test are like any
    others. If markets drift apart, the last ones are not: they lie further from their prediction.
    Each donor is read as if it had been treated, in the window of the test and in those before it:
    the square of the test's score over the mean square of all blocks. Were the assumption true, the
    mean of these would be 1.

    Parameters
    ----------
    panel : Panel
        Treated markets are not read.

    Returns
    -------
    float
        The mean over donors and windows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> still = rng.normal(size=(70, 8))
    >>> drifting = still + 0.5 * rng.normal(size=(70, 8)).cumsum(axis=0)
    >>> treated = np.zeros((70, 1))
    >>> calm, wild = (unrest(Panel(treated, d, before=60)) for d in (still, drifting))
    >>> calm < SEEN < wild
    True
    """
    ratios = []
    for window in range(WINDOWS):
        before = panel.before - window * panel.during
        if window > 0 and before < 2 * panel.during:
            break
        ratios.append(in_space(panel.donors[: before + panel.during], before))
    return float(np.mean(ratios))


def in_space(donors: Floats, before: int) -> Floats:
    """Read each donor as if it had been treated.

    Parameters
    ----------
    donors : (periods, donors) float array
    before : int
        Periods before the test.

    Returns
    -------
    (donors,) float array
        The square of each one's score over the mean square of its blocks.
    """
    length = donors.shape[0] - before
    centred = donors - donors.mean(axis=0)
    size = float(np.sqrt((centred**2).mean()))
    if size == 0.0:
        return np.zeros(donors.shape[1])
    centred = centred / size
    # Products between markets are all that weights depend on: one factorisation for all of them.
    _, factor = np.linalg.qr(centred)
    found = np.zeros(donors.shape[1])
    for place in range(donors.shape[1]):
        others = np.delete(np.arange(donors.shape[1]), place)
        weights = Simplex(factor[:, others]).weights(factor[:, place])
        used = others[weights > IN_USE]
        shape = centred[:, used[1:]] - centred[:, used[:1]]
        rest = centred[:, [place]] - centred[:, used[:1]]
        errors, _ = left_out(shape, rest, length)
        squares = errors[:, 0] ** 2
        if squares.any():
            found[place] = squares[before] / squares.mean()
    return found


def inflation(unrest: float) -> float:
    """Say how much wider intervals have to be where markets drift apart.

    Not the root of it: the same drift has raised what the spread is compared with.

    Parameters
    ----------
    unrest : float
        From `unrest`.

    Returns
    -------
    float
        At least 1.

    Examples
    --------
    >>> inflation(0.9), inflation(1.2), inflation(1.4)
    (1.0, 1.0, 1.4)
    """
    if unrest <= SEEN:
        return 1.0
    return unrest
