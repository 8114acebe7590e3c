"""Synthetic difference-in-differences: a second opinion, with weights over time too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import critical
from liftwerk.stats.synthetic_control.panel import Panel
from liftwerk.stats.synthetic_control.simplex import Simplex

Floats: TypeAlias = NDArray[np.float64]

METHOD = "synthetic difference-in-differences, placebo variance"
TIME_PENALTY = 1e-6
"""Makes the weights over time unique, and no more."""


@dataclass(frozen=True)
class DoubleWeights:
    """Weights over donors, and over the periods before the test; each sums to one."""

    donors: Floats
    periods: Floats


def double_weights(panel: Panel) -> DoubleWeights:
    r"""Weigh donors and periods.

    Arkhangelsky, Athey, Hirshberg, Imbens and Wager (2021), *Synthetic difference-in-differences*,
    AER 111(12), equations 4 to 6: with an intercept each,

    .. math::
        \hat\omega = \arg\min \sum_{t \le T_{pre}} (\omega_0 + \sum_i \omega_i Y_{it}
        - \bar Y_{tr,t})^2 + \zeta^2 T_{pre} \|\omega\|^2, \quad
        \zeta = (N_{tr} T_{post})^{1/4} \hat\sigma

    with sigma the standard deviation of the donors' first differences, and lambda alike over
    periods, nearly without a penalty.

    Parameters
    ----------
    panel : Panel

    Returns
    -------
    DoubleWeights
    """
    target, donors = panel.history()
    noise = float(np.diff(donors, axis=0).std(ddof=1))
    strength = (panel.units * panel.during) ** 0.25 * noise
    by_donor = _penalised(donors, target, strength)
    after = panel.donors[panel.before :].mean(axis=0)
    by_period = _penalised(donors.T, after, TIME_PENALTY * noise)
    return DoubleWeights(by_donor, by_period)


def _penalised(columns: Floats, target: Floats, strength: float) -> Floats:
    """Least squares over the simplex with an intercept and a ridge penalty."""
    rows, size = columns.shape
    penalty = strength * np.sqrt(rows) * np.eye(size)
    stacked = np.concatenate([columns - columns.mean(axis=0), penalty])
    goal = np.concatenate([target - target.mean(), np.zeros(size)])
    return Simplex(stacked).weights(goal)


def effect(panel: Panel) -> float:
    """Estimate the effect: the double difference under both weights (equation 2 of the paper).

    Parameters
    ----------
    panel : Panel

    Returns
    -------
    float
        On an average treated market and period.

    Examples
    --------
    >>> donors = np.random.default_rng(0).normal(size=(30, 6)).cumsum(axis=0)
    >>> treated = donors.mean(axis=1, keepdims=True) + 3.0
    >>> treated[25:] += 2.0
    >>> abs(effect(Panel(treated, donors, before=25)) - 2.0) < 0.5
    True
    """
    weights = double_weights(panel)
    difference = panel.mean - panel.donors @ weights.donors
    return float(difference[panel.before :].mean() - weights.periods @ difference[: panel.before])


def estimate(
    panel: Panel, rng: np.random.Generator, *, draws: int = 200, level: float = 0.95
) -> Estimate | Unknown:
    """Estimate the effect with an interval from placebos (Algorithm 4 of the paper).

    As many donors as are treated are drawn and read as if they had been, again and again; the
    spread of what is found is the standard error. That takes treated markets to be as noisy as
    donors.

    Parameters
    ----------
    panel : Panel
    rng : numpy.random.Generator
    draws : int
    level : float

    Returns
    -------
    Estimate or Unknown
        Unknown where there are not more donors than treated markets, by two.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> donors = rng.normal(size=(40, 12))
    >>> treated = rng.normal(size=(40, 2))
    >>> treated[36:] += 4.0
    >>> found = estimate(Panel(treated, donors, before=36), rng)
    >>> found.low < 4.0 < found.high, found.low > 0.0
    (True, True)
    """
    donors = panel.donors.shape[1]
    if donors < panel.units + 2:
        return Unknown(
            f"{donors} donors leave none to be compared with placebos of {panel.units}",
            f"at least {panel.units + 2} markets where nothing is done",
        )
    found = np.empty(draws)
    for draw in range(draws):
        order = rng.permutation(donors)
        chosen, others = order[: panel.units], order[panel.units :]
        placebo = Panel(panel.donors[:, chosen], panel.donors[:, others], panel.before)
        found[draw] = effect(placebo)
    value = effect(panel)
    error = float(found.std())
    reach = critical(level) * error
    assumptions = ("treated markets are as noisy as the others",)
    return Estimate(
        value, value - reach, value + reach, error, panel.periods, METHOD, assumptions, level
    )
