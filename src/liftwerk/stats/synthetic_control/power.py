"""How large an effect has to be to be found: placebo tests in a history, with effects put in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.synthetic_control.augmented import fit
from liftwerk.stats.synthetic_control.conformal import Scores, rejected_up_to
from liftwerk.stats.synthetic_control.panel import Panel

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What one placebo test would have found.

    Parameters
    ----------
    least : int
        Place, among the lifts that were tried, of the smallest that is found; their number where
        none is.
    false_alarm : bool
        Whether an effect is found where there is none.
    """

    least: int
    false_alarm: bool


def detect(
    panel: Panel, penalty: float, lifts: Floats, *, inflation: float = 1.0, level: float = 0.95
) -> Found:
    """Find the smallest lift that the conformal test tells from nothing.

    Each lift is put into the test's periods of a history in which nothing was done. A larger lift
    is taken to be found where a smaller one is, so that the list is halved and not walked through.

    Parameters
    ----------
    panel : Panel
        A window of the history; its last periods are the test.
    penalty : float
        Of the fit.
    lifts : (n,) float array
        Growing.
    inflation : float
        As for `conformal.infer`.
    level : float

    Returns
    -------
    Found

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> markets = 100.0 + rng.normal(size=(60, 10))
    >>> panel = Panel(markets[:, :1], markets[:, 1:], before=50)
    >>> found = detect(panel, np.inf, np.array([0.0001, 0.05, 0.1]))
    >>> found.least, found.false_alarm
    (1, False)
    """
    scores = Scores(panel, penalty)
    base = fit(panel, penalty).effect(panel.before)
    own = float(panel.mean[panel.before :].mean())

    def claims(lift: float) -> bool:
        # No effect, as far from the estimate as the wider interval would have to reach.
        nothing = (base + lift * own) * (1.0 - 1.0 / inflation)
        return scores.share(scores.lifted(lift, nothing)) <= rejected_up_to(level)

    low, high = 0, lifts.shape[0]
    while low < high:
        middle = (low + high) // 2
        if claims(float(lifts[middle])):
            high = middle
        else:
            low = middle + 1
    return Found(low, claims(0.0))


def windows(periods: int, during: int, least_before: int, most: int) -> list[int]:
    """Choose where placebo tests end, the most recent first.

    Parameters
    ----------
    periods : int
        Of the history.
    during : int
        Of the test.
    least_before : int
        Periods that must lie before a test.
    most : int
        Windows at most.

    Returns
    -------
    list of int
        Ends; evenly spread over the history where not all fit.

    Examples
    --------
    >>> windows(100, 10, 60, 4)
    [100, 90, 80, 70]
    >>> windows(65, 10, 60, 4)
    []
    """
    earliest = least_before + during
    if periods < earliest:
        return []
    ends = np.unique(np.linspace(earliest, periods, most).round().astype(np.int64))
    return [int(end) for end in ends[::-1]]
