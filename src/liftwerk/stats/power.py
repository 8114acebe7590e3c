r"""What an experiment can see: power, the units it needs, and the smallest effect it detects.

Everything goes through one number, the *drift*: how many standard errors of the difference the
effect amounts to when all units are in,

.. math:: \theta = \delta \sqrt{n / v}, \quad
          v = (1 - r) \Big(\frac{\sigma_c^2}{s_c} + \frac{\sigma_t^2}{s_t}\Big)

for an effect :math:`\delta`, `n` units of which the arms have the parts :math:`s_c` and
:math:`s_t`, and covariates that take the part `r` out of the variance. It is the variance that a
reading (`liftwerk.stats.difference`) uses: not pooled, and of a ratio by the delta method.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from liftwerk.lazy import LazyModule
from liftwerk.stats.difference.methods import MethodName
from liftwerk.stats.difference.methods.anytime import Anytime

if TYPE_CHECKING:
    from scipy import optimize
else:
    optimize = LazyModule("scipy.optimize")

Floats: TypeAlias = NDArray[np.float64]
Kind: TypeAlias = Literal["mean", "proportion", "ratio"]

LOOKS = 28
"""Looks that are counted on where nothing says how many there will be: four weeks of days."""

ROUNDING = 1e-9

NORMAL = 50_000.0
"""Degrees of freedom from which a t distribution is taken for a normal one."""

CERTAIN = 7.0
"""Standard errors beyond which nothing is left of a distribution's tail."""

NODES_BY_STEP = 3.0
"""Nodes of integration in a standard deviation of what comes in between two looks."""

MOST_UNITS = 1e13
"""What needs more units than this is called unreachable."""


@dataclass(frozen=True)
class Baseline:
    """What is known of a metric without the effect.

    Attributes
    ----------
    kind : {"mean", "proportion", "ratio"}
    value : float
        Control's value.
    variance : float
        Of one unit's value (of a ratio by the delta method); of a proportion it follows.
    reduction : float
        The part of the variance that covariates take out.
    """

    kind: Kind
    value: float
    variance: float
    reduction: float = 0.0

    @classmethod
    def proportion(cls, share: float, reduction: float = 0.0) -> Baseline:
        """Describe a share of units.

        Examples
        --------
        >>> Baseline.proportion(0.5).variance
        0.25
        """
        return cls("proportion", share, share * (1.0 - share), reduction)


@dataclass(frozen=True)
class Looks:
    """How a difference will be read.

    Attributes
    ----------
    method : {"anytime", "fixed"}
    level : float
        Of the interval.
    at : tuple of float
        For ``anytime``: the part of all units that is in at each look, rising to 1.
    """

    method: MethodName = "anytime"
    level: float = 0.95
    at: tuple[float, ...] = tuple((look + 1) / LOOKS for look in range(LOOKS))

    def at_days(self, units: Floats) -> Looks:
        """Look after every day, with so many units in after each.

        Of days that bring less than one in `LOOKS` parts of all units the last one counts: power
        hardly grows with more looks, and the time it takes to work it out does.
        """
        fractions = units / units[-1]
        marks = np.arange(1, LOOKS + 1) / LOOKS
        kept = np.unique(np.searchsorted(fractions, marks - ROUNDING))
        return replace(self, at=tuple(float(one) for one in fractions[kept]))


@dataclass(frozen=True)
class Split:
    """The parts of all units that the two arms get which are compared.

    Attributes
    ----------
    control, treated : float
        Together at most 1.
    """

    control: float
    treated: float

    def scaled_variances(self, baseline: Baseline, effect: float) -> tuple[float, float]:
        """Return the number of all units times the variances of control's and treated's values."""
        treated = baseline.variance
        if baseline.kind == "proportion":
            share = min(max(baseline.value + effect, 0.0), 1.0)
            treated = share * (1.0 - share)
        left = 1.0 - baseline.reduction
        return left * baseline.variance / self.control, left * treated / self.treated


EVEN = Split(0.5, 0.5)


