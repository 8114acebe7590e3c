"""One geo test, measured: the effect with its interval and p-value, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import critical
from liftwerk.stats.synthetic_control import placebo
from liftwerk.stats.synthetic_control.augmented import Fit, choose_penalty, fit
from liftwerk.stats.synthetic_control.conformal import infer
from liftwerk.stats.synthetic_control.panel import Panel

PLAIN = "synthetic control, conformal"
AUGMENTED = "ridge-augmented synthetic control, conformal"
ASSUMPTIONS = (
    "without the test, its days would have been like the others",
    "the test changed nothing in the other markets",
)

FEWEST_DONORS = 5
FEWEST_BEFORE = 25
HISTORY = 3
"""Tests that have to fit into what came before: with two, intervals hold in 91% where noise
remembers for weeks (`docs/statistics.md`)."""

WILD = 3.0
"""Unrest from which on no interval of this kind can be believed."""


@dataclass(frozen=True)
class Measured:
    """What is known of the effect on an average treated market and period.

    Parameters
    ----------
    answer : Estimate or Unknown
    p_value : float or None
        Of no effect, by the method of the interval; None where the answer is unknown.
    fit : Fit
        The counterfactual.
    unrest : float
        How far markets drift apart (`placebo.unrest`); 1 is none.
    imbalance : float
        Size of the gap before the test beside that of equal weights (the scaled L2 imbalance of
        Ben-Michael et al.): 0 is a perfect fit, 1 is no better than the mean of all donors.
    misfit : float
        Size of the gap before the test, beside how much the treated series itself moved.
    """

    answer: Estimate | Unknown
    p_value: float | None
    fit: Fit
    unrest: float
    imbalance: float
    misfit: float


def measure(panel: Panel, level: float = 0.95, *, unrest: float | None = None) -> Measured:
    """Measure the effect of a finished test.

    Parameters
    ----------
    panel : Panel
    level : float
        Of the interval.
    unrest : float, optional
        That of these donors in this window (`placebo.unrest`), where it is known: the cells of a
        test share it.

    Returns
    -------
    Measured
        Unknown outside the region in which the interval is known to cover (`soak/geo.py`).

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> common = rng.normal(size=(60, 1)).cumsum(axis=0)
    >>> markets = 50.0 + common + rng.normal(size=(60, 12))
    >>> markets[50:, :2] += 4.0
    >>> found = measure(Panel(markets[:, :2], markets[:, 2:], before=50))
    >>> found.answer.low < 4.0 < found.answer.high, found.p_value <= 0.05
    (True, True)
    >>> print(measure(Panel(markets[:, :2], markets[:, 2:5], before=50)).answer)
    unknown: 3 markets are too few to stand in for others (needs at least 5 without the action)
    """
    penalty = choose_penalty(panel)
    found = fit(panel, penalty)
    effect = found.effect(panel.before)
    gap = found.gap[: panel.before]
    target, donors = panel.history()
    own = target - target.mean()
    equal = own - (donors - donors.mean(axis=0)).mean(axis=1)
    imbalance = _beside(gap, equal)
    misfit = _beside(gap, own)
    short = _too_little(panel)
    if short is not None:
        return Measured(short, None, found, np.nan, imbalance, misfit)
    if unrest is None:
        unrest = placebo.unrest(panel)
    doubtful = _doubtful(misfit, unrest)
    if doubtful is not None:
        return Measured(doubtful, None, found, unrest, imbalance, misfit)
    inflation = placebo.inflation(unrest)
    inferred = infer(panel, penalty, effect, inflation=inflation, level=level)
    if not np.isfinite([inferred.low, inferred.high]).all():
        unbounded = Unknown(
            "no effect, however large, could be told from the days before",
            "more days before the test, or markets that move more alike",
        )
        return Measured(unbounded, None, found, unrest, imbalance, misfit)
    method = PLAIN
    if np.isfinite(penalty):
        method = AUGMENTED
    error = 0.5 * (inferred.high - inferred.low) / critical(level)
    answer = Estimate(
        effect, inferred.low, inferred.high, error, panel.periods, method, ASSUMPTIONS, level
    )
    return Measured(answer, inferred.p_value, found, unrest, imbalance, misfit)


def _beside(part: np.ndarray, whole: np.ndarray) -> float:
    size = float(np.sqrt((whole**2).sum()))
    if size == 0.0:
        return 0.0
    return float(np.sqrt((part**2).sum())) / size


def days_before(during: int) -> int:
    """Say how many periods have to lie before a test.

    Examples
    --------
    >>> days_before(7), days_before(28)
    (25, 84)
    """
    return max(FEWEST_BEFORE, HISTORY * during)


def _too_little(panel: Panel) -> Unknown | None:
    donors = panel.donors.shape[1]
    if donors < FEWEST_DONORS:
        return Unknown(
            f"{donors} markets are too few to stand in for others",
            f"at least {FEWEST_DONORS} without the action",
        )
    needed = days_before(panel.during)
    if panel.before < needed:
        return Unknown(
            f"{panel.before} periods before the test are too few for {panel.during} of it",
            f"at least {needed}",
        )
    return None


def _doubtful(misfit: float, unrest: float) -> Unknown | None:
    if misfit >= 1.0:
        return Unknown(
            "before the test the other markets tell nothing of the treated ones",
            "markets that move with them",
        )
    if unrest > WILD:
        return Unknown(
            f"markets drift apart: where nothing was done, gaps are {unrest:.1f} times as large "
            "as the method takes them to be",
            "a shorter test, or markets that move more alike",
        )
    return None