def power(
    baseline: Baseline, effect: float, units: float, split: Split = EVEN, looks: Looks | None = None
) -> float:
    """Say how likely an effect is seen: that its interval excludes 0, at the last look at latest.

    Parameters
    ----------
    baseline : Baseline
    effect : float
        In the metric's unit.
    units : float
        All that enter, of which the arms have their parts.
    split : Split
    looks : Looks, optional
        An asymptotic confidence sequence with daily looks, unless given.

    Returns
    -------
    float

    Examples
    --------
    >>> once = Looks("fixed")
    >>> round(power(Baseline("mean", 0.0, 1.0), 0.2, 2 * 394, looks=once), 4)
    0.8006
    >>> round(power(Baseline("mean", 0.0, 1.0), 0.2, 2 * 394), 4)
    0.5032
    """
    chosen = looks or Looks()
    scaled = sum(split.scaled_variances(baseline, effect))
    if scaled <= 0.0:
        return float(effect != 0.0)
    drift = abs(effect) * math.sqrt(units / scaled)
    if chosen.method == "anytime":
        return float(seen_by(drift, chosen)[-1])
    return _seen_once(drift, _freedom(baseline, effect, units, split), chosen.level)


def units_needed(
    baseline: Baseline,
    effect: float,
    wanted: float = 0.8,
    split: Split = EVEN,
    looks: Looks | None = None,
) -> float:
    """Say how many units have to enter for an effect to be seen with some power.

    Parameters
    ----------
    baseline, effect, split, looks : as for `power`
    wanted : float
        The power.

    Returns
    -------
    float
        Infinite where no number of units would do.

    Examples
    --------
    >>> once = Looks("fixed")
    >>> math.ceil(units_needed(Baseline("mean", 0.0, 1.0), 1.0, 0.9, looks=once) / 2)
    23
    """
    chosen = looks or Looks()
    if effect == 0.0:
        return math.inf
    scaled = sum(split.scaled_variances(baseline, effect))
    rough = scaled * (needed_drift(wanted, chosen) / effect) ** 2
    if rough > MOST_UNITS:
        return math.inf
    if chosen.method == "anytime":
        return rough
    least = 4.0 / min(split.control, split.treated)

    def lacking(units: float) -> float:
        return power(baseline, effect, units, split, chosen) - wanted

    if lacking(least) >= 0.0:
        return least
    return _root(lacking, least, 2.0 * rough + 10.0 * least)


def detectable(
    baseline: Baseline,
    units: float,
    wanted: float = 0.8,
    split: Split = EVEN,
    looks: Looks | None = None,
    sign: int = 1,
) -> float:
    """Say which effect is just seen with some power: the minimum detectable effect.

    Parameters
    ----------
    baseline, units, split, looks : as for `power`
    wanted : float
        The power.
    sign : int
        1 for an increase, -1 for a decrease.

    Returns
    -------
    float
        In the metric's unit, with its sign; infinite where no effect would be seen.

    Examples
    --------
    >>> once = Looks("fixed")
    >>> round(detectable(Baseline.proportion(0.02), 2 * 50_000, looks=once), 6)
    0.002557
    """
    chosen = looks or Looks()
    if units * min(split.control, split.treated) < 2.0:
        return math.inf * sign
    most = math.inf
    if baseline.kind == "proportion":
        most = 1.0 - baseline.value if sign > 0 else baseline.value
    scaled = sum(split.scaled_variances(baseline, 0.0))
    rough = needed_drift(wanted, chosen) * math.sqrt(scaled / units)
    if chosen.method == "anytime" and baseline.kind != "proportion":
        return rough * sign

    def lacking(effect: float) -> float:
        if chosen.method == "fixed":
            return power(baseline, sign * effect, units, split, chosen) - wanted
        # As likely seen as wanted: as many standard errors as that takes.
        spread = sum(split.scaled_variances(baseline, sign * effect))
        return effect * math.sqrt(units) - needed_drift(wanted, chosen) * math.sqrt(spread)

    high = min(4.0 * rough, most)
    while high < most and lacking(high) < 0.0:
        high = min(2.0 * high, most)
    if lacking(high) < 0.0:
        return math.inf * sign
    return sign * _root(lacking, 0.0, high)


def needed_drift(wanted: float, looks: Looks) -> float:
    """Say how many standard errors an effect has to be in the end to be seen with some power.

    Parameters
    ----------
    wanted : float
    looks : Looks
        Of ``fixed`` with so many units that t is normal.

    Returns
    -------
    float

    Examples
    --------
    >>> round(needed_drift(0.8, Looks("fixed")), 4)
    2.8016
    >>> round(needed_drift(0.8, Looks()), 3)
    3.677
    """
    return _needed_drift(wanted, looks)


@lru_cache(maxsize=256)
def _needed_drift(wanted: float, looks: Looks) -> float:
    def lacking(drift: float) -> float:
        if looks.method == "anytime":
            return float(seen_by(drift, looks)[-1]) - wanted
        return _seen_once(drift, math.inf, looks.level) - wanted

    return _root(lacking, 0.0, 40.0)


def seen_by(drift: float, looks: Looks) -> Floats:
    r"""Say how likely an interval has excluded 0 by each look of a confidence sequence.

    The statistic at looks :math:`t_k` (parts of all units) is a Brownian motion with drift, seen
    where it first leaves :math:`\pm c_k \sqrt{t_k}`. Armitage, McPherson and Rowe (1969), *Repeated
    significance tests on accumulating data*, JRSS A 132(2): the density of what has not left is
    carried from look to look by numerical integration.

    Parameters
    ----------
    drift : float
        Standard errors of the effect when all units are in.
    looks : Looks

    Returns
    -------
    (looks,) float array, rising

    Examples
    --------
    >>> bool(seen_by(0.0, Looks())[-1] < 0.05)
    True
    """
    times = np.asarray(looks.at)
    reach = Anytime(times, 1.0, tuned_level=looks.level).critical(looks.level)
    bounds = reach * np.sqrt(times)
    steps = np.diff(times, prepend=0.0)
    width = 2.0 * float((bounds[:-1] / np.sqrt(steps[1:])).max(initial=1.0))
    grid, weights = _legendre(math.ceil(NODES_BY_STEP * width / 20.0) * 20 + 20)
    left = np.empty(len(times))
    nodes, density = np.zeros(1), np.ones(1)
    for look, (step, bound) in enumerate(zip(steps, bounds, strict=True)):
        deviation = math.sqrt(step)
        middle = nodes + drift * step
        out = ndtr((middle - bound) / deviation) + ndtr((-bound - middle) / deviation)
        left[look] = float(density @ out)
        inside = grid * bound
        z = (inside[:, None] - middle) / deviation
        kernel = np.exp(-0.5 * z * z) / (deviation * math.sqrt(2.0 * math.pi))
        density = (kernel @ density) * weights * bound
        nodes = inside
    return np.minimum(np.cumsum(left), 1.0)


@lru_cache(maxsize=64)
def _legendre(many: int) -> tuple[Floats, Floats]:
    grid, weights = np.polynomial.legendre.leggauss(many)
    return grid, weights


def _seen_once(drift: float, freedom: float, level: float) -> float:
    """Give the power of a t test of two sides: the noncentral t beyond its critical value."""
    if freedom > NORMAL:
        reach = -float(ndtri(0.5 - 0.5 * level))
        return float(ndtr(drift - reach) + ndtr(-drift - reach))
    reach = -float(stdtrit(freedom, 0.5 - 0.5 * level))
    if drift > reach + CERTAIN:
        return 1.0
    wrong_side = 0.0
    if drift + reach < CERTAIN:
        wrong_side = float(nctdtr(freedom, drift, -reach))
    return float(1.0 - nctdtr(freedom, drift, reach)) + wrong_side


def _freedom(baseline: Baseline, effect: float, units: float, split: Split) -> float:
    """Give Welch's degrees of freedom of the difference."""
    control, treated = split.scaled_variances(baseline, effect)
    counted = [max(units * part - 1.0, 1.0) for part in (split.control, split.treated)]
    under = control**2 / counted[0] + treated**2 / counted[1]
    if under <= 0.0:
        return math.inf
    return (control + treated) ** 2 / under


def _root(lacking: Callable[[float], float], low: float, high: float) -> float:
    while lacking(high) < 0.0:
        low, high = high, 2.0 * high
    return float(optimize.brentq(lacking, low, high, xtol=1e-12, rtol=1e-9))
